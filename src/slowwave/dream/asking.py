"""Which answer to ask the user about next, so that a judge learns most from one more label: uncertainty sampling
(Lewis & Gale 1994).
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from slowwave.dream.head import Examples, Head


def least_sure(known: Examples, new: Examples) -> int:
    """The place in `new` of the answer of which a head fitted on `known` is least sure; 0 while it knows nothing."""
    if known.good_N.all() or not known.good_N.any():
        return 0
    return int(np.argmin(np.abs(Head(known).chance(new) - 0.5)))


def asked(known: Examples, new: Examples) -> Generator[int, bool | None, None]:
    """The places in `new`, one after another, of which a head is least sure by then.

    Send what the user says of each: good, bad, or None for nothing.
    """
    left = list(range(len(new.good_N)))
    while left:
        place = left.pop(least_sure(known, new.some(np.array(left))))
        good = yield place
        if good is not None:
            one = new.some(np.array([place]))
            known = Examples(
                np.concatenate([known.figures_N_F, one.figures_N_F]), np.r_[known.good_N, good],
                np.r_[known.group_N, one.group_N],
            )  # fmt: skip
