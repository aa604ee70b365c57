"""The labels from which a persona's judge learns, out of the store."""

from __future__ import annotations

from slowwave.config import NightSettings
from slowwave.experience.authority import Permission
from slowwave.experience.labels import labels
from slowwave.experience.store import Store
from slowwave.records import Label

NEWEST = 120  # labels: what was liked long ago counts no more; the base reads each, half a minute on two slow cores


def labels_of(store: Store, persona: str, settings: NightSettings) -> list[Label]:
    """The newest labels of a persona."""
    permission = Permission(tuple(settings.permitted))
    return labels(store.experiences(persona), store.lessons(persona), permission)[-NEWEST:]
