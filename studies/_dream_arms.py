"""What each arm of dreams.py trains on: scenes of a source, collided or not, judged or not, as many as tokens buy.

All arms of a seed take their wordings, near misses and ordinary scenes from one dream.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import _memories
import _night
import numpy as np
from _quality import Item

from slowwave.dream import bank, filters, forms, situations
from slowwave.dream.anew import Anew
from slowwave.dream.answered import answered
from slowwave.dream.collide import Collider
from slowwave.dream.dreamer import Dreamer
from slowwave.dream.loop import Sampled, by_need, cloned, edge, evenly, reinforced
from slowwave.dream.make import questions, user
from slowwave.dream.sense import sensible
from slowwave.dream.settings import DreamSettings
from slowwave.dream.wordings import Wordings
from slowwave.memory.graph import Graph
from slowwave.models.chat import prompt_ids, reply_ids
from slowwave.night.rounds import Choose, Deal, Learn
from slowwave.records import Scene, from_dict, to_dict

COLLIDED = 1.0  # of an arm that collides every scene is there alone and in a situation, to draw from
KEPT = 0.67  # share of the scenes that the judge keeps
ROUNDS = 3


def by_chance(sampled: Sequence[Sampled], count: int, rng: np.random.Generator) -> list[Sampled]:
    """What the edge of capability is compared with."""
    return [sampled[i] for i in rng.permutation(len(sampled))[:count]]


@dataclass(frozen=True)
class Arm:
    """One way to dream."""

    source: str = "paraphrase"  # or "wide", "exchange", "forms"
    graph: str = ""  # the name of the graph that is walked; none: no collisions
    judged: bool = False
    rounds: int = 1
    choose: Choose = by_chance
    learn: Learn = cloned
    steady: bool = True
    deal: Deal = evenly
    anew: bool = False  # dreams once more between two rounds


Changed = Callable[[Graph, Sequence[_memories.Memory], int], Graph | None]
GRAPHS: dict[str, Changed] = {  # of the memories' graph, the memories and a seed; None: by chance
    "chance": lambda graph, memories, seed: None,
    "as it is": lambda graph, memories, seed: graph,
    "shuffled": lambda graph, memories, seed: _memories.shuffled(graph, seed),
    "duplicates": lambda graph, memories, seed: _memories.doubled(graph, 30, memories),
    "orphans": lambda graph, memories, seed: _memories.orphaned(graph, 0.5, seed),
}
_JUDGED = Arm(graph="as it is", judged=True)
_ROUNDS = replace(_JUDGED, rounds=ROUNDS)
_EDGE = replace(_ROUNDS, choose=edge, deal=by_need)  # among scenes, and among lessons
_WHOLE = replace(_EDGE, steady=False)
ARMS = {
    "exchange": Arm("exchange"),
    "seven forms": Arm("forms"),
    "paraphrase": Arm(),
    "uniform": Arm(graph="chance"),
    "walk": Arm(graph="as it is"),
    "judge": _JUDGED,
    "rounds": _ROUNDS,
    "edge": _EDGE,
    "schedule": _WHOLE,
    "anew": replace(_WHOLE, anew=True),
    "evenly": replace(_WHOLE, deal=evenly),
    "reinforce": replace(_WHOLE, learn=reinforced),
    "links shuffled": Arm(graph="shuffled"),
    "duplicates": Arm(graph="duplicates"),
    "orphans": Arm(graph="orphans"),
}


class _Forms(Wordings):
    """What the model wrote in the seven fixed forms, and nothing else."""

    def candidates(self, *args: Any) -> dict[str, list[tuple[str, str]]]:
        found = super().candidates(*args)
        families = {"given", *forms.FORMS}
        return {id: [one for one in mine if one[0] in families] for id, mine in found.items()}


def dreamt(args: Any, engine: Any, items: Sequence[Item], seed: int, wide: bool = False) -> dict[str, list[Scene]]:
    """The scenes of a seed by source, the narrow ones or the wide: twice as many as an arm of sixteen takes."""
    lessons = [item.lesson for item in items if item.lesson]
    least = settings_of(args)
    settings = least if args.smoke else replace(least, composed=args.composed)
    writer = _night._loaded(args.dreamer, args.dtype) if args.dreamer else None
    settings = replace(settings, wide=wide, written=8 if writer else 0)
    if wide and not args.smoke:  # and more of the model's own, from the thesaurus, and of everyday life
        settings = replace(settings, apply=150, samples=20, ordinary=5 * args.ordinary)
    dreamer = Dreamer(engine, _night._embedder(args.embedder), settings, writer=writer)
    every = dreamer.dream(lessons, seed=seed)
    if wide:
        return {"wide": every}
    settings = least if args.smoke else replace(least, apply=90, composed=0, samples=12, similarity=0.4)
    dreamer = Dreamer(engine, _night._embedder(args.embedder), settings, writer=writer)
    dreamer.lessons.wordings = _Forms(engine, dreamer.embedder, settings, dreamer.writer)
    worded = dreamer.lessons.wordings.candidates(lessons, seed, float("inf"), lambda *_: None)
    mine = []
    for lesson in lessons:
        of = [one for one in every if one.lesson == lesson.id and one.kind == "apply" and one.split == "train"]
        given = [one for one in of if one.family == "given"]
        texts = filters.choose(
            [(f"{form} {i}", text) for i, (form, text) in enumerate(worded.get(lesson.id, [])) if form != "given"],
            lesson.question or lesson.note, dreamer.embedder, least=settings.similarity, count=settings.apply,
            others_ND=dreamer.bank_ND,
        )  # fmt: skip
        if given and given[0].answer and texts:
            mine += [given[0], *(replace(given[0], messages=(user(t),), family="forms") for _, t, _ in texts)]
        else:  # a habit has no wordings: its scenes are messages with the cue
            mine += of
    exchange = [one for one in every if one.kind == "apply" and one.family == "given" and one.split == "train"]
    without = {one.lesson for one in every if one.kind == "apply"} - {one.lesson for one in exchange}
    exchange += [next(one for one in every if one.kind == "apply" and one.lesson == id) for id in without]
    return {"paraphrase": every, "forms": mine, "exchange": exchange}


def anew(args: Any, engine: Any, items: Sequence[Item], dreamt: dict[str, list[Scene]], seed: int) -> Anew:
    """What dreams once more between two rounds, and nothing that was dreamt or is kept for the exam."""
    embedder = _night._embedder(args.embedder)
    wordings = Wordings(engine, embedder, settings_of(args))
    taken = questions(one for mine in dreamt.values() for one in mine)
    lessons = [item.lesson for item in items if item.lesson]
    return Anew(wordings, lessons, embedder.embed(bank.ordinary()), taken, DreamSettings().anew, seed)


def settings_of(args: Any) -> DreamSettings:
    """The dreamer's; anchors are as many and as long for every arm."""
    least = _night.dream_settings(args)
    if args.smoke:
        return least
    more = {"composed_near": args.near, "ordinary": args.ordinary}
    return replace(least, **more, near_tokens=args.anchor_tokens, answer_tokens=args.anchor_tokens)


def scenes_of(
    args: Any,
    engine: Any,
    items: Sequence[Item],
    arm: Arm,
    dreamt: dict[str, list[Scene]],
    seed: int,
    tokens: int,
    work: Path,
) -> tuple[list[Scene], int]:
    """The training scenes that the arm may choose from, and how many a lesson its tokens buy.

    Args:
        work: scenes that were collided are kept there, for arms of other sizes.
    """
    lessons = [item.lesson for item in items if item.lesson]
    embedder = _night._embedder(args.embedder)
    wide = arm.source == "wide"
    every = [one for one in dreamt["wide" if wide else "paraphrase"] if one.split == "train"]
    if arm.source in ("forms", "exchange"):
        every = [one for one in every if not one.taught] + dreamt[arm.source]
    kept = work / f"collided-{'wide-' if wide else ''}{arm.graph}-{seed}.json".replace(" ", "-")
    if arm.graph and kept.exists():
        every = read(kept)
    elif arm.graph:
        memories = _memories.memories(items)
        graph = GRAPHS[arm.graph](_memories.graph(items, embedder), memories, seed)
        collider = Collider(_memories.with_copies(memories, graph), embedder, graph)
        settings = DreamSettings(collided=COLLIDED, chains=4)
        every = situations.collide(every, lessons, collider, settings, np.random.default_rng([seed, 11]))
        with engine.using(None):
            every = answered(engine, every, settings_of(args), lambda *_: None)
        write(kept, every)
    most = bought(engine, every, tokens)
    if arm.judged:
        choice = 1 if arm.rounds == 1 else 1.5  # rounds leave some of it
        every = cut(every, round(choice * most / KEPT), seed, cycle=False)
        with engine.using(None):
            every = sensible(engine, embedder, every, lessons, KEPT)
    return every, most


def read(kept: Path) -> list[Scene]:
    """What `write` wrote."""
    return [from_dict(Scene, one) for one in json.loads(kept.read_text())]


def write(kept: Path, scenes: Sequence[Scene]) -> None:
    """Whole or not at all: other processes look for it."""
    part = kept.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps([to_dict(scene) for scene in scenes]))
    part.rename(kept)


def bought(engine: Any, scenes: Sequence[Scene], tokens: int) -> int:
    """How many scenes of a lesson so many tokens buy: the mean over what is taught, context and reply."""
    sizes: dict[str | None, list[int]] = {}
    for one in scenes:
        if one.taught and one.answer:
            size = len(prompt_ids(engine.tokenizer, one.messages)) + len(reply_ids(engine.tokenizer, one.answer))
            sizes.setdefault(one.lesson, []).append(size)
    mean = float(np.mean([np.mean(mine) for mine in sizes.values()]))
    return max(1, round(tokens / mean))


def cut(scenes: Sequence[Scene], each: int, seed: int, *, cycle: bool = True) -> list[Scene]:
    """`each` scenes of every lesson, by chance after its own exchange; in turn, with `cycle`, where there are fewer."""
    rng = np.random.default_rng([seed, 13])
    of: dict[str | None, list[Scene]] = {}
    for i in rng.permutation(len(scenes)):
        if scenes[i].taught and scenes[i].answer:
            of.setdefault(scenes[i].lesson, []).append(scenes[i])
    out = [one for one in scenes if not one.taught]
    for mine in of.values():
        mine.sort(key=lambda one: one.family != "given")
        out += [mine[i % len(mine)] for i in range(each if cycle else min(each, len(mine)))]
    return out
