"""Strangers' servers and strangers' links cannot hurt, hold up or look inside Maru."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import pytest_asyncio

from kit.hostile import Hostile, bomb, open_hostile
from maru_kit.outbound import (
    AskedToWait,
    Blocked,
    Outbound,
    OutboundError,
    TimedOut,
    TooLarge,
    Unreachable,
    guard,
    open_outbound,
)

MB = 1024 * 1024

HOSTS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",  # noqa: S104 - nothing is bound: it is asked for
    "localhost",
    "LOCALHOST",
    "localhost.",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.0.1",
    "169.254.169.254",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[2001:db8::1]",
    "[2001::1]",
    "[100::1]",
    "１２７.0.0.1",
    "127。0。0。1",
    "①27.0.0.1",
]
ADDRESSES = [
    "http://user:pw@{}/",
    "http://a@{}/",
    "http://:@{}/",
    "file:///etc/passwd",
    "file://{}/etc/passwd",
    "ftp://{}/",
    "gopher://{}/_x",
    "dict://{}/",
    "data:text/plain,x",
    "javascript:1",
    "//{}/",
    "{}",
    "",
    " ",
    "http://",
    "http:///x",
    "http://[::1",
    "http://[::1]x/",
    "http://{}\\@example.com/",
    "http://{}#@example.com/",
    "http://{}?@example.com/",
    "http://{}:99999/",
    "http://x\ud800/",
    "http://a／b/",
]


@pytest_asyncio.fixture
async def hostile() -> AsyncIterator[Hostile]:
    async with open_hostile() as server:
        yield server


@pytest_asyncio.fixture
async def outbound(hostile: Hostile) -> AsyncIterator[Outbound]:
    async with open_outbound(allow=[hostile.host]) as client:
        yield client


@pytest.mark.parametrize("port", ["", ":{port}"])
@pytest.mark.parametrize("host", HOSTS)
async def test_no_way_of_writing_an_inner_address_reaches_it(
    hostile: Hostile, host: str, port: str
) -> None:
    async with open_outbound() as client:
        with pytest.raises(OutboundError):
            await client.get(f"http://{host}{port.format(port=hostile.port)}/", deadline=2)
    assert hostile.seen == []


@pytest.mark.parametrize("address", ADDRESSES)
async def test_an_address_that_is_odd_is_refused_with_a_sentence(
    hostile: Hostile, address: str
) -> None:
    async with open_outbound() as client:
        with pytest.raises(OutboundError):
            await client.get(address.format(hostile.host), deadline=2)
    assert hostile.seen == []


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["fe80::1%lo"]])
async def test_a_name_with_any_inner_address_is_blocked(answer: Sequence[str]) -> None:
    async def resolver(_host: str, _port: int) -> Sequence[str]:
        return answer

    async with open_outbound(resolver=resolver) as client:
        with pytest.raises(Blocked, match="public internet"):
            await client.get("http://rebound.example/")


async def test_a_name_is_looked_up_once_and_the_checked_address_is_used() -> None:
    asked: list[str] = []

    async def resolver(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["10.0.0.1"] if asked else []

    async with open_outbound(resolver=resolver) as client:
        with pytest.raises(Blocked):
            await client.get("https://rebound.example/")
    assert asked == ["rebound.example"]


async def test_a_bomb_is_cut_short(hostile: Hostile, outbound: Outbound) -> None:
    hostile.answers["/bomb"] = bomb(100 * MB)
    with pytest.raises(TooLarge, match="1,048,576"):
        await outbound.get(hostile.url("/bomb"), max_bytes=MB)


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, MB])
async def test_a_packed_answer_up_to_the_bound_is_whole(
    hostile: Hostile, outbound: Outbound, size: int
) -> None:
    hostile.answers["/packed"] = bomb(size)
    assert (await outbound.get(hostile.url("/packed"), max_bytes=MB)).body == bytes(size)


async def test_an_endless_answer_ends(hostile: Hostile, outbound: Outbound) -> None:
    with pytest.raises(TooLarge):
        await outbound.get(hostile.url("/endless"))


async def test_a_dripping_answer_ends_at_the_deadline(hostile: Hostile, outbound: Outbound) -> None:
    began = time.monotonic()
    with pytest.raises(TimedOut, match=r"within 0\.3 s"):
        await outbound.get(hostile.url("/drip"), deadline=0.3)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\njunk",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
)
async def test_what_cannot_be_read_is_unreachable(
    hostile: Hostile, outbound: Outbound, junk: bytes
) -> None:
    hostile.answers["/junk"] = junk
    with pytest.raises(Unreachable):
        await outbound.get(hostile.url("/junk"), deadline=3)


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "file:///etc/passwd",
        "http://localhost/",
        "gopher://127.0.0.1/",
        "http://[bad",
        "http://user@127.0.0.1/",
    ],
)
async def test_redirects_inside_are_not_followed(
    hostile: Hostile, outbound: Outbound, target: str
) -> None:
    hostile.redirect("/out", target)
    with pytest.raises((Blocked, Unreachable)):
        await outbound.get(hostile.url("/out"))
    assert len(hostile.seen) == 1


async def test_a_loop_of_redirects_ends(hostile: Hostile, outbound: Outbound) -> None:
    hostile.redirect("/round", "/round")
    with pytest.raises(Unreachable, match="more than 3 times"):
        await outbound.get(hostile.url("/round"))
    assert len(hostile.seen) == 4


async def test_a_stranger_cannot_lead_to_an_allowed_host(hostile: Hostile) -> None:
    async with open_hostile() as own, open_outbound(allow=[hostile.host, own.host]) as client:
        hostile.redirect("/in", own.url("/secret"))
        with pytest.raises(Blocked, match="own network"):
            await client.get(hostile.url("/in"), headers={"Authorization": "Bearer key"})
        assert own.seen == []


@pytest.mark.parametrize("path", ["/공지", "/%EA%B3%B5%EC%A7%80"])
async def test_addresses_may_be_written_in_any_language(
    hostile: Hostile, outbound: Outbound, path: str
) -> None:
    hostile.redirect("/start", path)
    assert (await outbound.get(hostile.url(path))).body == b"ok"
    await outbound.get(hostile.url("/start"))
    lines = [head.splitlines()[0] for head in hostile.seen]
    assert lines[0] == lines[2] == "GET /%EA%B3%B5%EC%A7%80 HTTP/1.1"


@pytest.mark.parametrize("path", ["/1;2?a=3;4", "/a;b/c;d", "/;", "/?", "/a#b"])
async def test_a_host_is_asked_for_the_whole_path(
    hostile: Hostile, outbound: Outbound, path: str
) -> None:
    await outbound.get(hostile.url(path))

    assert hostile.seen[0].split()[1] == path.partition("#")[0].rstrip("?")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("1.5", 1.5),
        ("-3", 0),
        ("1e999", 3600),
        ("nan", None),
        ("soon", None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", None),
    ],
)
async def test_forms_of_retry_after(
    hostile: Hostile, outbound: Outbound, value: str, seconds: float | None
) -> None:
    hostile.say("/busy", 200, f"Retry-After: {value}")
    assert (await outbound.get(hostile.url("/busy"))).retry_after == seconds


@pytest.mark.parametrize("status", [429, 503])
async def test_a_host_that_asks_for_silence_gets_it(
    hostile: Hostile, outbound: Outbound, status: int
) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    hostile.say("/busy", status, f"Retry-After: {until}")
    await outbound.get(hostile.url("/busy"))
    with pytest.raises(AskedToWait) as told:
        await outbound.get(hostile.url("/else"))
    assert 55 < told.value.retry_after <= 60
    assert len(hostile.seen) == 1


async def test_names_are_looked_up_while_all_other_threads_are_at_work() -> None:
    over = threading.Event()
    busy = [asyncio.create_task(asyncio.to_thread(over.wait, 60)) for _ in range(64)]
    try:
        async with asyncio.timeout(30):
            assert "127.0.0.1" in await guard.resolve("127.0.0.1", 80)
    finally:
        over.set()
        await asyncio.gather(*busy)
