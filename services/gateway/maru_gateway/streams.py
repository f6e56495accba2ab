"""How many live streams may be open, in all and for one key or address."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from maru_kit.errors import Unavailable


class Streams:
    """Counts the open streams."""

    def __init__(self, *, most: int, most_per_key: int) -> None:
        self._most = most
        self._most_per_key = most_per_key
        self._open: Counter[str] = Counter()

    def check(self, holder: str) -> None:
        """Raise Unavailable when this key (or address without one) may open no other now."""
        if self._open.total() >= self._most or self._open[holder] >= self._most_per_key:
            raise Unavailable("Too many live streams are open", retry_after=30)

    @contextmanager
    def held(self, holder: str) -> Iterator[None]:
        """Count one stream while the block runs."""
        self._open[holder] += 1
        try:
            yield
        finally:
            self._open[holder] -= 1
            if not self._open[holder]:
                del self._open[holder]
