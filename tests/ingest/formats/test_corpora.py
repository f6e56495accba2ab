"""Feeds that nobody here wrote: every one parses, and says what its own expectation says."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ingest.formats import expectations
from ingest.formats.expectations import URL
from maru_ingest.formats import documents, json_feed
from maru_ingest.formats.parsed import ParsedPost, Unreadable

_TEXT_OF_THE_CONTENT = "a post says its content; a summary beside it is not kept"
_THE_LONGER = "RSS with two summaries: the longer of them is the text"
_ONE_LANGUAGE = "a post has one language: that of its text, before that of its title"
_BLANK = 'xml:lang="" leaves it open: the language of the feed is a better guess than none'
_HEADERS = "Content-Location and Content-Language are not asked: the address is what was fetched"
_ID_AS_WRITTEN = "an id is kept as it is written, so that posts of a feed that moves stay the same"
_ELEMENT_IN_PLAIN = "markup where plain text belongs: the post goes without it"

FEEDPARSER: dict[tuple[str, str], str] = {
    ("bozo_linenoise.xml", "summary"): "plain text keeps its signs: <> is not taken for markup",
    ("entry_content_and_summary.xml", "summary"): _TEXT_OF_THE_CONTENT,
    ("http_entry_id_base_content_location.xml", "id"): _ID_AS_WRITTEN,
    ("http_entry_id_base_docuri.xml", "id"): _ID_AS_WRITTEN,
    ("http_entry_link_base_content_location.xml", "links"): _HEADERS,
    ("http_content_language_entry_title_inherit.xml", "title_detail"): _HEADERS,
    ("entry_content_xml_lang_blank_2.xml", "content"): _BLANK,
    ("entry_summary_xml_lang_blank.xml", "summary_detail"): _BLANK,
    ("entry_title_xml_lang_blank.xml", "title_detail"): _BLANK,
    ("entry_title_xml_lang_inherit_3.xml", "title_detail"): _ONE_LANGUAGE,
    ("entry_title_xml_lang_inherit_4.xml", "title_detail"): _ONE_LANGUAGE,
    ("item_description_and_summary.xml", "content"): _THE_LONGER,
    ("item_summary_and_description.xml", "summary"): _THE_LONGER,
    ("item_description_not_a_doctype.xml", "description"): (
        "HTML takes what begins with <! for a comment, and a comment is no text"
    ),
}
"""Where Maru says something else than feedparser's fixture expects, and why.

Not listed is what holds everywhere: text leaves Maru without its markup, and is compared so.
"""

GOFEED: dict[tuple[str, str], str] = {
    ("rss_channel_item_author_naked_markup.xml", "author"): _ELEMENT_IN_PLAIN,
    ("rss_channel_item_guid_naked_markup.xml", "id"): _ELEMENT_IN_PLAIN,
}

NO_FEED = {
    "feedparser/tests/illformed/rss_incomplete_cdata.xml": "it ends in the middle",
    "gofeed/testdata/parser/universal/empty_feed.xml": "empty",
    "gofeed/testdata/parser/universal/unknown_feed.xml": "not a feed: XML without",
}
"""What is refused of the corpora of feeds, and how the reason begins."""


def parsed(file: Path) -> Sequence[ParsedPost]:
    """The posts of a file in its own order, read as if fetched."""
    body = file.read_bytes()
    content_type = expectations.headers(body).get("content-type", "")
    rows = documents.parse(body, url=URL, content_type=content_type).rows
    return [row for row in reversed(rows) if isinstance(row, ParsedPost)]


def test_every_feed_gives_posts_or_a_reason_and_soon(shared: Path) -> None:
    refused: dict[str, str] = {}
    slow: dict[str, float] = {}
    corpora = ("feedparser", "gofeed", "simplepie", "defusedxml")
    files = [
        file for name in corpora for file in sorted((shared / "fixtures" / name).rglob("*.xml"))
    ]
    for file in files:
        begun = time.process_time()
        try:
            parsed(file)
        except Unreadable as error:
            refused[str(file.relative_to(shared / "fixtures"))] = str(error)
        if (took := time.process_time() - begun) > 1:
            slow[file.name] = took

    assert len(files) > 1_700
    assert slow == {}
    assert {name for name in refused if not name.startswith("defusedxml/")} == set(NO_FEED)
    assert all(NO_FEED.get(name, "not a feed") in reason for name, reason in refused.items())


def test_feeds_say_what_their_expectations_say(shared: Path) -> None:
    compared, differing = 0, {}
    for expected in expectations.expectations(shared / "fixtures/feedparser/tests"):
        check = expectations.check_of(expected)
        if check is not None:
            compared += 1
            posts = parsed(expected.file)
            if not check(posts[int(expected.path[1])], expected.value):
                differing[expected.file.name, str(expected.path[2])] = (expected.value, posts)

    print(f"{compared - len(differing)} of {compared} agree")  # noqa: T201 - shown by pytest -rP
    assert compared > 500
    assert {key: shown for key, shown in differing.items() if key not in FEEDPARSER} == {}
    assert set(FEEDPARSER) == set(differing), "a difference that is none any more"


def test_feeds_say_what_gofeed_reads_in_them(shared: Path) -> None:
    compared, differing = 0, {}
    for file, items in expectations.gofeed(shared / "fixtures/gofeed/testdata"):
        posts = parsed(file) if items or file.name not in NO_FEED else []
        assert len(posts) == len(items), file.name
        for post, item in zip(posts, items, strict=True):
            for name, is_said in expectations.stated(item):
                compared += 1
                if not is_said(post):
                    differing[file.name, name] = (item, post)

    print(f"{compared - len(differing)} of {compared} agree")  # noqa: T201 - shown by pytest -rP
    assert compared >= 180
    assert {key: shown for key, shown in differing.items() if key not in GOFEED} == {}
    assert set(GOFEED) == set(differing), "a difference that is none any more"


@pytest.mark.parametrize("folder", ["parser/json", "parser/universal", "translator/json"])
def test_json_feeds_parse(shared: Path, folder: str) -> None:
    for path in sorted((shared / "fixtures/gofeed/testdata" / folder).glob("json1*.json")):
        if path.name.endswith("_expected.json"):
            continue
        body = path.read_bytes()
        written = json.loads(body)
        posts = [row for row in json_feed.parse(body).rows if isinstance(row, ParsedPost)]

        assert len(posts) == len(written["items"])
        assert posts[-1].title == written["items"][0].get("title", "")
        assert posts[-1].url == written["items"][0].get("url", "")


def test_feedparsers_json_feed_keeps_its_authors(shared: Path) -> None:
    body = (shared / "fixtures/feedparser/tests/json/example.json").read_bytes()

    first, second = json_feed.parse(body).rows

    assert isinstance(first, ParsedPost)
    assert isinstance(second, ParsedPost)
    assert (first.author, second.author) == ("you", "me")
    assert first.text == "Hello, world!"
    assert second.media[0].kind == "video"
