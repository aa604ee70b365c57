"""What dreams are worth: ways to dream of the same lessons, at equal training tokens, each adding one thing.

The lessons of the first night's benchmark, each known from one exchange; asked in held-out wordings and in novel
situations (another speaker, domain, register, several turns), which were written apart from the dreamer. `dev` and
`wide3` are for tuning, `exam` for the table; `--also wide1,wide2` teaches twice as many more in nights of their own,
for narrow intervals.

    python studies/dreams.py --seeds 3 --workers 16 --log dreams.jsonl

`--work` keeps what was dreamt, for other arms of the same models, sizes and code at another time.

An arm may have a size, "walk x4": so many sixteenths of the tokens; and settings of learning: "walk x32 kl_weight=4";
of "walk wide" the wordings are those of `dream.wide`, and five times as many ordinary scenes are held still.
"""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import _arms
import _dream_arms as arms_
import _dream_plot
import _dream_rows
import _night
import _quality
import night_quality
from _table import finish

from slowwave.dream.settings import DreamSettings
from slowwave.errors import SettingsError
from slowwave.learn.settings import LearnSettings
from slowwave.learn.train import train
from slowwave.night.decisions import curriculum
from slowwave.night.rounds import Rounds

WHOLE = 16  # sixteenths


def job(args: Any, name: str, seed: int, work: Path) -> dict[str, Any]:
    """One arm on one seed, in a process of its own."""
    if args.smoke:
        _quality.TOKENS = 8
    engine, items = _night.engine(args), _night.items(args)[: args.count]
    panel, reference = _night.reference(args)
    kept = work / f"scenes-{seed}.json"
    if name == "dream":
        began = time.monotonic()
        found = set(json.loads(kept.read_text())) if kept.exists() else set()
        for wide in (False, True) if args.wide else (False,):
            if ("wide" if wide else "paraphrase") not in found:
                for source, mine in arms_.dreamt(args, engine, items, seed, wide).items():
                    arms_.write(work / f"{source}-{seed}.json", mine)
                    found.add(source)
        part = kept.with_suffix(".part")
        part.write_text(json.dumps(sorted(found)))
        part.rename(kept)
        return {"arm": name, "seed": seed, "seconds": time.monotonic() - began}
    if name == "base":
        return {"arm": name, "seed": seed, **asdict(_quality.measure(engine, items, panel, reference))}
    dreamt = {source: arms_.read(work / f"{source}-{seed}.json") for source in json.loads(kept.read_text())}
    arm, size, learn = sized(name)
    began = time.monotonic()
    scenes, most = arms_.scenes_of(args, engine, items, arm, dreamt, seed, args.tokens * size // WHOLE, work)
    seconds = time.monotonic() - began
    learn = replace(learn, drift_bound=100.0, min_steps=1)
    if engine.device.type == "cuda":
        learn = replace(learn, micro_tokens=4096)
    if args.smoke:
        learn = replace(learn, epochs=0.1)
    once = arm.rounds == 1
    chosen = arms_.cut(scenes, most, seed) if once else scenes
    taught = curriculum(engine, chosen, [], None, 0, learn)
    anew = arms_.anew(args, engine, items, dreamt, seed) if arm.anew else None
    rounds = Rounds(
        engine, _night._embedder(args.embedder), chosen, taught, DreamSettings(rounds=arm.rounds), learn, seed, most,
        anew=anew, deal=arm.deal, choose=arm.choose, learn=arm.learn, steady=arm.steady,
    )  # fmt: skip
    began = time.monotonic()
    trained = train(
        engine.model, taught.lessons, taught.anchors, learn, seed=seed, watch=taught.watch,
        rounds=None if once else rounds.plan(),
    )  # fmt: skip
    folder = work / f"{name}-{seed}".replace(" ", "-")
    trained.weights.save(folder)
    trained.weights.release()
    facts = {
        "steps": trained.steps, "dream_seconds": seconds, "train_seconds": time.monotonic() - began, "scenes": most,
        "shares": rounds.shares, "converged": len(rounds.converged), "size": size,
    }  # fmt: skip
    engine.add_version(folder.name, folder)
    with engine.using(folder.name):
        found = asdict(_quality.measure(engine, items, panel, reference))
    engine.unload(folder.name)
    return {"arm": name, "seed": seed, **facts, **found}


def sized(name: str) -> tuple[arms_.Arm, int, LearnSettings]:
    """An arm, its sixteenths of the tokens, and how it learns: "walk x4 kl_weight=4".

    Raises:
        KeyError: there is no such arm, or it has no wordings that could be wide.
        ValueError, SettingsError: its size or a setting is none.
    """
    words = name.split()
    changes = [word for word in words if "=" in word]
    sizes = [word for word in words if re.fullmatch(r"x\d+", word)]
    head = " ".join(word for word in words if word not in (*changes, *sizes, "wide"))
    arm = arms_.ARMS[head]
    if "wide" in words:
        arm = {"paraphrase": replace(arm, source="wide")}[arm.source]
    return arm, int(sizes[0][1:]) if sizes else WHOLE, _arms.settings(" ".join(["adapter", *changes]))


def main() -> None:
    """Read the command line, run every arm, print the table."""
    parser = night_quality.parser_of(__doc__ or "")
    curve = [f"{arm} x{size}" for arm in ("seven forms", "walk") for size in (1, 2, 4, 8)]
    curve += ["paraphrase x48", "walk x48 anchor_batch=20 noise=0.3", _dream_rows.BEST]
    parser.add_argument("--arms", default=", ".join(["base", *arms_.ARMS, *curve]))
    parser.add_argument(
        "--tokens", type=int, default=4800, help="of a lesson's scenes, contexts and replies, in a pass"
    )
    parser.add_argument("--composed", type=int, default=300, help="wordings a lesson that are composed, to draw from")
    parser.add_argument(
        "--dreamer", type=Path, help="another model's folder: it writes the wordings, and eight situations a lesson"
    )
    parser.add_argument("--near", type=int, default=48, help="near misses a lesson that are composed")
    parser.add_argument("--ordinary", type=int, default=200, help="ordinary scenes; of wide dreams, five times as many")
    parser.add_argument("--anchor-tokens", type=int, default=48, help="of the base's answers to both")
    parser.add_argument("--count", type=int, default=32, help="lessons")
    parser.add_argument("--plot", type=Path, help="draw both shares of every arm there (.png, .svg or .pdf)")
    parser.add_argument("--curve", type=Path, help="draw there what more tokens gain")
    parser.add_argument("--also", default="", help="further lessons, as wide1,wide2, each in nights of their own")
    parser.add_argument(
        "--work", type=Path, help="keep scenes and weights there, and take what the same command dreamt"
    )
    parser.add_argument("--from-log", type=Path, nargs="+", help="run nothing; the table and the plot of these results")
    args = parser.parse_args()
    sets = [args.lessons, *(name.strip() for name in args.also.split(",") if name.strip())]
    if not set(sets) <= set(_night.SETS):
        parser.error(f"There are the lessons {', '.join(_night.SETS)}.")
    arms = [arm.strip() for arm in args.arms.split(",")]
    if args.smoke:
        args.seeds, sets, args.count, args.tokens, arms, args.work = 1, ["dev"], 2, 240, ["anew"], None
    if args.curve and not any(" x" in arm for arm in arms):
        parser.error('A curve is drawn of arms of several sizes, as "walk, walk x4".')
    chosen = []
    for arm in arms:
        try:
            chosen += [sized(arm)[0]] if arm != "base" else []
        except (KeyError, ValueError, SettingsError):
            parser.error(f"There is no arm {arm!r}; there are {', '.join(arms_.ARMS)}.")
    args.wide = any(arm.source == "wide" for arm in chosen)
    if args.from_log:
        results = [json.loads(line) for log in args.from_log for line in log.read_text().splitlines()]
        results = [one for one in results if "groups" in one and _dream_rows.lessons_of(one) in sets]
    else:
        results = []
        for args.lessons in sets:
            results += night_quality.run(args, arms, job)
    if args.plot:
        _dream_plot.plot(results, arms, args.plot)
    if args.curve:
        _dream_plot.curve([one for one in results if one["arm"] in arms], args.curve, args.tokens)
    finish(_dream_rows.rows_of(results, arms), args)


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
