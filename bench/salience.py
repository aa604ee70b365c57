"""Does SNARC pick better lessons than likelihood alone, than keywords, and than chance?

Each seed makes a stream of conversations with a small model: one in five holds a planted lesson (a correction, or a
next turn that corrects), the others are ordinary: questions with approvals, next questions, moods, pasted text,
nonsense, and talk full of pronouns that the keyword scorer was made for. One label in ten is wrong: an ordinary
answer gets a bad rating or somebody else's correction, a planted one gets a good rating. A scorer is asked to put
the planted lessons first. The answers are the model's own,
sampled as an assistant's are. Likelihood alone is taken twice: of what followed (as `surprise` sees it), and of the
answer that a replay would train on, the corrected or else the given one, which is SuRe with corrections told to it.
"""

from __future__ import annotations

import dataclasses
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _table import Row, arguments, finish

from slowwave.config import cache_folder
from slowwave.experience.belief import beliefs, statement
from slowwave.experience.follow_up import correction_turn, exchange
from slowwave.experience.salience import Memory, SalienceSettings, Scorer, total
from slowwave.models import zoo
from slowwave.models.embed import Embedder
from slowwave.models.engine import Engine
from slowwave.records import Experience, Message, Outcome

PLANTED, WRONG = 0.2, 0.1  # shares of the stream
FIVE = ("surprise", "novelty", "arousal", "reward", "conflict")
OTHER_WEIGHTS = {  # for the claim in SalienceSettings that equal weights will do
    "the five, reward and conflict doubled": {"reward": 0.4, "conflict": 0.4},
    "the five without arousal": {"arousal": 0.0},
    "reward and conflict only": {"surprise": 0.0, "novelty": 0.0, "arousal": 0.0},
}
DATA = json.loads((Path(__file__).parent / "data" / "salience.json").read_text())
PRONOUNS = re.compile(r"\b(?:i|me|my|we|us|our|you|your|together|myself|ourselves)\b", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Moment:
    """One conversation of the stream. `planted`: it holds a valid lesson. `spoilt`: its label is wrong."""

    experience: Experience
    planted: bool
    spoilt: bool


def stream(seed: int, size: int) -> list[Moment]:
    """A shuffled stream of `size` conversations; the answers are still empty."""
    rng = random.Random(seed)
    lessons = [(one, value) for one in DATA["lessons"] for value in one["values"]]
    rng.shuffle(lessons)
    moments = [_lesson(rng, *lessons[i % len(lessons)]) for i in range(round(PLANTED * size))]
    corrections = [one["answer"].format(v=value) for one, value in lessons[len(moments) :]]
    moments += [_ordinary(rng, corrections) for _ in range(size - len(moments))]
    rng.shuffle(moments)
    return [
        dataclasses.replace(moment, experience=dataclasses.replace(moment.experience, id=f"{seed}-{place}"))
        for place, moment in enumerate(moments)
    ]


def _lesson(rng: random.Random, one: dict[str, str], value: str) -> Moment:
    messages, outcome = [_user(one["ask"].format(v=value))], Outcome()
    form = rng.random()
    if form < 0.4:
        outcome = Outcome(correction=one["answer"].format(v=value))
    elif form < 0.6:
        outcome = Outcome(correction=one["answer"].format(v=value), rating=-1.0)
    else:
        messages.append(_user(one["turn"].format(v=value)))
    spoilt = rng.random() < WRONG
    if spoilt:
        outcome = dataclasses.replace(outcome, rating=1.0)
    return Moment(_experience(messages, outcome), planted=True, spoilt=spoilt)


def _ordinary(rng: random.Random, corrections: Sequence[str]) -> Moment:
    kind = rng.random()
    asked = rng.choice(DATA["reflective"] if kind < 0.2 else DATA["questions"])
    followed = None
    if kind < 0.4:
        followed = rng.choice(DATA["next"])
    elif kind < 0.55:
        followed = rng.choice(DATA["approvals"])
    elif kind < 0.65:
        followed = rng.choice(DATA["moods"])
    elif kind < 0.75:
        followed = rng.choice(DATA["pasted"]) if rng.random() < 0.5 else nonsense(rng)
    outcome, spoilt = Outcome(), rng.random() < WRONG
    if spoilt:
        outcome = Outcome(rating=-1.0) if rng.random() < 0.5 else Outcome(correction=rng.choice(corrections))
    messages = [_user(asked)] + ([_user(followed)] if followed else [])
    return Moment(_experience(messages, outcome), planted=False, spoilt=spoilt)


def nonsense(rng: random.Random) -> str:
    """Sixty tokens that mean nothing, then the pronouns and question marks that the keyword scorer looks for."""
    words = ("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 7))) for _ in range(30))
    return f"{' '.join(words)} ?? we us our"


def keywords(experience: Experience) -> float:
    """The old scorer, from its description: pronouns, question marks and length of question and answer, in [0, 1]."""
    text = "\n".join(message["content"] for message in experience.messages)
    pronouns = min(1.0, len(PRONOUNS.findall(text)) / 6)
    questions = min(1.0, text.count("?") / 3)
    length = min(1.0, len(text.split()) / 80)
    return (pronouns + questions + length) / 3


def likelihood_of_next(experiences: Sequence[Experience], engine: Engine) -> np.ndarray:
    """SuRe on the stream: nats per token of what followed the answer; nothing is as if it had been certain."""
    return np.array([belief.nll or 0.0 for belief in beliefs(experiences, engine)])


def likelihood_of_target(experiences: Sequence[Experience], engine: Engine) -> np.ndarray:
    """SuRe on a data set: nats per token of the answer to train on, the corrected one or else the given one."""
    pairs = []
    for experience in experiences:
        context, given = exchange(experience)
        turn = correction_turn(experience)
        pairs.append((context, experience.outcome.correction or (statement(turn) if turn else given)))
    return np.array([score.nll.mean() if len(score.nll) else 0.0 for score in engine.score(pairs)])


def answered(moments: Sequence[Moment], engine: Engine, seed: int) -> list[Moment]:
    """The stream with the model's own answers put in, one to each question."""
    questions = sorted({moment.experience.messages[0]["content"] for moment in moments})
    replies = engine.generate(
        [[_user(question)] for question in questions], max_new_tokens=32, temperature=0.8, seed=seed
    )
    given = {question: row[0].text or "..." for question, row in zip(questions, replies, strict=True)}
    out = []
    for moment in moments:
        first, *rest = moment.experience.messages
        messages = (first, {"role": "assistant", "content": given[first["content"]]}, *rest)
        out.append(dataclasses.replace(moment, experience=dataclasses.replace(moment.experience, messages=messages)))
    return out


def auc(score_N: np.ndarray, planted_N: np.ndarray) -> float:
    """The chance that a planted lesson is scored above another moment; ties count half."""
    above = score_N[planted_N][:, None] - score_N[~planted_N][None, :]
    return float((above > 0).mean() + 0.5 * (above == 0).mean())


def picked(score_N: np.ndarray, planted_N: np.ndarray, capacity: int) -> tuple[float, float]:
    """Precision and recall of what the adaptive threshold lets into a buffer of `capacity`."""
    order = np.argsort(-score_N, kind="stable")[:capacity]
    return float(planted_N[order].mean()), float(planted_N[order].sum() / planted_N.sum())


def main() -> None:
    """Scores every seed's stream with every scorer, and prints figures with paired bootstrap intervals."""
    args = arguments(__doc__ or "").parse_args()
    size = 60 if args.smoke else 240
    engine = Engine.load(zoo.resolve("smollm2-135m-instruct", cache_folder()))
    embedder = Embedder.load(zoo.resolve("minilm-l6-v2", cache_folder()))
    scores: list[dict[str, np.ndarray]] = []
    truth: list[np.ndarray] = []
    for seed in range(1 if args.smoke else args.seeds):
        moments = answered(stream(seed, size), engine, seed)
        experiences = [moment.experience for moment in moments]
        five = [one.salience for one in Scorer(engine, embedder, SalienceSettings()).score(experiences, Memory())]
        found = {"the five together": np.array([one.total for one in five])}
        for name, weights in OTHER_WEIGHTS.items():
            settings = SalienceSettings(**weights)
            found[name] = np.array([total({part: getattr(one, part) for part in FIVE}, settings) for one in five])
        found["likelihood of what followed"] = likelihood_of_next(experiences, engine)
        found["likelihood of the answer"] = likelihood_of_target(experiences, engine)
        found["keywords (the old scorer)"] = np.array([keywords(experience) for experience in experiences])
        found["chance"] = np.random.default_rng(seed).random(size)
        for name in FIVE:
            found[f"{name} alone"] = np.array([getattr(one, name) for one in five])
        scores.append(found)
        truth.append(np.array([moment.planted for moment in moments]))
    finish(rows(scores, truth), args)


def rows(scores: list[dict[str, np.ndarray]], truth: list[np.ndarray], repeats: int = 1000) -> list[Row]:
    """The figures of all scorers, and how far the five are ahead of the others on the same resampled streams."""
    rng = np.random.default_rng(0)
    draws = [[rng.integers(0, len(one), len(one)) for one in truth] for _ in range(repeats)]
    draws = [draw for draw in draws if all(0 < one[i].sum() < len(i) for one, i in zip(truth, draw, strict=True))]
    whole = [np.arange(len(one)) for one in truth]

    def figure(name: str, draw: list[np.ndarray]) -> np.ndarray:
        each = []
        for found, planted, i in zip(scores, truth, draw, strict=True):
            score_N, planted_N = found[name][i], planted[i]
            each.append((auc(score_N, planted_N), *picked(score_N, planted_N, round(PLANTED * len(planted)))))
        return np.mean(each, axis=0)

    values = {name: figure(name, whole) for name in scores[0]}
    spread = {name: np.array([figure(name, draw) for draw in draws]) for name in scores[0]}
    out = []
    for name, value in values.items():
        low, high = np.quantile(spread[name], [0.025, 0.975], axis=0)
        for place, what in enumerate(("AUC", "precision", "recall")):
            out.append(Row(f"{what}: {name}", float(value[place]), float(low[place]), float(high[place])))
    best = "the five together"
    for name in (
        "likelihood of what followed",
        "likelihood of the answer",
        "keywords (the old scorer)",
        "chance",
        "reward alone",
        "conflict alone",
    ):
        low, high = np.quantile(spread[best][:, 0] - spread[name][:, 0], [0.025, 0.975])
        ahead = float(values[best][0] - values[name][0])
        # No floor against a single part: on this stream, where most lessons are corrections, those two see nearly all.
        floor = None if name in ("reward alone", "conflict alone") else 0.0
        out.append(Row(f"AUC of the five minus {name}", ahead, float(low), float(high), floor=floor))
    return out + passing(scores, truth, draws)


def passing(scores: list[dict[str, np.ndarray]], truth: list[np.ndarray], draws: list[list[np.ndarray]]) -> list[Row]:
    """What share of the lessons, and of the rest, the default threshold lets through."""
    least = SalienceSettings().threshold
    out = []
    for name, wanted in (("planted lessons", True), ("other moments", False)):
        passed = [
            (found["the five together"] >= least, planted == wanted)
            for found, planted in zip(scores, truth, strict=True)
        ]
        spread = [
            np.mean([one[i][kind[i]].mean() for (one, kind), i in zip(passed, draw, strict=True)]) for draw in draws
        ]
        low, high = np.quantile(spread, [0.025, 0.975])
        value = np.mean([one[kind].mean() for one, kind in passed])
        out.append(Row(f"{name} over the default threshold", float(value), float(low), float(high)))
    return out


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _experience(messages: list[Message], outcome: Outcome) -> Experience:
    return Experience("", "default", "user:ann", "2026-03-01T09:00:00Z", tuple(messages), outcome, "user")


if __name__ == "__main__":
    main()
