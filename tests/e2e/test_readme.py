"""The README's commands exist as they are written there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
Slowwave = Any


def commands() -> list[list[str]]:
    """Every line of the README's code blocks that runs `slowwave`, without the name and the comment."""
    blocks = re.findall(
        r"^```\w*\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    lines = [line for block in blocks for line in block.splitlines() if re.match(r"slowwave( |$)", line)]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_every_command_of_the_readme_has_its_help(slowwave: Slowwave) -> None:
    assert len(commands()) >= 12
    for words in commands():
        verbs = [word for word in words if re.fullmatch(r"[a-z-]+", word)][:2]
        helped = slowwave(*verbs, "--help")
        assert helped.status == 0, (words, helped.err)
        for flag in [word for word in words if word.startswith("--")]:
            assert flag in helped.out


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?<!\")\bmake ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8"))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_relative_link_of_the_documents_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
