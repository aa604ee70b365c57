"""The labels from which a persona's judge learns, out of the store, and the answers that have none yet."""

from __future__ import annotations

from slowwave.config import NightSettings
from slowwave.experience.authority import Permission
from slowwave.experience.follow_up import exchange
from slowwave.experience.labels import labels, same
from slowwave.experience.store import Store
from slowwave.records import Experience, Label

NEWEST = 120  # labels: what was liked long ago counts no more; the base reads each, half a minute on two slow cores


def labels_of(store: Store, persona: str, settings: NightSettings) -> list[Label]:
    """The newest labels of a persona."""
    permission = Permission(tuple(settings.permitted))
    return labels(store.experiences(persona), store.lessons(persona), permission)[-NEWEST:]


def unlabelled(store: Store, persona: str, settings: NightSettings) -> list[Experience]:
    """The experiences with an answer of which nothing was said, whenever it was given, oldest first; only what may
    teach."""
    permission = Permission(tuple(settings.permitted))
    lived = store.experiences(persona)
    said = {same(label.chat, label.answer) for label in labels(lived, (), permission)}
    answered = [(one, *exchange(one)) for one in lived if permission.allows(one)]
    return [one for one, chat, answer in answered if answer and same(chat, answer) not in said]
