"""Salience: how much a moment matters. SNARC: surprise, novelty, arousal, reward, conflict, each in [0, 1].

    scorer = Scorer(engine, embedder, SalienceSettings(), running)
    scored = scorer.score(experiences, memory)      # salience and embedding of each, in one batch
    keep = [e for e, s in zip(experiences, scored) if s.salience.total >= threshold(settings, totals)]

Surprise: negative log-likelihood per token of what followed (the correction, or the user's next turn) minus the
model's own entropy there, so that what cannot be predicted by anybody is no surprise; as a z-score against all that
came before, through a logistic. Novelty: one minus the largest cosine similarity to what is remembered. Conflict: the
log-likelihood ratio per token of its own answer against the corrected one. It knows no store; `scoring.py` does.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from slowwave.errors import SettingsError
from slowwave.experience.arousal import SAME_COMPLAINT, arousal
from slowwave.experience.belief import CHARACTERS, Belief, Believer, Followed, beliefs, shortened
from slowwave.experience.follow_up import exchange, follow_up, last_words
from slowwave.experience.reward import reward
from slowwave.experience.running import Running
from slowwave.records import Experience, Message, Salience

# Excess in nats per token, before anything was seen. What a user says next and what the assistant should have said
# are kept apart: models are trained on answers and not on users, so one scale would make every "Thanks!" a surprise.
# The priors are what SmolLM2-135M-Instruct showed on two streams of bench/salience.py (84 and 295 values).
PRIORS: dict[Followed, Running] = {
    "correction": Running.prior(count=10, mean=1.0, deviation=1.2),
    "next": Running.prior(count=10, mean=0.9, deviation=0.9),
}


class Embeds(Protocol):
    """Texts to vectors of length one. float32[N, D]."""

    def embed(self, texts: Sequence[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class SalienceSettings:
    """The weights of the five, the threshold, and what costs extra.

    Measured by bench/salience.py (3 seeds, 720 moments): equal weights AUC 0.957 [0.941, 0.970], reward and conflict
    doubled 0.964 [0.950, 0.977]. They stay equal, because its lessons are nearly all corrections, which favours those
    two, and it would be tuning on the test. The threshold lets through 99 % of the planted lessons and 15 % of the
    rest: what is not kept can never be learned, and what holds no lesson is dropped later anyway.
    """

    surprise: float = 0.2
    novelty: float = 0.2
    arousal: float = 0.2
    reward: float = 0.2
    conflict: float = 0.2
    threshold: float = 0.35
    capacity: int | None = None  # at most so many pass: the threshold rises as the buffer fills. None: it is fixed
    samples: int = 0  # answers to sample where nothing corrects the model, for its disagreement with itself; 0: none

    def __post_init__(self) -> None:
        weights = self.weights
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights.values()) or not sum(weights.values()):
            raise SettingsError(
                "The weights of salience must be 0 or more, and one of them above 0.", f"Got {weights}."
            )
        if not 0 <= self.threshold <= 1:
            raise SettingsError(f"The threshold of salience is {self.threshold}.", "Choose it between 0 and 1.")
        if self.capacity is not None and self.capacity < 1:
            raise SettingsError(f"The capacity is {self.capacity}.", "Choose 1 or more, or leave it out.")
        if self.samples < 0 or self.samples == 1:
            raise SettingsError(f"{self.samples} samples cannot disagree.", "Choose 0 or at least 2.")

    @property
    def weights(self) -> dict[str, float]:
        """The five weights by name."""
        return {name: getattr(self, name) for name in ("surprise", "novelty", "arousal", "reward", "conflict")}


@dataclass(frozen=True)
class Memory:
    """What is remembered: vectors_N_D of length one, and which of them were complaints (bool[N])."""

    vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    complaints: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))


class Scored(NamedTuple):
    """The salience of an experience and its embedding (float32[D]), to be remembered."""

    salience: Salience
    vector: np.ndarray


class Scorer:
    """Scores experiences; `running` is changed by what it sees and is the caller's to keep."""

    def __init__(
        self,
        believer: Believer,
        embedder: Embeds,
        settings: SalienceSettings,
        running: dict[Followed, Running] | None = None,
    ) -> None:
        self.believer, self.embedder, self.settings = believer, embedder, settings
        self.running = running or {name: dataclasses.replace(prior) for name, prior in PRIORS.items()}

    def score(self, experiences: Sequence[Experience], memory: Memory) -> list[Scored]:
        """The experiences in the order in which they were lived; each is new to those before it in the batch too."""
        if not experiences:
            return []
        held = beliefs(experiences, self.believer)
        for belief in held:  # first all, then judge: the first of an import is measured against the rest of it
            if belief.excess is not None and belief.followed is not None:
                self.running[belief.followed].absorb(belief.excess)
        vectors_B_D = np.asarray(self.embedder.embed([gist(experience) for experience in experiences]), np.float32)
        rewards = [reward(experience) for experience in experiences]
        complaint_B = np.array([valence < 0 for _, valence, _ in rewards])
        nearest_B, repeated_B = _recall(vectors_B_D, complaint_B, memory)
        conflicts = self._conflicts(experiences, held)
        scored = []
        for place, experience in enumerate(experiences):
            size, valence, judged = rewards[place]
            parts = {
                "surprise": self._surprise(held[place]),
                "novelty": _novelty(nearest_B[place]),
                "arousal": arousal(last_words(experience), int(repeated_B[place])),
                "reward": (size, judged),
                "conflict": conflicts[place],
            }
            five = {name: min(1.0, max(0.0, value)) for name, (value, _) in parts.items()}
            reasons = {name: why for name, (_, why) in parts.items()}
            salience = Salience(**five, total=total(five, self.settings), valence=valence, reasons=reasons)
            scored.append(Scored(salience, vectors_B_D[place]))
        return scored

    def _surprise(self, belief: Belief) -> tuple[float, str]:
        if belief.excess is None or belief.followed is None:
            return 0.0, "Nothing followed the answer that could surprise."
        z = self.running[belief.followed].z(belief.excess)
        what = "The corrected answer" if belief.followed == "correction" else "What the user said next"
        return _logistic(z), (
            f"{what} cost {belief.nll:.1f} nats a token, {belief.excess:+.1f} against the model's own uncertainty: "
            f"{abs(z):.1f} standard deviations {'above' if z >= 0 else 'below'} the usual."
        )

    def _conflicts(self, experiences: Sequence[Experience], held: Sequence[Belief]) -> list[tuple[float, str]]:
        asked = [place for place, belief in enumerate(held) if not belief.corrected and self.settings.samples]
        chats = [shortened(exchange(experiences[place])[0]) for place in asked]
        spread = dict(zip(asked, disagreement(chats, self.believer, self.embedder, self.settings.samples), strict=True))
        return [_conflict(belief, spread.get(place)) for place, belief in enumerate(held)]


def total(five: dict[str, float], settings: SalienceSettings) -> float:
    """The weighted mean of the five, in [0, 1]."""
    weights = settings.weights
    return sum(weights[name] * five[name] for name in weights) / sum(weights.values())


def threshold(settings: SalienceSettings, totals: Sequence[float]) -> float:
    """From which total on a moment is kept, given the totals of all that is in the buffer.

    With a capacity, the smallest number from the fixed threshold upwards that at most `capacity` of them reach.
    """
    if settings.capacity is None or len(totals) <= settings.capacity:
        return settings.threshold
    first_out = float(np.sort(np.asarray(totals, float))[::-1][settings.capacity])
    return max(settings.threshold, float(np.nextafter(first_out, math.inf)))


def gist(experience: Experience) -> str:
    """What a moment is about, as one text to embed: the question, and what it should have been answered."""
    context, answer = exchange(experience)
    question = next((message["content"] for message in reversed(context) if message["role"] == "user"), "")
    better = experience.outcome.correction or follow_up(experience) or answer or ""
    return f"{question[:CHARACTERS]}\n{better[:CHARACTERS]}"


def disagreement(chats: Sequence[Sequence[Message]], believer: Believer, embedder: Embeds, samples: int) -> list[float]:
    """How far several answers of the model to each chat lie apart: one minus their mean cosine similarity."""
    if not chats:
        return []
    rows = believer.generate(chats, max_new_tokens=48, temperature=0.8, seed=0, n=samples)
    vectors_NS_D = embedder.embed([reply.text for row in rows for reply in row])
    spreads = []
    for answers_S_D in np.split(vectors_NS_D, len(rows)):
        similarity_S_S = answers_S_D @ answers_S_D.T
        spreads.append(1.0 - float(similarity_S_S[np.triu_indices(samples, 1)].mean()))
    return spreads


def _recall(vectors_B_D: np.ndarray, complaint_B: np.ndarray, memory: Memory) -> tuple[np.ndarray, np.ndarray]:
    """For each of the batch: the largest similarity to what came before (-1: nothing did), and the same complaints."""
    among_B_B = np.tril(vectors_B_D @ vectors_B_D.T, -1) - np.triu(np.full((len(vectors_B_D),) * 2, 2.0))
    same = memory.vectors.ndim == 2 and memory.vectors.shape[1] == vectors_B_D.shape[1]
    before_B_N = vectors_B_D @ memory.vectors.T if same else np.zeros((len(vectors_B_D), 0), np.float32)
    all_B_M = np.concatenate([before_B_N, among_B_B], axis=1)
    complaints_M = np.concatenate([memory.complaints if same else np.zeros(0, bool), complaint_B])
    repeated_B = ((all_B_M >= SAME_COMPLAINT) & complaints_M).sum(1) * complaint_B
    return np.maximum(all_B_M.max(1), -1.0), repeated_B


def _novelty(nearest: float) -> tuple[float, str]:
    if nearest <= -1.0:
        return 1.0, "Nothing was remembered before."
    return 1.0 - nearest, f"The nearest memory has a cosine similarity of {nearest:.2f}."


def _conflict(belief: Belief, spread: float | None) -> tuple[float, str]:
    if belief.ratio is not None:
        than = "more" if belief.ratio > 0 else "less"
        return _logistic(belief.ratio), (
            f"The model found its own answer {than} likely than the corrected one, "
            f"by {abs(belief.ratio):.1f} nats a token."
        )
    if spread is not None:
        return spread, f"Asked again, the model's answers lay {spread:.2f} apart (1 - mean cosine similarity)."
    if belief.corrected:
        return 0.0, "The answers could not be compared."
    return 0.0, "Nothing contradicted the answer, and the model was not asked again."


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(30.0, max(-30.0, value))))
