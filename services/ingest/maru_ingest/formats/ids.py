"""Which of its names a post in a feed goes by: bad GUIDs must not swallow posts.

A feed's own id counts only when no other post of the page has it; ids that were seen to be shared
stay untrusted (the caller keeps them in its cursor, so that a post does not change its id when
its twin leaves the page). Next comes the link, last the content.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

from maru_ingest.formats import links
from maru_ingest.formats.fields import bounded_id
from maru_ingest.formats.parsed import ParsedPost

_SEPARATOR = "\x1f"


def settle(posts: Sequence[ParsedPost], untrusted: Iterable[str] = ()) -> frozenset[str]:
    """Give every post of a page its id, and return all ids that are not to be trusted.

    Entries that are equal in everything count as one and keep their id.
    """
    by_id: dict[str, set[str]] = {}
    own = [_link(post) for post in posts]
    for post, link in zip(posts, own, strict=True):
        if post.native_id:
            by_id.setdefault(post.native_id, set()).add(link or content_hash(post))
    bad = frozenset(untrusted).union(name for name, of in by_id.items() if len(of) > 1)
    if all(post.native_id and post.native_id not in bad for post in posts):
        return bad
    contents = [content_hash(post) for post in posts]
    links_used = Counter(link for link, _ in set(zip(own, contents, strict=True)))
    for post, link, content in zip(posts, own, contents, strict=True):
        if not post.native_id or post.native_id in bad:
            unique = link and links_used[link] == 1
            post.native_id = bounded_id(link) if unique else content
    return bad


def content_hash(post: ParsedPost) -> str:
    """Return an id made of what the post says, who said it and where."""
    said = _SEPARATOR.join((post.url, post.author, post.title, post.text))
    return "content:" + hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:32]


def _link(post: ParsedPost) -> str:
    return links.canonical(post.url) if post.url else ""
