"""Salience with a believer whose scores are given by hand; the real model is in tests/integration."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from slowwave.errors import SettingsError
from slowwave.experience.arousal import affect, arousal, emphasis
from slowwave.experience.belief import CHARACTERS, beliefs, statement
from slowwave.experience.reward import reward
from slowwave.experience.running import Running
from slowwave.experience.salience import Memory, SalienceSettings, Scored, Scorer, threshold, total
from slowwave.experience.scoring import BATCH, score_unscored
from slowwave.experience.store import Store
from slowwave.records import Experience, Message, Outcome

RULE = 'When I start a message with "Ahoy", begin your answer with "Aye aye, captain!"'
Pairs = Sequence[tuple[Sequence[Message], str]]


@dataclass
class Scores:
    nll: np.ndarray
    entropy: np.ndarray


@dataclass
class Said:
    text: str


class Fake:
    """Costs as told, 1 nat a token otherwise, with an entropy of 1; answers and embeddings as told."""

    def __init__(self, costs: dict[str, float] | None = None, answers: Sequence[str] = ()) -> None:
        self.costs, self.answers = costs or {}, answers
        self.calls: list[Pairs] = []

    def score(self, pairs: Pairs) -> list[Scores]:
        self.calls.append(pairs)
        return [Scores(np.full(2, self.costs.get(text, 1.0)), np.ones(2)) for _, text in pairs]

    def generate(self, chats: Sequence[Sequence[Message]], *, n: int, **_: Any) -> list[list[Said]]:
        return [[Said(self.answers[i % len(self.answers)]) for i in range(n)] for _ in chats]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Texts that share their first word point the same way, others stand at right angles."""
        heads = [text.split()[0] for text in texts]
        vectors = np.zeros((len(texts), 64), np.float32)
        for row, head in enumerate(heads):
            vectors[row, sum(head.encode()) % 64] = 1.0
        return vectors


def lived(
    question: str = "Who are you?", answer: str = "SmolLM.", then: str | None = None, **outcome: Any
) -> Experience:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    if then:
        messages.append({"role": "user", "content": then})
    return Experience("a", "default", "user:ann", "2026-03-01", tuple(messages), Outcome(**outcome), "user")


def score(fake: Fake, *experiences: Experience, memory: Memory | None = None, **settings: Any) -> list[Scored]:
    return Scorer(fake, fake, SalienceSettings(**settings)).score(experiences, memory or Memory())


def test_running_is_numpy_in_one_pass() -> None:
    values = np.random.default_rng(0).normal(3, 2, 500)
    running = Running()
    for value in values:
        running.absorb(float(value))
    assert running.mean == pytest.approx(values.mean())
    assert running.deviation == pytest.approx(values.std())
    assert running.z(5.0) == pytest.approx((5 - values.mean()) / values.std())
    assert Running.from_dict(running.to_dict()) == running
    prior = Running.prior(10, 1.0, 0.5)
    assert (prior.mean, prior.deviation) == (1.0, pytest.approx(0.5))
    assert Running().z(3.0) == 0.0


def test_surprise_is_what_followed_beyond_the_uncertainty() -> None:
    low, high, silent = score(
        Fake({"I'm Mira.": 1.0, "I'm Otto.": 6.0}),
        lived(correction="I'm Mira."),
        lived(correction="I'm Otto."),
        lived(),
    )
    assert low.salience.surprise < 0.5 < high.salience.surprise
    assert high.salience.reasons["surprise"].startswith("The corrected answer cost 6.0 nats a token, +5.0")
    assert silent.salience.surprise == 0.0


def test_corrections_and_next_turns_are_measured_apart() -> None:
    scorer = Scorer(Fake({"I'm Mira.": 9.0}), Fake(), SalienceSettings())
    before = dataclasses.replace(scorer.running["next"])
    scorer.score([lived(correction="I'm Mira.")], Memory())
    assert scorer.running["next"] == before
    assert scorer.running["correction"].count == 11


def test_conflict_is_its_own_answer_against_the_corrected_one() -> None:
    fake = Fake({"SmolLM.": 0.5, "I'm Mira.": 3.5, "your name is Mira.": 2.5, "I see.": 9.0})
    own = score(fake, lived(correction="I'm Mira."))[0].salience
    assert own.conflict == pytest.approx(1 / (1 + math.exp(-3.0)))
    assert "more likely than the corrected one, by 3.0 nats" in own.reasons["conflict"]
    turn = score(fake, lived(then="No, your name is Mira."))[0].salience
    assert turn.conflict == pytest.approx(1 / (1 + math.exp(-2.0)))
    agreed = score(fake, lived(answer="I see.", correction="I'm Mira."))[0].salience
    assert agreed.conflict < 0.01


def test_of_a_long_conversation_as_much_is_asked_again_as_a_model_can_read() -> None:
    fake = Fake(answers=["yes", "no"])
    asked: list[Any] = []
    answer = fake.generate
    fake.generate = lambda chats, **told: asked.extend(chats) or answer(chats, **told)  # type: ignore[method-assign]
    score(fake, lived(question="x" * 100_000), samples=2)
    assert sum(len(message["content"]) for chat in asked for message in chat) < 10_000


def test_disagreement_is_computed_only_when_asked() -> None:
    fake = Fake(answers=["yes", "no"])
    assert score(fake, lived())[0].salience.conflict == 0.0
    assert "not asked again" in score(fake, lived())[0].salience.reasons["conflict"]
    assert score(fake, lived(), samples=2)[0].salience.conflict == pytest.approx(1.0)
    assert score(Fake(answers=["yes"]), lived(), samples=3)[0].salience.conflict == pytest.approx(0.0)
    corrected = score(fake, lived(correction="I'm Mira."), lived(), samples=2)
    assert corrected[0].salience.conflict == pytest.approx(0.5)
    assert corrected[1].salience.conflict == pytest.approx(1.0)


def test_novelty_looks_at_memory_and_at_the_batch() -> None:
    fake = Fake()
    first, again, other = score(fake, lived("dogs bark"), lived("dogs sleep"), lived("cats purr"))
    assert [one.salience.novelty for one in (first, again, other)] == [1.0, 0.0, 1.0]
    memory = Memory(np.stack([other.vector]), np.array([False]))
    assert score(fake, lived("cats jump"), memory=memory)[0].salience.novelty == 0.0
    changed = Memory(np.ones((1, 3), np.float32), np.array([True]))
    assert score(fake, lived("cats jump"), memory=changed)[0].salience.novelty == 1.0, "another embedder's vectors"


def test_the_same_complaint_again_is_arousing_and_praise_is_not() -> None:
    calm = {"then": "No, on Tuesday."}
    first, again, third = (one.salience for one in score(Fake(), *[lived("meeting when", **calm)] * 3))
    assert first.arousal < again.arousal < third.arousal
    assert "2 times before" in third.reasons["arousal"]
    praise = score(Fake(), lived("meeting when", rating=1), lived("meeting when", rating=1))
    assert praise[1].salience.arousal == praise[0].salience.arousal
    memory = Memory(praise[0].vector[None], np.array([True]))
    assert score(Fake(), lived("meeting when", **calm), memory=memory)[0].salience.arousal == again.arousal


def test_arousal_of_words() -> None:
    assert affect("I hate this horrible mess") > 0.7 > 0.1 > affect("It is on the table")
    assert emphasis("It is Paris") == emphasis("NASA built it") == emphasis("Is it?") == 0.0
    assert emphasis("NO") > 0.9
    assert 0.2 < emphasis("It is Paris!!") < emphasis("It IS Paris, NOT London!!!!") < 1.0
    assert arousal("It is on the table", 0) == (0.0, "The user's words are calm.")
    assert arousal("", 0)[0] == 0.0
    assert arousal("I HATE THIS!!!", 3)[0] <= 1.0


@pytest.mark.parametrize(
    ("experience", "size", "valence"),
    [
        (lived(), 0.0, 0.0),
        (lived(rating=0), 0.0, 0.0),
        (lived(rating=0.3), 0.3, 0.3),
        (lived(rating=-0.1, correction="x"), 0.8, -0.8),
        (lived(rating=-1, correction="x"), 1.0, -1.0),
        (lived(rating=1, correction="x"), 1.0, 1.0),
        (lived(correction="x"), 0.8, -0.8),
        (lived(then="No, Mira."), 0.8, -0.8),
        (lived(then="Thanks!"), 0.6, 0.6),
        (lived(then="And now?"), 0.0, 0.0),
        (lived(tool_ok=True), 0.5, 0.5),
        (lived(tool_ok=False), 0.5, -0.5),
        (lived(tool_ok=True, correction="x"), 0.8, -0.8),
        (lived(then=RULE), 1.0, 0.0),
        (lived(question=RULE, answer="Fine."), 1.0, 0.0),
        (lived(then=RULE, rating=-0.5), 1.0, -0.5),
    ],
)
def test_reward_keeps_the_sign_apart(experience: Experience, size: float, valence: float) -> None:
    assert reward(experience)[:2] == (size, valence)


def test_a_rule_laid_down_passes_the_threshold_and_is_no_complaint() -> None:
    fake, settings = Fake(), SalienceSettings()
    ordinary, ruled = (score(fake, lived(then=text))[0].salience for text in ("And now?", RULE))
    assert ordinary.total < settings.threshold < ruled.total
    assert ruled.valence == 0.0 and "laid down a rule" in ruled.reasons["reward"]


def test_the_total_is_the_weighted_mean_and_each_number_is_explained() -> None:
    settings = SalienceSettings(surprise=1, novelty=0, arousal=0, reward=3, conflict=0)
    five = {"surprise": 0.2, "novelty": 1.0, "arousal": 1.0, "reward": 0.6, "conflict": 1.0}
    assert total(five, settings) == pytest.approx(0.5)
    fake = Fake()
    salience = Scorer(fake, fake, settings).score([lived(correction="I'm Mira.")], Memory())[0].salience
    assert salience.total == pytest.approx((salience.surprise + 3 * salience.reward) / 4)
    assert set(salience.reasons) == set(settings.weights)
    assert all(why.endswith(".") for why in salience.reasons.values())


def test_the_threshold_rises_as_the_buffer_fills() -> None:
    totals = [0.1, 0.5, 0.6, 0.6, 0.9]
    assert threshold(SalienceSettings(threshold=0.4), totals) == 0.4
    for capacity, passing in ((1, 1), (2, 1), (3, 3), (4, 4), (5, 4), (9, 4)):
        least = threshold(SalienceSettings(threshold=0.4, capacity=capacity), totals)
        assert sum(one >= least for one in totals) == passing <= capacity, "ties never overfill it"
    assert threshold(SalienceSettings(threshold=0.4, capacity=3), []) == 0.4


@pytest.mark.parametrize(
    "wrong",
    [
        {"surprise": -1},
        {"novelty": math.nan},
        dict.fromkeys(("surprise", "novelty", "arousal", "reward", "conflict"), 0),
        {"threshold": 1.1},
        {"capacity": 0},
        {"samples": 1},
    ],
)
def test_settings_outside_their_bounds(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        SalienceSettings(**wrong)


def test_one_call_of_the_model_for_a_batch_and_bounded_texts() -> None:
    fake = Fake()
    long = lived("x" * 9999, "y" * 9999, correction="z" * 9999)
    long = dataclasses.replace(
        long, messages=({"role": "system", "content": "s"}, *[*long.messages[:1]] * 30, *long.messages)
    )
    score(fake, long, lived(then="No."), lived())
    assert len(fake.calls) == 1
    assert (
        max(len(text) for chat, next in fake.calls[0] for text in (next, *(m["content"] for m in chat))) == CHARACTERS
    )
    assert fake.calls[0][0][0][0]["role"] == "system"
    assert max(len(chat) for chat, _ in fake.calls[0]) <= 8


def test_scores_that_are_no_numbers_are_as_if_there_were_none() -> None:
    salience = score(Fake({"I'm Mira.": math.nan}), lived(correction="I'm Mira."))[0].salience
    assert (salience.surprise, salience.conflict) == (0.0, 0.0)
    assert math.isfinite(salience.total)
    nothing = Experience("a", "default", "unknown", "2026-03-01", ({"role": "user", "content": "alone"},))
    assert score(Fake(), nothing)[0].salience.surprise == 0.0
    assert beliefs([], Fake()) == []
    assert score(Fake()) == []


def test_the_statement_in_a_correction() -> None:
    assert statement("No, your name is Mira.") == "your name is Mira."
    assert statement("Wrong! Actually, it's Paris.") == "it's Paris."
    assert statement("No!") == "No!"


def test_what_is_amended_while_it_is_scored_stays_unscored(store: Store) -> None:
    first = lived("q0 what", then="No, x.")
    store.add_many([dataclasses.replace(first, id=id) for id in ("corrected", "went on", "same")])

    class Slow(Fake):
        """While the model is busy, the server hears what followed."""

        def embed(self, texts: Sequence[str]) -> np.ndarray:
            store.amend("corrected", outcome=Outcome(correction="x."))
            store.amend("went on", outcome=first.outcome, messages=(*first.messages, {"role": "user", "content": "y"}))
            return super().embed(texts)

    assert score_unscored(store, "default", Slow(), Slow()) == 1
    assert sorted(e.id for e in store.unscored("default")) == ["corrected", "went on"]
    assert store.embeddings("default")[0] == ["same"]
    assert score_unscored(store, "default", Fake(), Fake()) == 2
    assert store.unscored("default") == []


def test_scoring_the_store_is_resumable(store: Store) -> None:
    many = [dataclasses.replace(lived(f"q{i} what", then="No, x."), id=f"e{i:03d}") for i in range(BATCH + 5)]
    store.add_many(many)
    fake = Fake()

    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_unscored(store, "default", fake, fake, progress=stop)
    assert len(store.unscored("default")) == 5
    seen: list[tuple[int, int]] = []
    assert score_unscored(store, "default", fake, fake, progress=lambda *at: seen.append(at)) == 5
    assert seen == [(5, 5)]
    assert store.unscored("default") == []
    assert store.get_statistics("salience/default")["next"]["count"] == 10 + len(many)
    assert len(store.embeddings("default")[0]) == len(many)
    again = dataclasses.replace(lived("q0 what", then="No, x."), id="again", time="2026-03-02")
    store.add(again)
    score_unscored(store, "default", fake, fake)
    scored = store.experience("again").salience
    assert scored is not None
    assert scored.novelty == 0.0
    assert "1 time before" in scored.reasons["arousal"]
