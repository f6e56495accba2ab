from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_ingest.formats.json_path import Path
from maru_ingest.formats.paging import Paging, TimeFormat, Way, origin
from maru_ingest.formats.parsed import Unreadable

_SITE = "https://api.example.com/v1/reviews?sort=new&q=a%20b"
_NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def paging(way: Way, **changes: Any) -> Paging:
    values = {"parameter": "p", "first": 1, "next_at": Path.of("$.next"), **changes}
    return Paging(_SITE, way, **values)


def following(way: Way, named: object = None, *, link: str = "", count: int = 3) -> object:
    answer = {"next": named}
    return paging(way).next(None, answer=answer, link=link, count=count, secret={"key"})


def test_an_address_keeps_what_was_written_and_gets_what_is_needed() -> None:
    assert paging("page").url(None, None, {}) == _SITE
    assert paging("page").url(2, None, {"key": "a b"}) == f"{_SITE}&p=2&key=a+b"
    assert paging("next").url("https://api.example.com/2?key=old", _NOON, {"key": "k"}) == (
        "https://api.example.com/2?key=k"
    )


@pytest.mark.parametrize(
    ("format", "written"),
    [
        ("iso", "2026-11-20T12%3A00%3A00Z"),
        ("date", "2026-11-20"),
        ("seconds", "1795176000"),
        ("milliseconds", "1795176000000"),
    ],
)
def test_a_time_as_the_site_writes_it(format: TimeFormat, written: str) -> None:
    page = paging("page", since_parameter="from", since_format=format)

    assert page.url(None, _NOON, {}) == f"{_SITE}&from={written}"


def test_the_next_page_by_number_by_offset_and_by_name() -> None:
    assert (following("page"), following("page", count=0)) == (2, None)
    assert paging("page", first=0).next(4, answer={}, link="", count=1, secret=()) == 5
    assert (following("offset"), following("offset", count=0)) == (3, None)
    assert (following("cursor", "abc"), following("cursor", 17)) == ("abc", "17")
    assert (following("cursor", ""), following("none")) == (None, None)


def test_the_next_page_by_its_address_without_the_key() -> None:
    there = "https://api.example.com/v1/reviews?from=3"

    assert following("next", "/v1/reviews?from=3&key=s") == there
    assert following("next", f"{there}&key=s") == there
    assert following("link", link=f'<{there}&key=s>; rel="next"') == there
    assert following("next", None) is None
    assert following("link", link='<https://api.example.com/1>; rel="prev"') is None


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/2",
        "http://api.example.com/2",
        "https://api.example.com:8443/2",
        "//evil.example/2",
        "https://api.example.com@evil.example/2",
        "https://kim@api.example.com/2",
        "https://[/2",
        "javascript:alert(1)",
        "x" * 5_000,
    ],
)
def test_an_address_of_another_site_is_no_next_page(address: str) -> None:
    with pytest.raises(Unreadable):
        following("next", address)


@given(
    st.text(max_size=40)
    | st.sampled_from(["//", "https:", "/\\", "\\\\", "@", "https://a"]).flatmap(
        lambda begin: st.text(max_size=20).map(begin.__add__)
    )
)
def test_every_next_page_is_on_the_same_site(address: str) -> None:
    try:
        found = following("next", address)
    except Unreadable:
        return

    assert found is None or origin(str(found)) == origin(_SITE)
