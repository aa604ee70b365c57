"""What of the dreams' studies needs no model: the graph that is spoilt, what tokens buy, tables and the plot."""

from __future__ import annotations

import importlib
import json
import sys
from concurrent.futures import Executor, Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from slowwave.dream.make import scene
from tests.unit.dream.conftest import Hashes

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "studies")]
_dream_arms, _dream_plot, _dream_rows, _memories, _quality, dreams, diversity = map(
    importlib.import_module,
    ("_dream_arms", "_dream_plot", "_dream_rows", "_memories", "_quality", "dreams", "diversity"),
)

ITEMS = _quality.load(ROOT / "bench" / "lessons" / "dev.json", 6)


def test_the_memory_graph_of_the_lessons_and_three_ways_to_spoil_it() -> None:
    graph = _memories.graph(ITEMS, Hashes())
    memories = _memories.memories(ITEMS)
    assert {one.node for one in memories} <= set(graph.place) and len(memories) > 10
    count = len(graph.links.source_L)
    assert count > 20
    shuffled = _memories.shuffled(graph, 1)
    assert len(shuffled.links.source_L) == count and (shuffled.links.target_L != graph.links.target_L).any()
    doubled = _memories.doubled(graph, 3, memories)
    assert len(doubled.nodes) == len(graph.nodes) + 3 and len(doubled.links.source_L) > count
    degree = lambda one: np.bincount(np.r_[one.links.source_L, one.links.target_L])  # noqa: E731
    most = max(degree(graph)[graph.place[one.node]] for one in memories)
    assert (degree(doubled)[-3:] == most).all()
    twice = _memories.with_copies(memories, doubled)
    assert (
        twice[: len(memories)]
        == memories
        == _memories.with_copies(memories, graph)
        == _memories.with_copies(memories, None)
    )
    assert {one.node for one in twice[len(memories) :]} == {node.id for node in doubled.nodes[-3:]}, "and can be met"
    assert len({one.question for one in twice[len(memories) :]}) == 1
    orphaned = _memories.orphaned(graph, 0.5, 0)
    assert 0 < len(orphaned.links.source_L) < count / 2 and orphaned.nodes == graph.nodes


def test_every_lesson_gets_as_many_scenes_and_its_own_exchange() -> None:
    lessons = [item.lesson for item in ITEMS[:2] if item.lesson]
    scenes = [scene(lessons[0], "apply", f"text {i}", "x", "given" if i == 3 else "composed") for i in range(9)]
    scenes += [scene(lessons[1], "apply", "alone", "x", "given"), scene(lessons[1], "near_miss", "not", "y", "near")]
    found = _dream_arms.cut(scenes, 4, 0)
    assert [one.lesson for one in found if one.taught].count(lessons[0].id) == 4
    assert [one.messages[0]["content"] for one in found if one.lesson == lessons[1].id] == ["not", *["alone"] * 4]
    assert "text 3" in [one.messages[0]["content"] for one in found]


def result(arm: str, seed: int, held: float, novel: list[float], lessons: str = "dev") -> dict[str, Any]:
    kinds = ["speaker", "domain", "register", "multi_turn"]
    a, b = f"{lessons}-fact-1", f"{lessons}-fact-2"
    groups = {
        "held_out": [a, b],
        "novel": [a, a, b, b],
        "kinds of situation": kinds,
        "right": [a],
        "taken_over": [b],
    }
    return {"arm": arm, "seed": seed, "held_out": [held, 1.0], "novel": novel, "right": [1.0], "taken_over": [0.0],
            "drift": 0.01 * (seed + 1), "groups": groups}  # fmt: skip


def test_the_table_tells_ratios_differences_and_doublings() -> None:
    some = [result("base", 0, 0.0, [0.0] * 4)]
    for seed in range(2):
        some += [result("walk x8", seed, 0.0, [1.0, 0, 0, 0]), result("walk", seed, 1.0, [1.0, 1, 0, 0]),
                 result("seven forms", seed, 1.0, [0.0] * 4)]  # fmt: skip
    rows = {row.figure: row for row in _dream_rows.rows_of(some, ["base", "walk x8", "walk", "seven forms"])}
    assert rows["walk: novel over held-out"].value == pytest.approx(0.5)
    assert rows["walk: novel, speaker"].value == 1 and rows["walk: novel, multi_turn"].value == 0
    assert rows["walk against seven forms: novel situations"].value == pytest.approx(0.5)
    assert rows["walk, to x16: held-out wordings gained"].value == pytest.approx(0.5)
    assert rows["walk: near misses right, against base"].value == 0
    assert rows["walk: drift, nats a token (and the seeds' range)"].value == pytest.approx(0.015)


@pytest.mark.parametrize(("less", "more", "adds"), [
    ("paraphrase", "uniform", {"graph"}), ("uniform", "walk", {"graph"}),
    ("walk", "judge", {"judged"}), ("judge", "rounds", {"rounds"}),
    ("rounds", "edge", {"choose", "deal"}), ("edge", "schedule", {"steady"}), ("schedule", "anew", {"anew"}),
    ("evenly", "schedule", {"deal"}), ("schedule", "reinforce", {"learn"}),
])  # fmt: skip
def test_an_arm_adds_one_thing_to_another(less: str, more: str, adds: set[str]) -> None:
    one, other = _dream_arms.ARMS[less], _dream_arms.ARMS[more]
    assert {name for name, value in vars(one).items() if getattr(other, name) != value} == adds


def test_whether_the_schedule_beats_fixed_prompts_is_held_against_a_narrow_interval() -> None:
    many = [result(arm, 0, held, [held] * 4, f"dev{i}") for i in range(40) for arm, held in
            (("base", 0.0), ("schedule", 1.0), ("seven forms", float(i % 2)))]  # fmt: skip
    name = "schedule against seven forms: the width of that interval"
    for some, ok in ((many[:6], False), ([one | {"held_out": [1.0, 1.0]} for one in many], True)):
        rows = {row.figure: row for row in _dream_rows.rows_of(some, ["base", "schedule", "seven forms"])}
        difference = rows["schedule against seven forms: held-out wordings"]
        assert difference.aim == 0.1 and difference.ok is None, "a hypothesis: reported whichever way it falls"
        assert rows[name].value == pytest.approx(difference.high - difference.low) and rows[name].ok == ok


def test_results_on_further_lessons_are_compared_each_with_its_own() -> None:
    some = []
    for lessons, right in (("exam", 1.0), ("wide1", 0.0)):
        for arm, held in (("base", 0.0), ("walk", 1.0), ("seven forms", 0.0)):
            one = result(arm, 0, held, [held] * 4, lessons)
            some.append(one | {"right": [right if arm == "base" else 1.0]})
    assert [_dream_rows.lessons_of(one) for one in some[::3]] == ["exam", "wide1"]
    some.append(some[-1] | {"seed": 1})  # of seven forms alone
    rows = {row.figure: row for row in _dream_rows.rows_of(some, ["base", "walk", "seven forms"])}
    assert rows["walk: near misses right, against base"].value == pytest.approx(0.5)
    assert rows["walk against seven forms: held-out wordings"].value == pytest.approx(0.5)
    rows = {row.figure: row for row in _dream_rows.rows_of(some[1:], ["base", "walk"])}
    assert "walk: near misses right, against base" not in rows, "the base was not asked the exam's"


def test_a_table_is_made_of_the_logs_and_lessons_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = []
    for lessons in ("exam", "wide1", "wide2"):
        one = result("walk", 0, 1.0, [1.0] * 4, lessons)
        logs.append(tmp_path / f"{lessons}.jsonl")
        logs[-1].write_text(f"{json.dumps({'arm': 'dream', 'seed': 0})}\n{json.dumps(one)}\n")
    seen: list[list[dict[str, Any]]] = []
    monkeypatch.setattr(_dream_rows, "rows_of", lambda results, arms: seen.append(results) or [])
    monkeypatch.setattr(sys, "argv", ["dreams.py", "--also", "wide2", "--from-log", *map(str, logs)])
    dreams.main()
    assert [_dream_rows.lessons_of(one) for one in seen[0]] == ["exam", "wide2"]
    monkeypatch.setattr(sys, "argv", ["dreams.py", "--also", "wide9", "--from-log", str(logs[0])])
    with pytest.raises(SystemExit):
        dreams.main()
    assert "wide3" in capsys.readouterr().err


def test_a_smoke_run_leaves_the_exam_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(dreams.night_quality, "run", lambda args, arms, job: ran.append(args.lessons) or [])
    for arguments in (["--smoke"], ["--smoke", "--also", "wide1"], ["--arms", "walk", "--also", "wide1,wide2"]):
        monkeypatch.setattr(sys, "argv", ["dreams.py", *arguments])
        dreams.main()
    assert ran == ["dev", "dev", "exam", "wide1", "wide2"]


def test_an_arm_has_a_size_and_settings_of_learning() -> None:
    arm, size, learn = dreams.sized("links shuffled x4 kl_weight=6 rank=8")
    assert arm is _dream_arms.ARMS["links shuffled"] and size == 4 and (learn.kl_weight, learn.rank) == (6, 8)
    assert dreams.sized("walk")[1] == 16
    for wrong in ("walks", "walk x", "walk kl=3", "seven forms wide"):
        with pytest.raises((KeyError, ValueError)):
            dreams.sized(wrong)


def test_what_was_collided_is_taken_from_where_it_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = ITEMS[0].lesson
    assert lesson is not None
    plain, situated = (scene(lesson, "apply", text, "x", "composed") for text in ("plain", "on the phone: plain"))
    _dream_arms.write(tmp_path / "collided-as-it-is-7.json", [plain, situated])
    assert not list(tmp_path.glob("*.[0-9]*")), "a part is left"
    monkeypatch.setattr(_dream_arms._night, "_embedder", lambda path: Hashes())
    monkeypatch.setattr(_dream_arms, "bought", lambda engine, scenes, tokens: tokens // len(scenes))
    args = SimpleNamespace(embedder="", smoke=False)
    dreamt = {"paraphrase": [plain]}
    dreamt["wide"] = [scene(lesson, "apply", "broadly", "x", "composed")]
    _dream_arms.write(tmp_path / "collided-wide-as-it-is-7.json", [situated, *dreamt["wide"]])
    of = {arm: _dream_arms.scenes_of(args, None, ITEMS[:1], dreams.sized(arm)[0], dreamt, 7, 600, tmp_path)
          for arm in ("walk", "paraphrase", "walk wide", "paraphrase wide")}  # fmt: skip
    broad = {"walk wide": ([situated, *dreamt["wide"]], 300), "paraphrase wide": (dreamt["wide"], 600)}
    assert of == {"walk": ([plain, situated], 300), "paraphrase": ([plain], 600)} | broad


def test_work_is_kept_apart_for_each_set_of_lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Path] = []
    job = lambda args, arm, seed, work: ran.append(work) or {"arm": arm, "seed": seed}  # noqa: E731
    monkeypatch.setattr(dreams.night_quality, "ProcessPoolExecutor", AtOnce)
    for lessons, work in (("exam", tmp_path), ("wide1", tmp_path), ("dev", None)):
        args = SimpleNamespace(work=work, lessons=lessons, first_seed=0, seeds=1, workers=1, log=None)
        dreams.night_quality.run(args, ["base"], job)
    assert ran[:2] == [tmp_path / "exam", tmp_path / "wide1"] and all(one.is_dir() for one in ran[:2])
    assert ran[2].name == "dev" and not ran[2].exists(), "without --work nothing is left behind"


class AtOnce(Executor):
    """Runs what it is given in this process, at once."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def test_the_curve_shows_arms_of_several_sizes(tmp_path: Path) -> None:
    some = [result(arm, 0, 0.5, [1.0, 0, 0, 0]) | {"size": size} for arm, size in
            (("walk", 16), ("walk x4", 4), ("walk x48 anchor_batch=20", 48), ("uniform", 16))]  # fmt: skip
    drawn: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_dream_plot._lines, "draw", lambda lines, file, **_: drawn.update(lines))
        _dream_plot.curve(some, tmp_path / "none.svg", 4800)
    assert {name: [point[0] for point in points] for name, points in drawn.items()} == {
        "walk: held-out wordings": [1200, 4800], "walk: novel situations": [1200, 4800],
    }  # fmt: skip
    _dream_plot.curve(some, tmp_path / "curve.svg", 4800)
    assert "walk: novel situations" in (tmp_path / "curve.svg").read_text()


def test_a_curve_of_one_size_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["dreams.py", "--arms", "walk", "--curve", "none.svg"])
    with pytest.raises(SystemExit):
        dreams.main()
    assert "several sizes" in capsys.readouterr().err


def test_the_plot_shows_every_arm_but_the_base(tmp_path: Path) -> None:
    some = [result(arm, seed, 0.5, [1.0, 0, 0, 0]) for arm in ("base", "walk", "seven forms") for seed in range(2)]
    _dream_plot.plot(some, ["base", "walk", "seven forms", "edge"], tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text()
    assert "<!-- walk -->" in drawn and "<!-- seven forms -->" in drawn
    assert "<!-- base -->" not in drawn and "<!-- edge -->" not in drawn


def test_what_is_lost_over_nights_is_read_off_a_line() -> None:
    falling = np.array([[1.0, 0.9, 0.8], [0.5, 0.45, 0.4]])
    assert diversity.lost(falling) == pytest.approx(0.2)
    assert diversity.lost(falling[:, ::-1]) == pytest.approx(-0.25), "what is gained"
    value, low, high = diversity._drawn(falling, diversity.lost)
    assert value == pytest.approx(0.2) and low <= value + 1e-9 and value <= high + 1e-9


def test_between_rounds_nothing_is_dreamt_that_was_dreamt_or_is_kept_for_the_exam(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_dream_arms._night, "_embedder", lambda path: SimpleNamespace(embed=len))
    lesson = ITEMS[0].lesson
    assert lesson is not None and _dream_arms.ARMS["anew"].anew and not _dream_arms.ARMS["schedule"].anew
    made = lambda text, *split: scene(lesson, "apply", text, "x", "w", *split)  # noqa: E731
    dreamt = {"paraphrase": [made("Held?", "exam"), made("Dreamt?")], "forms": [made("Written?")]}
    args = SimpleNamespace(smoke=False, embedder="", near=9, ordinary=9, anchor_tokens=9)
    assert _dream_arms.anew(args, None, ITEMS, dreamt, 0).taken == {"held", "dreamt", "written"}


def test_another_dreamer_writes_the_wordings_and_situations(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Any, int, bool, int, int]] = []

    class Made:
        def __init__(self, engine: Any, embedder: Any, settings: Any, writer: Any = None) -> None:
            made.append((writer, settings.written, settings.wide, settings.samples, settings.ordinary))

        def dream(self, lessons: Any, seed: int) -> list[Any]:
            return []

    monkeypatch.setattr(_dream_arms, "Dreamer", Made)
    monkeypatch.setattr(_dream_arms._night, "_embedder", lambda path: None)
    monkeypatch.setattr(_dream_arms._night, "_loaded", lambda folder, dtype: f"{folder} loaded")
    given = {"smoke": False, "composed": 9, "near": 9, "ordinary": 9, "anchor_tokens": 9, "embedder": "", "dtype": ""}
    for dreamer in (None, "large"):
        args = SimpleNamespace(**given, dreamer=dreamer)
        assert _dream_arms.dreamt(args, None, ITEMS[:1], 0, wide=True) == {"wide": []}
    assert made == [(None, 0, True, 20, 45), ("large loaded", 8, True, 20, 45)], "wide: more of the model's own"
