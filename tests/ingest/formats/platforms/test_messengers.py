"""Telegram, Discord and Slack."""

from datetime import UTC, datetime

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost, Unreadable

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def posts(value: object) -> list[ParsedPost]:
    return of(payloads.read(value))


def of(document: Document) -> list[ParsedPost]:
    return [row for row in document.rows if isinstance(row, ParsedPost)]


def telegram(**changes: object) -> dict[str, object]:
    return {
        "message_id": 5,
        "from": {"id": 7, "first_name": "하늘", "last_name": "김", "username": "haneul"},
        "chat": {"id": -100123, "type": "supergroup", "username": "apps", "title": "Apps"},
        "date": 1767225600,
        "text": "다크 모드",
        **changes,
    }


def test_a_message_of_telegram() -> None:
    (post,) = posts({"ok": True, "result": [{"update_id": 1, "message": telegram()}]})

    assert (post.native_id, post.url) == ("-100123/5", "https://t.me/apps/5")
    assert (post.author, post.author_name) == ("haneul", "하늘 김")
    assert (post.text, post.created_at) == ("다크 모드", DAY)
    assert post.channel is Channel.COMMUNITY


def test_telegrams_replies_forwards_edits_and_links() -> None:
    origin = {"type": "channel", "chat": {"id": -1009}, "message_id": 3}
    link = {"type": "text_link", "offset": 3, "length": 2, "url": "https://a.example/long"}
    (post,) = posts(
        {
            "update_id": 2,
            "edited_message": telegram(
                text="🙂 여기 보세요",
                entities=[link, {"type": "bold", "offset": 0, "length": 99}],
                reply_to_message={"message_id": 4},
                forward_origin=origin,
                edit_date=1767225600,
            ),
        }
    )

    assert (post.in_reply_to, post.reshared_from) == ("-100123/4", "-1009/3")
    assert post.is_repost
    assert (post.text, post.edited_at) == ("🙂 여기 보세요", DAY)
    poll = {"question": "무엇?", "options": [{"text": "가"}, {"text": "나"}]}
    (asked,) = posts(telegram(text=None, poll=poll))
    assert asked.text == "무엇?\n- 가\n- 나"


@pytest.mark.parametrize(
    ("chat", "channel"),
    [
        ({"id": 1, "type": "channel", "username": "news"}, Channel.MICROBLOG),
        ({"id": 1, "type": "channel"}, Channel.OTHER),
        ({"id": 1, "type": "private", "username": "haneul"}, Channel.OTHER),
        ({"id": 1, "type": "group"}, Channel.OTHER),
    ],
)
def test_only_telegrams_public_chats_have_a_public_channel(
    chat: dict[str, object], channel: Channel
) -> None:
    assert posts(telegram(chat=chat))[0].channel is channel


def test_telegrams_events_and_deletions_are_no_posts() -> None:
    joined = {"update_id": 1, "message": telegram(text=None, new_chat_members=[{}])}
    del joined["message"]["text"]  # type: ignore[attr-defined]  # JSON
    gone = {
        "update_id": 2,
        "deleted_business_messages": {"chat": {"id": 9}, "message_ids": [1, 2]},
    }
    document = payloads.read({"ok": True, "result": [joined, gone]})

    assert (of(document), document.deleted) == ([], ("9/1", "9/2"))
    with pytest.raises(Unreadable, match="Telegram answers with an error: Unauthorized"):
        payloads.read({"ok": False, "error_code": 401, "description": "Unauthorized"})


def test_an_export_of_telegram_desktop() -> None:
    said = {
        "id": 8,
        "type": "message",
        "date_unixtime": "1767225600",
        "from": "하늘",
        "from_id": "user7",
        "text": ["보세요 ", {"type": "link", "text": "https://a.example"}, " 네"],
        "reply_to_message_id": 7,
    }
    joined = {"id": 7, "type": "service", "date": "2026-01-01T00:00:00", "text": ""}
    (post,) = posts({"name": "A", "type": "private_group", "id": 9, "messages": [joined, said]})

    assert (post.native_id, post.in_reply_to) == ("9/8", "9/7")
    assert post.text == "보세요 https://a.example 네"
    assert (post.author, post.author_name, post.channel) == ("user7", "하늘", Channel.OTHER)


def discord(**changes: object) -> dict[str, object]:
    return {
        "id": "334385199974967042",
        "channel_id": "290926798999357250",
        "author": {"id": "53908099506183680", "username": "haneul", "global_name": "하늘"},
        "content": "dark mode please",
        "timestamp": "2026-01-01T00:00:00+00:00",
        "edited_timestamp": None,
        "type": 0,
        **changes,
    }


def test_a_message_of_discord() -> None:
    picture = {
        "url": "https://cdn.example/1.png",
        "content_type": "image/png",
        "description": "설정",
    }
    (post,) = posts(
        [
            discord(
                content="<@1> see <#2> <a:wave:3> [here](https://a.example/x)",
                mentions=[{"id": "1", "username": "bada"}],
                attachments=[picture],
                reactions=[{"count": 2}, {"count": 1}],
                message_reference={"message_id": "9"},
                type=19,
            )
        ]
    )

    assert post.text == "@bada see #2 :wave: here"
    assert post.media == (Attachment("image", "https://cdn.example/1.png", "설정"),)
    assert (post.author, post.author_name, post.in_reply_to) == ("haneul", "하늘", "9")
    assert (post.created_at, post.metrics, post.channel) == (DAY, {"likes": 3}, None)
    assert post.url.endswith("/@me/290926798999357250/334385199974967042")


def test_discords_forwards_say_what_was_forwarded() -> None:
    snapshot = {"message": {"content": "the original"}}
    (post,) = posts(
        discord(
            content="",
            message_reference={"type": 1, "message_id": "9"},
            message_snapshots=[snapshot],
        )
    )

    assert (post.text, post.reshared_from, post.in_reply_to) == ("the original", "9", "")
    assert post.is_repost


def test_discords_gateway_events() -> None:
    def event(name: str, **data: object) -> Document:
        return payloads.read({"op": 0, "s": 1, "t": name, "d": data})

    assert len(of(event("MESSAGE_CREATE", **discord()))) == 1
    assert event("MESSAGE_DELETE", id="5", channel_id="1").deleted == ("5",)
    assert event("MESSAGE_DELETE_BULK", ids=["5", "6"]).deleted == ("5", "6")
    assert of(event("MESSAGE_UPDATE", id="5", embeds=[])) == []
    assert of(event("MESSAGE_CREATE", **discord(type=7))) == []  # somebody joined
    assert of(event("TYPING_START")) == []


def test_discords_errors_and_other_objects_say_what_they_are() -> None:
    with pytest.raises(Unreadable, match="Discord answers with an error: 401: Unauthorized"):
        payloads.read({"message": "401: Unauthorized", "code": 0})
    with pytest.raises(Unreadable, match="a Discord user holds no posts"):
        payloads.read({"id": "1", "username": "a", "discriminator": "0"})


def slack(**changes: object) -> dict[str, object]:
    return {"type": "message", "user": "U1", "text": "hi", "ts": "1767225600.000100", **changes}


def test_a_history_of_slack() -> None:
    text = "<@U2|bada> see <https://a.example/long|a.example/lo…> &amp; <#C1|help> <!here>"
    asked, answered = posts(
        {
            "ok": True,
            "has_more": False,
            "messages": [
                slack(text=text, reply_count=1, thread_ts="1767225600.000100"),
                slack(text="ok", ts="1767225601.000100", thread_ts="1767225600.000100"),
                slack(subtype="channel_join", text="joined", ts="1"),
            ],
        }
    )

    assert asked.text == "@bada see https://a.example/long & #help @here"
    assert (asked.native_id, asked.in_reply_to) == ("slack/1767225600.000100", "")
    assert asked.metrics == {"replies": 1}
    assert answered.in_reply_to == asked.native_id
    assert asked.created_at == datetime(2026, 1, 1, 0, 0, 0, 100, UTC)
    assert asked.channel is None


def test_slacks_events() -> None:
    def event(**changes: object) -> Document:
        said = slack(channel="C1", **changes)
        return payloads.read({"type": "event_callback", "event": said})

    changed = event(subtype="message_changed", message=slack(text="new", edited={"ts": "2"}))
    deleted = event(subtype="message_deleted", deleted_ts="1.2")

    assert [(post.native_id, post.author) for post in of(event())] == [
        ("C1/1767225600.000100", "U1")
    ]
    assert [post.text for post in of(changed)] == ["new"]
    assert (of(deleted), deleted.deleted) == ([], ("C1/1.2",))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"ok": False, "error": "invalid_auth"}, "Slack answers with an error: invalid_auth"),
        ({"type": "url_verification", "challenge": "x"}, "a Slack test of an address holds no"),
        ({"ok": True, "members": []}, "a Slack list of members holds no posts"),
        (
            {"type": "event_callback", "event": {"type": "reaction_added"}},
            "a Slack event of the type reaction_added holds no posts",
        ),
    ],
)
def test_slacks_errors_and_other_answers_say_what_they_are(value: object, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        payloads.read(value)


def test_an_export_of_slack() -> None:
    profile = {"display_name": "", "real_name": "Haneul Kim"}
    (post,) = posts([slack(user_profile=profile, files=[{"url_private": "https://a.example/f"}])])

    assert (post.author, post.author_name) == ("U1", "Haneul Kim")
    assert post.media == (Attachment("file", "https://a.example/f"),)


def test_slacks_searches_and_sent_messages() -> None:
    found = slack(channel={"id": "C9"}, permalink="https://a.slack.com/archives/C9/p1")
    (hit,) = posts({"ok": True, "messages": {"matches": [found], "total": 1}})
    (sent,) = posts({"ok": True, "channel": "C1", "ts": "1", "message": slack()})

    assert (hit.native_id, hit.url) == (
        "C9/1767225600.000100",
        "https://a.slack.com/archives/C9/p1",
    )
    assert sent.native_id == "C1/1767225600.000100"


def test_telegrams_bot_is_no_post_and_a_deletion_may_stand_alone() -> None:
    gone = {"update_id": 2, "deleted_business_messages": {"chat": {"id": 9}, "message_ids": [1]}}

    assert payloads.read(gone).deleted == ("9/1",)
    with pytest.raises(Unreadable, match="a Telegram bot holds no posts"):
        payloads.read({"ok": True, "result": {"id": 1, "is_bot": True}})
