"""One door to the formats that are read as a whole."""

from maru_ingest.formats import feed, json_feed
from maru_ingest.formats.detect import Format, detect
from maru_ingest.formats.parsed import Document, Unreadable

MAX_DOCUMENT = 32 * 1024 * 1024
"""Bytes of a local feed file; what comes over the network is bounded much lower."""


def parse(
    body: bytes,
    *,
    url: str = "",
    content_type: str = "",
    untrusted: frozenset[str] = frozenset(),
    format: Format | None = None,
) -> Document:
    """Return the posts of an RSS, RDF, Atom or JSON feed, oldest first.

    Raises Unreadable with the reason.
    """
    if len(body) > MAX_DOCUMENT:
        raise Unreadable(f"a feed of more than {MAX_DOCUMENT // 1024**2} MB")
    match format or detect(body, name=url):
        case "feed":
            return feed.parse(body, url=url, content_type=content_type, untrusted=untrusted)
        case "json_feed":
            return json_feed.parse(body, url=url, untrusted=untrusted)
        case other:
            raise Unreadable(f"not a feed: it looks like {other}")
