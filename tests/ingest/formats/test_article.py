"""Articles out of web pages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maru_ingest.formats import article, encodings
from upstreams.press import page, words

_PIECES = [
    "<p>", "</p>", "<div", ">", "<article>", "<table><tr>", "&#0;", "&amp", "<!--", "\x00", "</",
    "<link rel=canonical href=//[", "<script>{", "글 " * 60, "<meta charset=utf-7>",
]  # fmt: skip
URL = "https://paper.example/news/1?from=rss"


@pytest.mark.parametrize(
    ("head", "address"),
    [
        ('<link rel="canonical" href="/a/1">', "https://paper.example/a/1"),
        ("<LINK HREF='https://wire.example/7' REL='x CANONICAL'>", "https://wire.example/7"),
        ('<link rel="canonical" href="https://paper.example/">', ""),
        ('<link rel="canonical" href="javascript:alert(1)">', ""),
        ('<link rel="canonical">', ""),
        ('<link rel="next" href="/a/2">', ""),
    ],
)
def test_a_page_says_its_own_address(head: str, address: str) -> None:
    found = article.read(page("기사", head=head).encode(), url=URL)

    assert (found.text, found.url) == (words("기사"), address)


@pytest.mark.parametrize("value", ["false", '"False"', '"https://schema.org/False"'])
def test_what_only_payers_see_is_no_article(value: str) -> None:
    head = f'<script type="application/ld+json">{{"isAccessibleForFree": {value}}}</script>'

    assert article.read(page("기사", head=head).encode(), url=URL).text == ""
    free = page("기사", head=head.replace(value, "true")).encode()
    assert article.read(free, url=URL).text == words("기사")


@pytest.mark.parametrize(
    ("encoding", "content_type", "head"),
    [
        ("cp949", "text/html; charset=euc-kr", ""),
        ("cp949", "text/html", '<meta charset="EUC-KR">'),
        ("cp949", "text/html", "<meta http-equiv=a content='text/html;charset=ks_c_5601-1987'>"),
        ("cp949", "text/html; charset=utf-8", ""),  # which is not true
        ("utf-16", "text/html", ""),
        ("utf-8", "text/html; charset=no-such", ""),
        ("utf-8", "text/html", "<?xml version='1.0' encoding='utf-8'?>"),
    ],
)
def test_a_page_is_read_in_its_encoding(encoding: str, content_type: str, head: str) -> None:
    body = page("똠방각하", head=head).encode(encoding)

    assert article.read(body, url=URL, content_type=content_type).text == words("똠방각하")


def test_a_broken_letter_spoils_no_other() -> None:
    body = "가나다 abc".encode("cp949")[:-4] + b"\xff" + b" abc"

    assert encodings.as_declared(body, "euc-kr").startswith("가나다")
    assert encodings.as_declared(body, "euc-kr").endswith(" abc")


@settings(deadline=None)
@given(
    parts=st.lists(
        st.sampled_from(_PIECES) | st.text(max_size=20),
        max_size=30,
    ),
    mess=st.binary(max_size=20),
)
def test_whatever_a_page_is_it_is_an_article_or_none(parts: list[str], mess: bytes) -> None:
    body = "".join(parts).encode("utf-8", "replace") + mess

    found = article.read(body, url=URL, content_type="text/html")

    assert found.text == found.text.strip()
    assert found.url == "" or found.url.startswith("http")
