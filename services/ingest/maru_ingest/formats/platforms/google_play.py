"""Google Play: reviews of an app as its developer gets them (Android Publisher API v3).

A review keeps the words that were written, not their translation. What the developer answered is no
customer's voice and left out (https://developers.google.com/android-publisher/api-ref/rest/v3/reviews).
"""

from datetime import datetime, timedelta

from maru_contracts.posts import Channel
from maru_ingest.formats import text
from maru_ingest.formats.parsed import Document, ParsedPost
from maru_ingest.formats.platform import Platform, no_posts, post, rows
from maru_ingest.formats.ratings import rating
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

_SECOND = 1_000_000_000


def _read(value: object, _: str) -> Document | None:
    found = sequence(value, "reviews") if has(value, "reviews") else [value]
    if any(map(_is_review, found)):
        return Document(rows=list(rows(found, _post)))
    if has(mapping(value, "result"), "replyText", "lastEdited"):
        raise no_posts("Google Play", "reply")
    return None


def _is_review(value: object) -> bool:
    return has(value, "reviewId", "comments")


def _post(review: Object) -> ParsedPost | None:
    if not _is_review(review):
        return None
    comments = (mapping(it, "userComment") for it in mappings(review, "comments"))
    comment = next(filter(None, comments), {})
    written = string(comment, "originalText") or string(comment, "text")
    title, tab, body = written.partition("\t")  # where people once wrote a title, a tab ends it
    changed = _moment(mapping(comment, "lastModified"))
    return post(
        string(review, "reviewId"),
        text.clean(body if tab else written),
        title=title if tab else "",
        author=string(review, "authorName"),
        author_name=string(review, "authorName"),
        lang=string(comment, "reviewerLanguage"),
        channel=Channel.REVIEW,
        created_at=changed,
        edited_at=changed,
        likes=count(comment, "thumbsUpCount"),
        rating=rating(comment.get("starRating")),
    )


def _moment(written: Object) -> datetime | None:
    """Return a time in seconds and nanoseconds (protobuf's Timestamp)."""
    whole, nanos = moment(written, "seconds"), count(written, "nanos") or 0
    return whole and whole + timedelta(microseconds=min(nanos, _SECOND - 1) // 1_000)


PLATFORM = Platform(name="google_play", title="Google Play", read=_read)
