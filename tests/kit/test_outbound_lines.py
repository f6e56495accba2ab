"""Answers without an end: every line once, and no stranger can hold, fill or stop us with them."""

import asyncio
import gzip
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit.misbehaving import STREAM, Answer, Call, Server, misbehaving
from maru_kit.outbound import (
    AskedToWait,
    Blocked,
    Lines,
    Outbound,
    TimedOut,
    TooLarge,
    Unreachable,
    open_outbound,
)
from maru_kit.outbound.lines import Splitter

MB = 1024 * 1024
LONGEST: list[float] = []
PACKED = STREAM + b"Content-Encoding: gzip\r\n\r\n"


@asynccontextmanager
async def asking(answer: Answer) -> AsyncIterator[tuple[Server, Outbound]]:
    async with misbehaving(answer) as server, open_outbound(allow=[server.host]) as outbound:
        yield server, outbound


async def whole(answer: Lines) -> list[bytes]:
    return [line async for line in answer]


def saying(*parts: bytes) -> Answer:
    return partial(_said, parts)


async def _said(parts: Sequence[bytes], call: Call) -> None:
    await call.say(*parts)


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


async def test_lines_come_as_they_are_said_with_the_signs_of_life_between_them() -> None:
    told = asyncio.Event()

    async def answer(call: Call) -> None:
        await call.say(STREAM + b"\r\n", b'{"a":1}\r\n\r\n')
        await told.wait()
        await call.say(b'{"b":2}\r\n')

    async with asking(answer) as (server, outbound), outbound.lines(server.url()) as lines:
        assert (lines.status, lines.headers["content-type"]) == (200, "text/event-stream")
        assert [await anext(lines), await anext(lines)] == [b'{"a":1}', b""]
        told.set()
        assert await whole(lines) == [b'{"b":2}']


async def test_status_and_waiting_time_are_known_before_any_line() -> None:
    head = b"HTTP/1.1 429 X\r\nRetry-After: 7\r\nConnection: close\r\n\r\n"

    async with asking(saying(head, b"slow")) as (server, outbound):
        async with outbound.lines(server.url()) as lines:
            assert (lines.status, lines.retry_after) == (429, 7)
            assert await whole(lines) == [b"slow"]
        with pytest.raises(AskedToWait):
            async with outbound.lines(server.url()):
                pass
        assert len(server.heads) == 1


@pytest.mark.parametrize("pieces", [1, 7, 1000])
async def test_packed_lines_are_read_as_they_are_flushed(pieces: int) -> None:
    packer = zlib.compressobj(wbits=31)
    body = b"".join(
        packer.compress(b"line %d\n" % number) + packer.flush(zlib.Z_SYNC_FLUSH)
        for number in range(pieces)
    )

    async def answer(call: Call) -> None:
        await call.say(PACKED, body)
        await call.hang()

    async with asking(answer) as (server, outbound), outbound.lines(server.url()) as lines:
        for number in range(pieces):
            assert await anext(lines) == b"line %d" % number


async def test_silence_between_two_bytes_ends_it_and_slowness_does_not() -> None:
    async def answer(call: Call) -> None:
        await call.say(STREAM + b"\r\n", *(b"." for _ in range(10)), b"\n", apart=0.05)
        await call.hang()

    async with asking(answer) as (server, outbound):
        async with outbound.lines(server.url(), idle_seconds=0.3) as lines:
            assert await anext(lines) == b"." * 10
            began = time.monotonic()
            with pytest.raises(TimedOut, match=r"nothing for 0\.3 s"):
                await anext(lines)
        assert 0.2 < time.monotonic() - began < 1


async def test_a_line_without_an_end_is_cut_off() -> None:
    async def answer(call: Call) -> None:
        await call.say(STREAM + b"\r\n")
        while True:
            await call.say(b"x" * 65536)

    async with asking(answer) as (server, outbound):
        async with outbound.lines(server.url(), max_line=100_000) as lines:
            with pytest.raises(TooLarge, match="100,000"):
                await anext(lines)
        async with asyncio.timeout(2):
            while server.here:
                await asyncio.sleep(0.01)


@contextmanager
def at_most(memory: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()


async def test_a_bomb_of_one_line_is_cut_short() -> None:
    body = gzip.compress(bytes(200 * MB))
    async with asking(saying(PACKED, body)) as (server, outbound):
        with at_most(15 * MB):
            async with outbound.lines(server.url()) as lines:
                with pytest.raises(TooLarge):
                    await anext(lines)


@pytest.mark.parametrize("line", [b"\n", b"ab\r\n"])
@pytest.mark.parametrize("measure", ["memory", "waiting"])
async def test_a_bomb_of_many_lines_fills_no_memory_and_keeps_nobody_waiting(
    line: bytes, measure: str
) -> None:
    body = gzip.compress(line * (50 * MB // len(line)))
    measured = at_most(15 * MB) if measure == "memory" else nullcontext()
    async with (
        asking(saying(PACKED, body)) as (server, outbound),
        outbound.lines(server.url()) as lines,
        asyncio.TaskGroup() as group,
    ):
        waiting = group.create_task(longest_wait())
        with measured:
            for _ in range(100_000):
                assert await anext(lines) == line.rstrip()
        waiting.cancel()
    assert measure == "memory" or LONGEST[-1] < 0.5


async def longest_wait() -> None:
    LONGEST.append(0.0)
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.001)
        LONGEST[-1] = max(LONGEST[-1], time.monotonic() - began)


@pytest.mark.parametrize(
    "broken",
    [
        STREAM + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"whole\n") + b"ff\r\nhalf",
        STREAM + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"whole\n") + b"nonsense\r\n",
        STREAM + b"Content-Length: 99\r\n\r\nwhole\nhalf",
        PACKED + gzip.compress(b"whole\n" + bytes(range(256)) * 50)[:-9],
    ],
)
async def test_what_breaks_off_says_so_after_the_whole_lines(broken: bytes) -> None:
    async with asking(saying(broken)) as (server, outbound), outbound.lines(server.url()) as lines:
        assert await anext(lines) == b"whole"
        with pytest.raises(Unreachable):
            await whole(lines)


async def test_streams_take_no_place_of_short_requests() -> None:
    async def answer(call: Call) -> None:
        if "/stream" in call.head:
            await call.say(STREAM + b"\r\n", b"first\n")
            await call.hang()
        await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    async with asking(answer) as (server, outbound):
        open_ones = [
            outbound.lines(server.url("/stream")) for _ in range(101)
        ]  # more than short requests may be
        streams = [await one.__aenter__() for one in open_ones]
        assert {await anext(stream) for stream in streams} == {b"first"}
        assert (await outbound.get(server.url("/short"), deadline=2)).body == b"ok"
        for one in open_ones:
            await one.__aexit__(None, None, None)
        async with asyncio.timeout(2):
            while server.here:
                await asyncio.sleep(0.01)
        assert outbound._streams.connections == []


async def test_questions_that_are_held_open_take_no_place_of_short_requests() -> None:
    may_answer = asyncio.Event()

    async def answer(call: Call) -> None:
        if "/held" in call.head:
            await may_answer.wait()
        await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    async with asking(answer) as (server, outbound), asyncio.TaskGroup() as group:
        held = [
            group.create_task(
                outbound.request("GET", server.url("/held"), deadline=60, is_held=True)
            )
            for _ in range(101)
        ]  # more than short requests may be
        assert (await outbound.get(server.url("/short"), deadline=30)).body == b"ok"
        assert not any(task.done() for task in held)
        may_answer.set()

    assert {task.result().body for task in held} == {b"ok"}


async def test_who_stops_listening_leaves_no_connection() -> None:
    async def answer(call: Call) -> None:
        await call.say(STREAM + b"\r\n", b"first\nsecond")
        await call.hang()

    async def listen(outbound: Outbound, url: str) -> None:
        async with outbound.lines(url) as lines:
            async for _ in lines:
                pass

    async with asking(answer) as (server, outbound):
        task = asyncio.create_task(listen(outbound, server.url()))
        while not server.here:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(2):
            while server.here:
                await asyncio.sleep(0.01)


async def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maru_kit.outbound.client._DEADLINE", 0.2)

    async with asking(Call.hang) as (server, outbound):
        with pytest.raises(TimedOut):
            async with outbound.lines(server.url()):
                pass


async def test_a_redirect_is_followed_but_never_inside() -> None:
    async def away(call: Call) -> None:
        target = there.url("/x") if "GET /there" in call.head else "/there"
        await call.say(
            b"HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % target.encode()
        )

    async with (
        misbehaving(saying(STREAM + b"\r\nhere\n")) as there,
        misbehaving(away) as server,
        open_outbound(allow=[server.host, there.host]) as outbound,
    ):
        with pytest.raises(Blocked, match="own network"):
            async with outbound.lines(server.url()):
                pass
    assert there.heads == []
    assert [head.split()[1] for head in server.heads] == ["/", "/there"]


async def test_a_name_that_changes_its_address_gains_nothing() -> None:
    answers = [["10.0.0.1"], ["8.8.8.8"]]

    async def resolver(_host: str, _port: int) -> Sequence[str]:
        return answers.pop(0)

    async with open_outbound(resolver=resolver) as outbound:
        with pytest.raises(Blocked, match=r"10\.0\.0\.1"):
            async with outbound.lines("http://rebound.example/"):
                pass
    assert answers == [["8.8.8.8"]]


ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
CONTENT = st.binary(max_size=6).map(lambda line: line.replace(b"\n", b"n").replace(b"\r", b"r"))
CUTS = st.lists(st.integers(0, 60), max_size=10)


@example([(b"", b"\r\n")], b"", [1, 1])
@given(st.lists(st.tuples(CONTENT, ENDS), max_size=8), CONTENT, CUTS)
def test_lines_are_the_same_however_they_are_cut(
    lines: list[tuple[bytes, bytes]], last: bytes, cuts: list[int]
) -> None:
    body = b"".join(content + end for content, end in lines) + last
    edges = [0, *sorted(cut for cut in cuts if cut <= len(body)), len(body)]
    splitter = Splitter()

    found = [line for begin, end in pairwise(edges) for line in splitter.feed(body[begin:end])]

    assert found + splitter.rest() == body.splitlines()


@given(st.integers(0, 20), st.integers(0, 20), CUTS)
def test_a_line_may_be_as_long_as_the_bound_and_no_longer(
    length: int, most: int, cuts: list[int]
) -> None:
    splitter = Splitter(most)
    edges = [0, *sorted(min(cut, length) for cut in cuts), length]

    def feed() -> list[bytes]:
        for begin, end in pairwise(edges):
            splitter.feed(b"x" * (end - begin))
        return splitter.feed(b"\n")

    if length > most:
        with pytest.raises(TooLarge):
            feed()
    else:
        assert feed() == [b"x" * length]
