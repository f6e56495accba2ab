"""What a platform is: how to know its payloads, and the posts in them.

A new platform is one new file in `platforms/` that defines `PLATFORM`, a `Platform`, and is named
after it; `tests/architecture/test_plugins.py` runs over every one of them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from maru_contracts.posts import Channel
from maru_ingest.formats import links, text, untyped
from maru_ingest.formats.fields import bounded_id, language
from maru_ingest.formats.parsed import (
    Attachment,
    BadRow,
    Document,
    ParsedPost,
    Rating,
    Row,
    Unreadable,
)
from maru_ingest.formats.untyped import Object

_MAX_MEDIA = 10
_MAX_TRANSCRIPT = 5_000
_MAX_ALT = 2_000
_MAX_REASON = 300
_VOWELS = ("A", "E", "I", "O", "X")  # as they sound
_KINDS = {"image", "audio", "video", "file"}

Read = Callable[[object, str], Document | None]


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform whose public API answers in JSON.

    `read(value, url)` returns the posts of an answer, or None when it is another's; `url` is where
    the answer came from, empty when nobody says. It raises Unreadable, in words for people, for an
    answer of this platform that is an error or whose objects are no posts. It never raises
    anything else, whatever the value is.
    """

    name: str
    title: str
    read: Read


def post(
    native_id: str,
    words: str,
    *,
    title: str = "",
    url: str = "",
    author: str = "",
    author_name: str = "",
    followers: int | None = None,
    lang: str = "",
    channel: Channel | None = None,
    created_at: datetime | None = None,
    edited_at: datetime | None = None,
    in_reply_to: str = "",
    reshared_from: str = "",
    media: Iterable[Attachment | None] = (),
    likes: int | None = None,
    shares: int | None = None,
    replies: int | None = None,
    views: int | None = None,
    rating: Rating | None = None,
) -> ParsedPost:
    """Return a post of values as a platform writes them; `words` are plain text already."""
    body, cut = text.cut(words)
    stated = {"likes": likes, "shares": shares, "replies": replies, "views": views}
    return ParsedPost(
        native_id=bounded_id(native_id),
        text=body,
        title=text.clean_line(title),
        truncated=cut,
        url=links.absolute(url),
        author=text.clean_line(author) or text.clean_line(author_name),
        author_name=text.clean_line(author_name),
        followers=followers,
        lang=language(lang),
        channel=channel,
        created_at=created_at,
        edited_at=edited_at,
        in_reply_to=bounded_id(in_reply_to),
        reshared_from=bounded_id(reshared_from),
        media=_distinct(media),
        metrics={name: count for name, count in stated.items() if count is not None},
        rating=rating,
    )


def attachment(kind: str, url: str, alt: str = "", transcript: str = "") -> Attachment | None:
    """Return what came with a post, or None without a link to it; `kind` may be a media type."""
    link = links.absolute(url)
    plain = kind.partition("/")[0].lower()
    if not link:
        return None
    return Attachment(
        plain if plain in _KINDS else "file",
        link,
        text.clean_line(alt, _MAX_ALT),
        text.clean(transcript[: 2 * _MAX_TRANSCRIPT])[:_MAX_TRANSCRIPT],
    )


def rows(values: Iterable[object], make: Callable[[Object], ParsedPost | None]) -> Iterator[Row]:
    """Yield what `make` says of each object: a post, or a bad row where it knows none."""
    for number, value in enumerate(values, start=1):
        made = make(value) if isinstance(value, dict) else None
        if made is None:
            yield BadRow(number, "not a post like its neighbours", untyped.original(value))
        elif not (made.native_id or made.text or made.title):
            yield BadRow(number, "neither an id nor words", untyped.original(value))
        else:
            yield made


def refuse_others(platform: str, value: object, others: Mapping[str, tuple[str, ...]]) -> None:
    """Raise Unreadable when `value`, or the first of its objects, is one of `others`.

    These are the platform's objects that hold no posts: what they are called, and the fields that
    they are known by.
    """
    first = next(iter(value), None) if isinstance(value, list) else value
    for name, known_by in others.items():
        if untyped.has(first, *known_by):
            raise no_posts(platform, name)


def no_posts(platform: str, name: str) -> Unreadable:
    """Return the error to raise for an object that can't hold what people say."""
    article = "an" if platform.startswith(_VOWELS) else "a"
    return Unreadable(f"{article} {platform} {name} holds no posts")


def failed(platform: str, *reasons: str) -> Unreadable:
    """Return the error to raise for an answer in which the platform itself reports one."""
    said = [text.clean_line(reason, _MAX_REASON).rstrip(".") for reason in reasons]
    shown = ": ".join(dict.fromkeys(reason for reason in said if reason))
    return Unreadable(f"{platform} answers with an error: {shown or 'no reason given'}")


def listed(words: str, options: Iterable[str]) -> str:
    """Return the text of a post with the options of its poll below, a line each."""
    lines = [f"- {option}" for option in map(text.clean_line, options) if option]
    return "\n".join(filter(None, (words, *lines)))


def _distinct(media: Iterable[Attachment | None]) -> tuple[Attachment, ...]:
    found: dict[str, Attachment] = {}
    for one in media:
        if one is not None and len(found) < _MAX_MEDIA:
            found.setdefault(one.url, one)
    return tuple(found.values())
