"""Salience with the real default model and embedder."""

import random
from pathlib import Path
from typing import Any

import pytest

from slowwave.experience.salience import Memory, SalienceSettings, Scorer
from slowwave.experience.scoring import score_unscored
from slowwave.experience.store import Store
from slowwave.models import zoo
from slowwave.models.embed import Embedder
from slowwave.models.engine import Engine
from slowwave.records import Experience, Outcome, Salience


@pytest.fixture(scope="module")
def scorer(cache: Path) -> Scorer:
    engine = Engine.load(zoo.resolve("smollm2-135m-instruct", cache))
    return Scorer(engine, Embedder.load(zoo.resolve("minilm-l6-v2", cache)), SalienceSettings())


def lived(*turns: str, **outcome: Any) -> Experience:
    roles = ["user", "assistant"] * len(turns)
    messages = tuple({"role": role, "content": text} for role, text in zip(roles, turns, strict=False))
    return Experience("", "default", "user:ann", "2026-03-01T09:00:00Z", messages, Outcome(**outcome), "user")


def alone(scorer: Scorer, experience: Experience) -> Salience:
    return Scorer(scorer.believer, scorer.embedder, scorer.settings).score([experience], Memory())[0].salience


def nonsense(seed: int) -> str:
    rng = random.Random(seed)
    words = ("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 8))) for _ in range(60))
    return f"{' '.join(words)} ?? we us our"


QUESTION = "What is my dog called?"
UNKNOWING = lived(QUESTION, "I do not know.", correction="Your dog is called Biscuit.")
TOLD = lived(QUESTION, "I do not know.", "No, I told you. My dog is called Biscuit.")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("place", ["answer", "question", "follow-up"])
@pytest.mark.parametrize("corrected", [UNKNOWING, TOLD], ids=["correction", "next turn"])
def test_nonsense_matters_less_than_a_correction(scorer: Scorer, seed: int, place: str, corrected: Experience) -> None:
    turns = {"answer": [QUESTION, nonsense(seed)], "question": [nonsense(seed), "I do not understand."]}
    noise = lived(*turns.get(place, [QUESTION, "I do not know.", nonsense(seed)]))
    assert alone(scorer, noise).total < alone(scorer, corrected).total


def test_what_the_model_knows_already_contradicts_it_less(scorer: Scorer) -> None:
    known = alone(
        scorer, lived("What is the capital of France?", "Rome.", correction="The capital of France is Paris.")
    )
    news = alone(scorer, lived("What is the capital of France?", "Paris.", correction="I call it Otto's harbour town."))
    assert known.conflict < 0.5 < news.conflict
    assert known.surprise < news.surprise


def test_a_day_in_the_store(scorer: Scorer, tmp_path: Path) -> None:
    day = [
        lived("What is the capital of France?", "The capital of France is Paris.", "And how many people live there?"),
        lived("What should I call you?", "I am SmolLM.", correction="I'm Mira, your assistant.", rating=-1),
        lived("Tell me a joke.", "Why did the chicken cross the road? To get to the other side."),
        lived("Who wrote The Copper Almanac?", "Jane Austen wrote it.", "NO!!! Stop making things up. You don't know."),
        lived("How do I boil an egg?", "Put it into boiling water for eight minutes.", "Thanks, perfect."),
    ]
    with Store(tmp_path) as store:
        store.add_many(day)
        assert score_unscored(store, "default", scorer.believer, scorer.embedder) == 5
        order = {one.messages[0]["content"]: one.salience.total for one in store.experiences() if one.salience}
        taught = {day[1].messages[0]["content"], day[3].messages[0]["content"]}
        assert set(sorted(order, key=lambda question: -order[question])[:2]) == taught
        passed = store.experiences(min_total=SalienceSettings().threshold)
        assert taught <= {one.messages[0]["content"] for one in passed}
        assert day[2].messages not in [one.messages for one in passed]
