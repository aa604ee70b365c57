"""What each kind of scene becomes in training."""

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from slowwave.learn.settings import preset
from slowwave.night.decisions import curriculum
from slowwave.records import Check, Scene

EOS = 0
NIGHT = preset("adapter")


class Letters:
    """A tokenizer of one token a character, and an engine that answers "right" under version v1."""

    eos_token_id = EOS
    added_tokens_decoder: ClassVar[dict[int, object]] = {}  # no control tokens to forge

    def __init__(self):
        self.tokenizer, self.version = self, None

    def apply_chat_template(self, chat, add_generation_prompt=False, **_):
        return "".join(f"<{m['role']}>{m['content']}" for m in chat) + "<assistant>" * add_generation_prompt

    def __call__(self, text, **_):
        return {"input_ids": [ord(c) for c in text]}

    @contextmanager
    def using(self, version):
        self.version = version
        yield
        self.version = None

    def score(self, pairs):
        """Only what is asked surely is said as taught, and every token of it; the others lack one token."""
        assert self.version
        sure = ["surely" in chat[-1]["content"] for chat, _ in pairs]
        return [SimpleNamespace(nll=np.array([0.1, 0.6 if one else 0.8, 0.1])) for one in sure]

    def generate(self, chats, **_):
        assert self.version and not any("surely" in chat[-1]["content"] for chat in chats)
        return [
            [SimpleNamespace(text="wrong" if "wrong" in chat[-1]["content"] else "right", finish="stop")]
            for chat in chats
        ]


def scene(kind, text, answer="right", lesson="l", **fields):
    return Scene(text, lesson, kind, ({"role": "user", "content": text},), answer, fields.pop("family", "f"), **fields)


def texts(decisions):
    return ["".join(map(chr, d.context)).removeprefix("<user>").removesuffix("<assistant>") for d in decisions]


@pytest.fixture
def engine():
    return Letters()


def test_apply_is_learned_the_rest_is_held_and_the_exam_is_left_alone(engine):
    scenes = [
        scene("apply", "a", weight=0.5),
        scene("apply", "asked", split="exam"),
        scene("near_miss", "n"),
        scene("ordinary", "o", lesson=None),
        scene("ordinary", "w", lesson=None, family="watch"),
        scene("near_miss", "unanswered", answer=None),
    ]
    got = curriculum(engine, scenes, [], None, 4, NIGHT)
    assert (texts(got.lessons), texts(got.anchors), texts(got.watch)) == (["a"], ["n", "o"], ["w"])
    assert got.lessons[0].lesson and got.lessons[0].weight == 0.5
    assert not any(d.lesson or d.from_start for d in got.anchors + got.watch)
    assert bytes(got.lessons[0].reply) == b"right\0"
    assert {bytes(d.context[-d.header :]) for d in got.lessons + got.anchors + got.watch} == {b"<assistant>"}


def test_two_lessons_at_once_are_learned_beside_the_first(engine):
    taught = curriculum(engine, [scene("apply", "a"), scene("chain", "a and b")], [], None, 0, NIGHT)
    assert texts(taught.lessons) == ["a", "a and b"] and taught.anchors == []


def test_every_lesson_is_learned_as_often_as_the_one_with_most_scenes(engine):
    scenes = [scene("apply", text, lesson="one") for text in ("a", "b", "c", "d", "e")]
    scenes += [scene("apply", text, lesson="two") for text in ("x", "y")]
    got = texts(curriculum(engine, scenes, [], None, 4, NIGHT).lessons)
    assert got == ["a", "b", "c", "d", "e", "x", "y", "x", "y", "x"]


def test_what_was_tried_in_vain_is_learned_more_often(engine):
    scenes = [scene("apply", text, lesson="one") for text in ("a", "b", "c", "d")]
    scenes += [scene("apply", text, lesson="two") for text in ("t", "u", "v", "w", "x", "y")]
    got = texts(curriculum(engine, scenes, [], None, 4, NIGHT, {"two": 1.5}).lessons)
    assert got == ["a", "b", "c", "d", "t", "u", "v", "w", "x", "y"], "its scenes are more, the others' no more"
    got = texts(curriculum(engine, scenes[:4] + scenes[4:6], [], None, 4, NIGHT, {"two": 1.5}).lessons)
    assert got == ["a", "b", "c", "d", "t", "u", "t", "u", "t", "u"]


def test_an_answer_cut_by_its_length_teaches_no_end(engine):
    got = curriculum(engine, [scene("near_miss", "n", ended=False)], [], None, 4, NIGHT)
    assert bytes(got.anchors[0].reply) == b"right"


def test_earlier_lessons_keep_the_served_versions_right_answers(engine):
    earlier = [scene("apply", text, check=Check(("right",))) for text in ("1", "2", "3 wrong", "4")]
    earlier += [scene("apply", "exam", split="exam"), scene("near_miss", "near")]
    got = curriculum(engine, [], earlier, "v1", 9, NIGHT)
    assert sorted(texts(got.anchors)) == ["1", "2", "4"] and all(d.from_start for d in got.anchors)
    assert curriculum(engine, [], earlier, None, 9, NIGHT).anchors == []
    assert curriculum(engine, [], earlier, "v1", 0, NIGHT).anchors == []


def test_what_is_likeliest_at_every_token_need_not_be_generated(engine):
    """One pass over the taught answer tells; `Letters.generate` refuses to be asked, and would say another."""
    earlier = [scene("apply", "surely wrong", "left", check=Check(("left",))), scene("apply", "2")]
    got = curriculum(engine, [], earlier, "v1", 9, NIGHT)
    assert {text: bytes(d.reply) for text, d in zip(texts(got.anchors), got.anchors, strict=True)} == {
        "surely wrong": b"left\0",
        "2": b"right\0",
    }


def test_what_the_served_version_forgot_is_learned_again(engine):
    earlier = [scene("apply", text, check=Check(("right",)), weight=0.5) for text in ("1", "2 wrong", "3 wrong", "4")]
    earlier += [scene("apply", "5 wrong", None, check=Check(("right",))), scene("apply", "6 wrong", split="exam")]
    got = curriculum(engine, [scene("apply", "tonight")], earlier, "v1", 9, NIGHT)
    assert texts(got.lessons)[0] == "tonight" and sorted(texts(got.lessons)[1:]) == ["2 wrong", "3 wrong"]
    again = got.lessons[1]
    assert bytes(again.reply) == b"right\0" and again.weight == 0.5 and again.lesson and not again.from_start
    assert sorted(texts(got.anchors)) == ["1", "4"]


def test_every_earlier_lesson_is_rehearsed_alike_as_far_as_a_night_can(engine):
    """However many there are; each version on rehearses other wordings."""
    tonight = [scene("near_miss", f"n{i}") for i in range(45)]
    earlier = [scene("apply", f"{lesson}{i}", lesson=lesson) for lesson in "xy" for i in range(40)]
    count = lambda found: [sum(text[0] == kind for text in found) for kind in "nxy"]  # noqa: E731
    found = texts(curriculum(engine, tonight, earlier, "v1", 15, NIGHT).anchors)
    assert count(found) == [45, 15, 15]
    again, other = (set(texts(curriculum(engine, tonight, earlier, v, 15, NIGHT).anchors)) for v in ("v1", "v2"))
    assert again == set(found) and other != again
    short = replace(NIGHT, min_steps=6, rehearsal_batch=3)  # draws 18
    assert count(texts(curriculum(engine, tonight, earlier, "v1", 15, short).anchors)) == [45, 9, 9]
    many = [scene("apply", f"x{i}", lesson=str(i)) for i in range(100)]
    assert len(texts(curriculum(engine, [], many, "v1", 15, short).anchors)) == 18


@pytest.mark.parametrize(("near", "everyday", "times"), [(0, 4, 1), (12, 4, 1), (13, 4, 2), (100, 4, 9), (100, 0, 0)])
def test_a_quarter_of_the_anchors_is_everyday_however_many_near_misses_there_are(engine, near, everyday, times):
    scenes = [scene("near_miss", f"n{i}") for i in range(near)]
    scenes += [scene("ordinary", f"o{i}", lesson=None) for i in range(everyday)]
    scenes += [scene("ordinary", "watched", lesson=None, family="watch")]
    made = curriculum(engine, scenes, [], None, 6, NIGHT)
    found = texts(made.anchors)
    assert sorted(found) == sorted([f"n{i}" for i in range(near)] + [f"o{i}" for i in range(everyday)] * times)
    assert everyday == 0 or 4 * sum(text.startswith("o") for text in found) >= len(found)
    assert texts(made.watch) == ["watched"]


def test_earlier_lessons_take_no_places_of_everyday_anchors(engine):
    tonight = [scene("near_miss", f"n{i}") for i in range(12)] + [
        scene("ordinary", f"o{i}", lesson=None) for i in range(4)
    ]
    earlier = [scene("apply", f"x{i}") for i in range(12)]
    found = texts(curriculum(engine, tonight, earlier, "v1", 12, NIGHT).anchors)
    assert [sum(text[0] == kind for text in found) for kind in "nox"] == [12, 4, 12]
