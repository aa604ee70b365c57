"""How well the judge knows a user's taste after some labels: agreement with held-out labels of simulated users.

A pool of answers of the default model to everyday questions, in several manners; users who each find good what a rule
of theirs says and never break it, with 10 % noise in what they say (`_people.py`, written apart from the judge). The
judge learns from labels on some questions and is asked about others. Agreement is with the noisy labels, of which even
the rule itself meets 0.90. Users who find less than a fifth or more than four fifths of the pool good are left out: to
agree with them takes no judge.

    python studies/judge.py --seeds 3
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import _lines
import _people
import _tastes
import _users
from _table import Row, arguments, finish

from slowwave.dream import asking, bank
from slowwave.dream.agreement import agreement
from slowwave.dream.head import Examples, Head
from slowwave.dream.judge import FEWEST, Judge
from slowwave.exam.statistics import bootstrap
from slowwave.models.embed import Embedder
from slowwave.models.engine import Engine

NOISE = 0.1
AFTER = (10, 20, 50, 100, 200)  # labels
HELD_OUT = 200
ASKED = "asked of what it is least sure"
PARTS = ("how it is built", "the model's likelihoods")
MANNERS = (
    None, "Answer in one short sentence.", "Answer at length, with examples.", "Answer as a list.",
    "You are warm and enthusiastic.", "Be sober and brief. Never speak of yourself.",
)  # fmt: skip


def pool(engine: Engine, questions: int, tokens: int) -> list[tuple[str, str]]:
    """Questions with answers, each in two of the manners."""
    draw = np.random.default_rng(0)
    asked = [bank.ordinary()[i] for i in draw.permutation(len(bank.ordinary()))[:questions]]
    chats = []
    for question in asked:
        for manner in draw.choice(len(MANNERS), 2, replace=False):
            system = [{"role": "system", "content": MANNERS[manner]}] if MANNERS[manner] else []
            chats.append([*system, {"role": "user", "content": question}])
    replies = engine.generate(chats, max_new_tokens=tokens, temperature=0.9, top_p=0.95, seed=0, batch=32)
    pairs = [(chat[-1]["content"], row[0].text) for chat, row in zip(chats, replies, strict=True)]
    return [pair for pair in pairs if pair[1].strip()]


def read(engine: Engine, embedder: Embedder, pairs: list[tuple[str, str]]) -> Examples:
    """What the judge reads off the pool, once; its labels come later. Groups are questions."""
    seen = Judge(engine, embedder, [])._examples([([{"role": "user", "content": q}], a) for q, a in pairs])
    numbers = {question: number for number, question in enumerate(dict.fromkeys(q for q, _ in pairs))}
    group_N = np.array([numbers[question] for question, _ in pairs])
    return Examples(seen.figures_N_F, seen.good_N, group_N)


def split(examples: Examples, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places to learn from and places to be asked about, of different questions."""
    order = draw.permutation(np.unique(examples.group_N))
    rank_N = np.argsort(order)[examples.group_N]
    mixed = draw.permutation(len(rank_N))
    half = len(order) // 2
    return mixed[rank_N[mixed] < half], mixed[rank_N[mixed] >= half][:HELD_OUT]


def agreements(
    examples: Examples, good_N: np.ndarray, counts: tuple[int, ...], draw: Any
) -> dict[int, tuple[float, bool]]:
    """After so many labels: the share of held-out labels agreed with, and whether the judge would be trusted."""
    learn, asked = split(examples, draw)
    out = {}
    for count in counts:
        mine = examples.some(learn[:count])
        mine = replace(mine, good_N=good_N[learn[:count]])
        if count > len(learn) or mine.good_N.all() or not mine.good_N.any():
            continue
        said = Head(mine).chance(examples.some(asked)) > 0.5
        out[count] = float((said == good_N[asked]).mean()), agreement(mine).trusted
    return out


def asked_for(examples: Examples, good_N: np.ndarray, count: int, draw: Any) -> float:
    """Agreement after as many labels, the first of them as they come, the others of what it is least sure of."""
    learn, asked_N = split(examples, draw)
    said = replace(examples, good_N=good_N)
    known, left = said.some(learn[:FEWEST]), learn[FEWEST:]
    places: list[int] = []
    asks = asking.asked(known, said.some(left))
    place = next(asks)
    while len(places) < count - FEWEST:
        places.append(place)
        place = asks.send(bool(good_N[left[place]]))
    fitted = said.some(np.r_[learn[:FEWEST], left[places]])
    return float(((Head(fitted).chance(examples.some(asked_N)) > 0.5) == good_N[asked_N]).mean())


def without(examples: Examples, part: str) -> Examples:
    """What the judge reads, with one part of it made silent."""
    figures = examples.figures_N_F.copy()
    if part == "how it is built":
        figures[:, :-3] = 0
    elif part == "the model's likelihoods":
        figures[:, -2:] = 0
    return Examples(figures, examples.good_N, examples.group_N)


def main() -> None:
    """Read the command line, make the pool, let every user teach a judge, print the table."""
    parser = arguments(__doc__ or "")
    cache = Path(os.environ.get("SLOWWAVE_CACHE", "~/.cache/slowwave")).expanduser() / "models"
    parser.add_argument(
        "--model",
        type=Path,
        default=cache / "smollm2-135m-instruct",
        help="folder of who answers and whose likelihoods are read",
    )
    parser.add_argument("--embedder", type=Path, default=cache / "minilm-l6-v2", help="folder of the embedding model")
    parser.add_argument("--questions", type=int, default=400, help="of the pool, each with two answers")
    parser.add_argument("--tokens", type=int, default=64, help="of an answer, at most")
    parser.add_argument("--users", action="store_true", help="a row for each user after 50 labels")
    parser.add_argument("--tuning", action="store_true", help="the users by whom the judge was changed")
    parser.add_argument("--pool", type=Path, help="keep the pool of answers there, or take it from there (.json)")
    parser.add_argument("--plot", type=Path, help="draw agreement along labels there (.png, .svg or .pdf)")
    args = parser.parse_args()
    counts, questions, tokens = (AFTER, args.questions, args.tokens) if not args.smoke else ((4,), 6, 6)
    engine = Engine.load(args.model)
    if args.pool and args.pool.exists():
        pairs = [(question, answer) for question, answer in json.loads(args.pool.read_text())]
    else:
        pairs = pool(engine, questions, tokens)
    if args.pool:
        args.pool.write_text(json.dumps(pairs))
    examples = read(engine, Embedder.load(args.embedder), pairs)
    users = _users.TUNING | _users.HELD_OUT | _tastes.TASTES if args.tuning else _people.PEOPLE
    every = {name: _users.good(wishes, pairs) for name, wishes in list(users.items())[: 3 if args.smoke else None]}
    kept = {name: good_N for name, good_N in every.items() if 0.2 <= good_N.mean() <= 0.8}
    found: dict[tuple[str, int, str], list[float]] = {}
    trusted: dict[int, list[float]] = {}
    for name, good_N in kept.items():
        for seed in range(args.seeds if not args.smoke else 1):
            noisy = _users.noisy(good_N, NOISE, np.random.default_rng([seed, 1]))
            for part in ("", *(() if args.smoke else PARTS)):
                seen = without(examples, part) if part else examples
                many = counts if not part else tuple(count for count in counts if count == 50)
                for count, (share, trust) in agreements(seen, noisy, many, np.random.default_rng([seed, 2])).items():
                    found.setdefault((part, count, name), []).append(share)
                    if not part:
                        trusted.setdefault(count, []).append(float(trust))
            if not args.smoke:
                asked = asked_for(examples, noisy, 50, np.random.default_rng([seed, 2]))
                found.setdefault((ASKED, 50, name), []).append(asked)
            coin = np.random.default_rng([seed, 3]).random(len(pairs)) < 0.5  # a user without any taste
            for count, (_, trust) in agreements(examples, coin, counts, np.random.default_rng([seed, 2])).items():
                trusted.setdefault(-count, []).append(float(trust))
    rows, points = [], []
    for part, count in dict.fromkeys((part, count) for part, count, _ in found):
        mine = {name: shares for (p, c, name), shares in found.items() if (p, c) == (part, count)}
        values = [share for shares in mine.values() for share in shares]
        shown = bootstrap(values, [name for name, shares in mine.items() for _ in shares])
        bounds = (0.80, 0.88) if count == 50 and not part else (None, None)
        points += [(count, shown.value, shown.low, shown.high)] if not part else []
        of = f", {part}" if part == ASKED else f", without {part}" if part else ""
        head = f"{len(mine)} users, after {count} labels{of}: agreement"
        rows.append(Row(head, shown.value, shown.low, shown.high, *bounds))
    rows += [
        Row(f"{'users with a taste' if count > 0 else 'coin tossers'} after {abs(count)} labels: judges trusted",
            *[float(np.mean(values))] * 3)
        for count, values in trusted.items()
    ]  # fmt: skip
    if args.users:
        for name in kept:
            for (part, count, user), shares in found.items():
                if user == name and count == 50 and not part:
                    head = f"{name} ({kept[name].mean():.0%} good), after 50"
                    rows.append(Row(head, float(np.mean(shares)), min(shares), max(shares)))
    if args.plot:
        lines: dict[str, list[_lines.Point]] = {"agreement with held-out labels": points}
        for name, sign in (("judges trusted: users with a taste", 1), ("judges trusted: coin tossers", -1)):
            shares = [(sign * count, float(np.mean(mine))) for count, mine in trusted.items() if sign * count > 0]
            lines[name] = [(count, share, share, share) for count, share in shares]
        _lines.draw(lines, args.plot, x="labels of the user", y="share", bound=0.80, log=True)
    print(json.dumps({"left out": sorted(set(every) - set(kept)), "answers": len(pairs)}))
    finish(rows, args)


if __name__ == "__main__":
    main()
