"""What a night teaches, what it breaks, and what lasts: the first night's benchmark.

Every lesson is known from one exchange. Held-out wordings, near misses and situations were written apart from the
learner; `bench/lessons/dev.json` is for tuning, `exam.json` for the table. Compared in one harness: the base, the
fact in the prompt, our presets, the published recipe, TRL's SFTTrainer and its self-distillation trainer.

    python bench/night_quality.py --model ~/.cache/slowwave/models/smollm2-135m-instruct \\
        --embedder ~/.cache/slowwave/models/minilm-l6-v2 --json night_quality.json

An arm of ours is a preset, and may change single settings of it: `--arms "adapter,adapter depth=0.667 rank=24"`.
Jobs run in `--workers` processes, over all GPUs; each result is appended to `--log` as it comes.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from argparse import ArgumentParser
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import _arms
import _night
import _peers
import _quality
import _rows
import numpy as np
import torch
from _table import arguments, finish

from slowwave.errors import SettingsError
from slowwave.exam.panel import Panel
from slowwave.exam.retention import Reference
from slowwave.models.engine import Engine
from slowwave.records import Scene, from_dict, to_dict

HERE = Path(__file__).parent
CLOCKED = 12  # lessons of the night that is timed


def run_job(args: Any, arm: str, seed: int, work: Path) -> dict[str, Any]:
    """One arm on one seed, in a process of its own."""
    if args.smoke:
        _quality.TOKENS = 16
    if arm == "clock":
        return {"arm": arm, "seed": seed, "minutes": _clock(args, work / f"home-{seed}") / 60}
    engine, items = _night.engine(args), _night.items(args)
    if engine.device.type == "cuda":
        torch.cuda.empty_cache()  # the workers share one card
    panel, reference = _night.reference(args)
    kept = work / f"scenes-{seed}.json"
    if arm == "dream":
        began = time.monotonic()
        scenes = _night.dream(args, engine, items, [], seed)
        kept.write_text(json.dumps([to_dict(scene) for scene in scenes]))
        return {"arm": arm, "seed": seed, "seconds": time.monotonic() - began, "scenes": len(scenes)}
    if _arms.is_five(arm):
        return {
            "arm": arm,
            "seed": seed,
            **_five(args, arm, engine, items, panel, reference, work / f"{arm}-{seed}".replace(" ", "-"), seed),
        }
    measure = partial(_quality.measure, engine, items, panel, reference)
    if arm in ("base", "base again"):
        if arm == "base again":  # the noise floor: the same weights, other batches, other rounding
            _quality.BATCH = 24
        figures, facts = measure(), {}
        _quality.BATCH = 64
    elif arm == "note":
        figures, facts = measure(in_prompt=True), {"tokens_a_turn": _peers.note_length(engine, items)}
    else:
        scenes = [from_dict(Scene, data) for data in json.loads(kept.read_text())]
        folder = work / f"{arm}-{seed}".replace(" ", "-")
        variants: list[tuple[str, Path]] = [(arm, folder)]
        facts = {}
        if _arms.is_ours(arm):
            facts = _night.learn(args, engine, arm, scenes, folder, seed, [], None)
            if arm.split(" ")[0] == "full" and args.exports:
                export = folder.with_name(folder.name + "-export")
                shutil.copytree(folder, export, ignore=shutil.ignore_patterns("difference*"))
                variants.append((arm + _arms.EXPORT, export))
        else:
            _peer(args, arm)(engine, items, scenes, folder, seed)
        out = []
        for name, place in variants:
            version = f"{name}-{seed}"
            engine.add_version(version, place)
            with engine.using(version):
                out.append({"arm": name, "seed": seed, **facts, **asdict(measure())})
            engine.unload(version)
        return {"many": out}
    return {"arm": arm, "seed": seed, **facts, **asdict(figures)}


def _peer(args: Any, arm: str) -> Callable[..., None]:
    if arm == "published":
        return _peers.published
    kind, lr = arm.rsplit(" ", 1)
    return partial({"trl sft": _peers.trl_sft, "trl sdft": _peers.trl_sdft}[kind], model=Path(args.model), lr=float(lr))


def _five(
    args: Any,
    arm: str,
    engine: Engine,
    items: list[_quality.Item],
    panel: Panel,
    reference: Reference,
    work: Path,
    seed: int,
) -> dict[str, Any]:
    """Five nights in a row; the lessons of each are asked again after the last."""
    each = 1 if args.smoke else min(6, len(items) // 5)
    count = 2 if args.smoke else 5
    earlier: list[Scene] = []
    start: tuple[str, Path] | None = None
    course: list[list[float]] = []  # the first night's questions, asked after every night
    for night in range(count):
        mine = items[night * each : (night + 1) * each]
        scenes = _night.dream(args, engine, mine, earlier, 100 * seed + night)
        folder = work / f"n{night + 1}"
        _night.learn(args, engine, arm, scenes, folder, seed, earlier, start)
        if start is not None:
            engine.unload(start[0])
        start = (f"{arm}-{seed}-{night}", folder)
        engine.add_version(*start)
        earlier += scenes
        with engine.using(start[0]):
            course.append(_quality.held_out(engine, items[:each]))
        print(f"{arm}, seed {seed}: {np.mean(course[-1]):.3f} of night 1 after night {night + 1}", flush=True)
    assert start is not None
    with engine.using(start[0]):
        every = _quality.measure(engine, items[: count * each], panel, reference)
    engine.unload(start[0])
    return {
        "course": course,
        "held_out": course[-1],
        "groups": {"held_out": every.groups["held_out"][: len(course[-1])]},
        "all_held_out": every.held_out,
        "taken_over": every.taken_over,
        "drift": every.drift,
        "bits": every.bits,
    }


def _clock(args: Any, home: Path) -> float:
    """Seconds of one night of twelve lessons through the command line: import and sleep (scoring, dreaming, exams)."""
    import subprocess

    home.mkdir(parents=True)
    raw = {
        entry["exchange"]["id"]: entry["exchange"]
        for entry in json.loads((HERE / "lessons" / f"{args.lessons}.json").read_text())["lessons"]
    }
    # some more than are timed, since not all of what came in matters enough to become a lesson
    chosen = _quality.load(HERE / "lessons" / f"{args.lessons}.json")[: CLOCKED * 3 // 2]
    (home / "slowwave.toml").write_text(f"[night]\nmax_lessons = {CLOCKED}\n")
    (home / "day.jsonl").write_text("".join(json.dumps(raw[item.exchange.id]) + "\n" for item in chosen))
    command = [sys.executable, "-m", "slowwave"]
    options = ["--home", str(home), "--json"]
    subprocess.run([*command, "import", str(home / "day.jsonl"), *options], check=True, stdout=subprocess.DEVNULL)
    began = time.monotonic()
    done = subprocess.run([*command, "sleep", *options], check=True, capture_output=True, text=True)
    seconds, night = time.monotonic() - began, json.loads(done.stdout)
    exam = f"strength {night['exam']['strength']}" if night["exam"] else "no exam"
    print(f"clock: {night['verdict']}, {len(night['lessons'])} lessons, {exam}, {seconds:.0f} s", flush=True)
    if len(night["lessons"]) != CLOCKED:
        raise RuntimeError(f"The night that was timed had {len(night['lessons'])} lessons, not {CLOCKED}.")
    return seconds


def _gpus() -> list[str]:
    """The GPUs that this process may see."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(place) for place in range(torch.cuda.device_count())]


def _take_gpu(gpus: list[str], turn: Any) -> None:
    """A worker sees one GPU; they take them in turns. What it compiles it compiles itself: all cores have a worker."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    with turn.get_lock():
        turn.value += 1
        if gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus[turn.value % len(gpus)]


def _dreamt(work: Path, seed: int) -> bool:
    return (work / f"scenes-{seed}.json").exists()


def _tell(result: dict[str, Any], args: Any) -> None:
    short = {
        k: round(float(np.mean(v)), 3)
        for k, v in result.items()
        if k not in ("groups", "answers", "arm", "seed") and np.size(v)
    }
    print(f"{result['arm']}, seed {result['seed']}: {short}", flush=True)
    if args.log:
        with args.log.open("a") as stream:
            stream.write(json.dumps(result) + "\n")


def parser_of(description: str) -> ArgumentParser:
    """The options of whatever runs arms."""
    parser = arguments(description)
    cache_folder = Path(os.environ.get("SLOWWAVE_CACHE", "~/.cache/slowwave")).expanduser() / "models"
    parser.add_argument("--model", default=str(cache_folder / "smollm2-135m-instruct"), help="folder of the base model")
    parser.add_argument("--embedder", default=str(cache_folder / "minilm-l6-v2"), help="folder of the embedding model")
    parser.add_argument(
        "--dtype",
        default="float32",
        choices=("float32", "bfloat16"),
        help="of the base: in bfloat16 its own greedy answers change with the batch, but it is what a night runs in on "
        "a GPU or a CPU with AMX, and several times as fast there",
    )
    parser.add_argument(
        "--lessons", default="exam", choices=_night.SETS, help="dev is for tuning; the table is made of exam"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes at once; one on a CPU")
    parser.add_argument("--first-seed", type=int, default=0, help="go on where an earlier run, kept by --log, ended")
    parser.add_argument("--log", type=Path, help="append every result there as it comes")
    parser.set_defaults(exports=True)  # `full` is measured as a low-rank adapter too
    parser.set_defaults(work=None)  # nothing is kept, where a study has no option for it
    return parser


def main() -> None:
    """Run the jobs, print the table."""
    parser = parser_of(__doc__ or "")
    parser.add_argument(
        "--arms",
        default="base,base again,note,adapter,full,gentle,published,"
        "trl sft 2e-4,trl sft 1e-3,trl sdft 1e-3,nights,clock",
    )
    parser.add_argument("--from-log", type=Path, help="run nothing; the table of the results in that file")
    args = parser.parse_args()
    if args.smoke:
        args.seeds, args.lessons, args.arms = 1, "dev", "base,adapter"
    arms = [arm.strip() for arm in args.arms.split(",")]
    try:
        for arm in arms:
            if _arms.is_ours(arm) or _arms.is_five(arm):
                _arms.settings(arm)
    except (ValueError, SettingsError) as error:
        parser.error(str(error))
    if args.from_log:
        results = [json.loads(line) for line in args.from_log.read_text().splitlines()]
    else:
        results = run(args, arms)
    finish(_rows.rows_of(results, _arms.measured(arms)), args)


Job = Callable[[Any, str, int, Path], dict[str, Any]]


def run(args: Any, arms: list[str], job: Job | None = None) -> list[dict[str, Any]]:
    """The results of all arms on all seeds; scenes are dreamt once a seed and serve every arm.

    Args:
        job: what runs one arm on one seed, in a process of its own; None is `run_job`.
    """
    job = job or run_job
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(args.work or folder, args.lessons)
        work.mkdir(parents=True, exist_ok=True)
        seeds = range(args.first_seed, args.first_seed + args.seeds)
        once = ("base", "base again", "note")
        needs_scenes = [a for a in arms if a not in (*once, "clock") and not _arms.is_five(a)]
        early = [("dream", seed) for seed in seeds] if needs_scenes else []
        early += [(arm, seed) for arm in filter(_arms.is_five, arms) for seed in seeds]
        early += [(arm, 0) for arm in once if arm in arms]
        late = [(arm, seed) for arm in arms if arm not in once and not _arms.is_five(arm) for seed in seeds]
        spawn = get_context("spawn")
        turn = spawn.Value("i", 0)
        with ProcessPoolExecutor(
            args.workers, mp_context=spawn, initializer=_take_gpu, initargs=(_gpus(), turn)
        ) as pool:
            pending = {pool.submit(job, args, arm, seed, work): (arm, seed) for arm, seed in early}
            while True:
                # None before all is dreamt: then in the order of the arms, so that the longest can be named first
                dreaming = any(arm == "dream" for arm, _ in pending.values())
                ready = [] if dreaming else [one for one in late if one[0] == "clock" or _dreamt(work, one[1])]
                for one in ready:
                    late.remove(one)
                    pending[pool.submit(job, args, *one, work)] = one
                if not pending:
                    break
                future = next(as_completed(pending))
                arm, seed = pending.pop(future)
                try:
                    done = future.result()
                except Exception as error:
                    print(f"{arm}, seed {seed}: could not run: {error}", flush=True)
                    traceback.print_exc()
                    continue
                for result in done.get("many", [done]):
                    results.append(result)
                    _tell(result, args)
    return results


if __name__ == "__main__":
    main()
