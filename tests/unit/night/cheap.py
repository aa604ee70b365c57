"""Rooms without a model: real records and files; answers depend on the version's bytes alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slowwave.config import Settings
from slowwave.dream.agreement import Agreement
from slowwave.dream.diversity import Diversity
from slowwave.dream.writer import Spent
from slowwave.exam.examine import ExamResult
from slowwave.exam.probes import mark
from slowwave.exam.retention import Retention
from slowwave.experience.linking import Linker
from slowwave.experience.store import Store
from slowwave.models.registry import Registry
from slowwave.night.history import NightSummary
from slowwave.night.rooms import Dreamt, Identity, TrainReport
from slowwave.night.sleep import Sleep
from slowwave.night.waking import prompt_tokens
from slowwave.records import Check, Experience, Label, Lesson, Outcome, Salience, Scene, new_id

WELL = Retention(1.0, 1.0, (True, False, True), 0.01, (True, True), 0.9)


class CheapRooms:
    """A version knows the lessons whose ids stand in its weight file, and answers everything else with "No idea."."""

    def __init__(self, **changes: object) -> None:
        self.retention = WELL
        self.panel = "panel"
        self.teachable = True
        self.fails: BaseException | None = None  # raised in training
        self.trained_with: list[Scene] = []
        self.trainings = 0
        self.retention_at: dict[str, Retention] = {}  # by the name of the version's folder
        self.converged: list[str] | None = None
        self.diverse: Diversity | None = None
        self.spreads_at: set[str] = set()  # names of versions that answer near misses with the lesson
        for name, value in changes.items():
            assert hasattr(self, name)
            setattr(self, name, value)

    def identity(self) -> Identity:
        return Identity("base", "template")

    def score(self, store: Store, persona: str, progress: object) -> None:
        for experience in store.unscored(persona):
            loud = 0.9 if experience.outcome.correction else 0.1
            store.set_salience(experience.id, Salience(loud, loud, loud, loud, loud, loud))

    def link(self, store: Store, persona: str, progress: Any) -> None:
        Linker(store, self, persona).link(lambda done, of: progress("memory", done, of))

    def judge(self, labels: Sequence[Label]) -> Agreement | None:
        self.labels = list(labels)
        return Agreement(len(labels), 0.9, 0.8, 0.95, 0.6) if len(labels) >= 10 else None

    def prompt_tokens(self, store: Store, persona: str, lessons: Sequence[Lesson]) -> tuple[float, int]:
        return prompt_tokens(store, self, persona, lessons, 100)

    def count(self, text: str) -> int:
        return len(text.split())

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 1), np.float32)  # all are alike

    def dream(
        self, lessons: Sequence[Lesson], earlier: Sequence[Scene], memories: Any, graph: Any, **options: Any
    ) -> Dreamt:
        self.memories, self.graph, self.dreamt_with = list(memories), graph, options
        return Dreamt(self.scenes(lessons, earlier), Spent(7, 1.5), self.diverse)

    def scenes(self, lessons: Sequence[Lesson], earlier: Sequence[Scene]) -> list[Scene]:
        def scene(lesson: Lesson, kind: str, text: str, split: str) -> Scene:
            taught = kind == "apply"
            answer, check = (lesson.answer, lesson.check) if taught else ("No idea.", Check())
            said = ({"role": "user", "content": text},)
            key = new_id(lesson.id, text)
            return Scene(
                key, lesson.id, kind, said, answer, split, split, 1.0, check, lesson.authority, lesson.experiences
            )

        out = []
        for lesson in lessons:
            out += [scene(lesson, "apply", f"{lesson.question} train {i}", "train") for i in range(3)]
            out += [scene(lesson, "apply", f"{lesson.question} exam {i}", "exam") for i in range(3)]
            out += [scene(lesson, "near_miss", f"not {lesson.question} {i}", "exam") for i in range(2)]
        return out

    def train(
        self, scenes, earlier, *, lessons, more, start, folders, asked, spent, seed, deadline, on_step, on_round
    ) -> TrainReport:  # type: ignore[no-untyped-def]
        self.trained_with, self.trainings, self.more = list(scenes), self.trainings + 1, more
        assert {scene.lesson for scene in [*scenes, *earlier]} <= {None, *(lesson.id for lesson in lessons)}
        assert spent == Spent(7, 1.5), "what dreaming took, also of a night that goes on after a crash"
        if self.fails is not None:
            raise self.fails
        known = set(json.loads((start / "adapter_model.safetensors").read_text())) if start else set()
        known |= {scene.lesson for scene in scenes if scene.lesson} if self.teachable else set()
        for step in range(3):
            on_step(
                step + 1,
                3,
                {"step": step, "loss": 3.0 - step, "cross_entropy": 2.0 - step / 2, "kl": 0.1, "drift": 0.01 * step},
            )
        for folder in folders.values():
            folder.mkdir()
            (folder / "adapter_model.safetensors").write_text(json.dumps(sorted(known)))
            (folder / "adapter_config.json").write_text("{}")
        return TrainReport(3, "finished", 0, 0.1, len(scenes), 0, 100, self.converged)

    def examine(  # type: ignore[no-untyped-def]
        self, version: Path | None, *, lessons, scenes, earlier, seed, progress, known=None, worth=lambda *_: True
    ) -> ExamResult:
        progress(1, 2)
        progress(2, 2)
        known = json.loads((version / "adapter_model.safetensors").read_text()) if version else []
        by_id = {lesson.id: lesson for lesson in lessons}

        def answer(scene: Scene):  # type: ignore[no-untyped-def]
            spreads = version is not None and version.name in self.spreads_at
            fires = (scene.kind == "apply" or spreads) and scene.lesson in known
            return mark(scene, by_id[scene.lesson].answer if fires else "No idea.", by_id[scene.lesson].check)

        retention = self.retention_at.get(version.name, self.retention) if version else WELL
        name = version.name if version else None
        own, others = tuple(map(answer, scenes)), tuple(answer(s) for s in earlier if s.kind == "apply")
        return ExamResult(name, own, others, retention if worth(own, others) else None, self.panel, 0.1)


def correction(number: int, persona: str = "default", source: str = "user:ann") -> Experience:
    """An exchange that the user corrected."""
    question, answer = f"What is the code of door {number}?", f"The code is Walrus{number}."
    messages = ({"role": "user", "content": question}, {"role": "assistant", "content": "No idea."})
    return Experience(
        f"e{number}",
        persona,
        source,
        f"2026-03-{number:02d}T09:00:00Z",
        messages,
        Outcome(-1, answer),
        source.split(":")[0],
    )  # type: ignore[arg-type]


def sleeper(
    home: Path, store: Store, rooms: CheapRooms | None = None, persona: str = "default", **night: object
) -> Sleep:
    """A sleep of that home in cheap rooms."""
    settings = Settings()
    settings = settings.model_copy(update={"night": settings.night.model_copy(update=night)})
    return Sleep(home, store, Registry(home), rooms or CheapRooms(), settings, persona)


def slept(
    home: Path, store: Store, rooms: CheapRooms | None = None, persona: str = "default", **night: object
) -> NightSummary:
    """One whole night."""
    return sleeper(home, store, rooms, persona, **night).run()


def worse(**changes: object) -> Retention:
    """A retention panel on which something was lost."""
    return dataclasses.replace(WELL, **changes)  # type: ignore[arg-type]
