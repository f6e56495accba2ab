"""How many live streams may be open, in all and for one key."""

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

    def check(self, actor: str) -> None:
        """Raise Unavailable when this caller may not open another one now."""
        if self._open.total() >= self._most or (
            actor != "anonymous" and self._open[actor] >= self._most_per_key
        ):
            raise Unavailable("Too many live streams are open", retry_after=30)

    @contextmanager
    def held(self, actor: str) -> Iterator[None]:
        """Count one stream while the block runs."""
        self._open[actor] += 1
        try:
            yield
        finally:
            self._open[actor] -= 1
            if not self._open[actor]:
                del self._open[actor]
