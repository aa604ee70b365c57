"""What every script here and in studies/ shares: its arguments, its table, its JSON file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure with the ends of its 95 % interval. `at_most` says that small is good."""

    figure: str
    value: float
    low: float
    high: float
    floor: float | None = None
    aim: float | None = None
    at_most: bool = False

    @property
    def ok(self) -> bool | None:
        """Whether the floor is reached; None where there is none."""
        if self.floor is None:
            return None
        return self.value <= self.floor if self.at_most else self.value >= self.floor


def arguments(description: str, seeds: bool = True) -> argparse.ArgumentParser:
    """The parser with the options that every script takes; `--seeds` where there is chance in what it measures."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if seeds:
        parser.add_argument("--seeds", type=int, default=3, help="independent repetitions (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--smoke", action="store_true", help="smallest sizes, to see that it runs")
    return parser


def finish(rows: list[Row], args: argparse.Namespace) -> None:
    """Print the table, and write the JSON file if asked."""
    width = max([len(row.figure) for row in rows] + [6])
    print(f"\n{'figure':{width}}  {'value':>8}  {'95 % interval':>17}  {'floor':>7}  {'aim':>7}")
    for row in rows:
        bound = lambda value: "" if value is None else f"{value:.3f}"  # noqa: E731
        mark = {None: "", True: "  ok", False: "  MISSED"}[row.ok]
        print(
            f"{row.figure:{width}}  {row.value:8.3f}  {row.low:8.3f} {row.high:8.3f}"
            f"  {bound(row.floor):>7}  {bound(row.aim):>7}{mark}"
        )
    built = ", ".join(f"{name} {number}" for name, number in versions().items())
    print(f"\n{machine()}; {built}; {datetime.now(UTC):%Y-%m-%d}", flush=True)
    if args.json:
        data = {
            "command": " ".join(["python", *sys.argv]),
            "machine": machine(),
            "versions": versions(),
            "rows": [{**asdict(row), "ok": row.ok} for row in rows],
        }
        args.json.write_text(json.dumps(data, indent=1) + "\n")


def machine() -> str:
    """The chip that the figures were measured on."""
    try:
        import torch

        if torch.cuda.is_available():
            return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    except ImportError:
        pass
    return f"{os.cpu_count()} cores {platform.machine()}"


def versions() -> dict[str, str]:
    """Versions of what the figures depend on."""
    out = {"python": platform.python_version()}
    for name in ("torch", "transformers", "peft", "trl"):
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out
