"""Reviews by Apple, Google Play, Google Business Profile and Trustpilot."""

from datetime import UTC, datetime

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import documents, payloads
from maru_ingest.formats.parsed import ParsedPost, Rating, Unreadable


def posts(value: object) -> list[ParsedPost]:
    return [row for row in payloads.read(value).rows if isinstance(row, ParsedPost)]


def labelled(**fields: str) -> dict[str, object]:
    return {name.replace("_", ":"): {"label": value} for name, value in fields.items()}


def entry() -> dict[str, object]:
    author = {
        "name": {"label": "하늘"},
        "uri": {"label": "https://itunes.apple.com/kr/reviews/id1295716811"},
    }
    stated = labelled(
        im_rating="1",
        im_version="2.1",
        im_voteSum="4",
        id="10743046471",
        title="로그인 오류",
        content="업데이트 후\n안 돼요 & 느려요",
        updated="2026-01-01T05:37:36-07:00",
    )
    return {**stated, "author": author}


def test_a_review_of_apples_feed() -> None:
    (post,) = posts({"feed": {"entry": [entry()]}})

    assert (post.native_id, post.title) == ("apple/10743046471", "로그인 오류")
    assert post.text == "업데이트 후\n안 돼요 & 느려요"
    assert (post.author, post.author_name) == ("1295716811", "하늘")
    assert post.created_at == datetime(2026, 1, 1, 12, 37, 36, tzinfo=UTC)
    assert (post.channel, post.metrics) == (Channel.REVIEW, {"likes": 4})
    assert post.rating == Rating(1, 5)


def test_apples_feed_with_one_review_none_and_the_app_first() -> None:
    app = labelled(im_name="App", id="x")
    none = {"feed": {"id": {"label": "https://itunes.apple.com/rss/customerreviews/id=1/json"}}}

    assert len(posts({"feed": {"entry": entry()}})) == 1
    assert len(posts({"feed": {"entry": [app, entry()]}})) == 1
    assert posts(none) == []
    with pytest.raises(Unreadable, match="an Apple list of apps holds no posts"):
        payloads.read({"feed": {"entry": [app]}})


def test_a_review_by_app_store_connect() -> None:
    attributes = {
        "rating": 2,
        "title": "Dark mode",
        "body": "Please add it",
        "reviewerNickname": "haneul",
        "createdDate": "2026-01-01T00:00:00-08:00",
        "territory": "KOR",
    }
    review = {"type": "customerReviews", "id": "00000028-a", "attributes": attributes}
    (post,) = posts({"data": [review], "links": {}})

    assert (post.native_id, post.title, post.text) == ("00000028-a", "Dark mode", "Please add it")
    assert post.created_at == datetime(2026, 1, 1, 8, tzinfo=UTC)
    assert post.rating == Rating(2, 5)
    assert len(posts({"data": review})) == 1
    error = {"status": "401", "code": "NOT_AUTHORIZED", "title": "No", "detail": "Token expired"}
    with pytest.raises(Unreadable, match="App Store Connect answers with an error: No: Token exp"):
        payloads.read({"errors": [error]})


def play(**comment: object) -> dict[str, object]:
    stated = {
        "text": "Dark mode\tPlease add it",
        "lastModified": {"seconds": "1767225600", "nanos": 250_000_999},
        "starRating": 2,
        "reviewerLanguage": "en",
        "thumbsUpCount": 3,
    }
    answer = {"developerComment": {"text": "Thanks!", "lastModified": {"seconds": "1767225601"}}}
    said = {"userComment": {**stated, **comment}}
    return {"reviewId": "gp:AOq", "authorName": "하늘", "comments": [said, answer]}


def test_a_review_of_google_play_without_the_developers_answer() -> None:
    (post,) = posts({"reviews": [play()], "tokenPagination": {}})

    assert (post.native_id, post.title, post.text) == ("gp:AOq", "Dark mode", "Please add it")
    assert (post.author, post.lang) == ("하늘", "en")
    assert post.created_at == datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)
    assert (post.channel, post.metrics) == (Channel.REVIEW, {"likes": 3})
    assert post.rating == Rating(2, 5)


def test_google_plays_original_counts_not_its_translation() -> None:
    (post,) = posts(play(text="Slow", originalText="느려요"))

    assert (post.title, post.text) == ("", "느려요")


@pytest.mark.parametrize(
    ("comment", "own"),
    [
        ("친절해요", "친절해요"),
        ("친절해요\n\n(Translated by Google)\nKind", "친절해요"),
        ("(Translated by Google) Kind\n\n(Original)\n친절해요", "친절해요"),
        (None, ""),
    ],
)
def test_a_review_of_a_place(comment: str, own: str) -> None:
    review = {
        "reviewId": "AbC",
        "reviewer": {"displayName": "하늘"},
        "starRating": "FIVE",
        "comment": comment,
        "createTime": "2026-01-01T00:00:00Z",
        "reviewReply": {"comment": "Thank you"},
    }
    several = {"locationReviews": [{"name": "x", "review": review}]}

    (post,) = posts({"reviews": [review]})
    assert (post.text, post.author, post.rating) == (own, "하늘", Rating(5, 5))
    assert len(posts(several)) == 1


def test_a_review_of_trustpilot() -> None:
    review = {
        "id": "507f191e810c19729de860ea",
        "stars": 1,
        "title": "Late",
        "text": "Came two weeks late",
        "language": "en",
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-02T00:00:00Z",
        "consumer": {"id": "c1", "displayName": "Haneul"},
        "companyReply": {"text": "Sorry"},
        "numberOfLikes": 2,
    }
    (post,) = posts({"reviews": [review], "links": []})

    assert (post.title, post.text, post.lang) == ("Late", "Came two weeks late", "en")
    assert post.url == "https://www.trustpilot.com/reviews/507f191e810c19729de860ea"
    assert (post.author, post.author_name) == ("c1", "Haneul")
    assert post.edited_at == datetime(2026, 1, 2, tzinfo=UTC)
    assert (post.metrics, post.rating) == ({"likes": 2}, Rating(1, 5))
    files = [{"processedFiles": [{"url": "https://a.example/1.jpg"}]}, {"processedFiles": []}]
    (product,) = posts({"productReviews": [{**review, "content": "Good", "attachments": files}]})
    assert [one.url for one in product.media] == ["https://a.example/1.jpg"]


def test_apples_feed_in_atom_is_a_feed() -> None:
    atom = """<?xml version="1.0" encoding="utf-8"?>
    <feed xmlns:im="http://itunes.apple.com/rss" xmlns="http://www.w3.org/2005/Atom" xml:lang="ko">
    <id>https://mzstoreservices-int.example/rss/customerreviews/id=1/xml</id><entry>
    <updated>2026-01-01T05:37:36-07:00</updated><id>10743046471</id><title>로그인 오류</title>
    <content type="text">안 돼요</content><im:rating>1</im:rating>
    <author><name>하늘</name><uri>https://itunes.apple.com/kr/reviews/id1</uri></author>
    <content type="html">&lt;table&gt;&lt;td&gt;안 돼요&lt;/td&gt;&lt;/table&gt;</content>
    </entry></feed>"""
    (post,) = documents.parse(atom.encode()).rows

    assert isinstance(post, ParsedPost)
    assert (post.title, post.text, post.author) == ("로그인 오류", "안 돼요", "하늘")
    assert post.created_at == datetime(2026, 1, 1, 12, 37, 36, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (
            {"data": [{"type": "apps", "id": "1", "attributes": {}, "links": {}}]},
            "an App Store Connect resource holds no posts",
        ),
        ({"numberOfReviews": {"total": 1}, "score": {}}, "a Trustpilot business unit holds no"),
        ({"result": {"replyText": "x", "lastEdited": {}}}, "a Google Play reply holds no posts"),
    ],
)
def test_other_answers_of_shops_say_what_they_are(value: object, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        payloads.read(value)


@pytest.mark.parametrize(
    "good", [{"feed": {"entry": [entry(), {"x": 1}]}}, {"reviews": [play(), {"x": 1}]}]
)
def test_a_broken_review_does_not_take_its_neighbours_along(good: object) -> None:
    assert [type(row).__name__ for row in payloads.read(good).rows] == ["ParsedPost", "BadRow"]
