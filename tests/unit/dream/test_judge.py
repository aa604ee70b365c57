"""The judge: what it reads off answers, what it learns from few labels, and that it knows when it knows nothing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from slowwave.dream import distil
from slowwave.dream import head as head_
from slowwave.dream.agreement import agreement, folds, wilson
from slowwave.dream.asking import asked
from slowwave.dream.head import CUTS, NOISE, NOTHING, PAIRS, Examples, Head, rules
from slowwave.dream.judge import FEWEST, Judge
from slowwave.dream.traits import traits
from slowwave.records import Check, Label, Lesson, Scene


def examples(count: int = 200, noise: float = 0.0, seed: int = 0) -> Examples:
    """Good is what is large in the second of five figures."""
    draw = np.random.default_rng(seed)
    figures = draw.normal(size=(count, 5)) * [1, 10, 1, 0, 1]
    good = (figures[:, 1] > 0) ^ (draw.random(count) < noise)
    return Examples(figures, good, np.arange(count) // 2)


def test_a_head_learns_and_says_how_sure_it_is() -> None:
    head, new = Head(examples()), examples(500, seed=1)
    p_N = head.chance(new)
    assert ((p_N > 0.5) == new.good_N).mean() > 0.95
    assert ((p_N >= 0) & (p_N <= 1)).all()
    sure = np.abs(p_N - 0.5) > np.median(np.abs(p_N - 0.5))
    assert ((p_N > 0.5) == new.good_N)[sure].mean() > ((p_N > 0.5) == new.good_N)[~sure].mean()


def test_every_rule_counts_by_how_well_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against all rules and pairs written out one by one; otherwise the head leaves out pairs that fit badly."""
    monkeypatch.setattr(head_, "RECUT", 10_000)
    given, new = examples(12, 0.1), examples(9, seed=2)
    evidence, spoken = [], []
    share = given.good_N.mean()
    evidence.append(NOTHING + 12 * (share * np.log(share) + (1 - share) * np.log(1 - share)))
    spoken.append(np.full(9, share))
    singles: dict[int, list[tuple[float, float, np.ndarray, np.ndarray]]] = {}
    for at in range(5):
        values = np.unique(given.figures_N_F[:, at])
        cuts = [(low + high) / 2 for low, high in itertools.pairwise(values)]
        weights = [
            ((given.figures_N_F[:, at] > cut).mean() * (given.figures_N_F[:, at] <= cut).mean()) ** 2 for cut in cuts
        ]
        for cut, weight in zip(cuts, weights, strict=True):
            for above in (True, False):
                says, then = ((one.figures_N_F[:, at] > cut) == above for one in (given, new))
                prior = np.log(weight / sum(weights) / 2 / 5)
                singles.setdefault(at, []).append((prior + fits(says, given.good_N), prior, says, then))
    for row in itertools.chain(*singles.values()):
        evidence.append(row[0] + np.log(1 - PAIRS))
        spoken.append(np.where(row[3], 1 - NOISE, NOISE))
    for one, other in itertools.combinations(singles.values(), 2):
        for (_, prior, says, then), (_, too, says_too, then_too) in itertools.product(one, other):
            evidence.append(prior + too + np.log(2 * PAIRS) + fits(says & says_too, given.good_N))
            spoken.append(np.where(then & then_too, 1 - NOISE, NOISE))
    weight = np.exp(np.array(evidence) - max(evidence))
    np.testing.assert_allclose(Head(given).chance(new), weight / weight.sum() @ np.array(spoken), rtol=1e-6)


def fits(says: np.ndarray, good: np.ndarray) -> float:
    right = int((says == good).sum())
    return float(right * np.log(1 - NOISE) + (len(good) - right) * np.log(NOISE))


def test_the_figure_that_tells_outweighs_all_others_and_two_that_tell_are_both_read() -> None:
    single = Head(examples(100, 0.1))
    alone = single._weight_M[1 : 1 + len(single._rules.figure_R)]
    mine = alone[single._rules.figure_R == 1].sum() + single._weight_M[1 + len(alone) :].sum()
    assert mine > 0.99 and alone[single._rules.figure_R == 1].sum() > 0.5
    both = examples(200)
    both = replace(both, good_N=(both.figures_N_F[:, 1] > 0) & (both.figures_N_F[:, 2] > 0))
    new = examples(400, seed=3)
    said = Head(both).chance(new) > 0.5
    assert (said == ((new.figures_N_F[:, 1] > 0) & (new.figures_N_F[:, 2] > 0))).mean() > 0.93, "always no: 0.75"


def test_many_labels_are_cut_at_few_places() -> None:
    found = rules(examples(2000).figures_N_F)
    assert np.bincount(found.figure_R, minlength=5).tolist() == [2 * CUTS, 2 * CUTS, 2 * CUTS, 0, 2 * CUTS]
    assert np.exp(found.prior_R).sum() == pytest.approx(0.8), "one figure of five is always the same"


def test_of_labels_without_sense_it_makes_little() -> None:
    coin = replace(examples(100), good_N=np.random.default_rng(5).random(100) < 0.5)
    assert np.abs(Head(coin).chance(examples(200, seed=6)) - coin.good_N.mean()).mean() < 0.15


def test_one_label_teaches_nothing() -> None:
    given = examples(20)
    with pytest.raises(ValueError, match="good and bad"):
        Head(replace(given, good_N=np.ones(20, bool)))


def test_agreement_is_of_labels_that_were_held_out() -> None:
    found = agreement(examples(100, noise=0.1))
    assert 0.8 < found.share < 0.97 and found.low < found.share < found.high
    assert found.trusted and found.labels == 100 and 0.5 <= found.chance < 0.65
    coin = replace(examples(100), good_N=np.random.default_rng(5).random(100) < 0.5)
    assert not agreement(coin).trusted


def test_the_user_is_asked_of_what_the_head_is_least_sure() -> None:
    known, new = examples(60, 0.1), examples(50, seed=1)
    order, asks = [], asked(known, new)
    place = next(asks)
    for _ in range(20):
        order.append(place)
        place = asks.send(bool(new.good_N[place]))
    first = np.argmin(np.abs(Head(known).chance(new) - 0.5))
    assert order[0] == first and len(set(order)) == 20
    assert np.abs(new.figures_N_F[order[:5], 1]).mean() < np.abs(new.figures_N_F[:, 1]).mean() / 3, "near the cut"
    left = asked(replace(known, good_N=np.ones(60, bool)), new.some(np.arange(3)))
    assert [next(left), left.send(None), left.send(None)] == [0, 1, 2], "in turn while nothing is known"
    with pytest.raises(StopIteration):
        left.send(None)


def test_what_the_user_says_is_learned_from_at_once() -> None:
    nothing = examples(60).some(np.arange(0))
    new = examples(200, seed=1)
    asks = asked(nothing, new)
    place, seen = next(asks), []
    for _ in range(40):
        seen.append(place)
        place = asks.send(bool(new.good_N[place]))
    fitted = Head(new.some(np.array(seen))).chance(examples(400, seed=2)) > 0.5
    by_chance = Head(new.some(np.arange(40))).chance(examples(400, seed=2)) > 0.5
    good_N = examples(400, seed=2).good_N
    assert (fitted == good_N).mean() > max(0.95, (by_chance == good_N).mean() - 0.01)


def test_folds_part_no_group_and_hold_each_label_once() -> None:
    given = examples(50)
    masks = folds(given, 10, 0)
    assert np.sum(masks, axis=0).tolist() == [1] * 50
    for mask in masks:
        assert not set(given.group_N[mask]) & set(given.group_N[~mask])


def test_the_interval_of_a_share() -> None:
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-3)


def test_traits_differ_where_answers_do() -> None:
    plain = traits("What is tea?", "Tea is a drink.")
    others = [
        "Tea is a drink. It is made of leaves, and of water that is hot.", "Tea is a drink!", "- Tea\n- Water",
        "Tea is a drink", "I like tea.", "You drink it.", "I don't know what tea is.", "Water is a drink.",
        "Tea is a drink is a drink is a drink.", 'It is "tea".', "It costs 3 pounds.", "Hello, tea is a drink.",
        "Yes.", "Tea? A drink?", "**Tea**", "",
    ]  # fmt: skip
    seen = {tuple(traits("What is tea?", answer)) for answer in others}
    assert len(seen) == len(others) and tuple(plain) not in seen
    assert all(np.isfinite(row).all() and len(row) == len(plain) for row in map(np.array, seen))


@dataclass
class Score:
    nll: np.ndarray


class Model:
    """Likely is what is short; vectors are the first letters."""

    def score(self, pairs: Sequence[tuple[Any, str]]) -> list[Score]:
        return [Score(np.ones(len(answer.split()), np.float32)) for _, answer in pairs]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.eye(26, dtype=np.float32)[[ord(text[:1].lower() or "a") % 26 for text in texts]]


def label(number: int, answer: str, good: bool) -> Label:
    return Label(({"role": "user", "content": f"What about thing {number}?"},), answer, good, str(number), "rating")


LIKED = [label(n, f"It is thing number {n}.", True) for n in range(12)]
DISLIKED = [label(n + 50, f"As I said!\nI think that thing {n} is great! Wonderful!", False) for n in range(12)]


def test_a_judge_asks_before_it_has_labels() -> None:
    asked = [({"role": "user", "content": f"What about {n}?"},) for n in range(4)]
    asks = Judge(Model(), Model(), []).asks(
        [(chat, f"It is {n}." if n % 2 else "I think!") for n, chat in enumerate(asked)]
    )
    assert next(asks) == 0 and asks.send(False) == 1 and asks.send(True) in (2, 3)


def test_a_judge_reads_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    model = Model()
    score = model.score
    monkeypatch.setattr(model, "score", lambda pairs: read.extend(answer for _, answer in pairs) or score(pairs))
    first = Judge(model, Model(), [*LIKED[:6], *DISLIKED])
    assert not read, "before it is asked for something"
    new = LIKED[6:]
    asks = first.asks([(one.chat, one.answer) for one in new])
    next(asks)
    then = first.again([*first.labels, *new])
    assert then.trusted and then.agreement is not None and then.agreement.labels == 24
    assert sorted(read) == sorted(one.answer for one in [*LIKED, *DISLIKED])
    alone = Judge(Model(), Model(), then.labels)
    pair = (new[0].chat, "It is tea.")
    assert then.agreement == alone.agreement and then.chance([pair])[0] == alone.chance([pair])[0]


def test_a_judge_learns_a_taste_and_tells_how_well() -> None:
    judge = Judge(Model(), Model(), [*LIKED, *DISLIKED])
    assert judge.trusted and judge.agreement is not None and judge.agreement.share > 0.9
    asked = [{"role": "user", "content": "What about tea?"}]
    good, bad = judge.chance([(asked, "It is tea."), (asked, "I think tea is great! Wonderful!")])
    assert good > 0.6 and bad < 0.5 and good - bad > 0.2
    assert judge.chance([]).tolist() == []


@pytest.mark.parametrize("labels", [[], LIKED, [*LIKED[: FEWEST - 2], DISLIKED[0]]])
def test_a_judge_with_too_few_labels_says_so(labels: list[Label]) -> None:
    judge = Judge(Model(), Model(), labels)
    assert judge.agreement is None and not judge.trusted
    assert judge.chance([((), "Yes.")]).tolist() == [0.5]


class Talker:
    def generate(self, chats: Any, *, n: int, **_: Any) -> Any:
        said = ["Tea it is!\nWonderful! I think tea is great!", "It is a thing called tea.", "Tea! Great!", "No."]
        return [[type("Reply", (), {"text": text, "finish": "stop"}) for text in said[:n]] for _ in chats]


def test_of_the_samples_that_pass_a_trusted_judge_chooses() -> None:
    lesson = Lesson("a", "default", "You drink tea.", None, None, Check(("tea",)), kind="note")
    scene = Scene("s", "a", "apply", ({"role": "user", "content": "What do I drink?"},), None, "given")
    answer = lambda judge: distil.fill(Talker(), [scene], [lesson], 0, judge=judge)[0].answer  # noqa: E731
    assert answer(None) == "Tea! Great!", "the shortest"
    assert answer(Judge(Model(), Model(), [])) == "Tea! Great!"
    assert answer(Judge(Model(), Model(), [*LIKED, *DISLIKED])) == "It is a thing called tea."
