"""Salience for what the store holds unscored, in batches that are kept as they are done."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from slowwave.experience.belief import Believer
from slowwave.experience.running import Running
from slowwave.experience.salience import PRIORS, Embeds, Memory, SalienceSettings, Scorer
from slowwave.experience.store import Store

BATCH = 32  # experiences a call of the model; an interruption loses at most one batch


def score_unscored(
    store: Store,
    persona: str,
    believer: Believer,
    embedder: Embeds,
    settings: SalienceSettings = SalienceSettings(),
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> int:
    """Scores and embeds all that is new, oldest first; returns how many. What is amended meanwhile stays unscored.

    Args:
        progress: called with how many are done, and of how many. Raising from it stops between batches.
    """
    waiting = store.unscored(persona)
    name = f"salience/{persona}"
    kept = store.get_statistics(name)
    running = {kind: Running.from_dict(kept[kind]) for kind in PRIORS} if kept else None
    scorer = Scorer(believer, embedder, settings, running)
    ids, vectors_N_D = store.embeddings(persona)
    valence = {e.id: e.salience.valence for e in store.experiences(persona) if e.salience} if ids else {}
    new = {experience.id for experience in waiting}
    old = [place for place, id in enumerate(ids) if id not in new]  # what is scored again is not its own memory
    memory = Memory(vectors_N_D[old], np.array([valence.get(ids[place], 0.0) < 0 for place in old], bool))
    done = 0
    for start in range(0, len(waiting), BATCH):
        batch = waiting[start : start + BATCH]
        scored = scorer.score(batch, memory)
        done += store.keep_scores([(e, one.salience, one.vector) for e, one in zip(batch, scored, strict=True)])
        store.put_statistics(name, {kind: one.to_dict() for kind, one in scorer.running.items()})
        vectors = np.stack([one.vector for one in scored])
        complaints = np.array([one.salience.valence < 0 for one in scored], bool)
        same = memory.vectors.shape[1:] == vectors.shape[1:]  # not so after a change of embedder
        memory = Memory(
            np.concatenate([memory.vectors, vectors]) if same else vectors,
            np.concatenate([memory.complaints, complaints]) if same else complaints,
        )
        progress(start + len(batch), len(waiting))
    return done
