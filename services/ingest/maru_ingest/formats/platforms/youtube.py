"""YouTube Data API v3: comments and comment threads, videos, and what lists videos.

A video is the post of its channel and goes by its video id, whether it comes as a video, a search
result, a playlist's item or an upload; a comment goes by its own id and replies to its parent, else
to its video (https://developers.google.com/youtube/v3/docs).
"""

import html
import re
from collections.abc import Iterator

from maru_contracts.posts import Channel
from maru_ingest.formats import text
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost
from maru_ingest.formats.platform import Platform, attachment, failed, no_posts, post, rows
from maru_ingest.formats.untyped import (
    Object,
    count,
    has,
    mapping,
    mappings,
    moment,
    sequence,
    string,
)

_PREFIX = "youtube#"
_WATCH = "https://www.youtube.com/watch?v="
_HELD = ("commentThread", "comment", "video", "searchResult", "playlistItem", "activity")
_GONE = ("Deleted video", "Private video")  # what a playlist shows in place of the title
_CAPITAL = re.compile(r"(?<=[a-z])[A-Z]")
_SIZES = ("maxres", "standard", "high", "medium", "default")


def _read(value: object, _: str) -> Document | None:
    _refuse_error(value)
    kind = _kind(value)
    if isinstance(value, list):
        answered = value
    elif has(value, "items") and kind.lower().endswith("response"):
        answered = sequence(value, "items")
    else:
        answered = [value]
    kinds = {_kind(each) for each in answered}
    if not any(kinds) and not kind:
        return None
    if answered and not kinds & set(_HELD):
        raise no_posts("YouTube", _CAPITAL.sub(r" \g<0>", max(kinds) or kind).lower())
    found = list(_held(answered))
    gone = tuple(filter(None, (_video_id(each) for each in found if _is_gone(each))))
    return Document(rows=list(rows([it for it in found if not _is_gone(it)], _post)), deleted=gone)


def _refuse_error(value: object) -> None:
    """Raise Unreadable for Google's error object when YouTube is what it is about."""
    errors = mappings(value, "error", "errors")
    if isinstance(value, dict) and any(
        string(error, "domain").startswith("youtube") for error in errors
    ):
        first = errors[0]
        whole, reason = (text.from_html(string(it, "message")) for it in (value["error"], first))
        raise failed("YouTube", whole, reason, string(first, "reason"))


def _kind(value: object) -> str:
    kind = string(value, "kind")
    return kind.removeprefix(_PREFIX) if kind.startswith(_PREFIX) else ""


def _held(answered: list[object]) -> Iterator[object]:
    """Yield comments and videos one by one; likes and channels among them are left out."""
    for each in answered:
        match _kind(each):
            case "commentThread":
                yield _thread(each, mapping(each, "snippet", "topLevelComment"))
                for reply in mappings(each, "replies", "comments"):
                    yield _thread(each, reply)
            case "activity" if string(each, "snippet", "type") not in {"upload", "bulletin"}:
                continue
            case "searchResult" if string(each, "id", "kind") != "youtube#video":
                continue
            case _:
                yield each


def _thread(thread: object, comment: Object) -> Object:
    """Return a comment with what only its thread may say: the video, and who can read it."""
    snippet = mapping(thread, "snippet")
    return {
        "kind": "youtube#comment",
        "id": comment.get("id"),
        "snippet": {"videoId": snippet.get("videoId"), **mapping(comment, "snippet")},
        "isPublic": snippet.get("isPublic"),
        "replies": None if has(comment, "snippet", "parentId") else snippet.get("totalReplyCount"),
    }


def _post(one: Object) -> ParsedPost | None:
    match _kind(one):
        case "comment":
            return _comment(one)
        case "video" | "searchResult" | "playlistItem" | "activity":
            return _video(one)
        case _:
            return None


def _comment(comment: Object) -> ParsedPost:
    snippet = mapping(comment, "snippet")
    name, video = string(comment, "id"), string(snippet, "videoId")
    parent = string(snippet, "parentId")
    replies = count(comment, "replies")
    written = string(snippet, "textOriginal")  # its author alone gets it
    words = text.clean(written) or text.from_maybe_html(string(snippet, "textDisplay"))
    return post(
        name,
        words,
        url=f"{_WATCH}{video}&lc={name}" if video and name else "",
        author=string(snippet, "authorChannelId", "value"),
        author_name=string(snippet, "authorDisplayName"),
        channel=Channel.OTHER if comment.get("isPublic") is False else Channel.VIDEO,
        created_at=moment(snippet, "publishedAt"),
        edited_at=moment(snippet, "updatedAt"),
        in_reply_to=parent or video,
        likes=count(snippet, "likeCount"),
        replies=None if parent else replies,
    )


def _video(video: Object) -> ParsedPost:
    snippet = mapping(video, "snippet")
    name = _video_id(video)
    words = html.unescape(string(snippet, "description"))
    private = string(video, "status", "privacyStatus") not in {"", "public", "unlisted"}
    made = post(
        name,
        text.clean(words),
        title=html.unescape(string(snippet, "title")),
        url=f"{_WATCH}{name}" if name else "",
        author=string(snippet, "videoOwnerChannelId") or string(snippet, "channelId"),
        author_name=string(snippet, "videoOwnerChannelTitle") or string(snippet, "channelTitle"),
        lang=string(snippet, "defaultLanguage") or string(snippet, "defaultAudioLanguage"),
        channel=Channel.OTHER if private else Channel.VIDEO,
        created_at=moment(video, "contentDetails", "videoPublishedAt")
        or moment(snippet, "publishedAt"),
        media=[_thumbnail(snippet), attachment("video", f"{_WATCH}{name}" if name else "")],
        likes=count(video, "statistics", "likeCount"),
        replies=count(video, "statistics", "commentCount"),
        views=count(video, "statistics", "viewCount"),
    )
    made.truncated |= _kind(video) == "searchResult" and words.endswith("...")
    return made


def _video_id(video: object) -> str:
    ids = (
        string(video, "id", "videoId"),
        string(video, "snippet", "resourceId", "videoId"),
        string(video, "contentDetails", "upload", "videoId"),
        "" if _kind(video) == "activity" else string(video, "id"),
    )
    return next(filter(None, ids), "")


def _is_gone(video: object) -> bool:
    return _kind(video) == "playlistItem" and string(video, "snippet", "title") in _GONE


def _thumbnail(snippet: Object) -> Attachment | None:
    urls = (string(snippet, "thumbnails", size, "url") for size in _SIZES)
    return attachment("image", next(filter(None, urls), ""))


PLATFORM = Platform(name="youtube", title="YouTube", read=_read)
