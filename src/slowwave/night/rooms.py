"""What a night asks of the other rooms, as one small interface, and how the real ones answer it.

The conductor in `sleep` owns order, files and verdicts; here stands everything that needs a model. Models are loaded
at the first question, so that an empty night costs nothing.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from slowwave.config import Settings
from slowwave.dream.diversity import Diversity, diversity
from slowwave.dream.dreamer import Dreamer
from slowwave.dream.loop import cloned
from slowwave.dream.make import questions
from slowwave.dream.rubric import Judged
from slowwave.dream.settings import DreamSettings
from slowwave.dream.writer import Spent, Writes
from slowwave.exam.examine import ExamResult, examine
from slowwave.exam.panel import Panel
from slowwave.exam.probes import Answer
from slowwave.exam.retention import Reference
from slowwave.experience.linking import Linker
from slowwave.experience.scoring import score_unscored
from slowwave.experience.store import Store
from slowwave.models.zoo import resolve
from slowwave.night import waking
from slowwave.night.roles import Roles
from slowwave.records import Label, Lesson, Message, Scene

if TYPE_CHECKING:
    import numpy as np

    from slowwave.dream.agreement import Agreement
    from slowwave.dream.anew import Anew
    from slowwave.dream.collide import Memory
    from slowwave.dream.distil import Likes
    from slowwave.dream.judge import Judge
    from slowwave.learn.freezing import Disk
    from slowwave.memory.graph import Graph
    from slowwave.models.embed import Embedder
    from slowwave.models.engine import Engine
    from slowwave.night.rounds import OnRound

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many
Parts = Callable[[int, int], None]  # how many parts of something are done, of how many
OnStep = Callable[[int, int, dict[str, float]], None]
Worth = Callable[[Sequence[Answer], Sequence[Answer]], bool]

# How far the candidates of one night go from the served version to what was trained (slow weights): the examiner
# takes the first of them that loses nothing.
FRACTIONS = (1.0, 0.75, 0.5)
HOTTER = 1.3  # times the temperature, when dreams have collapsed


@dataclass(frozen=True)
class Identity:
    """The base model that everything of this night stands on."""

    base_hash: str
    template_hash: str


@dataclass(frozen=True)
class TrainReport:
    """What training did. `stopped` is "finished" or why it ended early; `bytes` of the candidate as saved."""

    steps: int
    stopped: str
    skipped: int
    seconds: float
    decisions: int
    anchors: int
    bytes: int
    converged: list[str] | None = None  # lessons that had converged by the last round; None without rounds
    judged: Judged | None = None  # what a model with a rubric made of the answers between rounds
    liked: bool = False  # of good answers those were learned that the judge liked
    written: Spent | None = None  # on what was worded anew between rounds; None: nothing was to be


@dataclass(frozen=True)
class Dreamt:
    """A night's scenes, what they cost, and how diverse they are (None: too few to say)."""

    scenes: list[Scene]
    spent: Spent = field(default_factory=Spent)
    diversity: Diversity | None = None
    again: bool = False  # they had collapsed, and were dreamt once more
    poor: bool = False  # and are still too much alike
    judged: Judged | None = None  # what a model with a rubric made of them


class Rooms(Protocol):
    """Everything of a night that needs a model."""

    def identity(self) -> Identity:
        """Hashes of the base model and its chat template."""

    def score(self, store: Store, persona: str, progress: Progress) -> None:
        """Give every experience without salience one."""

    def link(self, store: Store, persona: str, progress: Progress) -> None:
        """Bring the memory graph up to what the store holds."""

    def judge(self, labels: Sequence[Label]) -> Agreement | None:
        """Let the judge of tonight's dreams learn from labels; how far it agrees with those that it did not see."""

    def prompt_tokens(self, store: Store, persona: str, lessons: Sequence[Lesson]) -> tuple[float, int]:
        """What lessons would take in a turn's prompt: mean tokens, and over how many turns."""

    def dream(
        self, lessons: Sequence[Lesson], earlier: Sequence[Scene], memories: Sequence[Memory], graph: Graph | None, *,
        more: Mapping[str, float], older: Mapping[str, Lesson], before: Sequence[Diversity], seed: int, deadline: float,
        progress: Progress,
    ) -> Dreamt:  # fmt: skip
        """Answered scenes of each lesson and of ordinary life, for training and for the exam.

        `earlier` are earlier nights' scenes, whose exam questions stay out; lessons are collided with `memories`, which
        walks over `graph` find. `more` is so many times the scenes of some lessons, `older` what some of them
        contradict, `before` how diverse earlier nights' dreams were. Past the deadline it dreams no more.
        """

    def train(
        self, scenes: Sequence[Scene], earlier: Sequence[Scene], *, lessons: Sequence[Lesson],
        more: Mapping[str, float], start: Path | None, folders: dict[float, Path], asked: AbstractSet[str],
        spent: Spent, seed: int, deadline: float, on_step: OnStep, on_round: OnRound,
    ) -> TrainReport:  # fmt: skip
        """Train on `scenes` of `lessons`, those of `more` so many times as often, hold `earlier` still, and write the
        version at each fraction to its folder. What the exam asks, in small letters without marks, is `asked`; what
        dreaming took of the budgets is `spent`. `on_round` is told what each round learns: scenes that were chosen by
        then, or worded by then, with the answers that were."""

    def examine(
        self,
        version: Path | None,
        *,
        lessons: Sequence[Lesson],
        scenes: Sequence[Scene],
        earlier: Sequence[Scene],
        seed: int,
        known: ExamResult | None = None,
        worth: Worth = lambda own, earlier: True,
        progress: Parts = lambda done, of: None,
    ) -> ExamResult:
        """Let the version in a folder (None: the base) sit the exam.

        `known` is an earlier one of the same version. `worth` is told the answers, and whether it says so decides if
        the retention panel is sat, too.
        """


class ModelRooms:
    """The rooms of a home: the settings' model, and the embedder. Loads each when first needed."""

    def __init__(
        self, settings: Settings, cache: Path, engine: Engine | None = None, embedder: Embedder | None = None
    ) -> None:
        self.settings, self.cache = settings, cache
        self._judge: Judge | None = None
        if engine is not None:
            self.engine = engine
        if embedder is not None:
            self.embedder = embedder

    @cached_property
    def engine(self) -> Engine:
        """The model of the settings."""
        from slowwave.models.engine import Engine

        model = self.settings.model
        device = None if model.device == "auto" else model.device
        return Engine.load(resolve(model.name, self.cache), device=device, dtype=model.dtype)

    @cached_property
    def embedder(self) -> Embedder:
        """Sentence vectors for novelty and for the dreamer's filters."""
        from slowwave.models.embed import Embedder

        return Embedder.load(resolve("minilm-l6-v2", self.cache))

    @cached_property
    def _roles(self) -> Roles:
        return Roles(self.settings, self.cache, self.engine)

    def identity(self) -> Identity:
        """Hashes of the base model and its chat template."""
        return Identity(self.engine.base_hash, self.engine.template_hash)

    def score(self, store: Store, persona: str, progress: Progress) -> None:
        """Salience by the base model's own expectations."""
        score_unscored(
            store, persona, self.engine, self.embedder, self.settings.salience, partial(progress, "salience")
        )

    def link(self, store: Store, persona: str, progress: Progress) -> None:
        """Links by the embedder's vectors."""
        Linker(store, self.embedder, persona).link(partial(progress, "memory"))

    def judge(self, labels: Sequence[Label]) -> Agreement | None:
        """By the base's likelihoods: a version must not judge what it is taught."""
        from slowwave.dream.judge import Judge

        with self.engine.using(None):
            self._judge = self._judge.again(labels) if self._judge else Judge(self.engine, self.embedder, labels)
            return self._judge.agreement  # reads the labels, which the judge keeps

    def prompt_tokens(self, store: Store, persona: str, lessons: Sequence[Lesson]) -> tuple[float, int]:
        """As the server would recall them, within its budget."""
        return waking.prompt_tokens(store, self.embedder, persona, lessons, self.settings.serve.context_tokens)

    def dream(
        self, lessons: Sequence[Lesson], earlier: Sequence[Scene], memories: Sequence[Memory], graph: Graph | None, *,
        more: Mapping[str, float], older: Mapping[str, Lesson], before: Sequence[Diversity], seed: int, deadline: float,
        progress: Progress,
    ) -> Dreamt:  # fmt: skip
        """The dreamer's scenes; dreamt again, hotter, if they are far less diverse than earlier nights', and then the
        more diverse of both."""
        from slowwave.dream.collide import Collider

        collider = Collider(memories, self.embedder, graph) if memories else None
        settings, rubric = self.settings.dream, self._roles.rubric(deadline)
        writer = self._roles.writer()

        def once(settings: DreamSettings, seed: int) -> Dreamt:
            dreamer = Dreamer(cast("Any", self.engine), self.embedder, settings, self._judge, collider, writer, rubric)
            scenes = dreamer.dream(
                lessons, earlier=earlier, more=more, older=older, seed=seed, deadline=deadline, on_progress=progress
            )
            judged = rubric.told if rubric else None
            return Dreamt(scenes, writer.spent, diversity(scenes, self.embedder), judged=judged)

        first = once(settings, seed)
        if first.diversity is None or first.diversity.holds(before, settings.diversity):
            self._roles.release()
            return first
        hotter = settings.within(temperature=settings.temperature * HOTTER, samples=settings.samples + 1)
        second = once(hotter, seed + 1)
        self._roles.release()
        worth = lambda one: one.diversity.distinct + one.diversity.spread if one.diversity else 0.0  # noqa: E731
        best = max(first, second, key=worth)
        poor = best.diversity is None or not best.diversity.holds(before, settings.diversity)
        return replace(best, again=True, poor=poor)

    def train(
        self, scenes: Sequence[Scene], earlier: Sequence[Scene], *, lessons: Sequence[Lesson],
        more: Mapping[str, float], start: Path | None, folders: dict[float, Path], asked: AbstractSet[str],
        spent: Spent, seed: int, deadline: float, on_step: OnStep, on_round: OnRound,
    ) -> TrainReport:  # fmt: skip
        """Train from the served version; the engine's lock is held, so nobody is answered with half-trained weights."""
        from slowwave.learn.train import train
        from slowwave.night.decisions import curriculum
        from slowwave.night.rounds import Rounds

        engine = self.engine
        started = engine.load_adapter(start) if start is not None else None
        dream, learn = self.settings.dream, self.settings.learn
        taught = curriculum(engine, scenes, earlier, started, dream.rehearsal, learn, more)
        rounds = rubric = likes = writer = None
        if dream.rounds > 1:
            # a larger dreamer writes no other than it has written
            writer = self._roles.writer(spent) if dream.anew and not dream.dreamer else None
            anew = self._anew(lessons, questions(scenes) | asked, seed, deadline, writer) if writer else None
            rubric, likes = self._roles.rubric(deadline), self._likes()
            rounds = Rounds(
                engine, self.embedder, scenes, taught, dream, learn, seed, more=more, anew=anew, rubric=rubric,
                learn=partial(cloned, likes=likes), on_round=on_round, deadline=deadline,
            )  # fmt: skip
        with engine.using(None):
            trained = train(
                engine.model, taught.lessons, taught.anchors, learn, seed=seed, start=start, watch=taught.watch,
                deadline=deadline, on_step=on_step, disk=self._disk(), rounds=rounds.plan() if rounds else None,
            )  # fmt: skip
            try:
                for fraction, folder in folders.items():
                    trained.weights.at(fraction)
                    saved = trained.weights.save(folder)
            finally:
                trained.weights.release()
        return TrainReport(
            trained.steps, trained.stopped, trained.skipped, trained.seconds, len(taught.lessons), len(taught.anchors),
            int(saved["bytes"]), converged=sorted(rounds.converged) if rounds else None,
            judged=rubric.told if rubric else None, liked=likes is not None,
            written=writer.spent.since(spent) if writer else None,
        )  # fmt: skip

    def _anew(
        self, lessons: Sequence[Lesson], taken: AbstractSet[str], seed: int, deadline: float, writer: Writes
    ) -> Anew:
        """What dreams once more between two rounds."""
        from slowwave.dream import bank
        from slowwave.dream.anew import Anew
        from slowwave.dream.wordings import Wordings

        dream = self.settings.dream
        wordings = Wordings(cast("Any", self.engine), self.embedder, dream, writer)
        return Anew(wordings, lessons, self.embedder.embed(bank.ordinary()), taken, dream.anew, seed, deadline)

    def _likes(self) -> Likes | None:
        """How likely answers are to please, where the judge can be trusted. The base reads them, in the middle of its
        training; one whose own parameters are trained cannot."""
        judge = self._judge
        if judge is None or not judge.trusted or self.settings.learn.preset == "full":
            return None

        def chance(pairs: Sequence[tuple[Sequence[Message], str]]) -> np.ndarray:
            from slowwave.learn import adapter

            with adapter.silent(self.engine.model):
                return judge.chance(pairs)

        return chance

    def _disk(self) -> Disk | None:
        """Where contexts are kept from night to night. What is said in them lies there in another form: a setting of 0
        deletes it."""
        from slowwave.learn.freezing import Disk

        every, engine = self.cache / "contexts", self.engine
        if not (size := self.settings.learn.context_disk):
            shutil.rmtree(every, ignore_errors=True)
            return None
        base = f"{engine.base_hash} in {engine.model.dtype}"
        return Disk(
            every / hashlib.sha256(base.encode()).hexdigest()[:16], base, engine.template_hash, int(size * 2**30)
        )

    def examine(
        self,
        version: Path | None,
        *,
        lessons: Sequence[Lesson],
        scenes: Sequence[Scene],
        earlier: Sequence[Scene],
        seed: int,
        known: ExamResult | None = None,
        worth: Worth = lambda own, earlier: True,
        progress: Parts = lambda done, of: None,
    ) -> ExamResult:
        """The exam on the very files that would be served, rounding and all."""
        settings = self.settings.exam
        panel = Panel.load(settings.panel_items)
        reference = Reference.cached(
            self.engine, panel, self.cache / "references" / f"{self.engine.base_hash[:16]}.json"
        )
        name = None
        if version is not None:
            name = f"examined-{version.parent.name}-{version.name}"
            self.engine.add_version(name, version)
        try:
            return examine(
                self.engine, adapter=name, lessons=lessons, scenes=scenes, earlier=earlier, panel=panel,
                reference=reference, settings=settings, seed=seed,
                retention=known.retention if known is not None and known.panel == panel.digest else None,
                worth=worth, progress=progress,
            )  # fmt: skip
        finally:
            if name is not None:
                self.engine.unload(name)
