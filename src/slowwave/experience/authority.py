"""How far a record may be believed, and who may teach.

Authority travels: what is made from several records has the least of theirs. Only what the user (or a trusted
source) said may be learned; the model's own output is never evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

from slowwave.errors import SettingsError
from slowwave.records import ORDER, Authority, Experience


@dataclass(frozen=True)
class Permission:
    """Who may teach: whole authorities, and single sources such as "tool:pytest" or "unknown"."""

    authorities: tuple[Authority, ...] = ("user",)
    trusted_sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for authority in self.authorities:
            if authority not in ORDER:
                raise SettingsError(f"There is no authority {authority!r}.", f"Use some of: {', '.join(ORDER)}.")
        if {"assistant", "dream"} & set(self.authorities):
            raise SettingsError("The model's own output cannot teach.", "Leave out 'assistant' and 'dream'.")

    def allows(self, experience: Experience) -> bool:
        """Whether something may be learned from the experience."""
        return experience.authority in self.authorities or experience.source in self.trusted_sources


def authority_of(source: str) -> Authority:
    """The authority of a source: "user:ann" -> user, "tool:shell" -> tool; what we do not know is unknown."""
    kind = source.split(":")[0]
    return kind if kind in ORDER else "unknown"
