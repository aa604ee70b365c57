"""Writes docs/settings.md from the tree of settings: `make docs`. A test fails when the page is out of date.

The meaning of a setting is read where it is defined: a field's description, or the comment at the end of its line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import json
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel

from slowwave.config import Settings

HEAD = """# Settings

Generated from the code by `make docs`; do not edit. One tree, four places, the later ones winning:

1. the defaults below;
2. `slowwave.toml` in the home: `[learn]` and under it `lr = 1e-4`;
3. the environment: `SLOWWAVE_LEARN__LR=1e-4`;
4. the command line: `--set learn.lr=1e-4`.

A key that does not exist and a value outside its bounds are refused, and the message names the place. A night writes
the settings that it ran under into its folder.
"""


def page() -> str:
    """The whole page as Markdown."""
    sections = Settings.model_fields.items()
    return HEAD + "".join(_section(name, field.annotation, field.default) for name, field in sections)


def _section(name: str, kind: Any, defaults: Any) -> str:
    rows = [f"\n## {name}\n", f"{_first_line(kind)}\n"]
    rows += ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    for key, hint, allowed, meaning in _fields(kind):
        default = json.dumps(getattr(defaults, key), ensure_ascii=False)
        rows.append(f"| `{name}.{key}` | `{default}` | {allowed or _allowed(hint)} | {meaning} |")
    return "\n".join(rows) + "\n"


def _fields(kind: Any) -> list[tuple[str, Any, str, str]]:
    """(name, type, bounds in words, meaning) of every field of a section."""
    if issubclass(kind, BaseModel):
        fields = kind.model_fields.items()
        return [(name, f.annotation, _bounds(f.metadata), f.description or "") for name, f in fields]
    hints, comments = get_type_hints(kind), _comments(kind)
    return [(f.name, hints[f.name], "", comments.get(f.name, "")) for f in dataclasses.fields(kind)]


def _bounds(metadata: list[Any]) -> str:
    signs = {Ge: ("ge", "≥ "), Gt: ("gt", "> "), Le: ("le", "≤ "), Lt: ("lt", "< ")}
    return ", ".join(f"{signs[type(m)][1]}{getattr(m, signs[type(m)][0])}" for m in metadata if type(m) in signs)


def _allowed(hint: Any) -> str:
    if hint is bool:
        return "true, false"
    if get_origin(hint) is tuple:
        return "list of " + _allowed(get_args(hint)[0])
    if optional := [part for part in get_args(hint) if isinstance(part, type) and part is not type(None)]:
        return f"{_allowed(optional[0])}, or left out"
    choices = [choice for choice in get_args(hint) if isinstance(choice, str)]
    return ", ".join(choices) or {int: "whole number", float: "number", str: "text"}.get(hint, "")


def _comments(kind: type) -> dict[str, str]:
    """The comment at the end of each field's line in a dataclass's source, else the comment line right above it."""
    found: dict[str, str] = {}
    above = ""
    for line in inspect.getsource(kind).splitlines():
        comment = next((token.string for token in _tokens(line) if token.type == tokenize.COMMENT), "")
        comment = comment.lstrip("# ").replace("|", "\\|")
        name = line.strip().split(":")[0]
        if line.strip().startswith("#"):
            above = "" if comment.startswith("---") else comment
            continue
        if name.isidentifier():
            found[name] = comment or above
        above = ""
    return found


def _tokens(line: str) -> Iterator[tokenize.TokenInfo]:
    """The tokens of one line, as far as it is whole."""
    with contextlib.suppress(tokenize.TokenError, IndentationError):
        yield from tokenize.generate_tokens(io.StringIO(line.strip() + "\n").readline)


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or "").splitlines()[0]


if __name__ == "__main__":
    target = Path(__file__).with_name("settings.md")
    target.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{target}\n")
