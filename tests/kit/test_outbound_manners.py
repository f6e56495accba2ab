"""What strangers get to see of us, and what their servers cost us at most."""

import asyncio
import gzip
import ipaddress
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from httpcore import AnyIOBackend, AsyncNetworkStream
from hypothesis import given
from hypothesis import strategies as st

from kit.hostile import Hostile, bomb, open_hostile
from maru_kit.outbound import (
    Blocked,
    Manners,
    Outbound,
    OutboundError,
    TimedOut,
    TooLarge,
    Unreachable,
    open_outbound,
)
from maru_kit.outbound.addresses import is_outside

MB = 1024 * 1024
SECRETS = {"Authorization": "Bearer canary", "Cookie": "canary", "X-Api-Key": "canary"}


@pytest_asyncio.fixture
async def hostile() -> AsyncIterator[Hostile]:
    async with open_hostile() as server:
        yield server


@pytest_asyncio.fixture
async def outbound(hostile: Hostile) -> AsyncIterator[Outbound]:
    async with open_outbound(allow=[hostile.host]) as client:
        yield client


async def test_we_say_who_we_are_and_ask_for_no_packing_that_we_cannot_bound(
    hostile: Hostile, outbound: Outbound
) -> None:
    await outbound.get(hostile.url("/"), headers={"If-None-Match": '"x"'})

    [head] = hostile.seen
    assert "User-Agent: Maru" in head
    assert "Accept-Encoding: gzip, deflate\r\n" in head
    assert 'If-None-Match: "x"' in head
    assert head.count(f"Host: {hostile.host}\r\n") == 1


class Internet(AnyIOBackend):
    """An internet whose every address leads to one server of the test; notes who was asked."""

    def __init__(self, port: int) -> None:
        self.asked: list[tuple[str, int]] = []
        self._server = port

    async def connect_tcp(self, host: str, port: int, *more: Any) -> AsyncNetworkStream:
        self.asked.append((host, port))
        return await super().connect_tcp("127.0.0.1", self._server, *more)


async def names(host: str, _port: int) -> Sequence[str]:
    return {"inside.example": ["8.8.8.8", "10.0.0.1"]}.get(host, ["8.8.8.8"])


async def test_the_address_that_was_checked_is_the_one_that_is_asked(hostile: Hostile) -> None:
    internet = Internet(hostile.port)
    async with open_outbound(resolver=names, network=internet) as client:
        assert (await client.get("http://one.example/")).body == b"ok"
        with pytest.raises(Blocked, match=r"10\.0\.0\.1"):
            await client.get("http://inside.example/")

    assert internet.asked == [("8.8.8.8", 80)]
    assert "Host: one.example\r\n" in hostile.seen[0]


async def test_another_origin_gets_no_header_that_may_be_a_secret(hostile: Hostile) -> None:
    hostile.redirect("/same", "/away")
    hostile.redirect("/away", "http://two.example/")
    headers = {**SECRETS, "Accept": "text/html"}
    async with open_outbound(resolver=names, network=Internet(hostile.port)) as client:
        fetched = await client.get("http://one.example/same", headers=headers)

    assert fetched.url == "http://two.example/"
    first, second, last = hostile.seen
    assert first.count("canary") == second.count("canary") == 3
    assert "canary" not in last
    assert "Host: two.example" in last
    assert "Accept: text/html" in last


@pytest.mark.parametrize("target", ["http://inside.example/", "http://one.example:8080/"])
async def test_a_redirect_is_checked_like_any_address(hostile: Hostile, target: str) -> None:
    hostile.redirect("/", target)
    internet = Internet(hostile.port)
    async with open_outbound(resolver=names, network=internet) as client:
        with pytest.raises(Blocked):
            await client.get("http://one.example/")

    assert internet.asked == [("8.8.8.8", 80)]


async def test_the_environments_proxy_is_not_used(
    hostile: Hostile, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    assert (await outbound.get(hostile.url("/"))).body == b"ok"


@pytest.mark.parametrize("path", ["/bomb", "/endless"])
async def test_an_answer_takes_little_more_memory_than_its_bound(
    hostile: Hostile, outbound: Outbound, path: str
) -> None:
    hostile.answers["/bomb"] = bomb(200 * MB)
    await outbound.get(hostile.url("/warm"))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            await outbound.get(hostile.url(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 15 * MB


async def test_packed_data_that_says_nothing_is_cut_off_too(
    hostile: Hostile, outbound: Outbound
) -> None:
    empty = gzip.compress(b"") * 10_000
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(empty)}\r\n\r\n"
    hostile.answers["/empty"] = head.encode() + empty

    with pytest.raises(TooLarge):
        await outbound.get(hostile.url("/empty"), max_bytes=len(empty) - 1)
    assert (await outbound.get(hostile.url("/empty"), max_bytes=len(empty))).body == b""


@pytest.mark.parametrize("cut", [1, 4, 8, 20])
async def test_packed_data_that_breaks_off_is_no_answer(
    hostile: Hostile, outbound: Outbound, cut: int
) -> None:
    packed = gzip.compress(b"a feed with posts" * 100)[:-cut]
    hostile.answers["/cut"] = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n" + packed
    )

    with pytest.raises(Unreachable, match="broke off"):
        await outbound.get(hostile.url("/cut"))


async def test_an_unchanged_answer_may_claim_to_be_packed(
    hostile: Hostile, outbound: Outbound
) -> None:
    hostile.say("/same", 304, "Content-Encoding: gzip")

    fetched = await outbound.get(hostile.url("/same"))

    assert (fetched.status, fetched.body) == (304, b"")


async def test_a_host_is_asked_two_questions_at_a_time(
    hostile: Hostile, outbound: Outbound
) -> None:
    # Those who wait give up well before those who are served: no place becomes free for them.
    deadlines = (2.0, 2.0, 0.5, 0.5, 0.5)
    drips = [outbound.get(hostile.url("/drip"), deadline=seconds) for seconds in deadlines]

    results = await asyncio.gather(*drips, return_exceptions=True)

    assert all(isinstance(result, TimedOut) for result in results)
    assert len(hostile.seen) == 2


async def test_what_was_given_up_holds_no_connection(hostile: Hostile) -> None:
    async with open_outbound(allow=[hostile.host], manners=Manners(patience=100)) as outbound:
        for _ in range(30):
            with pytest.raises(TimedOut):
                await outbound.get(hostile.url("/drip"), deadline=0.01)

        assert (await outbound.get(hostile.url("/"))).body == b"ok"
        assert len(outbound._pool.connections) <= 1


async def test_a_name_that_is_slow_to_be_found_ends_at_the_deadline() -> None:
    async def resolver(_host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(3600)
        return []

    async with open_outbound(resolver=resolver) as client:
        with pytest.raises(TimedOut):
            await client.get("http://slow.example/", deadline=0.1)


@pytest.mark.parametrize("error", [OSError("no such host"), UnicodeError("label too long")])
async def test_a_name_that_is_not_found_is_unreachable(error: Exception) -> None:
    async def resolver(_host: str, _port: int) -> Sequence[str]:
        raise error

    async with open_outbound(resolver=resolver) as client:
        with pytest.raises(Unreachable, match=r"lost\.example"):
            await client.get("http://lost.example/")


async def test_a_header_cannot_be_smuggled_in_by_an_address(
    hostile: Hostile, outbound: Outbound
) -> None:
    for trick in ("/a\r\nX-Evil: 1", "/a HTTP/1.1\r\nX-Evil: 1\r\n", "/\r\n\r\nGET /b"):
        try:
            await outbound.get(hostile.url(trick))
        except OutboundError:
            continue
    assert all("\nX-Evil" not in head for head in hostile.seen)
    assert all(head.startswith("GET /") for head in hostile.seen)
    assert not [head for head in hostile.seen if head.startswith("GET /b")]


CLOSED = [
    *("127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("0.0.0.0", "192.0.2.1", "198.18.0.1", "198.51.100.9", "203.0.113.9", "224.0.0.1"),  # noqa: S104
    *("255.255.255.255", "240.0.0.1", "192.88.99.1", "::", "::1", "::127.0.0.1", "fe80::1"),
    *("fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001::1", "2001:db8::1", "3fff::1"),
    *("2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "::ffff:10.0.0.1", "100::1"),
    *("5f00::1", "2620:4f:8000::1", "2001:10::1", "2001:20::1"),
]
OPEN = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "2002:808:808::"]


@pytest.mark.parametrize("address", CLOSED)
def test_an_address_of_a_special_kind_is_not_outside(address: str) -> None:
    assert not is_outside(address)


@pytest.mark.parametrize("address", OPEN)
def test_an_address_of_the_internet_is_outside(address: str) -> None:
    assert is_outside(address)


@given(st.ip_addresses())
def test_nothing_is_outside_that_the_registries_call_special(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_outside(str(address)):
        assert not address.is_private
        assert not address.is_multicast
        assert not address.is_link_local


@given(st.ip_addresses(v=4))
def test_a_tunnel_is_judged_by_what_it_carries(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    carriers = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
    ]
    assert {is_outside(str(carrier)) for carrier in carriers} == {is_outside(str(address))}
