import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_contracts.posts import MAX_TEXT
from maru_ingest.formats import text


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("<p>One</p><p>Two<br>lines</p>", "One\n\nTwo\nlines"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("Hello <b>w</b>orld", "Hello world"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("<script>alert(1)</script>safe<style>p{}</style>", "safe"),
        ("&lt;b&gt; &amp;amp; &#44032;", "<b> &amp; 가"),
        ("<p onclick=x>안녕</p><object data=x></object>", "안녕"),
        ("a\n  b <i>c</i>", "a b c"),
        (
            "first line\nsecond &amp; last\n\nI &lt;3 <3 it",
            "first line\nsecond & last\n\nI <3 <3 it",
        ),
        ("a\nb<pre><code>x &lt; 1\r\n  y</code></pre>c\nd", "a b\nx < 1\ny\nc d"),
        ("<p>a &amp;amp; b &lt;i&gt; & &c &copy</p>", "a &amp; b <i> & &c ©"),
        ("<div>" * 300 + "deep</div> down" + "</div>" * 299, "deep\ndown"),
        ("", ""),
    ],
)
def test_html_becomes_what_a_reader_sees(markup: str, shown: str) -> None:
    assert text.from_html(markup) == shown


@pytest.mark.parametrize(
    "piece",
    ["<div>", "</div>", "<ul><li>", "<blockquote a='<'>", "&", "&amp;", "&lt;br ", "<p", "<pre>"],
)
def test_no_markup_takes_long(piece: str) -> None:
    markup = piece * (2_000_000 // len(piece))

    started = time.process_time()
    text.from_html(f"<p>{markup}")
    text.from_html(markup)

    assert time.process_time() - started < 6  # a machine may be ten times as slow as ours


@pytest.mark.parametrize(
    "plain", ["I <3 this & that", "a < b > c", "x<y", "AT&T", "if (a<b && c>d)", "<마루>"]
)
def test_plain_text_with_angle_brackets_is_left_alone(plain: str) -> None:
    assert text.from_maybe_html(plain) == plain


def test_what_nobody_sees_is_removed() -> None:
    assert text.clean("a\x00b\ud800c\u202ed\ufeff\r\ne\u3000 f  \n\n\n\ng") == "abcd\ne f\n\ng"


def test_decomposed_hangul_is_composed() -> None:
    assert text.clean(unicodedata.normalize("NFD", "다크 모드")) == "다크 모드"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert text.cut("가" * (MAX_TEXT + 1)) == ("가" * MAX_TEXT, True)
    assert text.cut("short") == ("short", False)


@given(st.text(alphabet=st.characters(codec=None)))
def test_clean_text_is_storable_and_stays_as_it_is(written: str) -> None:
    cleaned = text.clean(written)

    cleaned.encode("utf-8")
    assert "\x00" not in cleaned
    assert text.clean(cleaned) == cleaned


@given(st.text(alphabet="<>/&;ab\x00\ud800 pdiv\n\"'=!-"))
def test_any_markup_gives_clean_text(markup: str) -> None:
    shown = text.from_html(markup)

    assert text.clean(shown) == shown
    assert len(shown) <= 3 * len(markup) + 3
