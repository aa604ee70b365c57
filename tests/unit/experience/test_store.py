import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slowwave.errors import NotFound, UsageError
from slowwave.experience.store import Added, Store
from slowwave.records import Check, Experience, Lesson, Outcome, Salience

SALIENCE = Salience(0.9, 0.8, 0.1, 0.5, 0.7, 0.6, valence=-0.5, reasons={"surprise": "It was."})


def lived(id: str = "a1", **fields: Any) -> Experience:
    messages = ({"role": "user", "content": f"Hello {id}"}, {"role": "assistant", "content": "Hi."})
    basis = Experience(id, "default", "user:ann", "2026-03-01T09:00:00Z", messages, authority="user")
    return dataclasses.replace(basis, **fields)


def test_an_experience_comes_back_as_it_went_in(store: Store) -> None:
    full = lived(outcome=Outcome(-1.0, "I'm Mira — ミラ.", True), salience=SALIENCE, adapter="default@n0001")
    assert store.add(full)
    assert store.experience("a1") == full
    assert store.experiences() == [full]


def test_adding_twice_adds_nothing_and_changes_nothing(store: Store) -> None:
    assert store.add(lived(salience=SALIENCE))
    assert not store.add(lived(source="user:eve"))
    assert store.experience("a1").source == "user:ann"
    assert store.add_many([lived("a1"), lived("a2"), lived("a2")]) == Added(new=1, duplicates=2)


def test_the_same_content_without_an_id_is_a_duplicate(store: Store) -> None:
    assert store.add(lived(""))
    assert not store.add(lived(""))
    assert not store.add(lived("", time="2026-03-01T10:00:00+01:00")), "the same moment, written differently"
    assert store.add(lived("", time="2026-03-01T09:00:01Z"))


def test_selection(store: Store) -> None:
    low = dataclasses.replace(SALIENCE, total=0.2)
    store.add(lived("c", time="2026-03-03T00:00:00Z", salience=low))
    store.add(lived("a", time="2026-03-01T00:00:00.5Z", salience=SALIENCE))
    store.add(lived("b", time="2026-03-01T00:00:01Z"))
    store.add(lived("x", persona="ann"))
    names = lambda **which: [e.id for e in store.experiences("default", **which)]  # noqa: E731
    assert names() == ["a", "b", "c"]
    assert names(limit=2) == ["b", "c"]
    assert names(since="2026-03-01T01:00:01+01:00") == ["b", "c"]
    assert names(min_total=0.5) == ["a"]
    assert [e.id for e in store.unscored("default")] == ["b"]
    assert store.personas() == ["ann", "default"]
    with pytest.raises(UsageError):
        store.experiences(since="yesterday")


def test_by_the_beginning_of_an_id(store: Store) -> None:
    store.add_many([lived("3f2a"), lived("3f2b"), lived("3f"), lived("a_b"), lived("axb")])
    assert store.experience("3f2a").id == "3f2a"
    assert store.experience("3f").id == "3f", "an exact id wins over longer ones"
    assert store.experience("a_").id == "a_b", "an underscore is no wildcard"
    for wrong in ("3f2", "zz", ""):
        with pytest.raises(NotFound):
            store.experience(wrong)


def test_salience_and_what_followed(store: Store) -> None:
    store.add(lived())
    store.set_salience("a1", SALIENCE)
    store.set_embedding("a1", np.ones(3))
    assert store.experience("a1").salience == SALIENCE
    with pytest.raises(ValueError, match="finite"):
        store.set_salience("a1", dataclasses.replace(SALIENCE, total=float("nan")))
    longer = (*lived().messages, {"role": "user", "content": "No!"})
    store.amend("a1", outcome=Outcome(rating=-1.0), messages=longer)
    assert store.unscored("default") == [lived(outcome=Outcome(rating=-1.0), messages=longer)]
    assert store.embeddings("default")[0] == []
    with pytest.raises(NotFound):
        store.set_salience("zz", SALIENCE)


def test_embeddings(store: Store) -> None:
    assert store.embeddings("default")[1].shape == (0, 0)
    for day, id in enumerate(("b", "a", "c"), start=1):
        store.add(lived(id, time=f"2026-03-0{day}T00:00:00Z"))
    store.set_embedding("b", np.array([1.0, 2.0], np.float64))
    store.set_embedding("a", np.array([3.0, 4.0]))
    ids, vectors = store.embeddings("default")
    assert (ids, vectors.dtype) == (["b", "a"], np.float32)
    np.testing.assert_array_equal(vectors, [[1, 2], [3, 4]])
    store.set_embedding("c", np.zeros(5))
    assert store.embeddings("default")[0] == ["c"], "vectors of an earlier embedder cannot be compared"
    assert store.embeddings("nobody")[0] == []


def lesson(id: str = "l1", **fields: Any) -> Lesson:
    basis = Lesson(
        id, "default", "Your name is Mira.", "Who are you?", "I'm Mira.", Check(("Mira",), ("SmolLM",)), cue="who"
    )
    return dataclasses.replace(basis, **fields)


def test_lessons(store: Store) -> None:
    store.add_many([lived("e2"), lived("e1")])
    taught = lesson(experiences=("e2", "e1"), authority="user", salience=0.4)
    store.save_lesson(taught)
    store.save_lesson(lesson("k2", persona="ann"))
    assert store.lesson("l") == taught
    assert store.lessons("default") == [taught]
    assert [one.id for one in store.lessons()] == ["l1", "k2"]
    store.set_status("l1", "approved")
    store.set_status("l1", "learned", night=7)
    store.set_status("l1", "unlearned")
    assert (store.lesson("l1").status, store.lesson("l1").night) == ("unlearned", 7)
    assert (store.lesson("l1").review, store.lesson("k2").review) == ("approved", None), "what a person said stays"
    assert store.lessons("default", status="proposed") == []
    assert store.edit_lesson("l1", salience=0.5).review == "approved"
    assert store.edit_lesson("l1", question="Who is it?").review is None, "it was said of other words"
    changed = store.edit_lesson("l1", answer="Mira.", experiences=("e1",), check=Check(("mira",)))
    assert store.lesson("l1") == changed
    assert (changed.answer, changed.experiences, changed.status) == ("Mira.", ("e1",), "unlearned")
    assert [one.id for one in store.lessons()] == ["l1", "k2"], "replacing keeps the order"
    for wrong in ({"colour": "red"}, {"id": "l9"}):
        with pytest.raises(UsageError):
            store.edit_lesson("l1", **wrong)
    with pytest.raises(NotFound):
        store.save_lesson(lesson("l3", experiences=("nowhere",)))
    with pytest.raises(NotFound):
        store.lesson("l3")  # nothing of the failed one was kept


def test_edits_of_one_lesson_at_once_are_all_kept(tmp_path: Path) -> None:
    fields = ("note", "question", "answer", "cue", "applies", "not_applies")
    with Store(tmp_path) as store:
        store.save_lesson(lesson())
        together = threading.Barrier(len(fields))

        def edit(field: str) -> None:
            for turn in range(10):
                together.wait(10)
                store.edit_lesson("l1", **{field: f"{field} {turn}"})
                together.wait(10)
                assert getattr(store.lesson("l1"), field) == f"{field} {turn}"

        with ThreadPoolExecutor(len(fields)) as pool:
            for done in [pool.submit(edit, field) for field in fields]:
                done.result()


def test_statistics_and_personas(store: Store) -> None:
    assert store.get_statistics("s") == {}
    store.put_statistics("s", {"count": 1})
    store.put_statistics("s", {"count": 2})
    assert store.get_statistics("s") == {"count": 2}
    assert [store.add_persona("ann"), store.add_persona("ann")] == [True, False]
    for wrong in ("", "../up", "a b", "x" * 65, "a@b"):
        with pytest.raises(UsageError):
            store.add_persona(wrong)
        with pytest.raises(UsageError):
            store.add(lived(persona=wrong))


def test_threads_may_write_and_read_at_once(store: Store) -> None:
    failures: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for i in range(25):
                store.add(lived(f"w{worker}-{i}"))
                store.set_salience(f"w{worker}-{i}", SALIENCE)
                store.experiences("default", limit=3)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.experiences("default", min_total=0.5)) == 150
