"""Keys and values of tokens already read, and what is worth reading once for many.

transformers renamed the argument that carries a cache; both names work here.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from transformers import DynamicCache

# Fewer shared tokens than this are not worth a pass, or a row in an attention, of their own.
_SHARED = 8


def shared(contexts: Sequence[tuple[int, ...]]) -> int:
    """How many tokens all of several contexts begin with; each keeps one of its own, which predicts what follows."""
    if len(contexts) < 2:
        return 0
    first, last = min(contexts), max(contexts)  # in order of their tokens: what these two share, all share
    most = min(map(len, contexts)) - 1
    count = next((i for i in range(most) if first[i] != last[i]), most)
    return count if count >= _SHARED else 0


def empty(model: Any) -> Any:
    """A cache that `model` fills when it is passed to its forward."""
    return DynamicCache(config=model.config)


def passed(model: Any, cache: Any) -> dict[str, Any]:
    """The keyword arguments by which `model.forward` takes and fills `cache`; None: it keeps none."""
    if cache is None:
        return {"use_cache": False}
    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    return {name: cache, "use_cache": True}
