"""Who writes a night's dreams: the learner itself, a larger model on this machine, or one behind an endpoint; and what
it may spend.

Knows no HTTP: whatever continues prompts is a writer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from slowwave.errors import UpstreamError


class Writes(Protocol):
    """Continues prompts, each `n` times."""

    def complete(
        self, prompts: Sequence[str], *, max_new_tokens: int, temperature: float, seed: int = 0, n: int = 1,
        stop: Sequence[str] = (), batch: int = 16,
    ) -> list[list[str]]: ...  # fmt: skip


@dataclass
class Spent:
    """What a night's dreams took, and why no more was written, if so."""

    tokens: int = 0
    seconds: float = 0.0
    stopped: str = ""

    def since(self, before: Spent) -> Spent:
        """What was spent after `before`."""
        return Spent(self.tokens - before.tokens, self.seconds - before.seconds, self.stopped)


class Budgeted:
    """A writer that writes no more once its tokens or seconds are spent, or once it failed.

    What was written by then is used: a night does not hang on its dreamer.
    """

    def __init__(
        self, writer: Writes, count: Callable[[str], int], tokens: int = 0, seconds: float = 0.0,
        spent: Spent | None = None,
    ) -> None:  # fmt: skip
        """Args:
        count: tokens of a text.
        tokens, seconds: budgets; 0 is none.
        spent: of them before.
        """
        self.writer, self.count, self.tokens, self.seconds = writer, count, tokens, seconds
        self.spent = replace(spent) if spent else Spent()

    def complete(
        self, prompts: Sequence[str], *, seed: int = 0, n: int = 1, batch: int = 16, **options: Any
    ) -> list[list[str]]:
        """See `Writes`. The budgets are looked at before each batch; prompts for which nothing is left get no text."""
        out: list[list[str]] = [[] for _ in prompts]
        group = max(1, batch // max(1, n))
        for first in range(0, len(prompts), group):
            if not self._open():
                break
            began = time.monotonic()
            try:
                found = self.writer.complete(
                    prompts[first : first + group], n=n, seed=seed + first, batch=batch, **options
                )
            except UpstreamError as error:
                self.spent.stopped = error.message
                break
            finally:
                self.spent.seconds += time.monotonic() - began
            out[first : first + group] = found
            self.spent.tokens += sum(self.count(text) for texts in found for text in texts)
        return out

    def _open(self) -> bool:
        if self.tokens and self.spent.tokens >= self.tokens:
            self.spent.stopped = f"its {self.tokens} tokens were spent"
        if self.seconds and self.spent.seconds >= self.seconds:
            self.spent.stopped = f"its {self.seconds:g} seconds were spent"
        return not self.spent.stopped
