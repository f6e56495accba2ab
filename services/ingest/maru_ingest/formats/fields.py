"""The names that people give to the fields of a post in their own rows and objects."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache

from maru_contracts.posts import Channel
from maru_ingest.formats import dates, links, ratings, text
from maru_ingest.formats.parsed import Attachment, Deletion, ParsedPost

NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "native_id", "post_id", "review_id", "comment_id", "message_id", "guid", "uid",
           "uuid", "번호"),
    "text": ("text", "body", "content", "message", "review", "comment", "feedback", "selftext",
             "description", "content_text", "full_text", "내용", "본문", "리뷰"),
    "html": ("html", "content_html", "body_html"),
    "title": ("title", "subject", "headline", "제목"),
    "url": ("url", "link", "permalink", "uri", "href", "external_url", "링크"),
    "author": ("author", "user", "username", "user_name", "handle", "author_handle", "screen_name",
               "author_id", "user_id", "reviewer", "creator", "from", "작성자"),
    "author_name": ("author_name", "display_name", "nickname", "이름"),
    "followers": ("followers", "followers_count"),
    "created": ("created_at", "created", "date", "published", "published_at", "timestamp",
                "datetime", "posted_at", "pubdate", "time", "created_utc", "날짜", "작성일"),
    "edited": ("updated_at", "edited_at", "updated", "modified", "modified_at"),
    "lang": ("lang", "language", "lang_hint", "locale", "언어"),
    "channel": ("channel", "medium"),
    "reply": ("in_reply_to", "in_reply_to_id", "parent_id", "reply_to"),
    "reshared": ("reshared_from", "retweet_of", "reblog_of"),
    "likes": ("likes", "like_count", "favorites", "favorite_count", "upvotes", "thumbs_up",
              "favourites_count", "agreements", "좋아요"),
    "shares": ("shares", "share_count", "retweets", "retweet_count", "reposts", "reblogs_count"),
    "replies": ("replies", "reply_count", "comments", "comment_count", "comments_count",
                "replies_count", "num_comments", "댓글수"),
    "rating": ("rating", "stars", "star_rating", "rating_value", "별점", "평점"),
    "best": ("best_rating", "max_rating", "rating_scale", "rating_max"),
    "views": ("views", "view_count", "impressions", "impression_count", "조회수"),
    "media": ("media", "attachments", "images"),
    "metrics": ("metrics", "public_metrics"),
    "deleted": ("deleted", "is_deleted"),
}  # fmt: skip
"""Meaning to field names, the likeliest first; case, spaces and dashes do not matter."""

_MEANING = {
    name: (place, meaning) for meaning, names in NAMES.items() for place, name in enumerate(names)
}
_SPACING = re.compile(r"[\s\-.]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*")
_SAYING = frozenset({"text", "html", "title"})
_COUNTS = ("likes", "shares", "replies", "views")
_MAX_ID, _MAX_LANGUAGE, _MAX_SHOWN, _MAX_MEDIA, _MAX_COUNT = 500, 35, 60, 10, 2**53
_MAX_TRANSCRIPT = 5_000  # ten of them and the longest text still fit into one record of the log
_HANDLE = ("handle", "username", "screen_name", "acct", "login", "name", "display_name", "id")
_SHOWN_NAME = ("display_name", "name", "username")
_KINDS = {"image", "audio", "video", "file"}
_YES = {"true", "yes", "1"}
_CHANNELS = {channel.value: channel for channel in Channel}


class BadField(ValueError):
    """The row can't become a post; the text says which field is why."""


def post_from(row: Mapping[str, object], *, line: int = 0, offset: int = 0) -> ParsedPost:
    """Return the post that `row` describes in common field names.

    Raises BadField when it has no text, or a date that can't be read.
    """
    found = _present(row)
    body, cut = text.cut(_body(found))
    title = text.clean_line(text.from_maybe_html(_string(found, "title")))
    if not body and not title:
        raise BadField(_no_text(row))
    post = ParsedPost(native_id=bounded_id(_string(found, "id")), text=body, title=title)
    post.truncated, post.line, post.offset, post.is_row = cut, line, offset, True
    _add_author(post, found)
    _add_where_and_when(post, found)
    _add_reach(post, found)
    return post


def deletion_from(row: Mapping[str, object], *, line: int = 0, offset: int = 0) -> Deletion | None:
    """Return the end of the post that `row` names if its field `deleted` is true, else None.

    Raises BadField when it names none.
    """
    if not _may_be_deleted(tuple(row)):
        return None
    found = _present(row)
    if str(found.get("deleted", "")).strip().lower() not in _YES:
        return None
    native_id = bounded_id(_string(found, "id"))
    if not native_id:
        raise BadField("a deletion without an id: it does not say which post is gone")
    return Deletion((native_id,), line=line, offset=offset)


def may_have_text(names: Iterable[str]) -> bool:
    """Whether rows with these fields can become posts."""
    return any(meaning in _SAYING for meaning, _ in _plan(tuple(names)))


def _no_text(row: Mapping[str, object]) -> str:
    if may_have_text(row):
        return "no text"
    # A lone surrogate is written as \ud800: the reason must fit into UTF-8.
    written = ", ".join(map(str, row)).encode("utf-8", "backslashreplace").decode("utf-8")
    names = text.clean_line(written, _MAX_SHOWN)
    return f"no text: of its fields ({names}) none is called text, body, message, review, title …"


def bounded_id(written: str) -> str:
    """Return an id as it is, or its hash when it is too long to be kept."""
    cleaned = text.clean_line(written, 2 * _MAX_ID)
    if len(cleaned) <= _MAX_ID:
        return cleaned
    return "sha256:" + hashlib.sha256(written.encode("utf-8", "replace")).hexdigest()


def language(written: str) -> str:
    """Return a language tag, or an empty string for anything else."""
    tag = written.strip()
    return tag if len(tag) <= _MAX_LANGUAGE and _LANGUAGE.fullmatch(tag) else ""


@lru_cache(maxsize=512)
def _plan(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return (meaning, field) pairs for rows with these fields, the likeliest field first."""
    ranked = []
    for name in names:
        plain = _SPACING.sub("_", _CAMEL.sub("_", str(name).strip("\ufeff \t"))).lower()
        if plain in _MEANING:
            place, meaning = _MEANING[plain]
            ranked.append((place, meaning, name))
    return tuple((meaning, name) for _, meaning, name in sorted(ranked))


@lru_cache(maxsize=512)
def _may_be_deleted(names: tuple[str, ...]) -> bool:
    return any(meaning == "deleted" for meaning, _ in _plan(names))


def _present(row: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for meaning, name in _plan(tuple(row)):
        value = row[name]
        if value is not None and value != "" and meaning not in found:
            found[meaning] = value
    return found


def _body(found: Mapping[str, object]) -> str:
    if "text" in found:
        if isinstance(found["text"], dict | list):
            raise BadField("the text is not a string")
        return text.from_maybe_html(_string(found, "text"))
    return text.from_html(_string(found, "html"))


def _string(found: Mapping[str, object], meaning: str) -> str:
    value = found.get(meaning)
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(value)


def _add_author(post: ParsedPost, found: Mapping[str, object]) -> None:
    who = found.get("author")
    if isinstance(who, list) and who:
        who = who[0]
    if isinstance(who, dict):
        post.author = text.clean_line(_first(who, _HANDLE))
        post.author_name = text.clean_line(_first(who, _SHOWN_NAME))
        post.followers = count(who.get("followers", who.get("followers_count")))
    else:
        handle = who if isinstance(who, str) else _string(found, "author")
        post.author = text.clean_line(handle) if handle else ""
    if "author_name" in found:
        post.author_name = text.clean_line(_string(found, "author_name"))
        post.author = post.author or post.author_name
    if "followers" in found:
        post.followers = count(found["followers"])


def _add_where_and_when(post: ParsedPost, found: Mapping[str, object]) -> None:
    if "url" in found:
        post.url = links.absolute(_string(found, "url"))
    if "lang" in found:
        post.lang = language(_string(found, "lang"))
    if "channel" in found:
        post.channel = _CHANNELS.get(_string(found, "channel").strip().lower())
    if "reply" in found:
        post.in_reply_to = bounded_id(_string(found, "reply"))
    if "reshared" in found:
        post.reshared_from = bounded_id(_string(found, "reshared"))
    post.created_at = _moment(found, "created")
    post.edited_at = _moment(found, "edited")


def _moment(found: Mapping[str, object], meaning: str) -> datetime | None:
    if meaning not in found:
        return None
    written = found[meaning]
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        raise BadField("the date is neither text nor a number")
    try:
        return dates.parse(written)
    except dates.UnreadableDate as error:
        raise BadField(f"the date {str(written)[:_MAX_SHOWN]!r} can't be read") from error


def _add_reach(post: ParsedPost, found: Mapping[str, object]) -> None:
    stated: dict[str, object] = {name: found[name] for name in _COUNTS if name in found}
    nested = found.get("metrics")
    if isinstance(nested, dict):
        stated = {**_present(nested), **stated}
    for name in _COUNTS:
        if name in stated and (number := count(stated[name])) is not None:
            post.metrics[name] = number
    if "media" in found:
        post.media = _media(found["media"])
    if "rating" in found:
        post.rating = ratings.rating(found["rating"], found.get("best"))


def _media(value: object) -> tuple[Attachment, ...]:
    if not isinstance(value, list):
        return ()
    attached = (_attachment(one) for one in value[:_MAX_MEDIA])
    return tuple(one for one in attached if one is not None)


def _attachment(value: object) -> Attachment | None:
    if isinstance(value, str):
        value = {"url": value}
    if not isinstance(value, dict):
        return None
    url = links.absolute(str(value.get("url") or ""))
    kind = str(value.get("kind") or value.get("mime_type") or value.get("type") or "")
    kind = kind.partition("/")[0]
    if not url:
        return None
    alt = text.clean_line(str(value.get("alt") or value.get("title") or ""))
    spoken = text.clean(str(value.get("transcript") or "")[:_MAX_TRANSCRIPT])
    return Attachment(kind if kind in _KINDS else "file", url, alt, spoken)


def _first(values: Mapping[str, object], names: tuple[str, ...]) -> str:
    for name in names:
        value = values.get(name)
        if value not in (None, "") and isinstance(value, str | int):
            return str(value)
    return ""


def count(value: object) -> int | None:
    """Return how many, or None where no sensible number is stated."""
    try:
        number = int(str(value).replace(",", "")) if not isinstance(value, bool) else -1
    except ValueError:
        return None
    return number if 0 <= number <= _MAX_COUNT else None
