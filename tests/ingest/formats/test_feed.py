"""What feeds out there do, one habit a test."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maru_ingest.formats import documents, feed
from maru_ingest.formats.parsed import ParsedPost, Unreadable

_NAMES = (
    'xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:content="http://purl.org/rss/1.0/modules/content/" '
    'xmlns:slash="http://purl.org/rss/1.0/modules/slash/" '
    'xmlns:media="http://search.yahoo.com/mrss/" '
    'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" '
    'xmlns:t="http://purl.org/syndication/thread/1.0" '
)
_URL = "https://example.com/blog/feed.xml"


def rss(item: str, channel: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" {_NAMES}>'
        f"<channel>{channel}<item>{item}</item></channel></rss>"
    ).encode()


def atom(entry: str, feed: str = "") -> bytes:
    names = f'xmlns="http://www.w3.org/2005/Atom" {_NAMES}'
    return f"<feed {names}>{feed}<entry>{entry}</entry></feed>".encode()


def one(document: bytes, url: str = _URL) -> ParsedPost:
    (post,) = documents.parse(document, url=url).rows
    assert isinstance(post, ParsedPost)
    return post


def test_the_whole_text_counts_not_its_summary() -> None:
    teaser = "<description>The beginning of a long &amp; winding text …</description>"

    post = one(
        rss(teaser + "<content:encoded><![CDATA[<p>All</p><p>of it</p>]]></content:encoded>")
    )

    assert post.text == "All\n\nof it"


@pytest.mark.parametrize("long_first", [True, False])
def test_of_a_podcasts_two_summaries_the_longer_is_the_text(long_first: bool) -> None:  # noqa: FBT001 - pytest gives it
    long = "<description>All that is said in this episode</description>"
    short = "<itunes:summary>An episode</itunes:summary>"

    post = one(rss(long + short if long_first else short + long))

    assert post.text == "All that is said in this episode"


def test_a_video_says_what_its_description_says_and_how_often_it_was_seen() -> None:
    group = (
        '<media:group><media:title>Clip</media:title><media:content url="https://v.example/1" '
        'type="application/x-shockwave-flash"/><media:thumbnail url="https://v.example/1.jpg"/>'
        "<media:description>How to turn it off</media:description><media:community>"
        '<media:starRating count="7" average="4.5"/><media:statistics views="1234"/>'
        "</media:community></media:group>"
    )

    post = one(atom(f"<id>yt:video:1</id><title>Dark mode</title>{group}"))

    assert (post.title, post.text) == ("Dark mode", "How to turn it off")
    assert post.metrics == {"views": 1234}
    assert [one.url for one in post.media] == ["https://v.example/1"]


def test_a_thumbnail_is_kept_where_nothing_else_is_attached() -> None:
    post = one(rss('<title>x</title><media:thumbnail url="/a.jpg" width="1"/>'))

    assert [(one.kind, one.url) for one in post.media] == [("image", "https://example.com/a.jpg")]


def test_comments_and_what_they_answer() -> None:
    assert one(rss("<title>x</title><slash:comments>17</slash:comments>")).metrics == {
        "replies": 17
    }
    answer = (
        '<id>2</id><title>x</title><t:in-reply-to ref="tag:example.com,1"/><t:total>3</t:total>'
    )

    post = one(atom(answer))

    assert (post.in_reply_to, post.metrics) == ("tag:example.com,1", {"replies": 3})


def test_the_first_author_is_the_author() -> None:
    post = one(rss("<title>x</title><dc:creator>Ann</dc:creator><dc:creator>Bo</dc:creator>"))

    assert post.author == "Ann"
    assert (
        one(rss("<title>x</title><author>ann@example.com (Ann Lee)</author>")).author == "Ann Lee"
    )
    assert one(rss("<title>x</title><author>ann@example.com</author>")).author == "ann@example.com"


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        ("Mon, 23 Nov 2026 10:00:00 +0900", 1),
        ("Mon, 23 Nov 2026 10:00:00 KST", 1),
        ("23 Nov 2026 10:00 GMT", 10),
        ("Monday, 23 November 2026 10:00:00 EST", 15),
        ("2026-11-23T10:00:00.123+09:00", 1),
        ("2026-11-23 10:00:00", 10),
        ("2026년 11월 23일 오후 3시", 15),
        ("2026.11.23 10:00", 10),
        ("Nov 23, 2026 10:00 AM", 10),
    ],
)
def test_dates_of_all_kinds(written: str, hour: int) -> None:
    post = one(rss(f"<title>x</title><pubDate>{written}</pubDate>"))

    assert post.created_at == datetime(2026, 11, 23, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    "written", ["Mon, 31 Feb 2026 10:00:00 GMT", "soon", "0001-01-01T00:00:00Z"]
)
def test_a_date_that_can_not_be_is_no_reason_to_lose_the_post(written: str) -> None:
    post = one(rss(f"<title>x</title><pubDate>{written}</pubDate>"))

    assert (post.title, post.created_at) == ("x", None)


def test_markup_that_was_escaped_twice_is_read_as_markup() -> None:
    post = one(
        rss(
            "<description>&amp;lt;p&amp;gt;one&amp;lt;/p&amp;gt;&amp;lt;p&amp;gt;two&amp;lt;/p&amp;gt;</description>"
        )
    )

    assert post.text == "one\n\ntwo"


def test_markup_that_a_text_speaks_of_stays() -> None:
    post = one(
        rss("<description>&lt;p&gt;Write &amp;lt;b&amp;gt; for bold&lt;/p&gt;</description>")
    )

    assert post.text == "Write <b> for bold"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "utf-32", "utf-32-be", "utf-16-le", "euc-kr"]
)
def test_korean_in_any_encoding(encoding: str) -> None:
    document = (
        f'<?xml version="1.0" encoding="{encoding}"?><rss><channel>'
        "<item><title>이름이 뭐예요</title></item></channel></rss>"
    )

    assert one(document.encode(encoding)).title == "이름이 뭐예요"


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-32-be", "utf-7", "cp037", "cp500", "windows-1251", "shift_jis"]
)
@pytest.mark.parametrize("charset", ["", "{}", "utf-8"])
def test_what_the_server_calls_the_encoding_does_no_harm(encoding: str, charset: str) -> None:
    document = (
        f'<?xml version="1.0" encoding="{encoding}"?><rss><channel>'
        "<item><title>Offline maps</title></item></channel></rss>"
    )
    content_type = f"application/rss+xml; charset={charset.format(encoding)}" if charset else ""

    (post,) = documents.parse(document.encode(encoding), content_type=content_type).rows

    assert isinstance(post, ParsedPost)
    assert post.title == "Offline maps"


@pytest.mark.parametrize(
    "name",
    ["utf-16", "utf-32", "undefined", "idna", "hex", "punycode", "none-such", "mbcs", "rot13"],
)
def test_a_wrong_name_of_the_encoding_is_not_believed(name: str) -> None:
    document = (
        f'<?xml version="1.0" encoding="{name}"?><rss><channel>'
        "<item><title>Offline maps</title></item></channel></rss>"
    ).encode()

    for body in (document, document + b"\n"):  # of an even and of an odd length
        assert one(body).title == "Offline maps"


@pytest.mark.parametrize(
    "none", ["-0001-11-30T00:00:00+00:00", "Mon, 30 Nov -0001 00:00:00 +0000", "0000-00-00 00:00"]
)
def test_the_date_of_a_post_that_has_none_is_not_made_up(none: str) -> None:
    item = f"<item><title>a</title><pubDate>{none}</pubDate></item>"

    assert one(f"<rss><channel>{item}</channel></rss>".encode()).created_at is None


@pytest.mark.parametrize("declared", ["", "utf-8", "euc-kr", "x-windows-949", "windows-949"])
def test_korean_is_read_where_its_encoding_is_not_said_or_said_wrongly(declared: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    document = (
        f"{declaration}<rss><channel><item><title>펲시 배터리 후기</title>"
        "<description>배터리가 너무 빨리 닳아요</description></item></channel></rss>"
    )

    post = one(document.encode("cp949"))

    assert (post.title, post.text) == ("펲시 배터리 후기", "배터리가 너무 빨리 닳아요")


@pytest.mark.parametrize("declared", ["", "x-sjis", "utf-8"])
def test_japanese_is_read_where_its_encoding_is_not_said_or_said_wrongly(declared: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    document = (
        f"{declaration}<rss><channel><item><title>バッテリーがすぐに切れます</title></item>"
        "</channel></rss>"
    )

    assert one(document.encode("cp932")).title == "バッテリーがすぐに切れます"


@pytest.mark.parametrize("declaration", ["", '<?xml version="1.0" encoding="utf-8"?>'])
def test_a_letter_cut_in_two_costs_no_more_than_itself(declaration: str) -> None:
    document = (
        f"{declaration}<rss><channel><item><title>배터리 후기입니다…</title></item></channel></rss>"
    )

    post = one(document.encode().replace("…".encode(), "…".encode()[:2]))

    assert post.title.rstrip("\ufffd") == "배터리 후기입니다"


def test_no_encoding_hides_what_is_made_to_hurt() -> None:
    hidden = '<?xml version="1.0" encoding="utf-7"?>' + "<rss>".join(["", *("<a>" * 300)])
    document = hidden.encode("ascii").replace(b"<a>", b"+ADw-a+AD4-")

    with pytest.raises(Unreadable, match="deeper than 256"):
        documents.parse(document, format="feed")


def test_links_hang_on_xml_base_then_on_the_feeds_address() -> None:
    assert one(atom('<title>x</title><link href="a"/>', "")).url == "https://example.com/blog/a"
    based = atom('<title>x</title><link href="a"/>').replace(
        b"<entry>", b'<entry xml:base="/docs/">'
    )
    assert one(based).url == "https://example.com/docs/a"
    assert (
        one(atom('<title>x</title><link href="//cdn.example/a"/>')).url == "https://cdn.example/a"
    )


def test_a_link_keeps_its_text_though_it_names_another_address_too() -> None:
    post = one(
        rss('<title>x</title><link uri="at://did:plc:x/post/1">https://example.com/1</link>')
    )

    assert post.url == "https://example.com/1"


@pytest.mark.parametrize(
    "written", ["&#99999999999;", "&#xD800;", "&#0;", "&#x110000;", "&nosuch;", "&", "\x00", "<b"]
)
def test_what_is_no_character_does_not_take_the_post_along(written: str) -> None:
    post = one(rss(f"<title>a{written}</title><guid>7</guid>"))

    assert post.native_id == "7"
    assert post.title.startswith("a")


@pytest.mark.parametrize(
    "ending", ["", "</channel></rss", "\n<!-- cached -->", "</channel></rss>\n\n"]
)
def test_a_feed_ends_as_feeds_end(ending: str) -> None:
    body = rss("<title>x</title>&").replace(b"</channel></rss>", ending.encode())

    if ending.startswith("</"):
        assert one(body).title == "x"
    else:
        with pytest.raises(Unreadable, match="ends in the middle"):
            documents.parse(body)


@pytest.mark.parametrize(
    "document",
    [
        b'<rss version="2.0"><channel><title>Nothing yet</title></channel></rss>',
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF>',
        b'<feed xmlns="http://www.w3.org/2005/Atom"/>',
        b"<!-- a --><?a b?><CHANNEL><TITLE>x</TITLE></CHANNEL>",
        b'<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://x.example/rss-0.91.dtd"><rss/>',
    ],
)
def test_a_feed_without_posts_is_a_feed(document: bytes) -> None:
    assert documents.parse(document).rows == []


def test_how_long_it_wants_to_be_left_alone() -> None:
    document = documents.parse(rss("<title>x</title>", "<ttl>90</ttl>"))

    assert document.ttl == timedelta(minutes=90)


_PIECES = st.sampled_from(
    ["<item>", "</item>", "<title>", "</title>", "<media:player>", "</media:player>",
     "</media:credit>", "<category>", "</category>", "<textInput>", "</textInput>", "<image>",
     "</image>", "<link>", "</link>", "<svg>", "</svg>", "<source>", "</source>", "&#xD800;",
     "&#99999999999;", "&amp;", "&", "<", "<![CDATA[", "]]>", "<!-- ", " -->",
     "<content type='x/y'>", "</content>", "<psc:chapter start='x'/>", "<author>",
     "a@b.example (c)", "</author>", "<name>", "</name>", "<a xml:base='http://[x'>", "</a>",
     "<body>", "</body>", "<enclosure url='http://[x'/>",
     "<pubDate>Mon, 99 Nov 99999</pubDate>", "<media:rating/>", "</media:rating>",
     "</media:license>", "</media:restriction>", "<itunes:owner>", "<guid>7</guid>",
     "<georss:point>1 x</georss:point>", "\x00", "x", "이름", "</channel>", "</rss>"]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(_PIECES, max_size=30))
def test_pieces_of_feeds_in_any_order_are_posts_or_a_reason(pieces: list[str]) -> None:
    document = f"<rss {_NAMES}><channel>{''.join(pieces)}</channel></rss>".encode()
    with suppress(Unreadable):
        rows = feed.parse(document).rows
        assert all(isinstance(row, ParsedPost) and row.native_id for row in rows)
