"""Other people's words on their way into a terminal or a log."""

from __future__ import annotations


def printable(text: str, keep: str = "\n") -> str:
    """Text that somebody said, without the control characters that a terminal would obey; those of `keep` stay."""
    return "".join(sign if sign.isprintable() or sign in keep else " " for sign in text)
