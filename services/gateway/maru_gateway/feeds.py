"""Ideas as Atom feeds (RFC 4287), page by page (RFC 5005), and when each has changed."""

import hashlib
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from feedgen.feed import FeedGenerator

_REMEMBERED = 1_000


def atom(
    ideas: Sequence[Mapping[str, Any]],
    *,
    first: str,
    address: str,
    next: str | None,
    board: str,
) -> bytes:
    """Write ideas as one page of the Atom feed `first`; entries link to the board.

    `address` is the page's own, `next` that of the page with older ideas, None on the last one.
    """
    feed = FeedGenerator()
    feed.id(first)
    feed.title("Maru: ideas")
    feed.subtitle("What customers ask for, the newest changes first")
    feed.link(href=address, rel="self", type="application/atom+xml")
    feed.link(href=board, rel="alternate", type="text/html")
    feed.link(href=first, rel="first", type="application/atom+xml")
    if next is not None:
        feed.link(href=next, rel="next", type="application/atom+xml")
    newest = max((idea["last_seen"] for idea in ideas), default=None)
    feed.updated(newest or datetime(1970, 1, 1, tzinfo=UTC))
    for idea in ideas:
        entry = feed.add_entry(order="append")
        entry.id(f"urn:uuid:{idea['id']}")
        entry.title(_plain(idea["title"]))
        entry.summary(_plain(_summary(idea)), type="text")
        entry.link(href=f"{board}ideas/{idea['id']}", rel="alternate", type="text/html")
        entry.published(idea["first_seen"])
        entry.updated(idea["last_seen"])
        entry.author(name="Maru")
        for topic in idea.get("topics", ()):
            entry.category(term=_plain(topic))
    written: bytes = feed.atom_str()
    return written


class Changes:
    """When this process first saw a page as it is now.

    An idea changes in ways that leave its own times alone (a status, a vote), so they cannot tell
    a reader that has no entity tag whether the page is another one.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[Hashable, tuple[str, datetime]] = OrderedDict()

    def since(self, page: Hashable, tag: str, now: datetime) -> datetime:
        """Return since when the page has had this tag, in whole seconds."""
        known, moment = self._seen.pop(page, ("", now))
        if known != tag:
            moment = now.replace(microsecond=0)
        self._seen[page] = (tag, moment)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return moment


def http_date(moment: datetime) -> str:
    """Write a moment as HTTP does (RFC 9110, 5.6.7)."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def is_older(moment: datetime, asked: str | None) -> bool:
    """Whether nothing has changed since the moment that If-Modified-Since names."""
    try:
        return asked is not None and moment <= parsedate_to_datetime(asked).astimezone(UTC)
    except ValueError:  # what is no date is passed over (RFC 9110, 13.1.3)
        return False


def entity_tag(body: bytes) -> str:
    """Return the strong validator of a body."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def _summary(idea: Mapping[str, Any]) -> str:
    return (
        f"{idea['summary']}\n\n{idea['voices']} voices, {idea['evidence_count']} posts, "
        f"{idea['status'].replace('_', ' ')}"
    )


def _plain(text: str) -> str:
    """Drop characters that XML 1.0 cannot hold."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))
