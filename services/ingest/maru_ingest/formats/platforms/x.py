"""X (Twitter): API v2 with its expansions, API v1.1, streams and webhooks of account activity.

Links show as where they lead, not as t.co. A repost says what the original says, whole when the
answer includes it; a post that quotes another names it as reshared. Direct messages are read, as
posts of no public channel (https://docs.x.com/x-api/fundamentals/data-dictionary).

An edit is a post of a new id, with the ids of all versions; it goes by the first one's, so that it
is the same post (https://docs.x.com/x-api/fundamentals/edit-posts).
"""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from maru_contracts.posts import Channel
from maru_ingest.formats import text
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost
from maru_ingest.formats.platform import (
    Platform,
    attachment,
    failed,
    listed,
    no_posts,
    post,
    refuse_others,
    rows,
)
from maru_ingest.formats.untyped import (
    Object,
    at,
    count,
    has,
    identifier,
    is_true,
    mapping,
    mappings,
    moment,
    sequence,
    string,
)

_FIELDS = {
    "article", "attachments", "author_id", "card_uri", "community_id", "context_annotations",
    "conversation_id", "created_at", "display_text_range", "edit_controls",
    "edit_history_tweet_ids", "entities", "geo", "id", "in_reply_to_user_id", "lang",
    "media_metadata", "non_public_metrics", "note_tweet", "organic_metrics", "possibly_sensitive",
    "promoted_metrics", "public_metrics", "referenced_tweets", "reply_settings", "scopes", "source",
    "suggested_source_links", "text", "username", "withheld",
}  # fmt: skip
_SHORT = re.compile(r"https?://t\.co/\w{1,40}")
_MAX_LINKS = 500  # so that a text does not grow without bounds
_OWN = ("public_metrics", "edit_history_tweet_ids", "conversation_id", "referenced_tweets")
_FEWEST = 2  # fields of a post when no more are asked for
_ENVELOPE = {"data", "includes", "errors", "meta", "matching_rules"}
_OTHERS = {
    "user": ("id", "name", "username"),
    "space": ("host_ids", "state"),
    "list": ("owner_id", "name"),
    "compliance job": ("resumable", "download_url"),
    "upload": ("media_key", "expires_after_secs"),
    "post count": ("tweet_count", "start"),
    "trend": ("trend_name",),
    "usage report": ("project_usage", "project_cap"),
    "stream rule": ("value", "tag", "id"),
    "poll": ("voting_status", "options"),
    "place": ("place_type", "country_code"),
    "media object": ("media_key", "type"),
}
_OTHERS_BY_THEMSELVES = {
    "user": ("username", "pinned_tweet_id"),
    "list": ("member_count", "follower_count"),
    **{name: by for name, by in _OTHERS.items() if name not in {"user", "list", "stream rule"}},
}
_PROBLEMS = ("https://api.twitter.com/", "https://api.x.com/")
_NO_LANGUAGE = {"und", "zxx", "art", "qam", "qct", "qht", "qme", "qst"}  # X's own codes for none
_MESSAGE = ("event_type", "dm_conversation_id")
_ID = re.compile(r"[0-9]{1,19}")
_TIME_SHIFT = 22
_FIRST_MILLISECOND = 1_288_834_974_657  # ids have counted from here on since November 2010


@dataclass(frozen=True, slots=True)
class _Included:
    """What an answer's expansions say, by id."""

    users: Mapping[str, Object] = field(default_factory=dict)
    posts: Mapping[str, Object] = field(default_factory=dict)
    media: Mapping[str, Object] = field(default_factory=dict)
    polls: Mapping[str, Object] = field(default_factory=dict)

    def first_version(self, name: str) -> str:
        """Return the id that a post goes by, which is its own where nothing of it is included."""
        return _first_version(self.posts.get(name, {})) or name


def _read(value: object, _: str) -> Document | None:
    if has(value, "data"):
        return _second(value)
    if has(value, "delete") or has(value, "for_user_id"):
        return _pushed(value)
    if _is_second(value, None):
        return Document(rows=list(rows([value], lambda it: _tweet(it, _Included()))))
    if (found := _first(value)) is not None:
        return found
    _refuse_error(value)
    if has(mapping(value, "meta"), "result_count"):  # nothing found: `data` is left out
        return Document(rows=())
    if has(mapping(value, "meta"), "sent"):
        raise no_posts("X", "stream rule")
    refuse_others("X", value, _OTHERS_BY_THEMSELVES)
    return None


def _first(value: object) -> Document | None:
    """Read an answer of API v1.1: a status, some, or those that a search found."""
    searched = has(value, "search_metadata")
    found = at(value, "statuses") if searched else value
    statuses = found if isinstance(found, list) else [found]
    if searched or any(map(_is_first, statuses)):
        return Document(rows=list(rows(statuses, _status)))
    return None


def _refuse_error(value: object) -> None:
    errors = mappings(value, "errors")
    if string(value, "type").startswith(_PROBLEMS):
        detail = string(value, "detail")
        raise failed("X", string(value, "title"), detail, *(string(it, "message") for it in errors))
    ours = [it for it in errors if string(it, "type").startswith(_PROBLEMS)]
    if ours:
        raise failed("X", string(ours[0], "title"), string(ours[0], "detail"))
    if errors and has(errors[0], "code", "message") and count(errors[0], "code") is not None:
        raise failed("X", f"{string(errors[0], 'message')} (code {count(errors[0], 'code')})")


def _second(value: object) -> Document | None:
    """Read an answer of API v2, whose posts are in `data`."""
    data = mapping(value, "data") or sequence(value, "data")
    answered = data if isinstance(data, list) else [data]
    envelope = mapping(value)
    if any(_is_second(it, envelope) for it in answered):
        included = _included(mapping(value, "includes"))
        return Document(rows=list(rows(answered, lambda it: _tweet(it, included))))
    if any(has(it, *_MESSAGE) for it in answered):
        users = _included(mapping(value, "includes")).users
        said = [it for it in answered if has(it, "text")]  # somebody joined, somebody left
        return Document(rows=list(rows(said, lambda it: _message(it, users))))
    refuse_others("X", answered, _OTHERS)
    if not answered and has(mapping(value, "meta"), "result_count"):
        return Document(rows=())
    return None


def _is_second(value: object, envelope: Object | None) -> bool:
    """Whether this is a post of API v2; by its few fields alone when its answer is X's."""
    if not isinstance(value, dict) or not has(value, "id", "text"):
        return False
    if envelope is None or not value.keys() <= _FIELDS:
        return any(name in value for name in _OWN)
    return len(value) > _FEWEST or (string(value, "id").isdigit() and envelope.keys() <= _ENVELOPE)


def _included(includes: Object) -> _Included:
    def by(key: str, name: str) -> dict[str, Object]:
        return {identifier(it, name): it for it in mappings(includes, key)}

    return _Included(
        users=by("users", "id"),
        posts=by("tweets", "id"),
        media=by("media", "media_key"),
        polls=by("polls", "id"),
    )


def _tweet(tweet: Object, included: _Included) -> ParsedPost | None:
    if not has(tweet, "id", "text"):
        return None
    name, first = identifier(tweet, "id"), _first_version(tweet)
    written = moment(tweet, "created_at")
    is_edited = first != name
    related = {
        string(it, "type"): identifier(it, "id") for it in mappings(tweet, "referenced_tweets")
    }
    said = included.posts.get(related.get("retweeted", ""), tweet)
    writer = identifier(tweet, "author_id")
    user = included.users.get(writer, {})
    handle = string(user, "username") or string(tweet, "username")
    metrics = mapping(tweet, "public_metrics")
    polls = (included.polls.get(it, {}) for it in _ids(said, "poll_ids"))
    options = [string(option, "label") for poll in polls for option in mappings(poll, "options")]
    return post(
        first,
        listed(_second_words(said), options),
        url=f"https://x.com/{handle or 'i'}/status/{name}" if name else "",
        author=handle or writer,
        author_name=string(user, "name"),
        followers=count(user, "public_metrics", "followers_count"),
        lang=_language(tweet),
        channel=Channel.OTHER if is_true(user, "protected") else Channel.MICROBLOG,
        created_at=_time_of(first) if is_edited else written,
        edited_at=written if is_edited else None,
        in_reply_to=included.first_version(related.get("replied_to", "")),
        reshared_from=included.first_version(related.get("retweeted") or related.get("quoted", "")),
        is_repost="retweeted" in related,
        media=[_media(included.media.get(key, {})) for key in _ids(said, "media_keys")],
        likes=count(metrics, "like_count"),
        shares=count(metrics, "retweet_count"),
        replies=count(metrics, "reply_count"),
        views=count(metrics, "impression_count"),
    )


def _first_version(tweet: Object) -> str:
    """Return the id of a post's first version: X gives those of all, oldest first."""
    versions = sequence(tweet, "edit_history_tweet_ids")
    first = versions[0] if versions else ""
    return first if isinstance(first, str) and _ID.fullmatch(first) else identifier(tweet, "id")


def _time_of(name: str) -> datetime:
    """Return when the post of this id was made, which its upper bits tell in milliseconds."""
    told = (int(name) >> _TIME_SHIFT) + _FIRST_MILLISECOND
    return datetime.fromtimestamp(told / 1000, UTC)


def _ids(tweet: Object, name: str) -> list[str]:
    return [it for it in sequence(tweet, "attachments", name) if isinstance(it, str)]


def _second_words(tweet: Object) -> str:
    note = mapping(tweet, "note_tweet")  # the whole of what is longer than a post used to be
    written = string(note, "text") or string(tweet, "text")
    return _shown(
        written, [*mappings(note, "entities", "urls"), *mappings(tweet, "entities", "urls")]
    )


def _shown(written: str, urls: Iterable[Object]) -> str:
    """Return what X shows: links as where they lead, none to the post's own pictures."""
    targets = {string(it, "url"): _target(it) for it in urls}
    shown = _SHORT.sub(lambda link: targets.get(link[0], link[0]), written, count=_MAX_LINKS)
    return text.clean(html.unescape(shown))


def _target(entity: Object) -> str:
    own = has(entity, "media_key") or string(entity, "display_url").startswith("pic.")
    return "" if own else string(entity, "expanded_url") or string(entity, "url")


def _language(tweet: Object) -> str:
    stated = string(tweet, "lang")
    return "" if stated in _NO_LANGUAGE else stated


def _media(one: Object) -> Attachment | None:
    kind = {"photo": "image", "animated_gif": "video"}.get(string(one, "type"), string(one, "type"))
    films = [string(it, "url") for it in mappings(one, "variants") if has(it, "bit_rate")]
    url = string(one, "url") or next(iter(films), "")
    if not url:
        kind, url = "image", string(one, "preview_image_url")
    return attachment(kind, url, string(one, "alt_text"))


def _message(event: Object, users: Mapping[str, Object]) -> ParsedPost | None:
    """Read a direct message, which only those who wrote to each other can see."""
    if not has(event, "id", "text"):
        return None
    sender = identifier(event, "sender_id")
    user = users.get(sender, {})
    return post(
        identifier(event, "id"),
        _shown(string(event, "text"), mappings(event, "entities", "urls")),
        author=string(user, "username") or sender,
        author_name=string(user, "name"),
        channel=Channel.OTHER,
        created_at=moment(event, "created_at"),
    )


def _pushed(value: object) -> Document:
    """Read an event of a stream or a webhook of the Account Activity API."""
    gone = [
        identifier(value, "delete", "status", "id_str"),
        identifier(value, "delete", "tweet", "id"),
        *(identifier(it, "status", "id") for it in mappings(value, "tweet_delete_events")),
    ]
    made = sequence(value, "tweet_create_events")
    return Document(rows=list(rows(made, _status)), deleted=tuple(filter(None, gone)))


def _is_first(value: object) -> bool:
    """Whether this is a status of API v1.1."""
    return has(value, "id_str", "user") and (has(value, "text") or has(value, "full_text"))


def _status(status: Object) -> ParsedPost | None:
    if not _is_first(status):
        return None
    name = identifier(status, "id_str")
    original = mapping(status, "retweeted_status")
    said = original or status
    user = mapping(status, "user")
    handle = string(user, "screen_name")
    return post(
        name,
        _first_words(said),
        url=f"https://x.com/{handle or 'i'}/status/{name}" if name else "",
        author=handle or identifier(user, "id_str"),
        author_name=string(user, "name"),
        followers=count(user, "followers_count"),
        lang=_language(status),
        channel=Channel.OTHER if is_true(user, "protected") else Channel.MICROBLOG,
        created_at=moment(status, "created_at"),
        in_reply_to=identifier(status, "in_reply_to_status_id_str"),
        reshared_from=identifier(original, "id_str") or identifier(status, "quoted_status_id_str"),
        is_repost=bool(original),
        media=map(_first_media, _pictures(said)),
        likes=count(status, "favorite_count"),
        shares=count(status, "retweet_count"),
        replies=count(status, "reply_count"),
    )


def _first_words(status: Object) -> str:
    whole = mapping(status, "extended_tweet") or status
    written = string(whole, "full_text") or string(status, "full_text") or string(status, "text")
    urls = [*mappings(whole, "entities", "urls"), *mappings(status, "entities", "urls")]
    own = ({"url": it.get("url"), "media_key": ""} for it in _pictures(status))
    return _shown(written, [*own, *urls])


def _pictures(status: Object) -> list[Object]:
    whole = mapping(status, "extended_tweet") or status
    return mappings(whole, "extended_entities", "media") or mappings(whole, "entities", "media")


def _first_media(one: Object) -> Attachment | None:
    kind = string(one, "type")
    films = [string(it, "url") for it in mappings(one, "video_info", "variants")]
    film = next((it for it in films if ".mp4" in it), "")
    alt = string(one, "ext_alt_text")
    if kind in {"video", "animated_gif"} and film:
        return attachment("video", film, alt)
    return attachment("image", string(one, "media_url_https"), alt)


PLATFORM = Platform(name="x", title="X (Twitter)", read=_read)
