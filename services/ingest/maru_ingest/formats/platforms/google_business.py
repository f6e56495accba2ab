"""Google Business Profile: reviews of places as their owners get them.

The owner's reply is no customer's voice and left out; of what Google translated the original stays
(https://developers.google.com/my-business/reference/rest/v4/accounts.locations.reviews).
"""

import re

from maru_contracts.posts import Channel
from maru_ingest.formats import text
from maru_ingest.formats.parsed import Document, ParsedPost
from maru_ingest.formats.platform import Platform, post, rows
from maru_ingest.formats.ratings import rating
from maru_ingest.formats.untyped import Object, at, has, is_true, mapping, moment, sequence, string

_ORIGINAL = re.compile(r"\(Original\)\s*(.*)\Z", re.DOTALL)
_STARS = {"ONE": 1, "TWO": 2, "THREE": 3, "FOUR": 4, "FIVE": 5}
_TRANSLATED = re.compile(r"\(Translated by Google\).*\Z", re.DOTALL)


def _read(value: object, _: str) -> Document | None:
    several = [at(it, "review") for it in sequence(value, "locationReviews")]
    found = several or (sequence(value, "reviews") if has(value, "reviews") else [value])
    if not any(map(_is_review, found)):
        return None
    return Document(rows=list(rows(found, _post)))


def _is_review(value: object) -> bool:
    return has(value, "reviewId", "starRating", "createTime")


def _post(review: Object) -> ParsedPost | None:
    if not _is_review(review):
        return None
    reviewer = mapping(review, "reviewer")
    name = "" if is_true(reviewer, "isAnonymous") else string(reviewer, "displayName")
    return post(
        string(review, "reviewId"),
        text.clean(_own_words(string(review, "comment"))),
        author=name,
        author_name=name,
        channel=Channel.REVIEW,
        created_at=moment(review, "createTime"),
        edited_at=moment(review, "updateTime"),
        rating=rating(_STARS.get(string(review, "starRating"))),
    )


def _own_words(comment: str) -> str:
    original = _ORIGINAL.search(comment)
    return original[1] if original else _TRANSLATED.sub("", comment)


PLATFORM = Platform(name="google_business", title="Google Business Profile", read=_read)
