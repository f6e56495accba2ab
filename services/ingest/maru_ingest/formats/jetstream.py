"""Events of Jetstream, Bluesky's stream of everybody's posts, and the posts in them.

An event has the record alone; a feed shows a post with its author and the addresses of its
pictures. Here the one becomes the other, so that a post is the same wherever it comes from
(https://github.com/bluesky-social/jetstream).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from maru_ingest.formats import untyped
from maru_ingest.formats.untyped import Object

POST = "app.bsky.feed.post"
_KEY = re.compile(r"[A-Za-z0-9._:~-]{1,512}", re.ASCII)
_CID = re.compile(r"[A-Za-z0-9]{10,200}", re.ASCII)
_IMAGES = "https://cdn.bsky.app/img/feed_fullsize/plain/{did}/{cid}"
_VIDEOS = "https://video.bsky.app/watch/{did}/{cid}/playlist.m3u8"


@dataclass(frozen=True, slots=True)
class Event:
    """What Jetstream says of a post; `at` is its time in microseconds since 1970."""

    at: int
    did: str
    operation: str
    uri: str
    record: Object
    cid: str = ""


def event_in(value: object, at: int, did: str) -> Event | None:
    """Return what an event says of a post, None when it says nothing of any."""
    commit = untyped.mapping(value, "commit")
    operation, key = untyped.string(commit, "operation"), untyped.string(commit, "rkey")
    if untyped.string(commit, "collection") != POST or not _KEY.fullmatch(key) or not did:
        return None
    if operation not in {"create", "update", "delete"}:
        return None
    record = untyped.mapping(commit, "record")
    uri = f"at://{did}/{POST}/{key}"
    return Event(at, did, operation, uri, record, untyped.string(commit, "cid"))


def shown(event: Event, author: Object) -> Object:
    """Return a post as a feed would show it, so that it is the same wherever it comes from."""
    return {
        "uri": event.uri,
        "cid": event.cid,
        "author": author,
        "record": event.record,
        "embed": _embedded(untyped.mapping(event.record, "embed"), event.did),
        "indexedAt": stamp(moment_of(event.at)),
    }


def _embedded(embed: Object, did: str) -> Object:
    """Return the pictures and films of a record with the addresses that Bluesky serves them at."""
    media = untyped.mapping(embed, "media") or embed
    found: dict[str, object] = {}
    for name in ("images", "items"):
        images = untyped.mappings(media, name)
        links = [(_link(one, "image", did, _IMAGES), untyped.string(one, "alt")) for one in images]
        found[name] = [{"fullsize": link, "alt": alt} for link, alt in links if link]
    if playlist := _link(media, "video", quote(did, safe=""), _VIDEOS):
        found |= {"playlist": playlist, "alt": untyped.string(media, "alt")}
    return found


def _link(value: Object, name: str, did: str, address: str) -> str:
    cid = untyped.string(value, name, "ref", "$link")
    return address.format(did=did, cid=cid) if _CID.fullmatch(cid) else ""


def moment_of(microseconds: int) -> datetime:
    """Return the moment of an event's time."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def stamp(moment: datetime) -> str:
    """Write a moment as Bluesky's API does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
