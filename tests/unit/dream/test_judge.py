"""The judge: what it reads off answers, what it learns from few labels, and that it knows when it knows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from slowwave.dream import distil
from slowwave.dream.head import SPREAD, Examples, Head, agreement, fit, folds, wilson
from slowwave.dream.judge import FEWEST, Judge
from slowwave.dream.traits import traits
from slowwave.records import Check, Label, Lesson, Scene


def examples(count: int = 200, noise: float = 0.0, seed: int = 0) -> Examples:
    """Good is what is large in the second of five figures."""
    draw = np.random.default_rng(seed)
    figures = draw.normal(size=(count, 5)) * [1, 10, 1, 0, 1]
    good = (figures[:, 1] > 0) ^ (draw.random(count) < noise)
    return Examples(figures, draw.normal(size=(count, 30)), good, np.arange(count) // 2)


def test_a_head_learns_and_says_how_sure_it_is() -> None:
    head, new = Head(examples()), examples(500, seed=1)
    p_N = head.chance(new)
    assert ((p_N > 0.5) == new.good_N).mean() > 0.95
    assert ((p_N >= 0) & (p_N <= 1)).all()
    sure = np.abs(p_N - 0.5) > 0.4
    assert ((p_N > 0.5) == new.good_N)[sure].mean() > ((p_N > 0.5) == new.good_N)[~sure].mean()


def test_many_regressions_are_fitted_as_each_alone() -> None:
    """Against scipy's minimiser on one model at a time, and the evidence by its formula."""
    draw = np.random.default_rng(0)
    scores, good = draw.normal(size=(40, 3)), (draw.random(40) < 0.4).astype(float)
    models = np.array([[-1, -1], [1, -1], [0, 2]])
    weights, evidence = fit(scores, models, good)
    for model, found, told in zip(models, weights, evidence, strict=True):
        read = np.c_[np.ones(40), *(scores[:, at] if at >= 0 else np.zeros(40) for at in model)]
        likelihood = lambda w, read=read: -np.logaddexp(0, -np.where(good > 0.5, 1, -1) * (read @ w)).sum()  # noqa: E731
        prior = np.array([1e-2, SPREAD**-2, SPREAD**-2])
        best = minimize(lambda w, f=likelihood: 0.5 * prior @ w**2 - f(w), np.zeros(3), tol=1e-10).x  # noqa: B023
        np.testing.assert_allclose(found, best, atol=1e-4)
        assert told == pytest.approx(likelihood(best) - 0.5 * (model >= 0).sum() * np.log(40), abs=1e-4)


def test_the_figure_that_tells_outweighs_all_others_and_two_that_tell_are_both_read() -> None:
    single = Head(examples(100, 0.1))
    assert single._share_M[(single._models_M_2 == 1).any(1)].sum() > 0.99
    both = examples(200)
    both = replace(both, good_N=(both.figures_N_F[:, 1] > 0) & (both.figures_N_F[:, 2] > 0))
    new = examples(400, seed=3)
    said = Head(both).chance(new) > 0.5
    assert (said == ((new.figures_N_F[:, 1] > 0) & (new.figures_N_F[:, 2] > 0))).mean() > 0.83, "always no: 0.75"


def test_how_figures_are_spread_does_not_matter() -> None:
    given, new = examples(80, 0.1), examples(200, seed=4)
    bent = lambda one: replace(one, figures_N_F=np.exp(one.figures_N_F / 3))  # noqa: E731
    np.testing.assert_allclose(Head(given).chance(new), Head(bent(given)).chance(bent(new)), atol=1e-9)


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
