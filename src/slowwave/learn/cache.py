"""Keys and values of tokens already read. transformers renamed the argument that carries them; both names work here."""

from __future__ import annotations

import inspect
from typing import Any

from transformers import DynamicCache


def empty(model: Any) -> Any:
    """A cache that `model` fills when it is passed to its forward."""
    return DynamicCache(config=model.config)


def passed(model: Any, cache: Any) -> dict[str, Any]:
    """The keyword arguments by which `model.forward` takes and fills `cache`; None: it keeps none."""
    if cache is None:
        return {"use_cache": False}
    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    return {name: cache, "use_cache": True}
