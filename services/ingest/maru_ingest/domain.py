"""The rules of collecting: what makes a post the same, what makes it new, and when to look again.

Pure functions on values. A post's identity is (workspace, kind, native id); what its words and
author were when it was last published is kept as a fingerprint, so that an edit becomes the next
revision and a second look becomes nothing.
"""

import hashlib
import random
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID, uuid5

import orjson

from maru_contracts.posts import Channel, post_name
from maru_ingest.formats.ids import content_hash
from maru_ingest.formats.parsed import MAX_ORIGINAL, BadRow, ParsedPost, Row

State = Literal["active", "throttled", "broken", "paused"]
"""`throttled` is a source that asked to be left alone for a while, `broken` one that fails."""
Health = Literal["healthy", "expiring", "late", "throttled", "broken", "paused"]
"""`expiring` is a source that works, and whose credentials end soon, or have ended."""

_SOURCES = UUID("8f0c6c0e-6a52-5c0b-9d55-6d6172750003")
_SEPARATOR = "\x1f"
_MIN_NUMBER_OF_THE_WORLD = 15
_NAME_OF_THE_WORLD = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:.*|[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|\d{15,}",
    re.DOTALL,
)
"""An address or another URI (RFC 3986), a UUID (RFC 9562), or the number of a big platform."""
_FIRST_BACKOFF = timedelta(seconds=5)
MAX_BACKOFF = timedelta(hours=1)
"""A broken source is tried again at least this often."""
_DOUBLINGS = 16
_LATE = timedelta(minutes=2)
EXPIRING = timedelta(days=7)
"""How long before their end a source's credentials are warned of."""
_CHECKED = timedelta(days=1)
_PUSHED_PACE = 4
_SAFE = timedelta(days=1)
ASKED_LEASE = timedelta(days=10)
"""How long we ask hubs to push for."""
_LONGEST_LEASE = timedelta(days=365)
_MAX_DIGITS = 12
_FIRST_ASKING = timedelta(minutes=2)
_LAST_ASKING = timedelta(hours=12)
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where posts come from, as far as the posts must know.

    `kind` names the id space: posts of two sources of one kind that have one native id are one
    post. `pushed` says that somebody sent the posts on purpose, so that what they say now counts
    even when another source brought the post first. `generation` grows with each change of the
    source by people: progress from before such a change is not saved any more.
    """

    source_id: str
    name: str
    kind: str
    workspace: str
    product: str
    channel: Channel
    pushed: bool = False
    generation: int = 0


@dataclass(slots=True)
class Credentials:
    """When a source's credentials end by themselves, and when that was asked of its platform.

    `expire_at` is None where they do not end, or nobody says when. A connector that learns it says
    so by `end`.
    """

    expire_at: datetime | None = None
    checked_at: datetime | None = None

    def are_unchecked(self, now: datetime) -> bool:
        """Whether to ask the platform again, as connectors do that have to ask: once a day."""
        return self.checked_at is None or now - self.checked_at >= _CHECKED

    def end(self, at: datetime | None, *, now: datetime) -> None:
        """Note what the platform says."""
        self.expire_at, self.checked_at = at, now


class Named(NamedTuple):
    """A parsed post with its id, the fingerprint of what it says, and its final native id."""

    id: str
    native_id: str
    fingerprint: str
    post: ParsedPost


class Seen(NamedTuple):
    """What is known of a post. `published` is false until the log has acknowledged it.

    `owner` is the source whose edits count, None once that source was removed. A post that is
    deleted stays so. If it has no fingerprint, nobody has brought it yet; then its deletion binds
    its owner only, or every source where there is none.
    """

    id: str
    fingerprint: str
    revision: int
    owner: str | None
    published: bool
    collected_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None = None


class Gone(NamedTuple):
    """A post that its source says is gone: its id and its final native id."""

    id: str
    native_id: str


class Removal(NamedTuple):
    """The end of a post that was known; `seen` is what will be known of it, `was` what was."""

    gone: Gone
    seen: Seen
    was: Seen


class Decision(NamedTuple):
    """What happens to one post: `seen` is what will be known of it, `was` what was before."""

    named: Named
    seen: Seen
    was: Seen | None


def import_source_id(workspace: str, name: str) -> str:
    """The id of the source that stands for all imports under one name.

    It is the same on every machine, so that the same import gives the same posts everywhere.
    """
    return str(uuid5(_SOURCES, f"{workspace}{_SEPARATOR}import{_SEPARATOR}{name}"))


def name_post(origin: Origin, post: ParsedPost, *, occurrence: int = 0) -> Named:
    """Give a post its id.

    Without a native id it goes by its content (`occurrence` tells apart equal rows of one file).
    A bare number of fewer than 15 digits counts the rows of one source and is no name in the
    world: the source's name makes it one.
    """
    native_id = post.native_id or content_hash(post)
    if occurrence:
        native_id = f"{native_id}#{occurrence}"
    native_id = _in_the_world(origin, native_id)
    name = post_name(origin.workspace, origin.kind, native_id)
    return Named(id=name, native_id=native_id, fingerprint=fingerprint(post), post=post)


def name_gone(origin: Origin, native_id: str) -> Gone:
    """Give a post that is gone the id that it had."""
    name = _in_the_world(origin, native_id)
    return Gone(post_name(origin.workspace, origin.kind, name), name)


def is_anothers(origin: Origin, named: Named, known: Seen | None) -> bool:
    """Whether a row has the id of something else, which a row of another source said.

    `R-17` of one file is not `R-17` of another. If both say the same, they are one post.
    """
    return (
        known is not None
        and named.post.is_row
        and bool(named.post.native_id)
        and not _NAME_OF_THE_WORLD.fullmatch(named.native_id)
        and known.owner not in (None, origin.source_id)
        and known.fingerprint not in ("", named.fingerprint)
    )


def apart(origin: Origin, named: Named) -> Named:
    """Give a post a name that no other source gives."""
    gone = apart_gone(origin, Gone(named.id, named.native_id))
    return named._replace(id=gone.id, native_id=gone.native_id)


def apart_gone(origin: Origin, gone: Gone) -> Gone:
    """The post that is gone, should it have needed a name that no other source gives."""
    name = f"{origin.name}/{gone.native_id}"
    return Gone(post_name(origin.workspace, origin.kind, name), name)


def _in_the_world(origin: Origin, native_id: str) -> str:
    if native_id.isdigit() and len(native_id) < _MIN_NUMBER_OF_THE_WORLD:
        return f"{origin.name}/{native_id}"
    return native_id


def as_row(post: ParsedPost) -> Row:
    """Return the post, or the reason why it can't be published: it says nothing."""
    if post.text or post.title:
        return post
    return BadRow(post.line, "no text", orjson.dumps(asdict(post))[:MAX_ORIGINAL])


def fingerprint(post: ParsedPost) -> str:
    """Return 16 bytes in hex that change when the words, the author or the attachments change.

    So they do when the rating changes; counts and dates are left out: a like is no edit.
    """
    attached = _SEPARATOR.join(media.url for media in post.media)
    rated = () if post.rating is None else (f"{post.rating.value:g}/{post.rating.best:g}",)
    said = _SEPARATOR.join((post.title, post.text, post.author, attached, *rated))
    return hashlib.blake2b(said.encode("utf-8", "replace"), digest_size=16).hexdigest()


def latest(posts: Iterable[Named]) -> Collection[Named]:
    """Return the last version of each post, in the order in which they came."""
    found: dict[str, Named] = {}
    for named in posts:
        before = found.get(named.id)
        if before is not None:
            if _is_older(named.post.edited_at, before.post.edited_at):
                continue
            del found[named.id]
        found[named.id] = named
    return found.values()


def decide(
    origin: Origin, posts: Iterable[Named], seen: Mapping[str, Seen], *, now: datetime
) -> list[Decision]:
    """Return what to publish of `posts`, each of which is there once, in order.

    A post that was announced but never acknowledged comes out with the revision it had.
    """
    decided = (_decide(origin, named, seen.get(named.id), now) for named in posts)
    return [decision for decision in decided if decision is not None]


def _decide(origin: Origin, named: Named, was: Seen | None, now: datetime) -> Decision | None:
    if was is None:
        return Decision(named, _first(origin, named, now), None)
    if was.deleted_at is not None:
        is_bound = bool(was.fingerprint) or was.owner in (None, origin.source_id)
        return None if is_bound else Decision(named, _first(origin, named, now), was)
    if was.fingerprint == named.fingerprint:
        return None if was.published else Decision(named, was, was)
    if was.owner not in (None, origin.source_id) and not origin.pushed:
        return None
    edited = named.post.edited_at
    if _is_older(edited, was.edited_at):
        return None
    after = Seen(
        id=named.id,
        fingerprint=named.fingerprint,
        revision=was.revision + 1,
        owner=origin.source_id,
        published=False,
        collected_at=was.collected_at,
        edited_at=edited or was.edited_at,
    )
    return Decision(named, after, was)


def remove(
    origin: Origin, gone: Iterable[Gone], seen: Mapping[str, Seen], *, now: datetime
) -> list[Removal]:
    """Return which of the known posts end, in order; only their owner or a push may end them.

    One whose end the log has not acknowledged yet comes out with the revision that it had. Of one
    that nobody has brought yet, a second source makes the deletion bind everyone.
    """
    found = (_remove(origin, one, seen.get(one.id), now) for one in gone)
    return [removal for removal in found if removal is not None]


def _remove(origin: Origin, gone: Gone, was: Seen | None, now: datetime) -> Removal | None:
    if was is None:
        return None
    if was.deleted_at is not None:
        if not was.fingerprint and was.owner not in (None, origin.source_id):
            return Removal(gone, was._replace(owner=None), was)
        return Removal(gone, was, was) if was.fingerprint and not was.published else None
    if was.owner not in (None, origin.source_id) and not origin.pushed:
        return None
    return Removal(
        gone, was._replace(revision=was.revision + 1, published=False, deleted_at=now), was
    )


def _is_older(edited: datetime | None, known: datetime | None) -> bool:
    return edited is not None and known is not None and edited < known


def _first(origin: Origin, named: Named, now: datetime) -> Seen:
    return Seen(
        id=named.id,
        fingerprint=named.fingerprint,
        revision=0,
        owner=origin.source_id,
        published=False,
        collected_at=now,
        edited_at=named.post.edited_at,
    )


def wire(origin: Origin, decision: Decision, *, now: datetime) -> bytes:
    """Return a `Post` as JSON.

    Built without the model, which would cost more than all the rest (a test holds the two
    together). A post without a time of its own has that of its first collection; one that has
    only a title says what the title says.
    """
    post = decision.named.post
    message: dict[str, object] = {
        "id": decision.named.id,
        "revision": decision.seen.revision,
        "workspace": origin.workspace,
        "product": origin.product,
        "source_id": origin.source_id,
        "channel": post.channel or origin.channel,
        "native_id": decision.named.native_id,
        "title": post.title if post.text else "",
        "text": post.text or post.title,
        "created_at": post.created_at or decision.seen.collected_at,
        "collected_at": now,
    }
    if post.url:
        message["url"] = post.url
    if post.author:
        message["author"] = _author(post)
    if post.truncated:
        message["truncated"] = True
    if post.lang:
        message["lang_hint"] = post.lang
    message |= _of_others(origin, post)
    if post.metrics:
        message["metrics"] = post.metrics
    if post.rating:
        message["rating"] = {"value": post.rating.value, "best": post.rating.best}
    if post.media:
        message["media"] = [
            {"kind": one.kind, "url": one.url, "alt": one.alt, "transcript": one.transcript}
            for one in post.media
        ]
    return orjson.dumps(message, option=orjson.OPT_UTC_Z)


def _of_others(origin: Origin, post: ParsedPost) -> dict[str, object]:
    """Return the fields that name other posts: what this one answers, and what it passes on."""
    message: dict[str, object] = {}
    if post.in_reply_to:
        message["in_reply_to"] = _in_the_world(origin, post.in_reply_to)
    if post.reshared_from:
        passed_on = _in_the_world(origin, post.reshared_from)
        message["reshared_from"] = passed_on
        if post.is_repost:
            message["repost_of"] = post_name(origin.workspace, origin.kind, passed_on)
    return message


def tombstone(origin: Origin, product: str, removal: Removal, *, now: datetime) -> bytes:
    """Return the `Post` that ends a post, as JSON; `product` is that of the posts before it."""
    message: dict[str, object] = {
        "id": removal.gone.id,
        "revision": removal.seen.revision,
        "workspace": origin.workspace,
        "product": product,
        "source_id": origin.source_id,
        "channel": origin.channel,
        "native_id": removal.gone.native_id,
        "text": "",
        "created_at": removal.seen.collected_at,
        "collected_at": now,
        "deleted": True,
    }
    return orjson.dumps(message, option=orjson.OPT_UTC_Z)


def _author(post: ParsedPost) -> dict[str, object]:
    author: dict[str, object] = {"handle": post.author, "name": post.author_name}
    if post.followers is not None:
        author["followers"] = post.followers
    return author


def with_article(kind: str) -> str:
    """Return the name of a kind of sources with its article as it is spoken: an imap, a feed."""
    return f"{'an' if kind[:1] in tuple('aeiox') else 'a'} {kind}"


def backoff(failures: int, *, retry_after: float = 0.0, dice: random.Random) -> timedelta:
    """How long to leave a source alone after `failures` failures in a row (1 or more).

    Doubles from 5 s with full jitter on the upper half, never shorter than what the source asked
    for in `retry_after` (seconds), never longer than an hour.
    """
    doubled: timedelta = _FIRST_BACKOFF * 2 ** min(failures - 1, _DOUBLINGS)
    ceiling = min(MAX_BACKOFF, doubled)
    wait = ceiling * dice.uniform(0.5, 1.0)
    asked = timedelta(seconds=min(max(retry_after, 0.0), MAX_BACKOFF.total_seconds()))
    return max(wait, asked)


def next_due(interval: timedelta, hint: timedelta | None, *, dice: random.Random) -> timedelta:
    """How long until a healthy source is looked at again.

    Its own interval or what it asks for, whichever is longer, at most a day; up to a tenth
    longer at random, so that sources that were added together drift apart.
    """
    asked = min(max(interval, hint or interval), max(interval, timedelta(days=1)))
    return asked * dice.uniform(1.0, 1.1)


def safe_interval(interval: timedelta) -> timedelta:
    """How often to poll what is pushed, too: a quarter as often, at least once a day."""
    return max(interval, min(interval * _PUSHED_PACE, _SAFE))


def ask_again(failures: int, *, dice: random.Random) -> timedelta:
    """How long to wait for a hub after asking it for the nth time without its confirmation.

    Doubles from 2 minutes with jitter on the upper half, up to 12 hours.
    """
    doubled: timedelta = _FIRST_ASKING * 2 ** min(failures - 1, _DOUBLINGS)
    ceiling = min(doubled, _LAST_ASKING)
    return ceiling * dice.uniform(0.5, 1.0)


def lease(written: str) -> timedelta:
    """How long a hub says that it will push: as it says, at most a year, else what we asked for."""
    if not written.isdecimal() or not 0 < len(written) <= _MAX_DIGITS:
        return ASKED_LEASE
    return min(timedelta(seconds=int(written)), _LONGEST_LEASE)


def renewal(lease: timedelta, *, dice: random.Random) -> timedelta:
    """After how much of a lease to ask for the next one; a quarter is left for hubs that fail."""
    return lease * dice.uniform(0.65, 0.75)


def health(
    state: State, *, overdue: timedelta, interval: timedelta, left: timedelta | None = None
) -> Health:
    """How a source fares; it is late when it is overdue by half its interval and two minutes.

    `left` is how long its credentials last, None where they do not end, or nobody says when.
    """
    if state != "active":
        return state
    if overdue > max(_LATE, interval / 2):
        return "late"
    return "expiring" if left is not None and left <= EXPIRING else "healthy"


def overdue(due: datetime | None, leased_until: datetime | None, *, now: datetime) -> timedelta:
    """How long a source has waited for its poll; nothing while somebody polls it."""
    if due is None or (leased_until is not None and leased_until > now):
        return timedelta()
    return max(now - due, timedelta())


def day_of(moment: datetime) -> int:
    """Return the day of a moment (UTC) in days since 1970."""
    return (moment.astimezone(UTC).date() - _EPOCH).days


def date_of(day: int) -> date:
    """Return the date of a day that is counted from 1970."""
    return _EPOCH + timedelta(days=day)


def until_tomorrow(now: datetime) -> float:
    """Seconds until the next midnight, UTC, when quotas begin anew."""
    tomorrow = (now.astimezone(UTC) + timedelta(days=1)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    return (tomorrow - now).total_seconds()


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
