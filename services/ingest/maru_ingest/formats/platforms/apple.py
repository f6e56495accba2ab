"""Apple: customer reviews of apps, by the public feed in JSON and by the App Store Connect API.

The feed's Atom is a feed like others. A review goes by `apple/<number>` of the feed or Apple's own
id of the API: the two name one review differently. A developer's answer is no customer's voice and
left out (https://developer.apple.com/documentation/appstoreconnectapi/customer-reviews).
"""

from maru_contracts.posts import Channel
from maru_ingest.formats import text
from maru_ingest.formats.parsed import Document, ParsedPost
from maru_ingest.formats.platform import Platform, failed, no_posts, post, rows
from maru_ingest.formats.ratings import rating
from maru_ingest.formats.untyped import Object, at, count, has, mapping, moment, sequence, string

_RATED = "im:rating"
_APP = "im:name"
_REVIEW = "customerReviews"


def _read(value: object, _: str) -> Document | None:
    if has(mapping(value, "feed"), "entry") or _is_empty_feed(value):
        return _feed(mapping(value, "feed"))
    errors = sequence(value, "errors")
    if errors and all(has(it, "code", "detail", "title") for it in errors):
        raise failed("App Store Connect", string(errors[0], "title"), string(errors[0], "detail"))
    return _connect(value)


def _is_empty_feed(value: object) -> bool:
    return "customerreviews" in string(value, "feed", "id", "label").lower()


def _feed(feed: Object) -> Document | None:
    entry = at(feed, "entry")
    entries = entry if isinstance(entry, list) else [entry] if entry else []
    rated = [it for it in entries if not has(it, _APP)]  # the app itself used to come first
    if entries and not any(has(it, _RATED) for it in rated):
        if any(has(it, _APP) for it in entries):
            raise no_posts("Apple", "list of apps")
        return None
    return Document(rows=list(rows(rated, _rated)))


def _rated(entry: Object) -> ParsedPost | None:
    number = string(entry, "id", "label")
    if not has(entry, _RATED):
        return None
    return post(
        f"apple/{number}" if number else "",
        _words(mapping(entry, "content")),
        title=text.from_maybe_html(string(entry, "title", "label")),
        url=string(entry, "link", "attributes", "href"),
        author=_reviewer(string(entry, "author", "uri", "label")),
        author_name=string(entry, "author", "name", "label"),
        channel=Channel.REVIEW,
        created_at=moment(entry, "updated", "label"),
        edited_at=moment(entry, "updated", "label"),  # an old state that comes late is known by it
        likes=count(entry, "im:voteSum", "label"),
        rating=rating(string(entry, _RATED, "label")),
    )


def _words(content: Object) -> str:
    is_html = string(content, "attributes", "type") == "html"
    return (text.from_html if is_html else text.clean)(string(content, "label"))


def _reviewer(uri: str) -> str:
    return uri.rpartition("/id")[2] if "/reviews/id" in uri else ""


def _connect(value: object) -> Document | None:
    data = mapping(value, "data") or sequence(value, "data")
    found = data if isinstance(data, list) else [data]
    if not any(string(it, "type") == _REVIEW for it in found):
        if found and has(found[0], "type", "attributes", "links"):
            raise no_posts("App Store Connect", "resource")
        return None
    return Document(rows=list(rows(found, _review)))


def _review(resource: Object) -> ParsedPost | None:
    stated = mapping(resource, "attributes")
    if string(resource, "type") != _REVIEW or not stated:
        return None
    return post(
        string(resource, "id"),
        text.clean(string(stated, "body")),
        title=string(stated, "title"),
        author=string(stated, "reviewerNickname"),
        author_name=string(stated, "reviewerNickname"),
        channel=Channel.REVIEW,
        created_at=moment(stated, "createdDate"),
        rating=rating(stated.get("rating")),
    )


PLATFORM = Platform(name="apple", title="Apple's App Store", read=_read)
