"""What is special about mailboxes: they stay as they are, are renumbered, and hold anything."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
import pytest_asyncio

from maru_ingest.connector import (
    CredentialsRefused,
    Cursor,
    Page,
    SourceBroken,
    SourceBusy,
    SourceGone,
    Tools,
)
from maru_ingest.connectors.imap import CONNECTOR, ImapConnector, ImapSettings
from maru_ingest.formats.parsed import BadRow, ParsedPost
from maru_kit.outbound import open_outbound
from upstreams.imap import PASSWORD, USER, Imap

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WHEN = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Imap]:
    async with Imap().serving() as upstream:
        yield upstream


@pytest_asyncio.fixture
async def tools(server: Imap) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[server.host]) as outbound:
        yield Tools(outbound)


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[tuple[str, int]]:
    """Have a server of another kind answer; host and port. Nothing of it is left afterwards."""
    tasks: set[asyncio.Task[None]] = set()

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await answer(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            tasks.discard(task)

    async with await asyncio.start_server(tracked, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()
        finally:
            server.close()
            await asyncio.sleep(0.05)  # who has just come has not begun yet
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks)


def connector(server: Imap, tools: Tools, **changes: object) -> ImapConnector:
    return ImapConnector(ImapSettings.model_validate({**server.settings(), **changes}), tools)


async def read(
    server: Imap, tools: Tools, cursor: Cursor | None = None, **changes: object
) -> list[Page]:
    return [page async for page in connector(server, tools, **changes).pages(cursor or {})]


def texts(pages: list[Page]) -> list[str]:
    return [row.text for page in pages for row in page.rows if isinstance(row, ParsedPost)]


def a_mail(text: str, **headers: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "kim@customers.example", USER
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


async def test_nothing_in_the_mailbox_is_changed(server: Imap, tools: Tools) -> None:
    server.write("Please add a dark mode")

    assert texts(await read(server, tools)) == ["Please add a dark mode"]

    said = b"".join(server.said).upper()
    assert b"EXAMINE" in said
    assert b"BODY.PEEK[]<0." in said
    assert not any(word in said for word in (b"SELECT", b"STORE", b"EXPUNGE", b"BODY[]"))


async def test_a_first_look_brings_the_newest_and_the_next_only_what_came_since(
    server: Imap, tools: Tools
) -> None:
    for number in range(60):
        server.write(f"mail {number}")
    first = await read(server, tools)
    server.write("one more")
    server.deliver(a_mail("I am away", Auto_Submitted="auto-replied"), at=WHEN)

    second = await read(server, tools, first[-1].cursor)
    third = await read(server, tools, second[-1].cursor)

    assert texts(first) == [f"mail {number}" for number in range(10, 60)]
    assert (texts(second), third) == (["one more"], [])


async def test_mails_that_are_numbered_anew_are_read_from_the_last_days_on(
    server: Imap, tools: Tools
) -> None:
    server.write("old", at=datetime(2026, 1, 2, tzinfo=UTC))
    server.write("known", at=WHEN)
    pages = await read(server, tools)
    await server.renumber()
    for written in server.posts:
        server._tell(written)
    server.write("new", at=WHEN)

    again = await read(server, tools, pages[-1].cursor)

    assert texts(again) == ["known", "new"]
    assert await read(server, tools, again[-1].cursor) == []


async def test_a_mail_that_says_nothing_is_a_bad_row_and_one_without_an_id_or_date_a_post(
    server: Imap, tools: Tools
) -> None:
    server.deliver(a_mail(""), at=WHEN)
    server.deliver(a_mail("no name, no date"), at=WHEN)

    (page,) = await read(server, tools)

    bad, post = page.rows
    assert isinstance(bad, BadRow)
    assert isinstance(post, ParsedPost)
    assert (post.native_id, post.created_at) == ("", WHEN)


async def test_of_a_huge_mail_the_beginning_is_read(server: Imap, tools: Tools) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "kim@customers.example", USER
    message.set_content("See the picture: the menu is cut off.")
    message.add_attachment(bytes(3_000_000), maintype="image", subtype="png", filename="a.png")
    server.deliver(message.as_bytes(), at=WHEN)

    assert texts(await read(server, tools)) == ["See the picture: the menu is cut off."]


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"password": "wrong"}, CredentialsRefused, "does not let help@maru.example in"),
        ({"folder": "고객 의견"}, SourceGone, "has no folder '고객 의견'"),
        ({"security": "tls"}, SourceBroken, "does not answer"),
        ({"security": "starttls"}, SourceBroken, "127.0.0.1"),
        ({"port": 1}, SourceBroken, "unencrypted"),
        ({"port": 1, "security": "tls"}, SourceBroken, "Port 1 of 127.0.0.1 is not asked"),
        ({"port": 993, "security": "tls"}, SourceBroken, "not on the public internet"),
    ],
)
async def test_what_keeps_a_mailbox_from_being_read_is_told(
    server: Imap, tools: Tools, changes: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason) as told:
        await read(server, replace(tools, deadline=5.0), **changes)

    assert PASSWORD not in str(told.value)


@pytest.mark.parametrize(
    ("says", "error", "reason"),
    [
        (b"* BYE [UNAVAILABLE] Later\r\n", SourceBusy, "Later"),
        (b"HTTP/1.1 400 Bad Request\r\n", SourceBroken, "of no use"),
        (b"* OK hi\r\n* CAPABILITY IMAP4rev1 {99999999999}\r\n", SourceBroken, "99,999,999,999"),
        (b"* OK " + b"x" * 2_000_000, SourceBroken, "of no use"),
        (b"", SourceBroken, "127.0.0.1"),
    ],
)
async def test_servers_that_talk_nonsense_are_told_of(
    says: bytes, error: type[Exception], reason: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        await reader.read(100)

    async with listening(answer) as (host, port):
        wanted = {"host": host, "port": port, "security": "none"}
        async with open_outbound(allow=[f"{host}:{port}"]) as outbound:
            following = ImapConnector(
                ImapSettings.model_validate({**wanted, "username": "u", "password": "p"}),
                Tools(outbound, deadline=5.0),
            )
            with pytest.raises(error, match=reason):
                _ = [page async for page in following.pages({})]


@pytest.mark.parametrize("security", ["none", "tls", "starttls"])
async def test_servers_that_never_come_to_an_end_keep_no_other_work_waiting(
    security: str,
) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = {"tls": b"\x16", "none": b"* OK hi\r\n", "starttls": b"* OK hi\r\n"}[security]
        said = {"tls": b"\x03", "none": b"* X y\r\n", "starttls": b"* X y\r\n"}[security]
        writer.write(greeting)
        while not reader.at_eof():
            writer.write(said)
            await writer.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(100), 0.05)

    def left() -> list[str]:
        return [one.name for one in threading.enumerate() if one.name.startswith("imap")]

    async with listening(drip) as (host, port):
        wanted = {"host": host, "port": port, "security": security, "username": "u"}
        asked = ImapSettings.model_validate({**wanted, "password": "p"})
        async with open_outbound(allow=[f"{host}:{port}"]) as outbound:
            tools = Tools(outbound, deadline=0.5)

            async def look() -> None:
                with pytest.raises(SourceBroken, match=r"127\.0\.0\.1"):
                    _ = [page async for page in ImapConnector(asked, tools).pages({})]

            looks = [asyncio.create_task(look()) for _ in range(40)]
            assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 20) == "done"
            await asyncio.gather(*looks)
    for _ in range(300):
        if not left():
            break
        await asyncio.sleep(0.1)
    assert left() == []


def test_a_host_is_a_name_and_no_address_of_the_web() -> None:
    for host in ("https://imap.example.com", "a b", "a/b", ""):
        with pytest.raises(ValueError, match="host"):
            CONNECTOR.settings.model_validate({"host": host, "username": "u", "password": "p"})
