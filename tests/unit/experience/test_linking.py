"""The memory graph in the store: what is linked, linked anew, and erased."""

import dataclasses
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest

from slowwave.errors import NotFound
from slowwave.experience.graph import DECAY, GAIN, LEAST
from slowwave.experience.linking import Linker
from slowwave.experience.rows import moment
from slowwave.experience.store import Store
from slowwave.memory.graph import Graph
from slowwave.memory.graphml import write_graphml
from slowwave.memory.quality import quality
from slowwave.records import Check, Experience, Lesson, Outcome, Salience


class Words:
    """Texts as counts of their words: texts that share words are alike."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.seen += texts
        rows = np.zeros((len(texts), 64), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[int(hashlib.sha256(word.encode()).hexdigest(), 16) % 64] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def lived(id: str, text: str, time: str = "09:00:00", **fields: Any) -> Experience:
    messages = ({"role": "user", "content": text}, {"role": "assistant", "content": "I am not sure."})
    basis = Experience(id, "default", "user:ann", f"2026-03-01T{time}Z", messages, authority="user")
    return dataclasses.replace(basis, **fields)


TRAM = Lesson(
    "tram", "default", "The tram to my office is tram 5.", "Which tram do I take to my office?", "Tram 5.",
    Check(("5",)), experiences=("e1",), authority="user",
)  # fmt: skip


@pytest.fixture
def filled(store: Store) -> Store:
    store.add(lived("e1", "Which tram do I take to my office?", outcome=Outcome(correction="Tram 5.")))
    store.add(lived("e2", "Is there a tram to the office of Globex?", "09:10:00", outcome=Outcome(rating=1)))
    store.add(lived("e3", "How long do I boil an egg?", "12:00:00"))
    store.save_lesson(TRAM)
    Linker(store, Words(), "default").link()
    return store


def links(store: Store) -> set[tuple[str, str, str]]:
    graph = store.graph.load("default")
    rows = zip(graph.links.source_L, graph.links.kinds(), graph.links.target_L, strict=True)
    return {(graph.nodes[a].id, kind, graph.nodes[b].id) for a, kind, b in rows}


def weights(store: Store) -> dict[tuple[str, str], float]:
    graph = store.graph.load("default")
    rows = zip(graph.links.source_L, graph.links.target_L, graph.links.weight_L, strict=True)
    return {(graph.nodes[a].id, graph.nodes[b].id): float(weight) for a, b, weight in rows}


def vector_of(store: Store, node: str) -> np.ndarray:
    graph = store.graph.load("default")
    return graph.vectors_N_D[graph.place[node]]


def texts(graph: Graph, kind: str) -> list[str]:
    return [node.text for node in graph.nodes if node.kind == kind]


def test_experiences_and_lessons_are_linked(filled: Store) -> None:
    graph = filled.graph.load("default")
    assert texts(graph, "experience") == [
        "Which tram do I take to my office?", "Is there a tram to the office of Globex?", "How long do I boil an egg?",
    ]  # fmt: skip
    assert texts(graph, "lesson") == ["The tram to my office is tram 5."]
    assert texts(graph, "entity") == ["office", "Globex"]
    found = links(filled)
    office = next(node.id for node in graph.nodes if node.text == "office")
    assert {
        ("experience:e2", "follows", "experience:e1"), ("lesson:tram", "derived_from", "experience:e1"),
        ("lesson:tram", "corrects", "experience:e1"), ("lesson:tram", "similar", "experience:e1"),
        ("experience:e1", "mentions", office), ("lesson:tram", "mentions", office),
    } <= found  # fmt: skip
    assert not [link for link in found if "experience:e3" in link and link[1] != "similar"], "hours later"
    length = {
        node.kind: norm for node, norm in zip(graph.nodes, np.linalg.norm(graph.vectors_N_D, axis=1), strict=True)
    }
    assert length == {"experience": pytest.approx(1), "lesson": pytest.approx(1), "entity": 0}


def test_linking_again_does_nothing_and_asks_no_model(filled: Store) -> None:
    before, words = links(filled), Words()
    assert Linker(filled, words, "default").link() == 0
    assert words.seen == [] and links(filled) == before


def test_one_linker_goes_on_with_what_comes(filled: Store) -> None:
    linker, told = Linker(filled, Words(), "default"), list[tuple[int, int]]()
    linker.link()
    filled.add(lived("e4", "Which tram do I take to my school?", "09:20:00"))
    Linker(filled, Words(), "default").link()  # another process
    filled.add(lived("e5", "Which tram do I take to my gym?", "09:25:00"))
    assert linker.link(lambda done, of: told.append((done, of))) == 1 and told[-1] == (1, 1)
    found = links(filled)
    assert {("experience:e5", "follows", "experience:e4"), ("experience:e5", "similar", "experience:e4")} <= found


def test_an_exchange_that_opens_with_a_correction_corrects_what_came_before(store: Store) -> None:
    """Its opening is its own question: a conversation is recorded with all that was said before."""
    asked, answered = lived("e1", "Which tram do I take?").messages
    wrong, sorry = lived("e2", "No, that's wrong.").messages
    store.add(lived("e1", "", messages=(asked, answered, wrong)))
    store.add(lived("e2", "", "09:01:00", messages=(asked, answered, wrong, sorry)))
    store.add(lived("e3", "", "09:02:00", messages=(asked, answered, wrong, sorry, asked, answered)))
    store.add(lived("e4", "No, I said bus.", "09:03:00"))
    Linker(store, Words(), "default").link()
    assert {link for link in links(store) if link[1] in ("follows", "corrects")} == {
        ("experience:e2", "corrects", "experience:e1"), ("experience:e3", "follows", "experience:e2"),
        ("experience:e4", "corrects", "experience:e3"),
    }  # fmt: skip


def test_what_changed_is_linked_anew(filled: Store) -> None:
    filled.amend("e3", outcome=Outcome(), messages=[{"role": "user", "content": "Which tram do I take to my boat?"}])
    filled.edit_lesson("tram", note="The tram to my office is tram 7.", answer="Tram 7.")
    assert Linker(filled, Words(), "default").link() == 2
    graph = filled.graph.load("default")
    assert texts(graph, "lesson") == ["The tram to my office is tram 7."]
    assert "Which tram do I take to my boat?" in texts(graph, "experience")
    assert ("lesson:tram", "derived_from", "experience:e1") in links(filled)


def test_an_edited_answer_alone_is_linked_anew_and_what_came_of_the_lesson_stays(filled: Store) -> None:
    tram = filled.lesson("tram")
    other = dataclasses.replace(tram, id="other", note="It is tram 7.", answer="Tram 7.", experiences=("e2",))
    filled.save_lesson(other)
    filled.set_status("tram", "learned", night=1)
    linker = Linker(filled, Words(), "default")
    linker.link()
    speaks = lambda: {link for link in links(filled) if link[1] == "contradicts"}  # noqa: E731
    (reflection,) = (link for link in links(filled) if link[1:] == ("derived_from", "lesson:tram"))
    assert speaks() == {("lesson:other", "contradicts", "lesson:tram")}
    before = vector_of(filled, "lesson:tram")
    filled.edit_lesson("tram", answer="Tram 7.")
    assert linker.link() == 1 and linker.link() == 0
    assert speaks() == set(), "both say the same now"
    assert reflection in links(filled) and not np.allclose(vector_of(filled, "lesson:tram"), before)
    filled.edit_lesson("tram", salience=0.9)
    assert linker.link() == 0, "its words are as they were"


def test_a_lesson_that_is_saved_with_other_words_is_linked_anew(filled: Store) -> None:
    tram = filled.lesson("tram")
    linker = Linker(filled, Words(), "default")
    filled.save_lesson(dataclasses.replace(tram, note="It is tram 7."))
    assert linker.link() == 1 and texts(filled.graph.load("default"), "lesson") == ["It is tram 7."]
    filled.save_lesson(tram)
    assert linker.link() == 1 and texts(filled.graph.load("default"), "lesson") == [tram.note]
    filled.edit_lesson("tra", note="It is tram 8.")
    assert linker.link() == 1, "by the beginning of its id, too"


def test_a_lesson_that_is_edited_while_much_is_linked_is_linked_as_it_is_then(filled: Store) -> None:
    filled.save_lesson(dataclasses.replace(filled.lesson("tram"), id="new", note="It is tram 7."))
    filled.add(lived("e4", "Which tram do I take to my school?", "09:20:00"))
    told = lambda done, of: filled.edit_lesson("new", note="It is tram 8.")  # noqa: E731
    Linker(filled, Words(), "default").link(told)
    assert "It is tram 8." in texts(filled.graph.load("default"), "lesson")


def test_what_another_process_linked_anew_or_took_away_is_read_again(filled: Store) -> None:
    server, other = Linker(filled, Words(), "default"), Linker(filled, Words(), "default")
    server.link()
    filled.edit_lesson("tram", answer="Tram 9.", note="It is tram 9.")
    other.link()
    filled.save_lesson(dataclasses.replace(filled.lesson("tram"), id="new", note="Tram 9, I said."))
    server.link()
    assert not [link for link in links(filled) if link[1] == "contradicts"], "both say tram 9"
    filled.edit_lesson("tram", experiences=("e1", "e2"))
    filled.set_status("tram", "learned", night=1)
    server.link()
    (before,) = texts(filled.graph.load("default"), "reflection")
    filled.erase("e2")
    assert texts(filled.graph.load("default"), "reflection") == []
    server.link()
    assert texts(filled.graph.load("default"), "reflection") == [before]


def test_a_lesson_that_was_heard_again_comes_from_both(filled: Store) -> None:
    linker = Linker(filled, Words(), "default")
    filled.edit_lesson("tram", experiences=("e1", "e3"))
    assert linker.link() == 1
    found = {target for source, kind, target in links(filled) if (source, kind) == ("lesson:tram", "derived_from")}
    assert found == {"experience:e1", "experience:e3"}


def test_what_came_of_an_amended_exchange_stays_linked_to_it(filled: Store) -> None:
    """Its follow-up comes after a lesson was made of it, say: the lesson still comes from it, over links as strong."""
    filled.graph.walked("default", [("experience:e2", "experience:e1")], night=1)
    linker, said = Linker(filled, Words(), "default"), "Which boat do I take to my school?"
    linker.link()
    filled.amend("e1", outcome=Outcome(rating=1), messages=[{"role": "user", "content": said}])
    assert linker.link() == 1
    kept = {
        ("lesson:tram", "derived_from", "experience:e1"), ("lesson:tram", "corrects", "experience:e1"),
        ("experience:e2", "follows", "experience:e1"),
    }  # fmt: skip
    assert kept <= links(filled)
    assert weights(filled)["experience:e2", "experience:e1"] == pytest.approx(1 - DECAY + GAIN * DECAY), "as walked"
    graph = filled.graph.load("default")
    named = {node.text: node.id for node in graph.nodes}
    assert named[said] == "experience:e1"
    mentioned = {target for source, kind, target in links(filled) if (source, kind) == ("experience:e1", "mentions")}
    assert mentioned == {named["school"]}, "it speaks of something else now"
    assert np.linalg.norm(graph.vectors_N_D[graph.place["experience:e1"]]) == pytest.approx(1)
    filled.add(lived("e4", "Which boat do I take to my gym?", "09:20:00"))
    assert linker.link() == 1 and linker.link() == 0
    assert weights(filled)["experience:e4", "experience:e1"] > 0.5, "compared with what it says now"


def test_what_was_amended_and_scored_before_it_was_linked_anew_is_linked_anew(filled: Store) -> None:
    """As a night does it: first it scores."""
    filled.amend("e3", outcome=Outcome(correction="You should ask Ilse."))
    amended, calm = filled.experience("e3"), Salience(0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
    assert filled.keep_scores([(amended, calm, np.ones(64, np.float32))]) == 1
    assert filled.experience("e3").salience == calm
    assert Linker(filled, Words(), "default").link() == 1
    named = {node.text: node.id for node in filled.graph.load("default").nodes}
    assert ("experience:e3", "mentions", named["Ilse"]) in links(filled)
    assert filled.keep_scores([(amended, calm, np.ones(64, np.float32))]) == 1
    assert filled.graph.vectors(["e3"])["e3"].tolist() == [1] * 64, "one that is linked as it is keeps a new vector"


def test_what_is_amended_costs_no_reading_of_all(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversation amends the exchange before at every turn."""
    linker, held, read = Linker(filled, Words(), "default"), filled.graph.held, list[int]()
    linker.link()
    monkeypatch.setattr(
        filled.graph, "held", lambda persona, after: read.append(len(some := held(persona, after))) or some
    )
    filled.amend("e3", outcome=Outcome(rating=1))
    filled.add(lived("e4", "And a goose egg?", "12:01:00"))
    assert linker.link() == 2 and read == [0]
    assert ("experience:e4", "follows", "experience:e3") in links(filled)


def test_a_refused_lesson_leaves_the_graph(filled: Store) -> None:
    filled.set_status("tram", "refused")
    Linker(filled, Words(), "default").link()
    assert texts(filled.graph.load("default"), "lesson") == []


def test_what_a_night_taught_is_a_reflection_and_a_way_to_do_something_a_skill(filled: Store) -> None:
    how = dataclasses.replace(
        TRAM, id="how", note="Broken chairs go to Ben.", question="How do we deal with broken chairs?", authority="tool"
    )
    filled.save_lesson(how)
    for id in ("tram", "how"):
        filled.set_status(id, "learned", night=3)
    Linker(filled, Words(), "default").link()
    graph = filled.graph.load("default")
    made = {node.kind: node for node in graph.nodes}
    assert made["reflection"].text == "Night 3 taught: The tram to my office is tram 5. Broken chairs go to Ben."
    assert made["reflection"].authority == "tool", "the least of its lineage"
    assert made["reflection"].time == made["skill"].time == moment("2026-03-01T09:00:00Z"), "as old as what it is of"
    assert texts(graph, "skill") == ["Broken chairs go to Ben."]
    assert (made["skill"].id, "derived_from", "lesson:how") in links(filled)
    filled.set_status("how", "undone")
    Linker(filled, Words(), "default").link()
    graph = filled.graph.load("default")
    assert texts(graph, "skill") == []
    assert texts(graph, "reflection") == ["Night 3 taught: The tram to my office is tram 5."]


def test_erasing_removes_what_comes_from_it_alone(filled: Store) -> None:
    filled.save_lesson(dataclasses.replace(TRAM, id="both", note="Both.", experiences=("e1", "e2")))
    filled.set_status("tram", "learned", night=1)
    Linker(filled, Words(), "default").link()
    gone = filled.erase("e1")
    assert [lesson.id for lesson in gone.lessons] == ["tram"]
    assert gone.nodes == 3, "the experience, the lesson, its reflection; the office is mentioned by what stays"
    graph = filled.graph.load("default")
    assert {node.id for node in graph.nodes if node.kind != "entity"} == {
        "experience:e2", "experience:e3", "lesson:both",
    }  # fmt: skip
    assert filled.lesson("both").experiences == ("e2",)
    with pytest.raises(NotFound):
        filled.experience("e1")
    filled.erase("e2")
    assert filled.lessons() == [] and [node.id for node in filled.graph.load("default").nodes] == ["experience:e3"]
    with pytest.raises(NotFound):
        filled.erase("e1")


def test_what_only_an_erased_experience_mentioned_is_linked_again_by_a_linker_that_runs_on(filled: Store) -> None:
    linker = Linker(filled, Words(), "default")
    linker.link()
    filled.erase("e2")  # another process
    assert texts(filled.graph.load("default"), "entity") == ["office"]
    filled.add(lived("e4", "Who leads Globex?", "15:00:00"))
    linker.link()
    globex = next(node.id for node in filled.graph.load("default").nodes if node.text == "Globex")
    assert ("experience:e4", "mentions", globex) in links(filled)


def test_what_was_erased_elsewhere_and_came_again_is_linked_again(filled: Store) -> None:
    linker = Linker(filled, Words(), "default")
    linker.link()
    before = links(filled)
    filled.erase("e2")  # another process
    filled.add(lived("e2", "Is there a tram to the office of Globex?", "09:05:00"))
    assert linker.link() == 1 and linker.link() == 0
    mine = lambda found: {link for link in found if "experience:e2" in link and link[1] == "similar"}  # noqa: E731
    assert mine(before) and {frozenset(link) for link in mine(links(filled))} == {
        frozenset(one) for one in mine(before)
    }


def test_a_lesson_that_was_taught_outright_is_as_old_as_its_link(filled: Store) -> None:
    before = time.time()
    filled.save_lesson(dataclasses.replace(TRAM, id="taught", note="The key is under the mat.", experiences=()))
    Linker(filled, Words(), "default").link()
    assert next(n for n in filled.graph.load("default").nodes if n.id == "lesson:taught").time >= before


def test_personas_share_nothing(filled: Store) -> None:
    filled.add(lived("a1", "Which tram do I take to my office?", persona="ann"))
    Linker(filled, Words(), "ann").link()
    graph = filled.graph.load("ann")
    assert [node.text for node in graph.nodes] == ["Which tram do I take to my office?", "office"]
    assert graph.links.kinds() == ["mentions"]


def test_graphml_is_read_by_others(filled: Store, tmp_path: Path) -> None:
    filled.add(lived("e9", 'A <tag> & a "quote", a bell \x07 and ミラ'))
    Linker(filled, Words(), "default").link()
    graph = filled.graph.load("default")
    write_graphml(graph, tmp_path / "graph.graphml")
    read = networkx.read_graphml(tmp_path / "graph.graphml", force_multigraph=True)
    assert set(read.nodes) == {node.id for node in graph.nodes}
    assert read.nodes["experience:e9"]["text"] == 'A <tag> & a "quote", a bell \N{REPLACEMENT CHARACTER} and ミラ'
    edges = {(a, data["link"], b) for a, b, data in read.edges(data=True)}
    assert edges == links(filled)
    assert all(0 < data["weight"] <= 1 for *_, data in read.edges(data=True))


def test_links_that_were_walked_grow_stronger_and_the_others_fade(filled: Store) -> None:
    before = weights(filled)
    follows = ("experience:e2", "experience:e1")
    pair = ("lesson:tram", next(other for one, other in before if one == "lesson:tram" and other != "experience:e1"))
    filled.graph.walked("default", [pair, pair[::-1], ("lesson:tram", "nowhere")], night=1)
    after = weights(filled)
    faded = before[pair] * (1 - DECAY)
    assert after[pair] == pytest.approx(faded + GAIN * (1 - faded)), "whichever way it was walked, once"
    assert after[follows] == pytest.approx(before[follows] * (1 - DECAY))
    filled.graph.walked("default", [pair], night=1)
    assert weights(filled) == after, "once a night"
    for night in range(2, 300):
        filled.graph.walked("default", [], night=night)
    assert all(LEAST <= weight < 1.05 * LEAST for weight in weights(filled).values()), "seldom walked, still there"


def test_links_that_fade_hide_no_duplicates(filled: Store) -> None:
    filled.add(lived("e4", "How long do I boil an egg?", "15:00:00"))
    Linker(filled, Words(), "default").link()
    before = quality(filled.graph.load("default")).duplicates
    assert before == pytest.approx(1 / 5)
    for night in range(1, 4):
        filled.graph.walked("default", [], night=night)
    assert quality(filled.graph.load("default")).duplicates == before


def test_walks_of_one_persona_leave_the_links_of_another(filled: Store) -> None:
    before = weights(filled)
    filled.add_persona("other")
    filled.graph.walked("other", [], night=1)
    assert weights(filled) == before
