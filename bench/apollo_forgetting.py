"""What APOLLO, APOLLO-Mini, AdamW and LoRA learn in a night, against what they make the model forget.

Each method trains on the same dreams with five learning rates, a factor of two apart: AdamW and LoRA around the rate
at which their preset is tuned; APOLLO and APOLLO-Mini from AdamW's upwards, as below it they learn ever less. Gain:
held-out wordings as taught. Forgetting: drift on general answers, near misses right, bits per byte. `--plot FILE`
draws one against the other.

    python bench/apollo_forgetting.py --seeds 3 --workers 8 --log results.jsonl --plot forgetting.png
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import _rows
import night_quality
import numpy as np
from _table import finish

from slowwave.learn.settings import preset

AROUND, UPWARDS = (0.25, 0.5, 1.0, 2.0, 4.0), (1.0, 2.0, 4.0, 8.0, 16.0)  # of the preset's rate
METHODS = {
    "AdamW": ("full", AROUND),
    "APOLLO": ("full optimizer=apollo", UPWARDS),
    "APOLLO-Mini": ("full optimizer=apollo_mini", UPWARDS),
    "LoRA": ("adapter", AROUND),
}
COLOURS = {"AdamW": "#0072b2", "APOLLO": "#d55e00", "APOLLO-Mini": "#009e73", "LoRA": "#9aa5b1"}  # Okabe and Ito


def arms() -> dict[str, list[str]]:
    """The arms of each method, from its lowest rate to its highest."""
    return {
        method: [f"{arm} lr={preset(arm.split(' ')[0]).lr * factor:g}" for factor in factors]
        for method, (arm, factors) in METHODS.items()
    }


def plot(results: list[dict[str, Any]], file: Path) -> None:
    """Gain against drift, a line a method, each point a rate with the range over seeds."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for method, mine in arms().items():
        points = []
        for arm in mine:
            runs = [(r["drift"], float(np.mean(r["held_out"]))) for r in results if r["arm"] == arm]
            if runs:
                points.append(np.array(runs))
        middle = np.array([runs.mean(0) for runs in points]).reshape(-1, 2)
        axes.plot(*middle.T, color=COLOURS[method], marker="o", markersize=4, label=method)
        for runs, (drift, gain) in zip(points, middle, strict=True):
            axes.hlines(gain, *np.quantile(runs[:, 0], (0, 1)), color=COLOURS[method], alpha=0.4)
            axes.vlines(drift, *np.quantile(runs[:, 1], (0, 1)), color=COLOURS[method], alpha=0.4)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("forgetting: drift from the base (nats per token)")
    axes.set_ylabel("gain: held-out wordings as taught (share)")
    axes.legend(frameon=False)
    figure.savefig(file)


def main() -> None:
    """Read the command line, run every method at every rate, print the table."""
    parser = night_quality.parser_of(__doc__ or "")
    parser.set_defaults(exports=False)
    parser.add_argument("--arms", help="only these, with commas, as the table names them; the default is all of them")
    parser.add_argument("--plot", type=Path, help="draw gain against forgetting there (.png, .svg or .pdf)")
    parser.add_argument("--from-log", type=Path, help="run nothing; the table and the plot of the results in that file")
    args = parser.parse_args()
    wanted = ["base", *(arm for mine in arms().values() for arm in mine)]
    if args.arms:
        only = [arm.strip() for arm in args.arms.split(",")]
        if unknown := [arm for arm in only if arm not in wanted]:
            parser.error(f"There is no arm {unknown[0]!r}; there are {', '.join(wanted)}.")
        wanted = only
    if args.smoke:
        args.seeds, args.lessons, wanted = 1, "dev", ["base", arms()["APOLLO"][0]]
    if args.from_log:
        results = [json.loads(line) for line in args.from_log.read_text().splitlines()]
    else:
        results = night_quality.run(args, wanted)
    if args.plot:
        plot(results, args.plot)
    finish(_rows.rows_of(results, wanted), args)


if __name__ == "__main__":
    main()
