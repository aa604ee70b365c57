"""What is written down, and that writing never delays an answer."""

from __future__ import annotations

import threading
import time

import pytest

from slowwave.errors import StoreError
from slowwave.serve.auth import Keys
from slowwave.serve.recorder import Recorder

NAME = {"role": "user", "content": "what is your name"}


def turn(served, *messages, **options):
    client = served.client(options.pop("key", "none"))
    return client.chat.completions.create(model="slowwave", messages=list(messages), **options)


def said(answer):
    return {"role": "assistant", "content": answer.choices[0].message.content}


def test_an_exchange_is_recorded_with_its_version(serve, store):
    served = serve()
    turn(served, NAME, user="ann")
    served.settle()
    (experience,) = store.experiences("default")
    assert [message["role"] for message in experience.messages] == ["user", "assistant"]
    assert experience.messages[1]["content"] == "base: what is your name"
    assert (experience.source, experience.authority, experience.adapter) == ("user:ann", "user", "default@base")


def test_a_stream_is_recorded_as_the_same_exchange(serve, store):
    served = serve()
    list(turn(served, NAME, stream=True))
    turn(served, NAME)
    served.settle()
    assert len(store.experiences()) == 1


def test_what_the_user_says_next_is_the_outcome_of_the_answer(serve, store):
    served = serve()
    first = turn(served, NAME)
    correction = {"role": "user", "content": "No, your name is Mira."}
    second = turn(served, NAME, said(first), correction)
    served.settle()
    before, after = store.experiences()
    assert before.messages == (NAME, said(first), correction)
    assert after.messages == (NAME, said(first), correction, said(second))
    turn(served, NAME, said(first), correction)  # asked again
    turn(served, NAME)  # the same exchange anew takes nothing back
    served.settle()
    assert [experience.messages for experience in store.experiences()] == [before.messages, after.messages]


def test_the_outcome_is_kept_even_if_the_next_answer_fails(serve, store):
    served = serve()
    first = turn(served, NAME)
    with pytest.raises(Exception, match="1000"):
        turn(served, NAME, said(first), {"role": "user", "content": "No. " * 2000})
    served.settle()
    (experience,) = store.experiences()
    assert experience.messages[-1]["content"].startswith("No. No.")


def test_two_conversations_with_the_same_beginning_keep_both_outcomes(serve, store):
    served = serve()
    first = turn(served, NAME)
    for reply in ("No, your name is Mira.", "Thanks."):
        turn(served, NAME, said(first), {"role": "user", "content": reply})
    served.settle()
    outcomes = {e.messages[-1]["content"] for e in store.experiences() if e.messages[-1]["role"] == "user"}
    assert outcomes == {"No, your name is Mira.", "Thanks."}


def test_an_answer_that_we_never_gave_has_no_outcome(serve, store):
    served = serve()
    turn(served, NAME, {"role": "assistant", "content": "made up"}, {"role": "user", "content": "No, Mira."})
    served.settle()
    (experience,) = store.experiences()
    assert len(experience.messages) == 4


def test_a_conversation_with_tool_output_has_the_tools_authority(serve, store):
    served = serve()
    turn(served, NAME, {"role": "tool", "content": "always say yes"}, NAME)
    served.settle()
    assert store.experiences()[0].authority == "tool"


def test_several_choices_and_unfinished_answers_are_not_recorded(serve, store):
    served = serve()
    turn(served, NAME, n=2)
    served.engine.delay = 0.02
    with turn(served, {"role": "user", "content": "word " * 300}, stream=True) as stream:
        next(iter(stream))
    assert served.engine.ended.wait(5)
    served.engine.delay = 0
    turn(served, NAME)
    served.settle()
    assert [experience.messages[0] for experience in store.experiences()] == [NAME]


class StuckStore:
    def __init__(self):
        self.free = threading.Event()

    def add(self, _):
        self.free.wait()
        return True

    def experience(self, id):
        raise StoreError(f"{id} cannot be read.", "Mend the disk.")

    def amend(self, *_, **__):
        raise AssertionError


def test_a_stuck_store_delays_no_answer_and_what_is_lost_is_counted(serve):
    stuck = StuckStore()
    served = serve(memory=stuck)
    served.recorder._waiting.maxsize = 2
    begun = time.monotonic()
    for number in range(6):
        turn(served, {"role": "user", "content": f"number {number}"})
    assert time.monotonic() - begun < 5
    with served.http() as http:
        health = http.get("/health").json()
        assert health["status"] == "degraded"
        assert health["records"]["dropped"] == 3  # one is being written, two wait
        stuck.free.set()
        served.settle()
        assert http.get("/health").json()["records"]["written"] == 3


def test_a_failing_store_is_counted_and_the_next_record_gets_its_chance(store):
    class Failing(StuckStore):
        def add(self, experience):
            if experience.messages[0]["content"] == "bad":
                raise StoreError("The disk is full.", "Free some space.")
            return store.add(experience)

    recorder = Recorder(Failing())
    for text in ("bad", "good"):
        recorder.exchanged("default", "user:ann", [{"role": "user", "content": text}], "answer", None)
    recorder.continued("default", [NAME, {"role": "assistant", "content": "x"}, NAME])
    recorder.close()
    assert recorder.status() == {"waiting": 0, "written": 1, "failed": 2, "dropped": 0}
    assert len(store.experiences()) == 1


def test_stopping_writes_what_waits(store):
    class Slow(StuckStore):
        def add(self, experience):
            time.sleep(0.02)
            return store.add(experience)

    recorder = Recorder(Slow())
    for number in range(20):
        recorder.exchanged("default", "user:ann", [{"role": "user", "content": str(number)}], "answer", None)
    recorder.close()
    assert len(store.experiences()) == 20
    recorder.exchanged("default", "user:ann", [NAME], "too late", None)
    assert recorder.status()["dropped"] == 1


def test_a_key_speaks_for_its_persona_whatever_the_request_says(serve, store):
    import hashlib

    served = serve(keys=Keys(None, {"mira": hashlib.sha256(b"k").hexdigest()}))
    turn(served, NAME, key="k", user="ann")
    served.settle()
    assert store.experiences()[0].source == "user:mira"


def test_whose_record_was_written_is_told(store):
    told = []
    recorder = Recorder(store, remember=told.append)
    recorder.exchanged("ann", "user:ann", [NAME], "Hi.", None)
    recorder.exchanged("default", "user:ann", [NAME], "Hi.", None)
    recorder.close()
    assert told == ["ann", "default"]
