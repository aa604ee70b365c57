"""What the user has said about answers: every correction, rating, approval and review is a label for the judge."""

from __future__ import annotations

from collections.abc import Iterable

from slowwave.experience.authority import Permission
from slowwave.experience.follow_up import correction_turn, exchange, follow_up, is_approval
from slowwave.records import Experience, Label, Lesson


def labels(lived: Iterable[Experience], lessons: Iterable[Lesson], permission: Permission) -> list[Label]:
    """The labels of one persona. Only what may teach may say what is good.

    A correction labels two answers: the one it rejects and the one it gives. Of an answer that was rated the rating
    counts, else what was said next. A lesson that was refused in the review list is a bad answer, one that was approved
    (or has been learned) a good one.
    """
    out = []
    for one in lived:
        chat, answer = exchange(one)
        if answer is None or not permission.allows(one):
            continue
        wanted, rating, said = one.outcome.correction, one.outcome.rating, follow_up(one)
        if wanted:
            out += [
                Label(chat, answer, False, one.id, "correction"),
                Label(chat, wanted, True, one.id, "correction"),
            ]
        elif rating:
            out.append(Label(chat, answer, rating > 0, one.id, "rating"))
        elif correction_turn(one) is not None:
            out.append(Label(chat, answer, False, one.id, "follow-up"))
        elif said is not None and is_approval(said):
            out.append(Label(chat, answer, True, one.id, "follow-up"))
    for lesson in lessons:
        if lesson.status in ("approved", "refused") and lesson.question and lesson.answer:
            asked = ({"role": "user", "content": lesson.question},)
            out.append(Label(asked, lesson.answer, lesson.status == "approved", lesson.id, "review"))
    return out
