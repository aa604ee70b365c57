"""How a night trains: three presets and every number in them. Units stand beside each field."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, get_args

from slowwave.errors import SettingsError

Preset = Literal["gentle", "adapter", "full"]
ContextMode = Literal["trained", "frozen", "detached"]
Optimizer = Literal["adamw", "apollo", "apollo_mini"]


@dataclass(frozen=True)
class LearnSettings:
    """One night's training. The defaults are the preset `adapter`, measured in docs/recipe.md."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    preset: Preset = "adapter"
    rank: int = 24  # of the adapter; for `full`, of its exported adapter
    alpha: float = 24.0  # the adapter's scale is alpha / rank
    dropout: float = 0.0
    noise: float = 0.0  # on what the lowest trained layer reads, as a share of its size: for wordings further off
    targets: tuple[str, ...] = ()  # names of linear layers; empty means all of them
    depth: float = 0.667  # share of the layers that an adapter changes, from the top; those below stay the base's
    context: ContextMode = "trained"  # before a reply: with gradient; read by the base (frozen); or without (detached)
    context_disk: float = 0.0  # GiB of contexts that the base read, kept in the cache for later nights; 0 deletes them
    optimizer: Optimizer = "adamw"  # or APOLLO, APOLLO-Mini: small state for `full` nights of large models
    lr: float = 3e-3  # peak learning rate
    warmup: int = 8  # steps of linear warm-up, then a cosine to zero
    epochs: float = 1.25  # passes over the lesson scenes: many different ones, each seen about once
    min_steps: int = 140  # of a night: few lessons need as many steps as a dozen
    lesson_batch: int = 8  # lesson scenes a step
    anchor_batch: int = 12  # anchors a step
    rehearsal_batch: int = 8  # scenes of earlier nights' lessons a step, from the second night on
    kl_weight: float = 3.0  # of the anchors' forward KL against the lessons' cross-entropy; 0 switches the defence off
    rehearsal_weight: float = 3.0  # of the rehearsed scenes' forward KL to the version before; 0 switches it off
    clip: float = 1.0  # gradient norm
    weight_decay: float = 0.0
    ema: float = 0.8  # slow weights: decay of the running average per step; 0 switches it off
    teacher_top_k: int = 64  # logits kept a token of the frozen teacher; the rest is one remainder class
    drift_bound: float = 0.25  # nats a token on watched anchors; training stops beyond it. 0.12 passes at the peak rate
    drift_every: int = 10  # steps between two looks at the drift
    max_skipped: int = 5  # steps with a non-finite loss or gradient before training gives up
    micro_tokens: int = 2048  # tokens in one forward and backward, or one decision: bounds the memory
    release_gradients: bool = False  # each is freed once applied; a step is one pass forward and two backward

    def steps(self, lessons: int) -> int:
        """Steps of a night that has so many lesson scenes."""
        return max(self.min_steps, math.ceil(self.epochs * lessons / self.lesson_batch))

    def __post_init__(self) -> None:
        bounds = {
            "rank": (1, 1024), "alpha": (0.01, 4096), "dropout": (0, 0.9), "noise": (0, 10), "lr": (1e-8, 1),
            "warmup": (0, 100_000), "depth": (0.01, 1), "context_disk": (0, 100_000), "min_steps": (1, 100_000),
            "epochs": (0.01, 1000), "lesson_batch": (1, 4096), "anchor_batch": (0, 4096), "rehearsal_batch": (0, 4096),
            "kl_weight": (0, 1000), "rehearsal_weight": (0, 1000),
            "clip": (1e-3, 1e6), "weight_decay": (0, 1), "ema": (0, 0.9999), "teacher_top_k": (1, 4096),
            "drift_bound": (0, 100), "drift_every": (1, 10_000), "max_skipped": (0, 10_000),
            "micro_tokens": (1, 1_000_000),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:  # NaN fails too
                raise SettingsError(f"learn.{name} is {value}; it must be from {low} to {high}.")
        if self.preset not in get_args(Preset):
            raise SettingsError(f"learn.preset is {self.preset!r}.", "Use gentle, adapter or full.")
        if self.context not in get_args(ContextMode):
            raise SettingsError(f"learn.context is {self.context!r}.", "Use trained, frozen or detached.")
        if self.noise and (self.context != "trained" or self.depth == 1):
            raise SettingsError(
                "Noise is added above the layers that stay the base's, to contexts that are trained.",
                "Set learn.noise to 0, or learn.context to trained and learn.depth below 1.",
            )
        if self.preset == "full" and self.depth < 1:
            raise SettingsError("The preset full trains all layers.", "Set learn.depth to 1, or train an adapter.")
        if self.preset == "full" and self.context == "frozen":
            raise SettingsError(
                "All parameters are trained, so the base cannot read what comes before.",
                "Set learn.context to trained or detached.",
            )
        if self.optimizer not in get_args(Optimizer):
            raise SettingsError(f"learn.optimizer is {self.optimizer!r}.", "Use adamw, apollo or apollo_mini.")


@dataclass(frozen=True)
class _Presets:
    gentle: LearnSettings = field(
        default_factory=lambda: LearnSettings(
            preset="gentle", rank=4, alpha=8, dropout=0.05, targets=("q_proj", "v_proj"), depth=1, lr=5e-3
        )
    )
    adapter: LearnSettings = field(default_factory=LearnSettings)
    full: LearnSettings = field(
        default_factory=lambda: LearnSettings(preset="full", lr=1.5e-4, rank=64, alpha=64, depth=1)
    )


def preset(name: str, **changes: object) -> LearnSettings:
    """The named preset, with single values replaced.

    Raises:
        SettingsError: no such preset, or a value outside its bounds.
    """
    if name not in get_args(Preset):
        raise SettingsError(f"There is no preset {name!r}.", "Use gentle, adapter or full.")
    return replace(getattr(_Presets(), name), **changes)
