"""The labels from which a persona's judge learns, out of the store, and the answers that have none yet."""

from __future__ import annotations

from slowwave.config import NightSettings
from slowwave.experience.authority import Permission
from slowwave.experience.follow_up import exchange
from slowwave.experience.labels import labels
from slowwave.experience.store import Store
from slowwave.records import Experience, Label

NEWEST = 120  # labels: what was liked long ago counts no more; the base reads each, half a minute on two slow cores


def labels_of(store: Store, persona: str, settings: NightSettings) -> list[Label]:
    """The newest labels of a persona."""
    permission = Permission(tuple(settings.permitted))
    return labels(store.experiences(persona), store.lessons(persona), permission)[-NEWEST:]


def unlabelled(store: Store, persona: str, settings: NightSettings) -> list[Experience]:
    """The experiences with an answer of which nothing was said, oldest first; only what may teach."""
    permission = Permission(tuple(settings.permitted))
    lived = store.experiences(persona)
    said = {label.about for label in labels(lived, (), permission)}
    return [one for one in lived if one.id not in said and exchange(one)[1] and permission.allows(one)]
