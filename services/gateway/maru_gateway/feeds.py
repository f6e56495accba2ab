"""Ideas as Atom feeds (RFC 4287)."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from feedgen.feed import FeedGenerator


def atom(ideas: Sequence[Mapping[str, Any]], *, address: str, board: str) -> bytes:
    """Write ideas as an Atom feed whose own address is `address`; entries link to the board."""
    feed = FeedGenerator()
    feed.id(address)
    feed.title("Maru: ideas")
    feed.subtitle("What customers ask for, the newest changes first")
    feed.link(href=address, rel="self", type="application/atom+xml")
    feed.link(href=board, rel="alternate", type="text/html")
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
