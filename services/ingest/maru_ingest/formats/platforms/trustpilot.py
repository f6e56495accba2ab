"""Trustpilot: reviews of companies and products.

What the company answered is no customer's voice and left out (https://developers.trustpilot.com).
"""

from maru_contracts.posts import Channel
from maru_ingest.formats import text
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost
from maru_ingest.formats.platform import Platform, attachment, no_posts, post, rows
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

_PAGE = "https://www.trustpilot.com/reviews/"
_LISTS = ("reviews", "productReviews")


def _read(value: object, _: str) -> Document | None:
    lists = [sequence(value, name) for name in _LISTS if has(value, name)]
    found = lists[0] if lists else [value]
    if any(map(_is_review, found)):
        return Document(rows=list(rows(found, _post)))
    if has(value, "numberOfReviews", "score") or has(value, "businessUnits", "links"):
        raise no_posts("Trustpilot", "business unit")
    return None


def _is_review(value: object) -> bool:
    return has(value, "id", "stars", "consumer", "createdAt")


def _post(review: Object) -> ParsedPost | None:
    if not _is_review(review):
        return None
    name, consumer = string(review, "id"), mapping(review, "consumer")
    words = string(review, "text") or string(review, "content")  # content is a product review's
    return post(
        name,
        text.clean(words),
        title=string(review, "title"),
        url=f"{_PAGE}{name}" if name and not has(review, "content") else "",
        author=string(consumer, "id"),
        author_name=string(consumer, "displayName"),
        lang=string(review, "language"),
        channel=Channel.REVIEW,
        created_at=moment(review, "createdAt"),
        edited_at=moment(review, "updatedAt"),
        media=map(_media, mappings(review, "attachments")),
        likes=count(review, "numberOfLikes"),
        rating=rating(review.get("stars")),
    )


def _media(one: Object) -> Attachment | None:
    urls = (string(it, "url") for it in mappings(one, "processedFiles"))
    return attachment("image", next(urls, ""))


PLATFORM = Platform(name="trustpilot", title="Trustpilot", read=_read)
