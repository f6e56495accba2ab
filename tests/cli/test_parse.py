import json
from pathlib import Path

import pytest

from cli.conftest import Maru

FEED = """<?xml version="1.0"?>
<rss version="2.0"><channel><title>Notes</title><link>https://example.com/</link><language>ko</language>
<item><title>둘째 &amp; 끝</title><link>/2</link><guid>b</guid>
<author>ann@example.com (Ann)</author>
<pubDate>Mon, 23 Nov 2026 10:00:00 +0900</pubDate>
<description>&lt;p&gt;다크 모드&lt;/p&gt;&lt;p&gt;추가해 주세요&lt;/p&gt;</description>
<enclosure url="https://example.com/a.mp3" type="audio/mpeg" length="1"/></item>
<item><title>First</title><link>/1</link></item></channel></rss>""".encode()


def posts(printed: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in printed.splitlines()]


def test_a_feed_is_one_json_object_a_post_in_its_own_order(maru: Maru, tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_bytes(FEED)

    done = maru.run("parse", str(tmp_path / "feed.xml"), "--json")

    assert (done.returncode, done.stderr) == (0, b"")
    second, first = posts(done.stdout)
    assert second == {
        "native_id": "b",
        "title": "둘째 & 끝",
        "text": "다크 모드\n\n추가해 주세요",
        "url": "https://example.com/2",
        "author": "Ann",
        "author_name": "",
        "followers": None,
        "lang": "ko",
        "channel": None,
        "created_at": "2026-11-23T01:00:00+00:00",
        "edited_at": None,
        "in_reply_to": "",
        "reshared_from": "",
        "media": [
            {"kind": "audio", "url": "https://example.com/a.mp3", "alt": "", "transcript": ""}
        ],
        "metrics": {},
        "rating": None,
        "truncated": False,
        "line": 0,
    }
    assert (first["title"], first["text"], first["url"]) == ("First", "", "https://example.com/1")


def test_nothing_is_left_behind(maru: Maru) -> None:
    maru.run("parse", "-", stdin=FEED)

    assert not maru.home.exists()


def test_links_hang_on_the_address_that_is_given(maru: Maru) -> None:
    feed = b'<rss version="2.0"><channel><item><link>1</link></item></channel></rss>'

    done = maru.run("parse", "-", "--url", "https://example.com/blog/rss", "--json", stdin=feed)

    assert posts(done.stdout)[0]["url"] == "https://example.com/blog/1"


@pytest.mark.parametrize(
    "written",
    [
        b'{"id": "7", "text": "hello", "lang": "en", "likes": 3}\n',
        b"id,text,lang,likes\n7,hello,en,3\n",
        "id;text;lang;likes\n7;hello;en;3\n".encode("utf-16"),
        b"""{"version": "https://jsonfeed.org/version/1.1", "language": "en",
        "items": [{"id": "7", "content_text": "hello"}]}""",
    ],
)
def test_every_format_comes_through_one_door(maru: Maru, written: bytes) -> None:
    (post,) = posts(maru.run("parse", "-", "--json", stdin=written).stdout)

    assert (post["native_id"], post["text"], post["lang"]) == ("7", "hello", "en")


def test_bad_rows_are_named_and_the_rest_is_shown(maru: Maru) -> None:
    done = maru.run("parse", "-", "--json", stdin=b'{"text": "a"}\n{broken\n\n{"text": "b"}\n{}')

    assert done.returncode == 1
    assert [(post["text"], post["line"]) for post in posts(done.stdout)] == [("a", 1), ("b", 4)]
    second, last = done.stderr.decode().splitlines()
    assert second.startswith("-:2: not JSON")
    assert last.startswith("-:5: no text")


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (b"", b"empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", b"a binary file"),
        (b"<html><p>x", b"an HTML page"),
        (b"<rss><channel><item><title>half", b"ends in the middle"),
        (b'<!DOCTYPE l [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><rss>&b;</rss>', b"XML bomb"),
    ],
)
def test_what_is_no_format_is_one_sentence(maru: Maru, written: bytes, reason: bytes) -> None:
    done = maru.run("parse", "-", "--json", stdin=written)

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"maru: -: ")
    assert reason in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_file_that_is_not_there_is_one_sentence(maru: Maru) -> None:
    done = maru.run("parse", "nothing.xml")

    assert done.returncode == 1
    assert done.stderr == b"maru: nothing.xml can't be read: No such file or directory\n"


def test_people_see_words_not_json(maru: Maru) -> None:
    printed = maru.run("parse", "-", stdin=FEED).stdout.decode()

    assert "둘째 & 끝\nAnn · 2026-11-23 01:00 · ko · https://example.com/2\n다크 모드" in printed
    assert "(no title)" not in printed


def test_a_saved_answer_of_a_platform_is_read(maru: Maru, tmp_path: Path) -> None:
    status = {
        "id": "1",
        "uri": "https://a.example/1",
        "content": "<p>다크 모드</p>",
        "visibility": "public",
        "created_at": "2026-11-01T10:00:00.000Z",
        "account": {"acct": "haneul", "url": "https://a.example/@haneul"},
    }
    (tmp_path / "timeline.json").write_text(json.dumps([status]))
    account = {"acct": "haneul", "locked": False}
    (tmp_path / "account.json").write_text(json.dumps(account, indent=1))

    read = maru.run("parse", str(tmp_path / "timeline.json"), "--json")
    refused = maru.run("parse", str(tmp_path / "account.json"), "--json")

    (post,) = posts(read.stdout)
    assert (post["native_id"], post["text"]) == ("https://a.example/1", "다크 모드")
    assert (post["author"], post["channel"]) == ("a.example/@haneul", "microblog")
    assert refused.returncode != 0
    assert b"a Mastodon account holds no posts" in refused.stderr


def test_a_feed_without_posts_says_so_to_people(maru: Maru) -> None:
    feed = b'<rss version="2.0"><channel><title>Nothing yet</title></channel></rss>'

    assert maru.run("parse", "-", stdin=feed).stdout == b"No posts in it.\n"
    assert maru.run("parse", "-", "--json", stdin=feed).stdout == b""
