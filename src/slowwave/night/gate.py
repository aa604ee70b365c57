"""The verdict on a night, from two exams and margins fixed beforehand. Knows no model, no store and no files.

A night that cannot be examined is never promoted: no panel, no question, a NaN or a missing result makes it
"could not run". Every reason is kept as a sentence with its figure, so that the report need not explain anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from slowwave.errors import ExamError
from slowwave.exam.examine import ExamResult
from slowwave.exam.probes import Answer, ProbeResult
from slowwave.exam.retention import Retention
from slowwave.exam.settings import ExamSettings
from slowwave.exam.statistics import Interval, paired_bootstrap
from slowwave.records import Lesson

Verdict = Literal["promoted", "rejected", "skipped", "could not run", "errored"]


@dataclass(frozen=True)
class Reason:
    """One sentence of the verdict. `value` and `bound` are None where there is nothing to measure."""

    figure: str
    value: float | None
    bound: float | None
    ok: bool
    text: str


@dataclass(frozen=True)
class LessonOutcome:
    """What the exam says of one lesson. Shares of its held-out questions in [0, 1]; None: none could be judged."""

    lesson: str
    note: str
    outcome: Literal["learned", "known", "not learned", "harmful"]
    before: float | None
    after: float | None
    why: str

    @property
    def holds(self) -> bool:
        """Whether the new version answers it as taught."""
        return self.outcome in ("learned", "known")


@dataclass(frozen=True)
class Decision:
    """The verdict with its reasons, and what became of each lesson."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    lessons: tuple[LessonOutcome, ...] = ()

    @property
    def nothing_lost(self) -> bool:
        """Whether only too little was learned: weaker weights would not help then."""
        return all(reason.ok for reason in self.reasons if reason.figure not in ("lessons learned", "gain"))


def because(verdict: Verdict, text: str) -> Decision:
    """A verdict without an exam, for one reason."""
    return Decision(verdict, (Reason("night", None, None, False, text),))


def decide(before: ExamResult, after: ExamResult, lessons: Sequence[Lesson], settings: ExamSettings) -> Decision:
    """Compare two versions' answers to the same questions."""
    try:
        own = ProbeResult(before.answers, after.answers)
        outcomes = tuple(_outcome(lesson, own, settings) for lesson in lessons)
        forgotten = losses(before, after.answers, after.earlier, settings)
        reasons = (*_learning(own, outcomes, settings), *forgotten)
        if after.retention is not None or all(reason.ok for reason in forgotten):
            reasons = (*reasons, *_retention(*_comparable(before, after), settings))
    except ExamError as error:
        return because("could not run", f"The night could not be examined: {error.message}")
    return Decision("promoted" if all(reason.ok for reason in reasons) else "rejected", reasons, outcomes)


def losses(
    before: ExamResult, own: Sequence[Answer], earlier: Sequence[Answer], settings: ExamSettings
) -> tuple[Reason, ...]:
    """What a version's answers say of near misses and earlier lessons. One that is not ok rejects it, whatever its
    retention is.

    Raises:
        ExamError: the two versions were not asked the same questions.
    """
    return (*_near_misses(ProbeResult(before.answers, tuple(own)), settings), _earlier(before, earlier, settings))


def _comparable(before: ExamResult, after: ExamResult) -> tuple[Retention, Retention]:
    """Both versions' retention, of one panel and complete."""
    if not after.panel or before.panel != after.panel or before.retention is None or after.retention is None:
        raise ExamError("the two versions were not examined on one retention panel.")
    for retention in (before.retention, after.retention):
        if not retention.multiple_choice or not retention.refusals:
            raise ExamError("the retention panel is empty.")
        if not all(map(isfinite, (retention.bits_per_byte, retention.bits_per_byte_base, retention.drift))):
            raise ExamError("a figure of the retention panel is NaN.")
        if retention.bits_per_byte_base <= 0:
            raise ExamError("the base's bits per byte are missing.")
    for part in ("multiple_choice", "refusals"):
        if len(getattr(before.retention, part)) != len(getattr(after.retention, part)):
            raise ExamError("the two versions were not asked the same panel.")
    return before.retention, after.retention


def _outcome(lesson: Lesson, own: ProbeResult, settings: ExamSettings) -> LessonOutcome:
    shares = own.by_lesson().get(lesson.id)
    mine = ProbeResult(_of(own.before, lesson.id), _of(own.after, lesson.id))
    stolen = sum(mine.takeovers())
    if shares is None:
        why = "no held-out question on it could be asked and judged"
        return LessonOutcome(lesson.id, lesson.note, "not learned", None, None, why)
    before, after = shares
    told = f"{before:.0%} of its held-out questions right before, {after:.0%} after"
    if stolen:
        why = f"{told}, but it also answers {stolen} of its near misses"
        return LessonOutcome(lesson.id, lesson.note, "harmful", before, after, why)
    if after >= settings.learned and after > before:
        return LessonOutcome(lesson.id, lesson.note, "learned", before, after, told)
    if after >= settings.learned and after == before:
        return LessonOutcome(lesson.id, lesson.note, "known", before, after, f"{told}: it was known already")
    return LessonOutcome(lesson.id, lesson.note, "not learned", before, after, told)


def _of(answers: Sequence[Answer], lesson: str) -> tuple[Answer, ...]:
    return tuple(answer for answer in answers if answer.lesson == lesson)


def _learning(own: ProbeResult, outcomes: Sequence[LessonOutcome], settings: ExamSettings) -> list[Reason]:
    learned = sum(outcome.outcome == "learned" for outcome in outcomes)
    gain = _gain(own)
    return [
        Reason("lessons learned", learned, 1, learned >= 1, f"{learned} of {len(outcomes)} lessons were learned."),
        Reason(
            "gain", gain.value, settings.min_gain, gain.value >= settings.min_gain and gain.low > 0,
            f"Held-out questions answered as taught: {gain.value:+.0%} (95 % interval {gain.low:+.0%} to "
            f"{gain.high:+.0%}); it must be {settings.min_gain:.0%} or more, and surely above nothing.",
        ),
    ]  # fmt: skip


def _gain(own: ProbeResult) -> Interval:
    """Share of held-out questions answered as taught, after minus before.

    Resampled by question: the night's lessons are all that there is to learn, no sample of others (a benchmark
    resamples lessons). By lesson, a night that learned two of three could never be sure of any gain.
    """
    pairs = [(bool(a.right), bool(b.right)) for a, b in zip(own.before, own.after, strict=True)
             if a.kind == "apply" and a.right is not None and b.right is not None]  # fmt: skip
    return paired_bootstrap([a for a, _ in pairs], [b for _, b in pairs])


def _near_misses(own: ProbeResult, settings: ExamSettings) -> list[Reason]:
    taken, kept = own.takeovers(), own.kept()
    share = sum(taken) / len(taken) if taken else 0.0
    return [
        Reason(
            "near misses taken over", share, settings.near_miss_takeover, share <= settings.near_miss_takeover,
            f"{sum(taken)} of {len(taken)} near misses are now answered with a lesson; "
            f"at most {settings.near_miss_takeover:.0%} may be.",
        ),
        _loss("near misses lost", "near misses lost their right answer", kept, settings.near_miss_loss),
    ]  # fmt: skip


def _earlier(before: ExamResult, after: Sequence[Answer], settings: ExamSettings) -> Reason:
    if [a.scene_id for a in before.earlier] != [a.scene_id for a in after]:
        raise ExamError("the two versions were not asked the same questions on earlier lessons.")
    pairs = [(bool(a.right), bool(b.right)) for a, b in zip(before.earlier, after, strict=True)
             if a.right is not None and b.right is not None]  # fmt: skip
    words = "questions on earlier nights' lessons were lost"
    return _loss("earlier lessons lost", words, pairs, settings.earlier_loss)


def _loss(figure: str, words: str, pairs: Sequence[tuple[bool, bool]], bound: float) -> Reason:
    """Right answers lost, net. One lost answer is allowed however few there are: it is no evidence of a loss."""
    lost = sum(a for a, _ in pairs) - sum(b for _, b in pairs)
    share = lost / len(pairs) if pairs else 0.0
    text = f"{max(lost, 0)} of {len(pairs)} {words}; at most {bound:.0%} may be, or a single one."
    return Reason(figure, share, bound, lost <= max(1, int(bound * len(pairs))), text)


def _retention(old: Retention, new: Retention, settings: ExamSettings) -> list[Reason]:
    bits = new.bits_per_byte / new.bits_per_byte_base - 1
    return [
        Reason(
            "bits per byte", bits, settings.bits_per_byte, bits <= settings.bits_per_byte,
            f"Plain text costs {new.bits_per_byte:.3f} bits a byte, {bits:+.2%} against the base; "
            f"at most {settings.bits_per_byte:+.0%}.",
        ),
        Reason(
            "drift", new.drift, settings.drift, new.drift <= settings.drift,
            f"Drift on general answers: {new.drift:.3f} nats a token from the base; at most {settings.drift:.3f}.",
        ),
        _share_lost("multiple choice", old.multiple_choice, new.multiple_choice, settings.multiple_choice),
        _share_lost("refusals", old.refusals, new.refusals, settings.refusals),
    ]  # fmt: skip


def _share_lost(figure: str, before: Sequence[bool], after: Sequence[bool], bound: float) -> Reason:
    loss = (sum(before) - sum(after)) / len(before)
    held = f"{sum(after)} of {len(after)}, before {sum(before)}"
    text = f"{figure.capitalize()}: {held}; at most {bound:.0%} may be lost."
    return Reason(figure, loss, bound, loss <= bound, text)
