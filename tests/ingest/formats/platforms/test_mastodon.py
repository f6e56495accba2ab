import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import Attachment, ParsedPost, Unreadable

DOCS = "fixtures/mastodon-docs/content/en"


def status(**changes: object) -> dict[str, object]:
    account = {
        "id": "9",
        "acct": "haneul",
        "display_name": "하늘",
        "url": "https://a.example/@haneul",
        "followers_count": 7,
    }
    return {
        "id": "110",
        "uri": "https://a.example/users/haneul/statuses/110",
        "url": "https://a.example/@haneul/110",
        "created_at": "2026-11-01T10:00:00.000Z",
        "content": "<p>다크 모드 추가해 주세요</p>",
        "visibility": "public",
        "account": account,
        **changes,
    }


def one(value: object) -> ParsedPost:
    (row,) = payloads.read(value).rows
    assert isinstance(row, ParsedPost), row
    return row


def test_a_status_as_its_documentation_shows_it(shared: Path) -> None:
    post = one(json.loads((shared / DOCS / "entities/Status.0.json").read_bytes()))

    assert post.native_id == "https://mastodon.social/users/Gargron/statuses/103270115826048975"
    assert post.url == "https://mastodon.social/@Gargron/103270115826048975"
    link = (
        "https://www.theguardian.com/money/2019/dec/07/"
        "i-lost-my-193000-inheritance-with-one-wrong-digit-on-my-sort-code"
    )
    said = '"I lost my inheritance with one wrong digit on my sort code"'
    assert post.text == f"{said}\n\n{link}"  # the page shows it shortened
    assert (post.author, post.author_name) == ("mastodon.social/@Gargron", "Eugen")
    assert (post.followers, post.lang) == (322930, "en")
    assert post.created_at == datetime(2019, 12, 8, 3, 48, 33, 901000, UTC)
    assert post.metrics == {"likes": 11, "shares": 6, "replies": 5}
    assert post.channel is Channel.MICROBLOG


def test_an_update_of_the_stream_is_a_post_and_a_delete_is_none(shared: Path) -> None:
    update = one(json.loads((shared / DOCS / "methods/streaming.43.json").read_bytes()))
    delete = payloads.parse((shared / DOCS / "methods/streaming.44.json").read_bytes())

    assert update.author == "fosstodon.org/@tobtobxx"
    assert update.in_reply_to == "108913981098896721"
    assert update.text.startswith("And now I can't exit the inner nvim")
    assert (list(delete.rows), delete.deleted) == ([], ("106692867363994015",))


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("Account.0", "a Mastodon account holds no posts"),
        ("Instance.0", "a Mastodon instance holds no posts"),
        ("V1_Instance.0", "a Mastodon instance holds no posts"),
        ("ScheduledStatus.0", "a Mastodon scheduled status holds no posts"),
        ("StatusSource.0", "a Mastodon status source holds no posts"),
        ("Translation.0", "a Mastodon translation holds no posts"),
        ("Announcement.0", "a Mastodon announcement holds no posts"),
        ("Poll.0", "a Mastodon poll holds no posts"),
        ("Error.0", "an API's error, not posts: invalid_grant"),
    ],
)
def test_what_is_no_status_says_what_it_is(shared: Path, file: str, reason: str) -> None:
    with pytest.raises(Unreadable) as error:
        payloads.parse((shared / DOCS / f"entities/{file}.json").read_bytes())

    assert reason in str(error.value)


def test_a_reblog_says_what_the_original_says_and_names_it() -> None:
    original = status(uri="https://b.example/1", media_attachments=[], language="ko")
    boost = status(
        id="111", uri="https://a.example/111/activity", url=None, content="", reblog=original
    )

    post = one(boost)

    assert post.native_id == "https://a.example/111/activity"
    assert (post.reshared_from, post.is_repost) == ("https://b.example/1", True)
    assert post.text == "다크 모드 추가해 주세요"
    assert post.lang == "ko"


def test_a_quote_keeps_its_own_words_and_names_what_it_quotes() -> None:
    quote = {"state": "accepted", "quoted_status": status(uri="https://b.example/1")}
    post = one(status(content="<p>맞아요</p>", quote=quote))

    assert (post.text, post.reshared_from) == ("맞아요", "https://b.example/1")
    assert not post.is_repost
    assert one(status(quote={"quoted_status_id": "5"})).reshared_from == "5"


def test_a_reply_within_one_answer_names_the_uri() -> None:
    reply = status(id="112", uri="https://a.example/112", in_reply_to_id="110")

    rows = payloads.read({"ancestors": [status()], "descendants": [reply]}).rows

    assert [row.in_reply_to for row in rows if isinstance(row, ParsedPost)] == [
        "",
        "https://a.example/users/haneul/statuses/110",
    ]


@pytest.mark.parametrize(
    ("visibility", "channel"),
    [
        ("public", Channel.MICROBLOG),
        ("unlisted", Channel.MICROBLOG),
        ("private", Channel.OTHER),
        ("direct", Channel.OTHER),
        (None, Channel.OTHER),
    ],
)
def test_what_not_everybody_may_read_has_no_public_channel(
    visibility: str, channel: Channel
) -> None:
    assert one(status(visibility=visibility)).channel is channel


def test_words_pictures_and_polls() -> None:
    mention = '<span class="h-card"><a href="https://a/@b" class="u-url">@<span>b</span></a></span>'
    media = [
        {"type": "image", "url": "https://a.example/1.png", "description": "설정 화면"},
        {"type": "gifv", "url": None, "remote_url": "https://a.example/2.mp4"},
        {"type": "audio", "url": ""},
    ]
    post = one(
        status(
            content=f"<p>{mention} a&amp;b<br>c</p><p>d</p>",
            spoiler_text="오류",
            media_attachments=media,
            poll={"options": [{"title": "예"}, {"title": "아니요"}, 7]},
            edited_at="2026-11-02T10:00:00.000Z",
        )
    )

    assert post.text == "@b a&b\nc\n\nd\n- 예\n- 아니요"
    assert post.title == "오류"
    assert post.media == (
        Attachment("image", "https://a.example/1.png", "설정 화면"),
        Attachment("video", "https://a.example/2.mp4"),
    )
    assert post.edited_at == datetime(2026, 11, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrapped",
    [
        {"accounts": [], "statuses": [status()], "hashtags": []},
        {"id": "1", "type": "mention", "account": {}, "status": status()},
        [{"id": "1", "type": "mention", "account": {}, "status": status()}],
        {"id": "1", "accounts": [], "last_status": status(), "unread": True},
        {"state": "accepted", "quoted_status": status()},
        {"event": "status.update", "stream": ["user"], "payload": json.dumps(status())},
    ],
)
def test_statuses_are_found_in_what_holds_them(wrapped: object) -> None:
    assert one(wrapped).text == "다크 모드 추가해 주세요"


def test_handles_name_their_server_once() -> None:
    far = {"acct": "bada@b.example", "url": "https://b.example/@bada"}

    assert one(status()).author == "a.example/@haneul"
    assert one(status(account=far)).author == "b.example/@bada"
    assert one(status(account={"acct": "x", "url": "https://["})).author == "x"


def test_an_empty_page_is_no_error_and_a_broken_event_no_crash() -> None:
    assert list(payloads.read({"accounts": [], "statuses": [], "hashtags": []}).rows) == []
    assert list(payloads.read({"event": "update", "stream": [], "payload": "{"}).rows) == []
