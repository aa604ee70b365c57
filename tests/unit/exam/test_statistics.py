import numpy as np
import pytest

from slowwave.errors import ExamError
from slowwave.exam.statistics import bootstrap, interval_over_seeds, paired_bootstrap


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        interval = bootstrap(rng.normal(3.0, 1.0, 60), seed=trial, draws=1000)
        covered += interval.low <= 3.0 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_pairing_removes_what_both_share() -> None:
    rng = np.random.default_rng(2)
    before = rng.normal(0, 10, 50)
    after = before + 1 + rng.normal(0, 0.1, 50)
    paired = paired_bootstrap(before, after)
    assert 0.9 < paired.low < paired.value < paired.high < 1.1


def test_questions_on_one_lesson_count_as_one() -> None:
    lessons = np.repeat(np.arange(6), 10)
    gain = np.repeat([1.0, 0, 1, 0, 1, 1], 10)  # ten copies of each lesson bring no knowledge
    alone = paired_bootstrap(np.zeros(60), gain)
    clustered = paired_bootstrap(np.zeros(60), gain, lessons)
    assert clustered.value == alone.value == pytest.approx(4 / 6)
    assert clustered.high - clustered.low > 2 * (alone.high - alone.low)
    once = paired_bootstrap(np.zeros(6), gain[::10])
    assert (clustered.low, clustered.high) == pytest.approx((once.low, once.high))


def test_groups_may_be_names_and_unequal() -> None:
    interval = bootstrap([1, 1, 1, 0], ["a", "a", "a", "b"])
    assert interval.value == 0.75
    assert (interval.low, interval.high) == (0, 1)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(3).random(20)
    assert bootstrap(values, seed=5) == bootstrap(values, seed=5)
    assert bootstrap(values, seed=5) != bootstrap(values, seed=6)


def test_a_wider_level_is_wider_and_blocks_change_nothing() -> None:
    values = np.random.default_rng(4).random(5000)  # 5,000 groups: several blocks of draws
    narrow, wide = bootstrap(values, draws=2000, level=0.5), bootstrap(values, draws=2000, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high
    assert wide.high - wide.low == pytest.approx(2 * 2.576 * values.std() / np.sqrt(5000), rel=0.2)


def test_over_seeds_is_the_textbook_interval() -> None:
    interval = interval_over_seeds([1.0, 2.0, 3.0])
    assert interval.value == 2.0
    assert interval.high - interval.value == pytest.approx(4.303 / np.sqrt(3))


@pytest.mark.parametrize(
    "broken",
    [
        lambda: bootstrap([]),
        lambda: bootstrap([1.0, float("nan")]),
        lambda: bootstrap([1.0, 2.0], ["a"]),
        lambda: paired_bootstrap([1.0], [float("inf")]),
        lambda: paired_bootstrap([1.0, 2.0], [1.0]),
        lambda: interval_over_seeds([1.0]),
        lambda: interval_over_seeds([1.0, float("nan")]),
    ],
)
def test_what_cannot_be_compared_is_refused(broken) -> None:
    with pytest.raises(ExamError):
        broken()
