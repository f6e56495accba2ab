from datetime import UTC, datetime

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import Attachment, ParsedPost, Unreadable


def link(**changes: object) -> dict[str, object]:
    data = {
        "name": "t3_1abc",
        "title": "Dark mode &amp; more",
        "selftext": "I want it &gt; anything. [Mockup](https://a.example/m)",
        "author": "haneul",
        "permalink": "/r/apps/comments/1abc/dark_mode/",
        "created_utc": 1767225600.0,
        "edited": False,
        "score": 12,
        "num_comments": 3,
        "subreddit_type": "public",
    }
    return {"kind": "t3", "data": {**data, **changes}}


def comment(name: str, body: str, replies: object = "", **changes: object) -> dict[str, object]:
    data = {"name": f"t1_{name}", "body": body, "author": "bada", "parent_id": "t3_1abc"}
    return {"kind": "t1", "data": {**data, "replies": replies, **changes}}


def listing(*children: object) -> dict[str, object]:
    return {"kind": "Listing", "data": {"children": list(children), "after": None}}


def posts(value: object) -> list[ParsedPost]:
    return [row for row in payloads.read(value).rows if isinstance(row, ParsedPost)]


def test_a_post_of_a_listing() -> None:
    (post,) = posts(listing(link()))

    assert (post.native_id, post.title) == ("t3_1abc", "Dark mode & more")
    assert post.text == "I want it > anything. Mockup"
    assert post.url == "https://www.reddit.com/r/apps/comments/1abc/dark_mode/"
    assert post.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert post.edited_at is None
    assert post.metrics == {"likes": 12, "replies": 3}
    assert (post.author, post.channel) == ("haneul", Channel.COMMUNITY)


def test_a_page_gives_the_post_and_the_whole_tree_of_comments() -> None:
    deep = comment("c", "third", parent_id="t1_b")
    middle = comment("b", "second", listing(deep), parent_id="t1_a")
    more = {"kind": "more", "data": {"children": ["x", "y"]}}

    found = posts([listing(link()), listing(comment("a", "first", listing(middle)), more)])

    assert [(post.text, post.in_reply_to) for post in found[1:]] == [
        ("first", "t3_1abc"),
        ("second", "t1_a"),
        ("third", "t1_b"),
    ]


@pytest.mark.parametrize("words", ["[deleted]", "[removed]"])
def test_what_was_taken_away_is_no_post_and_its_replies_stay(words: str) -> None:
    document = payloads.read(
        listing(comment("a", words, listing(comment("b", "stays"))), link(selftext=words))
    )

    assert [row.text for row in document.rows if isinstance(row, ParsedPost)] == ["stays"]
    assert document.deleted == ("t1_a", "t3_1abc")


def test_pictures_and_cross_posts() -> None:
    gallery = {
        "media_metadata": {"m1": {"s": {"u": "https://a.example/1.jpg?a=1&amp;b=2"}}},
        "gallery_data": {"items": [{"media_id": "m1", "caption": "설정"}]},
    }
    image = {"post_hint": "image", "url_overridden_by_dest": "https://a.example/2.jpg"}
    one, two, three = posts(
        listing(
            link(**gallery),
            link(**image, crosspost_parent="t3_0", edited=1767225601),
            link(name="t3_3", selftext="", crosspost_parent="t3_0"),
        )
    )

    assert one.media == (Attachment("image", "https://a.example/1.jpg?a=1&b=2", "설정"),)
    assert two.media == (Attachment("image", "https://a.example/2.jpg"),)
    assert (two.reshared_from, two.is_repost) == ("t3_0", False)  # it has words of its own
    assert (three.reshared_from, three.is_repost) == ("t3_0", True)
    assert two.edited_at == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_a_private_communitys_posts_have_no_public_channel() -> None:
    assert posts(link(subreddit_type="private"))[0].channel is Channel.OTHER


def test_what_was_just_sent_comes_in_another_envelope() -> None:
    sent = {"json": {"errors": [], "data": {"things": [comment("a", "hi")]}}}

    assert [post.text for post in posts(sent)] == ["hi"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (
            {"message": "Forbidden", "error": 403, "reason": "private"},
            "Reddit answers with an error: Forbidden: private",
        ),
        ({"json": {"errors": [["RATELIMIT", "wait", "x"]]}}, "RATELIMIT: wait"),
        ({"kind": "t2", "data": {"name": "a"}}, "a Reddit account holds no posts"),
        (listing({"kind": "t5", "data": {}}), "a Reddit subreddit holds no posts"),
    ],
)
def test_errors_and_other_things_say_what_they_are(value: object, reason: str) -> None:
    with pytest.raises(Unreadable) as error:
        payloads.read(value)

    assert reason in str(error.value)


def test_an_empty_listing_is_no_error() -> None:
    assert posts(listing()) == []
