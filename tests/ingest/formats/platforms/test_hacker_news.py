from datetime import UTC, datetime

import pytest

from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import ParsedPost, Unreadable


def posts(value: object) -> list[ParsedPost]:
    return [row for row in payloads.read(value).rows if isinstance(row, ParsedPost)]


STORY = {
    "id": 8863,
    "type": "story",
    "by": "dhouston",
    "title": "My YC app: Dropbox",
    "url": "http://www.getdropbox.com/u/2/screencast.html",
    "score": 104,
    "descendants": 71,
    "time": 1175714200,
    "kids": [8952],
}


def test_a_story_goes_by_its_page_and_a_comment_by_its_parent() -> None:
    comment = {
        "id": 2921983,
        "type": "comment",
        "by": "norvig",
        "parent": 8863,
        "text": "Aw shucks, guys &#x2026;<p>second <i>line</i>",
        "time": 1314211127,
    }
    story, answer = posts([STORY, comment])

    assert (story.native_id, story.title, story.text) == ("hn/8863", "My YC app: Dropbox", "")
    assert story.url == "https://news.ycombinator.com/item?id=8863"
    assert story.created_at == datetime(2007, 4, 4, 19, 16, 40, tzinfo=UTC)
    assert story.metrics == {"likes": 104, "replies": 71}
    assert answer.text == "Aw shucks, guys …\n\nsecond line"
    assert (answer.author, answer.in_reply_to) == ("norvig", "hn/8863")


def test_what_is_deleted_or_dead_is_no_post() -> None:
    document = payloads.read([STORY, {"id": 9, "type": "comment", "deleted": True, "time": 1}])

    assert len(document.rows) == 1
    assert document.deleted == ("hn/9",)


def test_a_search_by_algolia() -> None:
    hit = {
        "objectID": "123",
        "_tags": ["comment"],
        "author": "haneul",
        "comment_text": "dark &amp; quiet",
        "created_at_i": 1767225600,
        "parent_id": 8863,
        "story_title": "Dropbox",
    }
    (post,) = posts({"hits": [hit], "nbHits": 1, "page": 0})

    assert (post.native_id, post.text, post.in_reply_to) == ("hn/123", "dark & quiet", "hn/8863")
    assert post.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert posts({"hits": [], "nbHits": 0}) == []


def test_a_tree_by_algolia() -> None:
    leaf = {"id": 3, "type": "comment", "author": "b", "text": "x", "parent_id": 2}
    leaf["created_at_i"] = 3
    inner = {**leaf, "id": 2, "parent_id": 1, "created_at_i": 2, "children": [leaf]}
    tree = {"id": 1, "type": "story", "title": "T", "author": "a", "created_at_i": 1}

    found = posts({**tree, "points": 4, "children": [inner]})

    assert [(post.native_id, post.in_reply_to) for post in found] == [
        ("hn/1", ""),
        ("hn/2", "hn/1"),
        ("hn/3", "hn/2"),
    ]
    assert found[0].metrics == {"likes": 4}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"id": "dhouston", "karma": 1, "created": 2}, "a Hacker News user holds no posts"),
        ([9129911, 9129199], "a list of ids or other values that are no objects"),
        ({"items": [8423305], "profiles": ["a"]}, "a Hacker News list of changes holds no posts"),
    ],
)
def test_other_answers_say_what_they_are(value: object, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        payloads.read(value)


def test_an_address_of_which_the_site_shows_a_part_is_whole() -> None:
    link = '<a href="https:&#x2F;&#x2F;a.example&#x2F;long?a=1&amp;b=2" rel="nofollow">{}</a>'
    cut, own = link.format("https:&#x2F;&#x2F;a.example&#x2F;lo..."), link.format("here")
    comment = {
        "id": 1,
        "type": "comment",
        "by": "n",
        "time": 1,
        "text": f"See {cut} and {own} &lt;",
    }

    (post,) = posts(comment)

    assert post.text == "See https://a.example/long?a=1&b=2 and here <"
