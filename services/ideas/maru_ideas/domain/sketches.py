"""By what posts with the same words are found, without looking at every post."""

from collections import Counter
from collections.abc import Iterable, Mapping
from uuid import UUID

from maru_ideas.domain.wordings import MONTHS_KEPT, SHARED, WINDOW, Wording

CROWD = 64
"""Posts of one window that a print may lead to; one of more is a phrase that says nothing."""
LOOKED_AT = 32
"""Posts, at the most, whose words are compared with those of a new one: the likeliest."""

Found = Mapping[int, Mapping[UUID, int]]
"""The posts that a print leads to, and when each was written."""


class Sketches:
    """The prints of one product's posts that a few new ones ask for; `month` is the newest."""

    def __init__(self, found: Found, month: int) -> None:
        self._found = {key: dict(posts) for key, posts in found.items()}
        self._added: set[UUID] = set()
        self.month = month

    def near(self, wording: Wording) -> set[UUID]:
        """The posts whose words are worth comparing with those of this one."""
        passed_on = {*self._found.get(wording.lineage, ()), wording.work} - {wording.post}
        known = [key for key in self._of_text(wording) if key in self._found]
        if len(known) < SHARED:
            return passed_on
        shared = Counter(post for key in known for post in self._within(key, wording))
        likely = sorted((-count, post) for post, count in shared.items() if count >= SHARED)
        return {*(post for _, post in likely[:LOOKED_AT]), *passed_on}

    def may_be_crowded(self, wording: Wording, edits: int) -> bool:
        """Whether it is uncertain if a print of the post leads to too many.

        Of those added since, and of those that are edited meanwhile, some may not be found by it.
        """
        crowds = [self._within(key, wording) for key in self._popular(wording.prints())]
        return any(
            len(crowd) >= CROWD > len([it for it in crowd if it not in self._added]) - edits
            for crowd in crowds
        )

    def prints(self, wording: Wording) -> set[int]:
        """The prints by which the post shall be found."""
        keys = set(self._of_text(wording))
        if wording.is_repost:
            keys.add(wording.lineage)
        crowded = (it for it in self._popular(keys) if len(self._within(it, wording)) >= CROWD)
        return keys.difference(list(crowded))

    def add(self, wording: Wording, keys: Iterable[int]) -> None:
        """Let the post be found."""
        for key in keys:
            self._found.setdefault(key, {})[wording.post] = wording.at
        self._added.add(wording.post)
        if wording.words is not None:
            self.month = max(self.month, wording.month)

    def _popular(self, keys: Iterable[int]) -> list[int]:
        return [key for key in keys if len(self._found.get(key, ())) >= CROWD]

    def _of_text(self, wording: Wording) -> Iterable[int]:
        """The prints of a text that is not too old to be compared."""
        if wording.words is None or wording.month < self.month - MONTHS_KEPT:
            return ()
        return wording.words.prints

    def _within(self, key: int, wording: Wording) -> list[UUID]:
        posts = self._found.get(key, {})
        return [
            post
            for post, at in posts.items()
            if post != wording.post and abs(at - wording.at) <= WINDOW
        ]
