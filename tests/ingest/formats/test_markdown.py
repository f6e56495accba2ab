import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_ingest.formats import links, markdown
from maru_ingest.formats.parsed import Attachment


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain *stars* and `a < b`", "plain *stars* and `a < b`"),
        ("[the docs](https://a.example/d) here", "the docs here"),
        ("[a.example/lo…](https://a.example/long)", "https://a.example/long"),
        ('[x](https://a.example "title")', "x"),
        ("[x](javascript:alert) [ ](https://a.example)", "[x](javascript:alert) https://a.example"),
        ("![설정 화면](https://a.example/1.png)", "설정 화면"),
        ('<img width="9" src="https://a.example/1.png" alt="x"> after', "after"),
        ("<https://a.example/x>", "https://a.example/x"),
        ("before<!-- a\nb -->after", "beforeafter"),
        ("before<!-- never closed", "before"),
    ],
)
def test_what_readers_of_markdown_see(written: str, shown: str) -> None:
    assert markdown.plain(written) == shown


def test_pictures_keep_their_alternative_text() -> None:
    written = (
        "![설정](https://a.example/1.png) [no](https://a.example/2.png)"
        '<img alt="화면" src="https://a.example/3.png"><img alt="none">'
    )

    assert [one for one in markdown.pictures(written) if one] == [
        Attachment("image", "https://a.example/1.png", "설정"),
        Attachment("image", "https://a.example/3.png", "화면"),
    ]


@given(st.text(alphabet='[]()!<>imgsrc="- https://a.b/\n', max_size=200))
def test_any_markdown_is_text(written: str) -> None:
    assert isinstance(markdown.plain(written), str)
    assert all(one is None or one.url for one in markdown.pictures(written))


@pytest.mark.parametrize(
    ("label", "url", "shown"),
    [
        ("the docs", "https://a.example/d", "the docs"),
        ("a.example/lo...", "https://a.example/long", "https://a.example/long"),
        ("a.example/lo…", "http://www.a.example/long", "http://www.a.example/long"),
        ("https://a.example/d", "https://a.example/d", "https://a.example/d"),
        ("", "https://a.example/d", "https://a.example/d"),
        ("b.example", "https://a.example/d", "b.example"),
    ],
)
def test_what_stands_for_a_link(label: str, url: str, shown: str) -> None:
    assert links.shown(label, url) == shown
