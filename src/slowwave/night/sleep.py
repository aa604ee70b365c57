"""One sleep from dusk to report: the phases in order, what each leaves in the night's folder, and how it ends.

Every phase reads what earlier ones wrote and nothing else, so a night that died is resumed after its last whole
phase. Until `settle` moves the registry's pointer, the old version is served; after it, the new one, whole.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from slowwave.config import Settings
from slowwave.dream.writer import Spent
from slowwave.errors import DamagedFile, ExamError, LeaseHeld, ModelError, NightError, OutOfSpace, SlowwaveError
from slowwave.exam.examine import PARTS, ExamResult
from slowwave.exam.probes import Answer, ProbeResult
from slowwave.experience.store import Store
from slowwave.models.files import disk_space
from slowwave.models.manifest import Manifest, parse_version, version_name
from slowwave.models.registry import Registry
from slowwave.night import folder as files
from slowwave.night import gate, history, past
from slowwave.night.drawn import Drawn, exam_questions, said, separate
from slowwave.night.folder import NightFolder
from slowwave.night.gather import gather, same
from slowwave.night.history import NightSummary
from slowwave.night.lease import Lease
from slowwave.night.ledger import now
from slowwave.night.page import page
from slowwave.night.rooms import FRACTIONS, Identity, Parts, Progress, Rooms, Worth
from slowwave.night.taste import labels_of
from slowwave.night.walked import strengthen
from slowwave.records import to_dict

log = logging.getLogger(__name__)

RESUMED = "resumed"  # a line of the ledger that is no phase
MAX_RESUMES = 3  # a night that dies so often in one place will die there again


class _Ended(Exception):
    """The night ends here, with this verdict."""

    def __init__(self, decision: gate.Decision) -> None:
        self.decision = decision


class Sleep:
    """Conducts one persona's sleep in one home."""

    def __init__(
        self, home: Path, store: Store, registry: Registry, rooms: Rooms, settings: Settings, persona: str,
        progress: Progress = lambda what, done, total: None,
    ) -> None:  # fmt: skip
        self.home, self.store, self.registry, self.rooms = home, store, registry, rooms
        self.settings, self.persona, self.progress = settings, persona, progress
        self.deadline = math.inf

    def run(self) -> NightSummary:
        """Sleep one night, or finish the one that was interrupted.

        Raises:
            LeaseHeld: somebody else sleeps here, or took over; nothing was promoted.
            OutOfSpace: the night goes on from its last whole phase at the next sleep.
        """
        with disk_space(self.home), Lease(self.home) as lease:
            history.reconcile(self.home, self.store, self.registry)
            self.registry.verify(self.registry.serving(self.persona).name)  # damage must not become what is measured by
            night = self._resumed() or files.create(self.home, self._dusk())
            self.deadline = time.monotonic() + 60 * self.settings.night.max_minutes
            defect = self._until_verdict(night)
            self._after_verdict(night, lease)
            if defect is not None:
                raise defect
            return history.summary(night)

    # --- how it begins

    def _dusk(self) -> dict[str, Any]:
        """The content of settings.json: what must be the same for the night to be resumed."""
        parent = self.registry.serving(self.persona).name
        return {"persona": self.persona, "started": now(), "parent": parent,
                "settings": self.settings.model_dump(mode="json", exclude={"serve"})}  # fmt: skip

    def _resumed(self) -> NightFolder | None:
        """The persona's unfinished night, of which there is at most one, if it can go on; else it is closed."""
        for night in files.folders(self.home):
            if not night.closed and night.persona == self.persona:
                why = self._cannot_resume(night)
                if why is None:
                    night.ledger.write(f"{RESUMED} {_resumes(night) + 1}", now(), [])
                    return night
                self._write_verdict(
                    night, gate.because("errored", f"It was interrupted and could not be resumed: {why}")
                )
                night.ledger.write("report", now(), [])
        return None

    def _cannot_resume(self, night: NightFolder) -> str | None:
        whole = night.ledger.whole()
        if "verdict" in whole:
            return None  # it is decided; only the deed and the report are missing
        if _resumes(night) >= MAX_RESUMES:
            return f"it was interrupted {MAX_RESUMES + 1} times."
        dusk, today = night.read(files.SETTINGS), self._dusk()
        if any(dusk[key] != today[key] for key in ("parent", "settings")):
            return "the settings or the served version have changed since."
        if "gather" in whole and not same(self.store, self._drawn(night).lessons()):
            return "its lessons have changed since."
        if "before" in whole and len(self._drawn(night).lessons("earlier")) < len(night.read(files.LESSONS)["earlier"]):
            return "an earlier lesson that its exam has asked is gone since."
        return None

    # --- until the verdict

    def _until_verdict(self, night: NightFolder) -> Exception | None:
        """Every phase up to a verdict; returns the exception that is a defect of ours, to be raised at the end."""
        phases: dict[str, Callable[[NightFolder], list[str]]] = {
            "gather": self._gather, "dream": self._dream, "before": self._before, "train": self._train,
            "examine": self._examine,
        }  # fmt: skip
        whole = night.ledger.whole()
        if "verdict" in whole:
            return None
        defect = None
        try:
            for name, phase in phases.items():
                if name not in whole:
                    started = now()
                    night.ledger.write(name, started, phase(night))
            decision = self._decision(night)
        except _Ended as end:
            decision = end.decision
        except (ExamError, ModelError) as error:
            decision = gate.because("could not run", f"{error.message} {error.hint}".strip())
        except KeyboardInterrupt:
            decision = gate.because("errored", "interrupted")
        except (LeaseHeld, OutOfSpace):
            raise
        except SlowwaveError as error:
            decision = gate.because("errored", f"{error.message} {error.hint}".strip())
        except Exception as error:
            if "no space left" in str(error).lower():  # also from libraries that have no errno to give
                raise OutOfSpace(f"No disk space left for {night.path}.", "Free some space and sleep again.") from error
            decision, defect = gate.because("errored", f"{type(error).__name__}: {error}"), error
        self._write_verdict(night, decision)
        return defect

    def _gather(self, night: NightFolder) -> list[str]:
        if self.store.unscored(self.persona):
            self.rooms.score(self.store, self.persona, self.progress)
        attempts = past.attempts(self.home, self.store, self.persona)
        gathered = gather(self.store, self.persona, self.settings, attempts)
        self.rooms.link(self.store, self.persona, self.progress)
        written = [night.write(files.LESSONS, gathered.to_json())]
        if not gathered.lessons:
            raise _Ended(gate.because("skipped", gathered.why_empty()))
        return written

    def _dream(self, night: NightFolder) -> list[str]:
        drawn = self._drawn(night)
        lessons, earlier = drawn.lessons(), drawn.lessons("earlier")
        kept = drawn.remembered(earlier)
        lost = [lesson for lesson in earlier if not any(scene.lesson == lesson.id for scene in kept)]
        agreement = self.rooms.judge(labels_of(self.store, self.persona, self.settings.night))
        met, older = drawn.memories(), drawn.older(lessons)
        graph = self.store.graph.load(self.persona) if met else None
        retried = drawn.retried([one for one in earlier if one not in lost])
        dreamt = self.rooms.dream(
            [*lessons, *lost, *retried], kept, met, graph, more=drawn.more(retried), older=older,
            before=past.diversities(self.home, self.persona), seed=night.number, deadline=self.deadline,
            progress=self.progress,
        )  # fmt: skip
        allowed = set(night.read(files.LESSONS)["permitted"])
        allowed |= {id for sources in (lost, retried, met, older.values()) for one in sources for id in one.experiences}
        again = {one.id for one in retried}  # are examined by the questions of the night that learned them
        scenes = [one for one in dreamt.scenes if one.split == "train" or one.lesson not in again]
        scenes = separate([scene for scene in scenes if set(scene.lineage) <= allowed], kept)
        written = [night.write(files.JUDGE, asdict(agreement) | {"trusted": agreement.trusted})] if agreement else []
        told = asdict(replace(dreamt, scenes=[])) | {"scenes": len(scenes), "retried": sorted(again)}
        written.append(night.write(files.DREAMS, told))
        return [*written, night.write(files.SCENES, [to_dict(scene) for scene in scenes])]

    def _before(self, night: NightFolder) -> list[str]:
        self.progress("exam before", 0, PARTS)
        served = self.registry.serving(self.persona)
        known, report = exam_of(self.home, served.name), partial(self.progress, "exam before")
        result = self._sit(night, served.folder, report, known)
        return [night.write(files.BEFORE, {"identity": asdict(self.rooms.identity()), "exam": result.to_dict()})]

    def _train(self, night: NightFolder) -> list[str]:
        trained = night.clear(files.TRAINED)
        drawn = self._drawn(night)
        (scenes, earlier), again = drawn.scenes(), drawn.again()
        asked = exam_questions([*scenes, *earlier])
        if self.settings.dream.rounds > 1:  # also where another process dreamt, before a crash
            self.rooms.judge(labels_of(self.store, self.persona, self.settings.night))
        known = {id for lesson in self.store.lessons(self.persona) for id in lesson.experiences}
        # a crash may lie between, and an erasure
        scenes, earlier = drawn.standing(scenes), drawn.standing(earlier, known)
        rounds: list[dict[str, Any]] = []
        with (night.path / files.METRICS).open("w", encoding="utf-8") as metrics:

            def on_step(step: int, steps: int, figures: dict[str, float]) -> None:
                row = {key: value if math.isfinite(value) else None for key, value in figures.items()}
                metrics.write(json.dumps(row) + "\n")
                metrics.flush()
                self.progress("train", step, steps)

            held = [scene for scene in earlier if scene.lesson not in again and said(scene) not in asked]
            report = self.rooms.train(
                [scene for scene in scenes if scene.split == "train"],
                [scene for scene in held if scene.split == "train"],
                lessons=[*drawn.lessons(), *drawn.lessons("earlier")],
                more=drawn.more([one for one in drawn.lessons("earlier") if one.id in again]),
                start=self.registry.serving(self.persona).folder,
                folders={fraction: trained / f"{fraction:.2f}" for fraction in FRACTIONS},
                asked=asked, spent=Spent(**night.read(files.DREAMS)["spent"]), seed=night.number,
                deadline=self.deadline, on_step=on_step,
                on_round=lambda number, learned: rounds.extend({"round": number} | to_dict(one) for one in learned),
            )  # fmt: skip
        night.write(f"{files.TRAINED}/report.json", asdict(report))
        made = [night.write(files.ROUNDS, rounds)] if rounds else []
        return [files.METRICS, *made, *night.files_of(files.TRAINED)]

    def _examine(self, night: NightFolder) -> list[str]:
        """Walk the candidates back towards the served version until nothing is lost."""
        kept = night.read(files.BEFORE)
        if Identity(**kept["identity"]) != self.rooms.identity():
            raise NightError("The base model changed during the night.", "Sleep again.")
        before = ExamResult.from_dict(kept["exam"])
        tries: list[dict[str, Any]] = []
        chosen: tuple[float, ExamResult] | None = None

        def worth(own: Sequence[Answer], earlier: Sequence[Answer]) -> bool:
            return all(reason.ok for reason in gate.losses(before, own, earlier, self.settings.exam))

        parts = PARTS * len(FRACTIONS)
        self.progress("examine", 0, parts)
        for sat, fraction in enumerate(FRACTIONS):
            report = partial(self._examined, sat)
            after = self._sit(night, night.path / files.TRAINED / f"{fraction:.2f}", report, worth=worth)
            decision = gate.decide(before, after, self._drawn(night).lessons(), self.settings.exam)
            failed = [reason.text for reason in decision.reasons if not reason.ok]
            taken = ProbeResult(before.answers, after.answers).taken_over()
            tries.append({"fraction": fraction, "verdict": decision.verdict, "failed": failed, "taken_over": taken})
            if chosen is None or decision.verdict == "promoted":
                chosen = (fraction, after)  # of a night that is rejected, the report shows the full strength
            if decision.verdict == "promoted" or decision.nothing_lost:
                break
        assert chosen is not None
        self.progress("examine", parts, parts)  # the first candidate may do
        exam = {"before": before.to_dict(), "after": chosen[1].to_dict(), "fraction": chosen[0], "tries": tries,
                "training": night.read(f"{files.TRAINED}/report.json")}  # fmt: skip
        return [night.write(files.EXAM, exam)]

    def _examined(self, candidates: int, done: int, of: int) -> None:
        """Progress of the examination, so many candidates having sat before."""
        self.progress("examine", candidates * of + done, of * len(FRACTIONS))

    def _decision(self, night: NightFolder) -> gate.Decision:
        exam = night.read(files.EXAM)
        before, after = (ExamResult.from_dict(exam[key]) for key in ("before", "after"))
        return gate.decide(before, after, self._drawn(night).lessons(), self.settings.exam)

    def _write_verdict(self, night: NightFolder, decision: gate.Decision) -> None:
        """verdict.json, with the lessons as they were worded: attempts count only for that wording."""
        worded = {}
        if night.has(files.LESSONS):
            worded = {lesson.id: past.wording(lesson) for lesson in self._drawn(night).lessons()}
        body = asdict(decision) | {"wordings": worded, "ended": now()}
        night.ledger.write("verdict", now(), [night.write(files.VERDICT, body)])

    # --- after the verdict

    def _after_verdict(self, night: NightFolder, lease: Lease) -> None:
        whole = night.ledger.whole()
        if "settle" not in whole:
            started = now()
            try:
                if night.read(files.VERDICT)["verdict"] == "promoted":
                    self._promote(night, lease)
            except (NightError, DamagedFile) as error:
                if isinstance(error, LeaseHeld):
                    raise
                self._write_verdict(night, gate.because("errored", f"{error.message} {error.hint}"))
            history.settle(self.home, self.store, night, self.settings.night.attempts)
            try:
                strengthen(self.store, night)
            except DamagedFile as error:  # the night is decided, and the next must be able to begin
                log.warning("The links that were walked are as they were: %s", error)
            night.ledger.write("settle", started, [])
        started = now()
        self._left_the_prompt(night)
        # A page that cannot be made must not keep the next night from beginning
        artifacts = [night.write(files.PAGE, page(night))] if _resumes(night) < MAX_RESUMES else []
        night.ledger.write("report", started, artifacts)
        history.clean(night)

    def _left_the_prompt(self, night: NightFolder) -> None:
        """How many of the night's lessons live in the weights now, and the tokens that each turn is spared."""
        learned = [one for one in self.store.lessons(self.persona, "learned") if one.night == night.number]
        if learned:
            self.rooms.link(self.store, self.persona, self.progress)
            tokens, turns = self.rooms.prompt_tokens(self.store, self.persona, learned)
            night.write(files.PROMPT, {"lessons": len(learned), "tokens_a_turn": tokens, "turns": turns})

    def _promote(self, night: NightFolder, lease: Lease) -> None:
        """One atomic replacement of the registry's pointer. Done before a crash, it is only confirmed.

        What is promoted is described as it was at dusk: the settings may be others since a crash.
        """
        dusk, exam = night.read(files.SETTINGS), night.read(files.EXAM)
        verdict, identity = night.read(files.VERDICT), Identity(**night.read(files.BEFORE)["identity"])
        if identity != self.rooms.identity():
            raise NightError("The base model is another one than this night was examined on.", "Sleep again.")
        name = version_name(self.persona, night.number)
        held = {lesson.id for lesson in self.store.lessons(self.persona) if lesson.status != "refused"}
        gone = {lesson.id for lesson in self._drawn(night).lessons()} - held
        if gone and self.registry.serving(self.persona).name != name:
            raise NightError("A lesson of it was erased or refused before it was served.", "Sleep again.")
        if self.registry.serving(self.persona).name == name:
            staged = night.path / "promoted-before-the-crash"  # no such folder: the registry then only confirms
        else:
            staged = self.registry.stage(self.persona, night.number)
            for file in night.files_of(f"{files.TRAINED}/{exam['fraction']:.2f}"):
                shutil.copy(night.path / file, staged)  # one by one: a full disk then says so
        manifest = Manifest(
            persona=self.persona, night=night.number, parent=dusk["parent"],
            preset=dusk["settings"]["learn"]["preset"],
            base_hash=identity.base_hash, template_hash=identity.template_hash,
            lessons=tuple(row["lesson"] for row in verdict["lessons"]), settings=dusk["settings"],
            exam={"reasons": verdict["reasons"], "fraction": exam["fraction"], "retention": exam["after"]["retention"]},
        )  # fmt: skip
        self.registry.promote(staged, manifest, lease.check)

    def _drawn(self, night: NightFolder) -> Drawn:
        return Drawn(self.home, self.store, night, self.settings)

    def _sit(
        self, night: NightFolder, version: Path | None, progress: Parts, known: ExamResult | None = None,
        worth: Worth = lambda own, earlier: True,
    ) -> ExamResult:  # fmt: skip
        drawn = self._drawn(night)
        scenes, earlier = drawn.scenes()
        again = drawn.again()  # what is taught once more may be taken for something else once more
        near = [scene for scene in earlier if scene.lesson in again and scene.kind == "near_miss"]
        return self.rooms.examine(
            version,
            lessons=[*drawn.lessons(), *drawn.lessons("earlier")],
            scenes=[scene for scene in [*scenes, *near] if scene.split == "exam"],
            earlier=[scene for scene in earlier if scene.split == "exam"],
            seed=night.number,
            known=known,
            worth=worth,
            progress=progress,
        )


def _resumes(night: NightFolder) -> int:
    return sum(entry.phase.startswith(RESUMED) for entry in night.ledger.entries())


def exam_of(home: Path, version: str) -> ExamResult | None:
    """The exam that a served version passed on the night that made it: its retention need not be measured again."""
    number = parse_version(version)[1]
    for night in files.folders(home):
        if night.number == number and night.closed and night.has(files.EXAM):
            return ExamResult.from_dict(night.read(files.EXAM)["after"])
    return None
