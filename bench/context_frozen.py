"""A decision after a frozen context against TRL's SFTTrainer on the same work: time a decision and memory.

One optimizer step over K decisions of 128 tokens, each at the end of the same context, on random weights of
Qwen2.5's shapes. Ours encodes the context once and packs the K decisions into one forward and backward. TRL's trainer
reads the context with each of them, its loss on the decision alone, K sequences accumulated; it is measured with and
without gradient checkpointing, and the faster that fits counts. "cached" leaves out the encoding: any later epoch.

`--night` measures how much of the chip a night of 512 decisions over 64 contexts of 4k tokens uses instead,
`--personas N` nights of N personas in the same passes against one night after the other, `--optimizers` a step of
APOLLO on all parameters against AdamW's.

Times are medians over steps of one process; their interval is the fastest and the slowest step.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _optimizers
import _peak_share
import _personas
import torch
from _table import Row, arguments, finish
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from slowwave.learn import adapter
from slowwave.learn.captured import Captured
from slowwave.learn.compiled import compiled
from slowwave.learn.context import encode
from slowwave.learn.decision import Decision, collate_after
from slowwave.learn.loss import micro_step, prepare
from slowwave.learn.settings import preset
from slowwave.learn.weights import lora_config

SHAPES = {  # hidden, intermediate, layers, heads, key heads: Qwen2.5's config.json files
    "0.5b": (896, 4864, 24, 14, 2),
    "1.5b": (1536, 8960, 28, 12, 2),
    "3b": (2048, 11008, 36, 16, 2),
    "tiny": (64, 128, 2, 4, 2),
}
VOCABULARY = 151_936
REPLY = 127  # trained tokens of a decision; with the token that predicts the first, 128


@dataclass(frozen=True)
class Case:
    """K decisions after one context, and how many times faster than TRL, and smaller, they must be."""

    context: int
    decisions: int
    floor: float | None = None
    aim: float | None = None
    cached_floor: float | None = None
    cached_aim: float | None = None
    memory_floor: float | None = None
    memory_aim: float | None = None


CASES = (
    Case(2048, 8, 6, 12),
    Case(10_240, 1, 2, 2.5),
    Case(10_240, 8, 12, 19, 40, 75, 10, 40),
    Case(30_720, 8, 25, 50),
)


@dataclass
class Measured:
    """Seconds of each step, seconds to encode the context, and the peak of memory above the weights, in bytes."""

    steps: list[float]
    encoding: float = 0.0
    peak: int = 0


def build(shape: str, device: torch.device) -> Any:
    """A model of that shape with random weights; in bfloat16 on a GPU."""
    hidden, wide, layers, heads, key_heads = SHAPES[shape]
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    config = Qwen2Config(
        vocab_size=VOCABULARY if shape != "tiny" else 512, hidden_size=hidden, intermediate_size=wide,
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=key_heads, tie_word_embeddings=True,
        max_position_embeddings=32_768, dtype=dtype,
    )  # fmt: skip
    torch.manual_seed(0)
    with device:
        model: Any = Qwen2ForCausalLM(config)
    return model.to(dtype).eval().requires_grad_(False)


def sequences(case: Case, words: int) -> list[list[int]]:
    """K sequences of C + 128 tokens with the same first C."""
    draw = torch.Generator().manual_seed(0)
    of = lambda count: torch.randint(words, (count,), generator=draw).tolist()  # noqa: E731
    context = of(case.context)
    return [context + of(REPLY + 1) for _ in range(case.decisions)]


def ours(shape: str, case: Case, steps: int, device: torch.device) -> Measured:
    """Encode once; then each step is one packed forward and backward, and AdamW."""
    model = build(shape, device)
    held = _held(device)
    decisions = [Decision(tuple(ids[:-REPLY]), tuple(ids[-REPLY:])) for ids in sequences(case, model.config.vocab_size)]
    weight_B = torch.full((len(decisions),), 1 / len(decisions), device=device)
    with compiled(model):
        encode(model, decisions[0].frozen)  # the first call of any kernel, and of any size, is slow
        began = _now(device)
        context = encode(model, decisions[0].frozen)
        out = Measured([], encoding=_now(device) - began)
        trainable = adapted(model)
        run = Captured(trainable).step if device.type == "cuda" else micro_step
        optimizer = torch.optim.AdamW(trainable, lr=1e-3, fused=True)
        pack = lambda chosen, where: collate_after(chosen, [context] * len(chosen), where)  # noqa: E731

        def step() -> None:
            run(model, prepare([(decision, None) for decision in decisions], device, pack), weight_B)
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)

        out.steps = _timed(step, steps, device)
    out.peak = _peak(device) - held
    return out


def adapted(model: Any) -> list[torch.nn.Parameter]:
    """Put an adapter of rank 16 into all layers, as TRL's run has it; its parameters."""
    adapter.inject(model, lora_config(preset("adapter", rank=16, alpha=16, depth=1), model), "night")
    adapter.activate(model, "night")
    return [parameter.requires_grad_(True) for parameter in adapter.parameters(model, "night").values()]


def trl(shape: str, case: Case, steps: int, device: torch.device, checkpointing: bool) -> Measured:
    """TRL's SFTTrainer with LoRA on all linear layers, its loss on the decision's tokens, K sequences a step."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Clock(TrainerCallback):
        began, seconds = 0.0, list[float]()

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            Clock.began = _now(device)

        def on_step_end(self, *_: Any, **__: Any) -> None:
            Clock.seconds.append(_now(device) - Clock.began)

    model = build(shape, device)
    held = _held(device)
    rows = [
        {"input_ids": ids, "labels": [-100] * (len(ids) - REPLY) + ids[-REPLY:]}
        for ids in sequences(case, model.config.vocab_size)
    ]
    tokenizer = AutoTokenizer.from_pretrained(_tokenizer(), local_files_only=True)
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, max_steps=steps + 2, per_device_train_batch_size=1, max_length=None,
            gradient_accumulation_steps=case.decisions, gradient_checkpointing=checkpointing, learning_rate=1e-3,
            report_to="none", save_strategy="no", logging_strategy="no", disable_tqdm=True,
            bf16=device.type == "cuda",
            use_cpu=device.type == "cpu", dataset_kwargs={"skip_prepare_dataset": True},
        )  # fmt: skip
        trainer = SFTTrainer(
            model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
            callbacks=[Clock()],
            peft_config=LoraConfig(r=16, lora_alpha=16, target_modules=list(_linear(model)), task_type="CAUSAL_LM"),
        )  # fmt: skip
        trainer.train()
    return Measured(Clock.seconds[2:], peak=_peak(device) - held)


def _linear(model: Any) -> list[str]:
    return list(lora_config(preset("adapter"), model).target_modules or ())


def _tokenizer() -> str:
    """Any tokenizer: the trainer asks for one, and the tokens are made already."""
    cache = Path(os.environ.get("SLOWWAVE_CACHE") or Path.home() / ".cache/slowwave")
    return str(cache / "models/smollm2-135m-instruct")


def _timed(step: Callable[[], None], steps: int, device: torch.device) -> list[float]:
    """Seconds of each step, after two that are not counted."""
    seconds = []
    for _ in range(steps + 2):
        began = _now(device)
        step()
        seconds.append(_now(device) - began)
    return seconds[2:]


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _held(device: torch.device) -> int:
    """Bytes of the weights; what comes on top is counted from here on."""
    gc.collect()
    if device.type != "cuda":
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def _peak(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else 0


def compare(shape: str, case: Case, steps: int, device: torch.device, log: Path | None) -> list[Row]:
    """The rows of one case."""
    head = f"{shape}, {case.context} tokens, K={case.decisions}"
    mine = ours(shape, case, steps, device)
    _tell(log, head, "ours", mine)
    theirs: Measured | None = None
    for checkpointing in (False, True):
        try:
            found = trl(shape, case, steps, device, checkpointing)
        except torch.OutOfMemoryError:
            print(f"{head}: TRL, checkpointing {checkpointing}: out of memory", flush=True)
            continue
        finally:
            gc.collect()
        _tell(log, head, f"TRL, checkpointing {checkpointing}", found)
        if theirs is None or statistics.median(found.steps) < statistics.median(theirs.steps):
            theirs = found
    each = 1000 / case.decisions
    rows = [
        _row(f"{head}: ours, cached, ms a decision", [each * s for s in mine.steps]),
        _row(f"{head}: ours, with encoding, ms a decision", [each * (s + mine.encoding) for s in mine.steps]),
        _row(f"{head}: ours, memory above the weights, GiB", [mine.peak / 2**30]),
    ]
    if theirs is not None:
        whole = statistics.median(theirs.steps)
        rows += [
            _row(f"{head}: TRL, ms a decision", [each * s for s in theirs.steps]),
            _row(f"{head}: TRL, memory above the weights, GiB", [theirs.peak / 2**30]),
            _row(f"{head}: times faster", [whole / (s + mine.encoding) for s in mine.steps], case.floor, case.aim),
            _row(f"{head}: times faster, cached", [whole / s for s in mine.steps], case.cached_floor, case.cached_aim),
        ]
        if mine.peak:
            over = [theirs.peak / mine.peak]
            rows.append(_row(f"{head}: memory, TRL's over ours", over, case.memory_floor, case.memory_aim))
    return rows


def night(shape: str, smoke: bool, device: torch.device) -> list[Row]:
    """The share of the chip's peak that a night's needed operations come to."""
    model, sizes = build(shape, device), _peak_share.Sizes(4, 64, 2, 2) if smoke else _peak_share.Sizes()
    seconds = _peak_share.nights(model, lambda: adapted(model), sizes, device, lambda: _now(device))
    needed = _peak_share.operations(model.config, sizes)
    head = f"{shape}, {sizes.contexts * sizes.decisions} decisions over {sizes.contexts} contexts of {sizes.length}"
    rows = [
        _row(f"{head}: seconds", seconds),
        _row(f"{head}: operations that are needed, 10^12", [needed / 1e12]),
    ]
    if device.type == "cuda":
        share = [100 * needed / one / _peak_share.PEAK for one in seconds]
        rows.append(_row(f"{head}: % of the peak of an H100 or H200", share, 30, 50))
    return rows


def personas(shape: str, count: int, steps: int, device: torch.device) -> list[Row]:
    """How much faster `count` personas train in the same passes."""
    model = build(shape, device)
    together, apart = (_personas.seconds_a_step(model, count, steps, together=way) for way in (True, False))
    head = f"{shape}, {count} personas"
    whole = statistics.median(apart)
    return [
        _row(f"{head}: in the same passes, ms a step", [1000 * s for s in together]),
        _row(f"{head}: one after the other, ms for a step of each", [1000 * s for s in apart]),
        _row(f"{head}: times faster", [whole / s for s in together], *((8, 20) if count == 64 else ())),
    ]


def _row(figure: str, values: list[float], floor: float | None = None, aim: float | None = None) -> Row:
    return Row(figure, statistics.median(values), min(values), max(values), floor, aim)


def _tell(log: Path | None, head: str, name: str, found: Measured) -> None:
    line = {"case": head, "who": name, "steps": found.steps, "encoding": found.encoding, "peak": found.peak}
    print(json.dumps(line), flush=True)
    if log is not None:
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")


def main() -> None:
    """Read the command line, measure every case, print the table."""
    parser = arguments(__doc__ or "", seeds=False)
    parser.add_argument("--shape", default="1.5b", choices=sorted(SHAPES))
    parser.add_argument("--steps", type=int, default=10, help="steps that are timed")
    parser.add_argument("--cases", default="0,1,2,3", help="places in the table of cases, with commas")
    parser.add_argument("--night", action="store_true", help="measure a night's share of the peak, and nothing else")
    parser.add_argument("--personas", type=int, help="measure so many personas in one pass, and nothing else")
    parser.add_argument("--optimizers", action="store_true", help="measure the optimizers, and nothing else")
    parser.add_argument("--log", type=Path, help="append every result there as it comes")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cases = [CASES[int(place)] for place in args.cases.split(",")]
    if args.smoke:
        args.shape, args.steps, cases = "tiny", 1, [Case(64, 2)]
    if args.optimizers:
        head = f"{args.shape}, all parameters"
        finish(_optimizers.rows(build(args.shape, device), head, args.steps, lambda: _now(device)), args)
        return
    if args.night:
        finish(night(args.shape, args.smoke, device), args)
        return
    if args.personas:
        finish(personas(args.shape, args.personas, args.steps, device), args)
        return
    finish([row for case in cases for row in compare(args.shape, case, args.steps, device, args.log)], args)


if __name__ == "__main__":
    main()
