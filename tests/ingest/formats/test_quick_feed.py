"""The quick reader and feedparser give the same posts, or the quick reader gives none."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.formats import expectations
from ingest.formats.test_xml_guard import _HARMFUL
from maru_ingest.formats import feed, quick_feed
from maru_ingest.formats.parsed import ParsedPost, Unreadable

_ADDRESSES = ("", expectations.URL)
_MODULES = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in {
        "dc": "http://purl.org/dc/elements/1.1/",
        "dcterms": "http://purl.org/dc/terms/",
        "content": "http://purl.org/rss/1.0/modules/content/",
        "slash": "http://purl.org/rss/1.0/modules/slash/",
        "sy": "http://purl.org/rss/1.0/modules/syndication/",
        "media": "http://search.yahoo.com/mrss/",
        "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
        "t": "http://purl.org/syndication/thread/1.0",
        "atom": "http://www.w3.org/2005/Atom",
        "wfw": "http://wellformedweb.org/CommentAPI/",
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "x": "urn:of-nobody",
    }.items()
)
_RSS = (f'<rss version="2.0" {_MODULES}><channel>', "item", "</channel></rss>")
_ATOM = (f'<feed xmlns="http://www.w3.org/2005/Atom" {_MODULES}>', "entry", "</feed>")
_OLD_ATOM = (
    f'<feed version="0.3" xmlns="http://purl.org/atom/ns#" {_MODULES}>',
    "entry",
    "</feed>",
)
_RDF = (
    f'<rdf:RDF xmlns="http://purl.org/rss/1.0/" {_MODULES}><channel rdf:about="u"/>',
    "item",
    "</rdf:RDF>",
)

Both = tuple[Sequence[ParsedPost], timedelta | None]


def quickly(document: bytes, content_type: str = "") -> Both | None:
    read = quick_feed.read(document, content_type)
    return None if read is None else posts_of(read)


def slowly(document: bytes, content_type: str = "") -> Both:
    return posts_of(feed._slowly(document, content_type))


def posts_of(read: quick_feed.Understood) -> Both:
    posts = [feed._post(entry, read, url) for entry in read.entries for url in _ADDRESSES]
    return posts, feed._ttl(read.feed)


def test_the_corpora_are_read_the_same_way(shared: Path) -> None:
    taken = 0
    for file in sorted((shared / "fixtures").rglob("*.xml")):
        body = file.read_bytes()
        content_type = expectations.headers(body).get("content-type", "")
        document, content_type = feed._narrow(body, content_type)
        quick = quickly(document, content_type)
        if quick is not None:
            taken += 1
            assert quick == slowly(document, content_type), file.name

    assert taken > 1_100, "what is common is read quickly"


@pytest.mark.parametrize("shape", [_RSS, _ATOM, _RDF, _OLD_ATOM], ids=["rss", "atom", "rdf", "0.3"])
def test_what_feeds_commonly_hold_is_read_quickly(shape: tuple[str, str, str]) -> None:
    begin, name, end = shape
    entry = (
        "<title>제목 &amp; more</title><link>https://example.com/1</link><guid>1</guid>"
        "<dc:creator>Ann</dc:creator><author><name>Bo</name><email>b@example.com</email></author>"
        "<pubDate>Mon, 23 Nov 2026 10:00:00 +0900</pubDate><updated>2026-11-23T10:00:00Z</updated>"
        "<category>News</category><description>&lt;p&gt;Short&lt;/p&gt;</description>"
        "<content:encoded><![CDATA[<p>All</p>]]></content:encoded><slash:comments>3</slash:comments>"
        '<media:content url="https://example.com/1.jpg" medium="image"><media:title>x</media:title>'
        '</media:content><enclosure url="https://example.com/1.mp3" type="audio/mpeg" length="1"/>'
        "<x:rank>1</x:rank><itunes:duration>1:00</itunes:duration><wfw:commentRss>x</wfw:commentRss>"
    ).replace(
        "<dc:creator>Ann</dc:creator>", "" if name == "entry" else "<dc:creator>A</dc:creator>"
    )
    if name == "item":
        entry = entry.replace("<author><name>Bo</name><email>b@example.com</email></author>", "")
    document = f"{begin}<{name}>{entry}</{name}>{end}".encode()

    quick = quickly(document)

    assert quick is not None
    assert quick == slowly(document)
    assert quick[0][0].text == "All"


_NAMES = st.sampled_from(
    ["title", "link", "guid", "id", "description", "summary", "content", "content:encoded",
     "author", "dc:creator", "itunes:author", "pubDate", "published", "updated", "dc:date",
     "dcterms:issued", "dcterms:modified", "created", "enclosure", "category", "source",
     "comments", "slash:comments", "media:content", "media:thumbnail", "media:title",
     "media:description", "media:group", "media:statistics", "media:credit", "itunes:summary",
     "itunes:subtitle", "itunes:owner", "t:total", "t:in-reply-to", "dc:language", "language",
     "dc:title", "contributor", "name", "email", "x:y", "wfw:commentRss", "atom:link",
     "atom:author", "atom:summary", "image", "url", "rights", "managingEditor", "ttl",
     "sy:updatePeriod", "itunes:category", "x:title", "authors", "links", "media_content",
     "summary_detail", "Title", "GUID"]
)  # fmt: skip
_WORDS = st.sampled_from(
    ["", "x", " a b ", "다크 모드", "&lt;p&gt;one&lt;/p&gt;", "&amp;amp; x",
     "<![CDATA[<p>a &amp; c</p>]]>", "http://example.com/1", "/rel/1",
     "http://example.com/?a=1&amp;b=2", "http:////x", "#1",
     "http://example.com/?a=1&amp;amp;b=2", "Mon, 23 Nov 2026 10:00:00 +0900",
     "2026-11-23T10:00:00Z", "soon", "ann@example.com (Ann Lee)", "Ann",
     "Ann &lt;ann@example.com&gt;", "3", "ko", "&#233;&#x201c;", "\u00c3\u00a9", "\u0093",
     "a &lt; b", "&amp;lt;p&amp;gt;x&amp;lt;/p&amp;gt;"]
)  # fmt: skip
_ATTRIBUTES = st.lists(
    st.sampled_from(
        ['type="html"', 'type="text"', 'type="xhtml"', 'type="HTML"', 'type="application/x"',
         'rel="alternate"', 'rel="enclosure"', 'rel="self"', 'href="http://example.com/h"',
         'href="/h"', 'href=""', 'url="u"', 'isPermaLink="false"', 'xml:lang="en_US"',
         'xml:lang=""', 'lang="fr"', 'medium="image"', 'views="3"', 'ref="tag:1"',
         'mode="base64"', 'xml:base="http://b.example/"', 'x:type="html"', 'rdf:about="urn:1"',
         'text="t"']
    ),
    max_size=2, unique_by=lambda written: written.partition("=")[0],
)  # fmt: skip


def _element(name: str, attributes: list[str], within: str) -> str:
    return f"<{' '.join([name, *attributes])}>{within}</{name}>"


_LEAVES = st.builds(_element, _NAMES, _ATTRIBUTES, _WORDS)
_ELEMENTS = (
    st.builds(_element, _NAMES, _ATTRIBUTES, st.lists(_LEAVES, max_size=3).map("".join)) | _LEAVES
)
_INSIDE = st.lists(_LEAVES | _ELEMENTS, max_size=8).map("".join)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([_RSS, _ATOM, _RDF, _OLD_ATOM]), _INSIDE, st.lists(_INSIDE, max_size=3))
def test_any_elements_in_any_order_are_read_the_same_way(
    shape: tuple[str, str, str], head: str, entries: list[str]
) -> None:
    begin, name, end = shape
    about = "" if begin.startswith("<rdf") else head
    document = (
        begin + about + "".join(f"<{name}>{one}</{name}>" for one in entries) + end
    ).encode()

    quick = quickly(document)

    assert quick is None or quick == slowly(document)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["title", "link", "guid", "pubDate", "description", "dc:creator"])),
    st.text(),
)
def test_plain_feeds_of_any_text_are_read_quickly_and_the_same_way(
    names: list[str], written: str
) -> None:
    inside = "".join(f"<{name}><![CDATA[{written}]]></{name}>" for name in names)
    document = f"{_RSS[0]}<item>{inside}</item>{_RSS[2]}".encode("utf-8", "replace")

    quick = quickly(document)

    if quick is not None:
        assert quick == slowly(document)


@pytest.mark.parametrize("document", _HARMFUL.values(), ids=_HARMFUL.keys())
def test_the_quick_reader_declines_what_is_made_to_hurt(document: bytes) -> None:
    begun = time.process_time()

    assert quick_feed.read(document, "") is None
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE rss [<!ENTITY a "b">]><rss version="2.0"><channel><item/></channel></rss>',
        b'<!DOCTYPE rss SYSTEM "http://127.0.0.1:1/rss.dtd"><rss version="2.0"/>',
        b'<?xml version="1.0" encoding="euc-kr"?><rss version="2.0"/>',
        b"<rss version='2.0'><channel><item><title>a &nbsp; b</title></item></channel></rss>",
        b"<rss version='2.0'><channel><item><title>cut",
        b"<html/>",
    ],
)
def test_what_only_feedparser_should_judge_is_left_to_it(document: bytes) -> None:
    assert quick_feed.read(document, "") is None
    with suppress(Unreadable):
        feed.parse(document)


def test_a_feed_of_many_posts_is_read_in_time() -> None:
    document = _RSS[0] + "<item><title>x</title></item>" * 100_000 + _RSS[2]
    begun = time.process_time()

    assert len(feed.parse(document.encode()).rows) == 100_000
    assert time.process_time() - begun < 5
