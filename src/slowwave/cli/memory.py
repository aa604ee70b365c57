"""`slowwave memory`: the graph of what was lived: what lies around something, how good the graph is, a file of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated

import typer

from slowwave.cli._common import HomeOption, JsonOption, PersonaOption, Session, SetOption
from slowwave.cli._progress import phases
from slowwave.plain import printable

if TYPE_CHECKING:
    from slowwave.memory.graph import Graph
    from slowwave.records import Node

app = typer.Typer(help="How what was lived connects: list, show, quality, export.", no_args_is_help=True)


@app.command("list")
def list_(
    persona: PersonaOption = None, home: HomeOption = None, as_json: JsonOption = False, flags: SetOption = None
) -> None:
    """How many memories and links of each kind there are; which lessons live in the prompt, which in the weights."""
    from rich.table import Table

    from slowwave.night.waking import waiting

    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    graph = linked(session)
    nodes, links = Counter(node.kind for node in graph.nodes), Counter(graph.links.kinds())
    lives = [("prompt", lesson) for lesson in waiting(session.store, session.persona, session.settings.night)]
    lives += [("weights", lesson) for lesson in session.store.lessons(session.persona, status="learned")]
    table = Table("lives in", "night", "lesson", box=None, pad_edge=False)
    for place, lesson in lives:
        table.add_row(place, str(lesson.night or ""), printable(lesson.note))
    session.answer(
        {
            "nodes": dict(nodes),
            "links": dict(links),
            "lessons": [{"lives_in": place, "id": o.id, "note": o.note, "night": o.night} for place, o in lives],
        },
        *(f"{count:>8}  {kind}" for kind, count in nodes.most_common()),
        *(f"{count:>8}  {kind.replace('_', ' ')} (link)" for kind, count in links.most_common()),
        *(("", table) if lives else ()),
        *(() if graph.nodes else ("Nothing was lived yet.",)),
    )


@app.command("show")
def show(
    what: Annotated[str, typer.Argument(help="The id of an experience or a lesson (or its beginning), or any words.")],
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many on each list.")] = 12,
    persona: PersonaOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """What is linked to something, and what lies near it over several links (personalised PageRank)."""
    import numpy as np

    from slowwave.records import to_dict

    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    graph = linked(session)
    place = _find(session, graph, what)
    node = graph.nodes[place]
    every = graph.neighbours(place)
    links = every[:limit]
    rank_N = graph.rank({place: 1.0})
    beside = {place, *(other for other, *_ in every)}
    near = [int(at) for at in np.argsort(-rank_N, kind="stable")[: limit + len(beside)] if rank_N[at] > 0]
    near = [at for at in near if at not in beside][:limit]
    session.answer(
        {
            "node": to_dict(node),
            "links": [
                {"kind": kind, "outward": outward, "weight": weight, "node": to_dict(graph.nodes[other])}
                for other, kind, weight, outward in links
            ],
            "near": [{"rank": float(rank_N[at]), "node": to_dict(graph.nodes[at])} for at in near],
        },
        _line(graph, place),
        *(
            f"  {kind.replace('_', ' '):>12} {'->' if outward else '<-'} {weight:.2f}  {_line(graph, other)}"
            for other, kind, weight, outward in links
        ),
        *(("", "near, over several links:") if near else ()),
        *(f"  {rank_N[at]:.4f}  {_line(graph, at)}" for at in near),
    )


@app.command("quality")
def quality_(
    persona: PersonaOption = None, home: HomeOption = None, as_json: JsonOption = False, flags: SetOption = None
) -> None:
    """Figures of the graph: what hangs together, orphans, duplicates, contradictions."""
    from dataclasses import asdict

    from slowwave.memory.quality import DOUBLE, quality

    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    found = quality(linked(session))
    session.answer(
        {"quality": asdict(found)},
        f"{found.memories:>8}  memories (people and things not counted), {found.links} links",
        f"{found.coverage:>8.1%}  of them hang together, in the largest part",
        f"{found.degree_mean:>8.1f}  links each (median {found.degree_median:g})",
        f"{found.orphans:>8.1%}  have none",
        f"{found.duplicates:>8.1%}  say what an older one says (cosine from {DOUBLE} on)",
        f"{found.contradictions:>8}  pairs of lessons contradict each other",
    )


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="The GraphML file to write; it must not be there yet.")],
    persona: PersonaOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """The graph as GraphML, for Gephi, Cytoscape or networkx. It holds what was said."""
    from slowwave.errors import UsageError
    from slowwave.memory.graphml import write_graphml

    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    if file.exists():
        raise UsageError(f"{file} is there already.", "Give another name, or remove it.")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {file.absolute().parent}.", "Make it, or give another name.")
    graph = linked(session)
    write_graphml(graph, file)
    counts = {"nodes": len(graph.nodes), "links": len(graph.links.kind_L)}
    session.answer({"file": str(file), **counts}, f"{counts['nodes']} nodes and {counts['links']} links in {file}.")


def linked(session: Session) -> Graph:
    """The persona's graph, with all that is new linked to it first. Needs the embedder only if something is."""
    from slowwave.experience.linking import Linker

    session.require_persona()
    embedder = SimpleNamespace(embed=lambda texts: session.embedder.embed(texts))  # loaded only if something is new
    with phases() as progress:
        Linker(session.store, embedder, session.persona).link(lambda done, of: progress("memory", done, of))
    return session.store.graph.load(session.persona)


def _find(session: Session, graph: Graph, what: str) -> int:
    """The node that is meant: by the id of what it stands for, by name, or the nearest in meaning. Raises NotFound,
    and UsageError where several ids begin so."""
    import numpy as np

    from slowwave.errors import NotFound, UsageError
    from slowwave.memory.grow import SIMILAR

    what = " ".join(what.split())
    begins = [
        at for at, node in enumerate(graph.nodes) if what and what in (node.id[: len(what)], _ref(node)[: len(what)])
    ]
    whole = [at for at in begins if what in (graph.nodes[at].id, _ref(graph.nodes[at]))]
    named = [at for at, node in enumerate(graph.nodes) if node.text.lower() == what.lower()]
    if whole or named or len(begins) == 1:
        return (whole or named or begins)[0]
    if begins and any(char in ":.0123456789" for char in what):  # words go by meaning
        some = ", ".join(graph.nodes[at].id for at in begins[:5])
        raise UsageError(f"{len(begins)} ids begin with {what!r}: {some}.", "Give more of the id.")
    if not what or not graph.vectors_N_D.size:
        raise NotFound(f"Nothing is known about {what!r}.", "`slowwave memory list` says what there is.")
    cosine_N = graph.vectors_N_D @ session.embedder.embed([what])[0]
    if cosine_N.max() < SIMILAR:
        raise NotFound(f"Nothing like {what!r} was lived or learned.", "`slowwave memory list` says what there is.")
    return int(np.argmax(cosine_N))


def _line(graph: Graph, place: int) -> str:
    node = graph.nodes[place]
    return printable(f"{node.kind} {_ref(node)[:12]}  {node.text}", keep="")


def _ref(node: Node) -> str:
    """The id of what a node stands for."""
    return node.id.partition(":")[2]
