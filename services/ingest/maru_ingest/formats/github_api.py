"""How GitHub is asked for discussions, and how its answers say when, where, and what more there is.

https://docs.github.com/graphql/guides/using-the-graphql-api-for-discussions
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from maru_ingest.formats import untyped
from maru_ingest.formats.untyped import Object

_WRITTEN = "id url body author{__typename login} createdAt lastEditedAt updatedAt upvoteCount"
_PART = "totalCount pageInfo{hasPreviousPage startCursor}"
_ANSWER = f"{_WRITTEN} replyTo{{url}}"
_COMMENT = f"{_ANSWER} comments:replies(last:10){{{_PART} nodes{{{_ANSWER}}}}}"
_BELOW = f"{{{_PART} nodes{{{_COMMENT}}}}}"

DISCUSSIONS = f"""
query($owner:String!,$name:String!,$after:String){{
  repository(owner:$owner,name:$name){{
    discussions(first:10,after:$after,orderBy:{{field:UPDATED_AT,direction:DESC}}){{
      pageInfo{{hasNextPage endCursor}}
      nodes{{{_WRITTEN} title comments(last:20){_BELOW}}}
    }}
  }}
}}"""
"""Discussions, last change first, with the last comments and answers; answers are `comments`, too.

What that costs is counted by how much could come: 2 of 5,000 points an hour.
"""

EARLIER = f"""
query($id:ID!,$before:String){{
  node(id:$id){{
    ...on Discussion{{comments(last:100,before:$before){_BELOW}}}
    ...on DiscussionComment{{comments:replies(last:100,before:$before){_BELOW}}}
  }}
}}"""
"""The comments of a discussion, or the answers to a comment, that stand before others."""

_KINDS = {"issues": "issues", "pull": "pull_requests", "discussions": "discussions"}
_MAX_LINK = 8_000
_NEXT = re.compile(r'<([^<>]{1,2000})>\s*;\s*rel="?next\b')


def cut_off(nodes: Sequence[Object]) -> Iterator[tuple[str, str]]:
    """Yield the ids of what has more below than came with it, and before what that stands."""
    for node in nodes:
        below = untyped.mapping(node, "comments")
        if before := begins(below):
            yield untyped.string(node, "id"), before
        yield from cut_off(untyped.mappings(below, "nodes"))


def begins(found: Object) -> str:
    """Return where a part of comments begins, empty when nothing stands before it."""
    is_cut = untyped.is_true(found, "pageInfo", "hasPreviousPage")
    return _cursor(found, "startCursor") if is_cut else ""


def goes_on(found: Object) -> str:
    """Return where a part of discussions goes on, empty at the end."""
    has_next = untyped.is_true(found, "pageInfo", "hasNextPage")
    return _cursor(found, "endCursor") if has_next else ""


def _cursor(found: Object, name: str) -> str:
    """Return a place, empty where it could not be sent back: a lone surrogate is no text."""
    written = untyped.string(found, "pageInfo", name)
    return written if written.isprintable() else ""


def next_part(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return what to ask a list for its next part, nothing at its end.

    Of the address that is named that is the query alone: the rest could lead elsewhere.
    """
    named = _NEXT.search(headers.get("link", "")[:_MAX_LINK])
    try:
        return dict(parse_qsl(urlsplit(named[1]).query)) if named else {}
    except ValueError:
        return {}


def where(address: str) -> tuple[str, str]:
    """Return the repository (in lower case) and the kind of what has an address.

    `https://github.com/{owner}/{name}/issues/1#issuecomment-2` is of `issues`; empty for none.
    """
    try:
        owner, name, kind = urlsplit(address).path.split("/")[1:4]
    except ValueError:
        return "", ""
    return f"{owner}/{name}".lower(), _KINDS.get(kind, "")


def stamp(value: object, name: str) -> str:
    """Return the time that stands there as GitHub writes times, which sort as what they mean."""
    moment = untyped.moment(value, name)
    return written(moment) if moment else ""


def written(moment: datetime) -> str:
    """Return a moment as GitHub writes it, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
