"""Answers that are asked for again and again, kept until something changes."""

import hashlib
import time
from collections import OrderedDict

from maru_gateway.upstream import Answer

FRESH_SECONDS = 2.0
"""How long an answer is given at the most, should news of a change be late."""

CacheKey = tuple[str, str, bytes]

_OVERHEAD = 1_000
"""About what an answer's headers and its place in the memory take, in bytes."""


class AnswerCache:
    """A bounded memory of answers: workspace, path and query to answer and entity tag.

    The bytes of the questions count too: anybody may ask for what is nowhere, at length.

    `drop` is called for every change of a workspace that is heard of. An answer that was asked
    for before a drop and comes after it is not kept: `generation` tells.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._answers: OrderedDict[CacheKey, tuple[Answer, float]] = OrderedDict()
        self._generations: dict[str, int] = {}

    def generation(self, workspace: str) -> int:
        """Count the changes of a workspace; pass it to `keep`."""
        return self._generations.get(workspace, 0)

    def find(self, key: CacheKey) -> Answer | None:
        """Return a fresh answer."""
        found = self._answers.get(key)
        if found is None:
            return None
        answer, until = found
        if time.monotonic() > until:
            self._forget(key)
            return None
        return answer

    def keep(self, key: CacheKey, answer: Answer, generation: int) -> Answer:
        """Keep an answer unless its workspace has changed since; returns it with its tag."""
        tagged = _tagged(answer)
        size = _size(key, answer)
        if generation == self.generation(key[0]) and size <= self._max_bytes // 8:
            self._forget(key)
            self._answers[key] = (tagged, time.monotonic() + FRESH_SECONDS)
            self._bytes += size
            while self._bytes > self._max_bytes:
                self._forget(next(iter(self._answers)))
        return tagged

    def drop(self, workspace: str) -> None:
        """Forget a workspace's answers."""
        self._generations[workspace] = self.generation(workspace) + 1
        for key in [key for key in self._answers if key[0] == workspace]:
            self._forget(key)

    def _forget(self, key: CacheKey) -> None:
        found = self._answers.pop(key, None)
        if found is not None:
            self._bytes -= _size(key, found[0])


def is_known(tag: bytes, asked: bytes | None) -> bool:
    """Whether If-None-Match names the tag (RFC 9110, 13.1.2: compared weakly)."""
    if asked is None:
        return False
    given = {each.strip().removeprefix(b"W/") for each in asked.split(b",")}
    return b"*" in given or tag.removeprefix(b"W/") in given


def _size(key: CacheKey, answer: Answer) -> int:
    return _OVERHEAD + len(key[1]) + len(key[2]) + len(answer.body)


def _tagged(answer: Answer) -> Answer:
    if any(name == b"etag" for name, _ in answer.headers):
        return answer
    headers = [*answer.headers, (b"cache-control", b"private, no-cache")]
    tag = b'"' + hashlib.blake2b(answer.body, digest_size=12).hexdigest().encode() + b'"'
    return Answer(answer.status, [*headers, (b"etag", tag)], answer.body)
