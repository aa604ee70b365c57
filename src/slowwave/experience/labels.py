"""What the user has said about answers: every correction, rating, approval and review is a label for the judge."""

from __future__ import annotations

from collections.abc import Sequence

from slowwave.experience.authority import Permission
from slowwave.experience.follow_up import correction_turn, exchange, follow_up, is_approval
from slowwave.experience.rows import moment
from slowwave.records import Experience, Label, Lesson, Message


def labels(lived: Sequence[Experience], lessons: Sequence[Lesson], permission: Permission) -> list[Label]:
    """The labels of one persona, oldest first. Only what may teach may say what is good.

    A correction labels two answers: the one it rejects and the one it gives. Of an answer that was rated the rating
    counts, else what was said next. A lesson that was refused in the review list is a bad answer, one that was approved
    a good one, whatever nights make of it.

    A lesson and the experiences it came from are one thing: an approved correction is the same answer once more. Its
    age is that of the newest of them, or, if it was taught directly, that of the lesson saved before it. Of what
    was said of one answer to one chat, however often it was given, the newest counts.
    """
    lesson_of = {id: lesson.id for lesson in lessons for id in lesson.experiences}
    times = {one.id: moment(one.time) for one in lived}
    out: list[tuple[float, Label]] = []
    for one in lived:
        chat, answer = exchange(one)
        if answer is None or not permission.allows(one):
            continue
        about = lesson_of.get(one.id, one.id)
        wanted, rating, said = one.outcome.correction, one.outcome.rating, follow_up(one)
        found: list[Label] = []
        if wanted:
            found = [Label(chat, answer, False, about, "correction"), Label(chat, wanted, True, about, "correction")]
        elif rating:
            found = [Label(chat, answer, rating > 0, about, "rating")]
        elif correction_turn(one) is not None:
            found = [Label(chat, answer, False, about, "follow-up")]
        elif said is not None and is_approval(said):
            found = [Label(chat, answer, True, about, "follow-up")]
        out += [(times[one.id], label) for label in found]
    time = 0.0
    for lesson in lessons:
        time = max((times[id] for id in lesson.experiences if id in times), default=time)
        if lesson.review and lesson.question and lesson.answer:
            asked = ({"role": "user", "content": lesson.question},)
            out.append((time, Label(asked, lesson.answer, lesson.review == "approved", lesson.id, "review")))
    newest: dict[tuple[object, ...], Label] = {}
    for _, label in sorted(out, key=lambda one: one[0]):
        key = same(label.chat, label.answer)
        newest.pop(key, None)  # so that it stands where it was said last
        newest[key] = label
    return list(newest.values())


def same(chat: Sequence[Message], answer: str) -> tuple[object, ...]:
    """What is the same for one answer to one chat, whenever it was given."""
    return (*((message["role"], message["content"]) for message in chat), answer)
