"""Which rows of tables hold what is known of an id alone: of a token, or of a piece of a word."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Make = Callable[[Ints, slice], None]
"""Fills rows of the tables for some ids."""

AT_ONCE = 16
"""New ids that are made at once, at most."""


class Kept:
    """Gives ids slots, rows of tables with `capacity` rows; row 0 belongs to no id.

    `make` fills the rows of ids that are new. When there is no room for those of a block, all are
    forgotten and made anew: simpler than an order of use.
    """

    def __init__(self, ids: int, capacity: int, make: Make) -> None:
        self._slot = np.zeros(ids, np.int64)
        self._capacity = capacity
        self._make = make
        self._used = 1

    def slots(self, ids: Ints) -> Ints:
        """Return the slot of each id of a block, which may be fewer than there are rows."""
        slots = self._slot[ids]
        if slots.all():
            return slots
        missing = np.unique(ids[slots == 0])
        if self._used + len(missing) > self._capacity:
            self._slot[:] = 0
            self._used = 1
            missing = np.unique(ids)
        for start in range(0, len(missing), AT_ONCE):
            new = missing[start : start + AT_ONCE]
            rows = slice(self._used, self._used + len(new))
            self._make(new, rows)
            self._slot[new] = np.arange(rows.start, rows.stop)
            self._used = rows.stop
        return self._slot[ids]
