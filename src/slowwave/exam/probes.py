"""Asking the exam's questions, and comparing the answers of two versions to the same questions.

Rules decide first; what they leave open stays None, and counts for nothing until a judge decides it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slowwave.errors import ExamError
from slowwave.exam.match import asserts, has_rule, normalise, passes
from slowwave.exam.statistics import Interval, paired_bootstrap
from slowwave.records import Check, Lesson, Scene, SceneKind

if TYPE_CHECKING:
    from slowwave.models.engine import Engine

# Words that any two answers share; agreement is about the others.
_COMMON = frozenset(
    (
        *("a", "an", "the", "and", "or", "of", "to", "in", "on", "at", "for", "with", "as", "by", "from", "if", "so"),
        *("is", "are", "was", "were", "be", "been", "can", "do", "does", "not", "have", "has", "will", "would", "but"),
        *("i", "you", "he", "she", "it", "they", "we", "my", "your", "its", "that", "this", "there", "also"),
        *("which", "who", "what", "how"),
    )
)
# Measured on 16 general questions: the base's answers in batches of 1, 8 and 32 (same meaning, other rounding) overlap
# by 0.83 on average and 0.30 at least; answers to two different questions by 0.01, at most 0.17.
AGREEMENT = 0.25
# Nats a token by which the base's own answer to a near miss may drift before it counts as lost. Harmless drift is 0.03
# to 0.05 everywhere; an answer that begins otherwise costs several nats at once, over 0.25 on its two dozen tokens.
NEAR_DRIFT = 0.25


@dataclass(frozen=True)
class Answer:
    """One question, the greedy answer, and what the rules say of it (None: nothing)."""

    scene_id: str
    lesson: str | None
    kind: SceneKind
    question: str
    answer: str
    right: bool | None
    taken_over: bool | None  # near misses only: the lesson fires where it must not
    drift: float | None = None  # near misses with the base's answer: forward KL from the base on it, nats a token


@dataclass(frozen=True)
class ProbeResult:
    """The answers of two versions to the same questions, in the same order."""

    before: tuple[Answer, ...]
    after: tuple[Answer, ...]

    def __post_init__(self) -> None:
        if [answer.scene_id for answer in self.before] != [answer.scene_id for answer in self.after]:
            raise ExamError("Before and after were not asked the same questions.", "Examine both versions again.")

    def _decided(self) -> list[tuple[Answer, Answer]]:
        pairs = zip(self.before, self.after, strict=True)
        return [(a, b) for a, b in pairs if a.kind == "apply" and a.right is not None and b.right is not None]

    def gain(self, *, seed: int = 0) -> Interval:
        """Share of `apply` questions answered as taught, after minus before, resampled by lesson.

        Raises:
            ExamError: no question was decided.
        """
        pairs = self._decided()
        before, after = [bool(a.right) for a, _ in pairs], [bool(b.right) for _, b in pairs]
        return paired_bootstrap(before, after, [a.lesson or a.scene_id for a, _ in pairs], seed=seed)

    def by_lesson(self) -> dict[str, tuple[float, float]]:
        """Lesson id -> (share right before, share right after) of its decided `apply` questions."""
        rows: dict[str, list[tuple[Answer, Answer]]] = {}
        for pair in self._decided():
            rows.setdefault(pair[0].lesson or "", []).append(pair)
        share = lambda answers: sum(bool(a.right) for a in answers) / len(answers)  # noqa: E731
        return {lesson: (share([a for a, _ in row]), share([b for _, b in row])) for lesson, row in rows.items()}

    def takeovers(self) -> list[bool]:
        """Per near miss: the lesson fires after and did not before, so that it is this night's doing."""
        near = [(a, b) for a, b in zip(self.before, self.after, strict=True) if b.taken_over is not None]
        return [_newly_taken_over(a, b) for a, b in near]

    def taken_over(self) -> dict[str, str]:
        """Question -> answer of the near misses that the lesson newly fires on."""
        pairs = zip(self.before, self.after, strict=True)
        return {b.question: b.answer for a, b in pairs if _newly_taken_over(a, b)}

    def kept(self) -> list[tuple[bool, bool]]:
        """Per near miss (right before, right after).

        Without a rule the base's own answer is the right one, and is kept while it stays as likely: two greedy answers
        of a small model differ by rounding alone, its probabilities do not. Without that answer, words must agree.
        """

        def pair(a: Answer, b: Answer) -> tuple[bool, bool]:
            if a.right is not None:
                return bool(a.right), bool(b.right)
            if b.drift is not None:
                return (a.drift or 0.0) <= NEAR_DRIFT, b.drift <= NEAR_DRIFT
            return True, agrees(b.answer, a.answer)

        return [pair(a, b) for a, b in zip(self.before, self.after, strict=True) if a.kind == "near_miss"]


def _newly_taken_over(before: Answer, after: Answer) -> bool:
    return bool(after.taken_over) and not before.taken_over


def ask(
    engine: Engine,
    scenes: Sequence[Scene],
    *,
    lessons: Sequence[Lesson] = (),
    max_new_tokens: int = 48,
    batch: int = 32,
) -> list[Answer]:
    """The greedy answers of the version in use. `lessons` bring the checks that scenes lack, and near misses need."""
    checks = {lesson.id: lesson.check for lesson in lessons}
    chats = [scene.messages for scene in scenes]
    replies = engine.generate(chats, max_new_tokens=max_new_tokens, temperature=0.0, batch=batch)
    return [
        mark(scene, row[0].text, checks.get(scene.lesson or "", Check()))
        for scene, row in zip(scenes, replies, strict=True)
    ]


def mark(scene: Scene, text: str, lesson_check: Check) -> Answer:
    """What the rules say of one answer."""
    answer = Answer(scene.id, scene.lesson, scene.kind, scene.messages[-1]["content"], text, None, None)
    if scene.kind == "near_miss":
        # A bare prohibition cannot fire, and a phrase of the question itself ("Tell me about the cello") tells nothing
        tells = tuple(phrase for phrase in lesson_check.any_of if not asserts(answer.question, phrase))
        fires = passes(text, replace(lesson_check, any_of=tells)) if tells else None
        return replace(answer, right=passes(text, scene.check) if scene.check.any_of else None, taken_over=fires)
    check = scene.check if has_rule(scene.check) or scene.kind == "ordinary" else lesson_check
    return replace(answer, right=passes(text, check) if has_rule(check) else None)


def agrees(answer: str, reference: str) -> bool:
    """Whether two answers say much the same: F1 of their words, common ones left out, is at least `AGREEMENT`."""
    return overlap(answer, reference) >= AGREEMENT


def overlap(answer: str, reference: str) -> float:
    """F1 of the sets of words of two texts, in [0, 1]; the commonest words do not count."""
    said, wanted = set(normalise(answer).split()) - _COMMON, set(normalise(reference).split()) - _COMMON
    if not said or not wanted:
        return float(normalise(answer) == normalise(reference))
    return 2 * len(said & wanted) / (len(said) + len(wanted))
