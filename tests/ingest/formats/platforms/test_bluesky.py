from datetime import UTC, datetime

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost, Unreadable

URI = "at://did:plc:abc/app.bsky.feed.post/3k"


def view(**changes: object) -> dict[str, object]:
    record = {
        "$type": "app.bsky.feed.post",
        "text": "다크 모드 추가해 주세요",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "langs": ["ko"],
    }
    return {
        "uri": URI,
        "cid": "x",
        "author": {"did": "did:plc:abc", "handle": "haneul.example", "displayName": "하늘"},
        "record": record,
        "likeCount": 3,
        "repostCount": 2,
        "replyCount": 1,
        "indexedAt": "2026-01-01T00:00:01.000Z",
        **changes,
    }


def record(**changes: object) -> dict[str, object]:
    return {**view()["record"], **changes}  # type: ignore[dict-item]  # JSON


def posts(value: object) -> list[ParsedPost]:
    return posts_of(payloads.read(value))


def posts_of(document: Document) -> list[ParsedPost]:
    return [row for row in document.rows if isinstance(row, ParsedPost)]


def test_a_post() -> None:
    (post,) = posts({"posts": [view()]})

    assert (post.native_id, post.text, post.lang) == (URI, "다크 모드 추가해 주세요", "ko")
    assert (post.author, post.author_name) == ("haneul.example", "하늘")
    assert post.url == "https://bsky.app/profile/haneul.example/post/3k"
    assert post.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert post.metrics == {"likes": 3, "shares": 2, "replies": 1}
    assert post.channel is Channel.MICROBLOG


def test_replies_and_quotes_name_addresses() -> None:
    reply = {"parent": {"uri": "at://a/app.bsky.feed.post/1"}, "root": {"uri": "at://r"}}
    quote = {"$type": "app.bsky.embed.record", "record": {"uri": "at://b", "cid": "c"}}
    both = {
        "$type": "app.bsky.embed.recordWithMedia",
        "record": {"record": {"uri": "at://c"}},
    }

    (post,) = posts(view(record=record(reply=reply, embed=quote)))
    (other,) = posts(view(record=record(embed=both)))

    assert (post.in_reply_to, post.reshared_from) == ("at://a/app.bsky.feed.post/1", "at://b")
    assert (other.reshared_from, other.is_repost) == ("at://c", False)


def test_a_repost_is_of_who_passes_it_on() -> None:
    reason = {
        "$type": "app.bsky.feed.defs#reasonRepost",
        "by": {"did": "did:plc:x", "handle": "bada.example"},
        "indexedAt": "2026-02-01T00:00:00Z",
    }
    named = {**reason, "uri": "at://did:plc:x/app.bsky.feed.repost/1"}
    first, second = posts({"feed": [{"post": view(), "reason": r} for r in (reason, named)]})

    assert first.native_id == f"{URI}#reposted-by-did:plc:x"
    assert second.native_id == "at://did:plc:x/app.bsky.feed.repost/1"
    assert first.is_repost
    assert (first.author, first.reshared_from, first.text) == (
        "bada.example",
        URI,
        "다크 모드 추가해 주세요",
    )
    assert first.created_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert first.metrics == {}


def test_links_that_are_cut_for_show_are_whole() -> None:
    said = "보세요 example.com/very-lo... 또는 여기"
    start = len("보세요 ".encode())
    end = start + len(b"example.com/very-lo...")
    label = len(said.encode()) - len("여기".encode())
    facets = [
        facet(start, end, "https://example.com/very-long"),
        facet(label, len(said.encode()), "https://a.example/"),
        facet(90, 95, "https://a.example/"),
        facet(3, 1, "https://a.example/"),
    ]

    (post,) = posts(view(record=record(text=said, facets=facets)))

    assert post.text == "보세요 https://example.com/very-long 또는 여기"


def facet(start: int, end: int, uri: str) -> dict[str, object]:
    link = {"$type": "app.bsky.richtext.facet#link", "uri": uri}
    return {"index": {"byteStart": start, "byteEnd": end}, "features": [link]}


def test_pictures_and_films_keep_their_description() -> None:
    images = {"images": [{"fullsize": "https://a.example/1.jpg", "alt": "설정"}]}
    film = {"media": {"playlist": "https://a.example/2.m3u8", "alt": "흐름"}, "record": {}}

    assert posts(view(embed=images))[0].media == (
        Attachment("image", "https://a.example/1.jpg", "설정"),
    )
    assert posts(view(embed=film))[0].media == (
        Attachment("video", "https://a.example/2.m3u8", "흐름"),
    )


def test_a_thread_comes_whole_and_without_what_is_not_there() -> None:
    def other(key: str) -> dict[str, object]:
        return view(uri=f"at://did:plc:abc/app.bsky.feed.post/{key}")

    missing = {"$type": "app.bsky.feed.defs#notFoundPost", "uri": "at://x", "notFound": True}
    inner = {"post": other("4"), "replies": []}
    thread = {"post": view(), "parent": {"post": other("1")}, "replies": [inner, missing]}
    second = [{"uri": URI, "depth": 0, "value": {"post": view()}}, {"depth": 1, "value": missing}]

    assert len(posts({"thread": thread})) == 3
    assert len(posts({"thread": second, "hasOtherReplies": False})) == 1


def test_events_of_jetstream() -> None:
    commit = {"operation": "create", "collection": "app.bsky.feed.post", "rkey": "3k"}
    event = {"did": "did:plc:abc", "time_us": 1, "kind": "commit"}
    made = payloads.read({**event, "commit": {**commit, "record": record()}})
    gone = payloads.read({**event, "commit": {**commit, "operation": "delete"}})
    like = payloads.read({**event, "commit": {**commit, "collection": "app.bsky.feed.like"}})

    assert [(post.native_id, post.author) for post in posts_of(made)] == [(URI, "did:plc:abc")]
    assert (list(gone.rows), gone.deleted) == ([], (URI,))
    assert list(like.rows) == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"did": "did:plc:a", "handle": "a.example"}, "a Bluesky profile holds no posts"),
        ({"followers": [], "subject": {}}, "a Bluesky list of followers holds no posts"),
        ({"uri": "at://a", "notFound": True}, "a Bluesky missing post holds no posts"),
        ({"error": "InvalidRequest", "message": "Bad actor"}, "InvalidRequest: Bad actor"),
    ],
)
def test_errors_and_other_answers_say_what_they_are(value: object, reason: str) -> None:
    with pytest.raises(Unreadable) as error:
        payloads.read(value)

    assert reason in str(error.value)
