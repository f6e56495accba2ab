"""Lists of feeds, and the feeds that pages offer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maru_ingest.formats import opml, pages
from maru_ingest.formats.opml import Outline
from maru_ingest.formats.pages import Offered
from maru_ingest.formats.parsed import Unreadable
from maru_ingest.formats.text import clean_line

_EXPORTED = """<?xml version="1.0" encoding="UTF-8"?>
<opml version="1.0"><head><title>구독</title></head><body>
<outline text="제품 &amp; 소식">
<outline type="rss" text="블로그" xmlUrl="https://a.example/?a=1&amp;b=2"/>
<outline text="Deep"><outline text="B" title="B" xmlUrl=" https://b.example/atom "/></outline>
</outline>
<outline xmlUrl="https://c.example/rss"/><outline text="a note"/></body></opml>"""
_NAMES = (
    st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=20)
    .map(clean_line)
    .filter(bool)
)
_OUTLINES = st.builds(
    Outline,
    st.integers(1, 99).map(lambda number: f"https://x.example/{number}?a=<&b=\"'"),
    _NAMES,
    st.just("") | _NAMES,
)
_MANY = [Outline(f"https://x.example/{number}") for number in range(5_001)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_readers_export_is_read(encoding: str) -> None:
    found = opml.read(_EXPORTED.encode(encoding))

    assert found == [
        Outline("https://a.example/?a=1&b=2", "블로그", "제품 & 소식"),
        Outline("https://b.example/atom", "B", "제품 & 소식"),
        Outline("https://c.example/rss"),
    ]


@settings(deadline=None)
@given(st.lists(_OUTLINES, max_size=6, unique_by=lambda outline: outline.url))
def test_what_is_written_is_read_again(outlines: list[Outline]) -> None:
    again = opml.read(opml.written(outlines, title="t & t").encode())

    assert sorted(map(repr, again)) == sorted(map(repr, outlines))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not OPML"),
        (b"<html><p>x</p></html>", "not OPML"),
        (b'<!DOCTYPE l [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><opml>&b;</opml>', "XML bomb"),
        (b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><opml>&a;</opml>', "external"),
        (opml.written(_MANY, title="t").encode(), "more than 5,000 feeds"),
    ],
)
def test_what_is_no_list_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        opml.read(body)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_list_or_a_reason(body: bytes) -> None:
    try:
        found = opml.read(b"<opml version='2.0'><outline xmlUrl='" + body)
    except Unreadable:
        found = []

    assert len(found) <= 1 + body.count(b"<")


def test_a_page_says_which_feeds_it_offers() -> None:
    page = b"""<!doctype html><html><head><base href="/blog/">
    <link rel="stylesheet" href="a.css"><link rel="alternate" hreflang="ko" href="/ko">
    <link rel="alternate" type="application/rss+xml; charset=utf-8" title="News &amp; more"
      href="feed.xml">
    <LINK REL="Alternate" TYPE="application/atom+xml" HREF="https://other.example/atom">
    <link rel="alternate" type="application/rss+xml" href="feed.xml#twice">
    <link rel="alternate" type="application/feed+json" href="javascript:alert(1)">"""

    assert pages.offered(page, url="https://example.com/posts/1") == [
        Offered("https://example.com/blog/feed.xml", "News & more"),
        Offered("https://other.example/atom"),
    ]


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_page_offers_only_addresses_that_can_be_followed(page: str) -> None:
    found = pages.offered(f"<link rel=feed href='{page}'>{page}".encode(), url="https://e.example/")

    assert all(one.url.startswith(("http://", "https://")) for one in found)
