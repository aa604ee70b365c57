"""What night_quality.py is measured beside: the published recipe, and TRL's trainers on the same scenes.

Each takes an engine, the benchmark's items and the night's scenes, and leaves a PEFT adapter in a folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _quality import Item

from slowwave.learn.decision import Decision
from slowwave.learn.settings import LearnSettings
from slowwave.learn.train import train
from slowwave.models.chat import prompt_ids
from slowwave.models.engine import Engine
from slowwave.records import Scene


def published(engine: Engine, items: Sequence[Item], scenes: Sequence[Scene], folder: Path, seed: int) -> None:
    """The published sleep recipe: LoRA r=4 on q and v, lr 1e-5, 3 epochs over the raw exchanges, loss on all tokens."""
    settings = LearnSettings(
        preset="gentle",
        rank=4,
        alpha=8,
        dropout=0.05,
        targets=("q_proj", "v_proj"),
        lr=1e-5,
        epochs=3,
        min_steps=1,
        warmup=0,
        lesson_batch=1,
        anchor_batch=0,
        kl_weight=0,
        ema=0,
    )
    chats = [
        [
            *item.exchange.messages,
            *(
                [{"role": "assistant", "content": item.exchange.outcome.correction}]
                if item.exchange.outcome.correction
                else []
            ),
        ]
        for item in items
    ]
    tokens = [
        engine.tokenizer(engine.tokenizer.apply_chat_template(chat, tokenize=False), add_special_tokens=False)[
            "input_ids"
        ]
        for chat in chats
    ]
    whole = [Decision((ids[0],), tuple(ids[1:])) for ids in tokens]
    trained = train(engine.model, whole, [], settings, seed=seed)
    trained.weights.save(folder)
    trained.weights.release()


def trl_sft(
    engine: Engine, items: Sequence[Item], scenes: Sequence[Scene], folder: Path, seed: int, *, model: Path, lr: float
) -> None:
    """TRL's SFTTrainer, LoRA r=16 on all linear layers, 3 epochs, loss on the completion, on our training scenes."""
    from trl import SFTConfig, SFTTrainer

    rows = [
        {"prompt": list(scene.messages), "completion": [{"role": "assistant", "content": scene.answer}]}
        for scene in scenes if scene.split == "train" and scene.answer and scene.family != "watch"
    ]  # fmt: skip
    config = SFTConfig(
        output_dir=str(folder / "trl"), num_train_epochs=3, per_device_train_batch_size=16, learning_rate=lr,
        lr_scheduler_type="cosine", warmup_steps=8, seed=seed, **_quiet(engine),
    )  # fmt: skip
    _run(SFTTrainer, config, rows, model, folder)


def trl_sdft(
    engine: Engine, items: Sequence[Item], scenes: Sequence[Scene], folder: Path, seed: int, *, model: Path, lr: float
) -> None:
    """TRL's (experimental) self-distillation trainer: the base that sees the note teaches the student that does not."""
    from trl.experimental.sdft import SDFTConfig, SDFTTrainer

    notes = {item.lesson.id: item.lesson.note for item in items if item.lesson}
    rows = [
        {"prompt": list(s.messages), "privileged_context": f"Keep in mind: {notes[s.lesson]}"}
        for s in scenes
        if s.split == "train" and s.kind == "apply" and s.lesson
    ]
    config = SDFTConfig(
        output_dir=str(folder / "trl"), num_train_epochs=3, per_device_train_batch_size=64, num_generations=1,
        max_completion_length=40, learning_rate=lr, lr_scheduler_type="cosine", warmup_steps=8, seed=seed,
        **_quiet(engine),
    )  # fmt: skip
    _run(SDFTTrainer, config, rows, model, folder)


def _run(trainer_class: Any, config: Any, rows: list[dict[str, Any]], model: Path, folder: Path) -> None:
    """Train a LoRA of r=16 on all linear layers with one of TRL's trainers, and save it."""
    from datasets import Dataset
    from peft import LoraConfig

    trainer = trainer_class(
        model=str(model),
        args=config,
        train_dataset=Dataset.from_list(rows),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    trainer.train()
    trainer.model.save_pretrained(str(folder))


def _quiet(engine: Engine) -> dict[str, Any]:
    return {
        "report_to": "none",
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "bf16": True,
        "use_cpu": engine.device.type == "cpu",
    }


def note_length(engine: Engine, items: Sequence[Item]) -> float:
    """Mean tokens that a note adds to every prompt: what the fact in the prompt costs each turn."""
    plain = len(prompt_ids(engine.tokenizer, [{"role": "user", "content": "Hi"}]))
    with_note = [
        len(
            prompt_ids(
                engine.tokenizer,
                [{"role": "system", "content": f"Keep in mind: {item.lesson.note}"}, {"role": "user", "content": "Hi"}],
            )
        )
        for item in items
        if item.lesson
    ]
    return sum(with_note) / len(with_note) - plain
