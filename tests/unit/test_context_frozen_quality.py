"""The lessons of long contexts, what each way trains on, and the table, without a model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from slowwave.learn.decision import Decision
from slowwave.night.decisions import Curriculum


def test_the_answer_is_the_last_of_several_in_the_log(bench: Any) -> None:
    for text, answer in bench("_long").scenes(20, 900, held_out=False, seed=1):
        log, question = text.split("\n\n")
        wanted = answer.rstrip(".").split()[-1]
        marked = [
            line.split()[-1]
            for line in log.splitlines()
            if ("failed" if wanted[0] == "E" and wanted[1:].isdigit() else "handed") in line
        ]
        assert len(marked) == 2 and marked[-1] == wanted and len(log.splitlines()) == 75
        assert question in {word for told, _ in bench("_long").LESSONS.values() for word in told}


def test_held_out_logs_and_words_are_others(bench: Any) -> None:
    trained, asked = (bench("_long").scenes(10, 300, held_out=held, seed=0) for held in (False, True))
    for part in (0, 1):
        split = [{text.split("\n\n")[part] for text, _ in scenes} for scenes in (trained, asked)]
        assert not split[0] & split[1]
    assert asked == bench("_long").scenes(10, 300, held_out=True, seed=0)


def test_loss_on_all_tokens_and_on_replies(bench: Any) -> None:
    quality = bench("context_frozen_quality")
    short, long = Decision((1, 2, 3, 4), (5, 6), header=2), Decision((7, 8), (9,), header=1)
    found = quality.taught("LoRA, all tokens", [long])(Curriculum([short], [], [])).lessons
    assert [(one.context, one.reply) for one in found] == [((1,), (2, 3, 4, 5, 6)), ((7,), (8, 9))]
    assert quality.taught("aLoRA", [long])(Curriculum([short], [], [])).lessons == [short, long]


def test_every_way_is_a_night_of_its_own(bench: Any) -> None:
    quality, arms = bench("context_frozen_quality"), bench("_arms")
    settings = {way: arms.settings(arm) for way, arm in quality.WAYS.items()}
    assert settings["aLoRA"].context == "frozen" and settings["LoRA, detached, q alone"].targets == ["q_proj"]
    assert settings["full, APOLLO-Mini"].optimizer == "apollo_mini" and settings["full, detached"].context == "detached"


def test_the_table_is_made_of_a_log(bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figures = {"held_out": [0.5], "situations": [], "right": [1.0], "taken_over": [0.0], "drift": 0.02, "bits": 1.0}
    more = {
        "long": [1.0, 0.0],
        "needle at 10%": [2.0],
        "needle at 90%": [1.0],
        "groups": {"held_out": ["a"], "right": ["a"], "taken_over": ["a"]},
    }
    rows = [{"arm": arm, "seed": 0, **figures, **more} for arm in ("base", "aLoRA")]
    (tmp_path / "log").write_text("".join(json.dumps(row) + "\n" for row in rows))
    quality, out = bench("context_frozen_quality"), tmp_path / "rows"
    monkeypatch.setattr(sys, "argv", ["x", "--from-log", str(tmp_path / "log"), "--json", str(out)])
    quality.main()
    rows = json.loads(out.read_text())["rows"]
    told = {row["figure"]: row["value"] for row in rows}
    assert len(told) == len(rows)
    assert told["aLoRA: answered from a log, other words"] == 0.5 and told["aLoRA: drift, nats a token"] == 0.02
    assert told["base: a fact at 90% of a long text, nats a token"] == 1.0


def test_a_way_of_ones_own_is_run_with_its_arm(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    quality, seen = bench("context_frozen_quality"), []
    monkeypatch.setattr(quality.night_quality, "run", lambda args, ways, job: seen.append((ways, args.arms_of)) or [])
    monkeypatch.setattr(sys, "argv", ["x", "--ways", "base; aLoRA, fast: adapter context=frozen lr=0.1; aLoRA"])
    quality.main()
    ((ways, arms_of),) = seen
    assert ways == ["base", "aLoRA, fast", "aLoRA"] and arms_of["aLoRA, fast"] == "adapter context=frozen lr=0.1"


def test_an_unknown_way_is_refused(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "--ways", "base; magic"])
    with pytest.raises(SystemExit) as ended:
        bench("context_frozen_quality").main()
    assert ended.value.code == 2
