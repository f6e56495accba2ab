"""WebSockets of strangers: messages as they were sent, and no way in, no bomb, no endless wait."""

import asyncio
import itertools
import os
import ssl
import struct
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.utils import accept_key

from kit.misbehaving import Answer, Call, Server, misbehaving
from kit.test_outbound_manners import Internet
from maru_kit.outbound import (
    AskedToWait,
    Blocked,
    Closed,
    Outbound,
    OutboundError,
    Refused,
    TimedOut,
    TooLarge,
    Unreachable,
    WebSocket,
    open_outbound,
)
from servers.tls import make_certificate

MB = 1024 * 1024
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
Handler = Callable[[ServerConnection], Awaitable[None]]


def refuse(connection: ServerConnection, request: Request) -> Response | None:
    if request.path != "/busy":
        return None
    response = connection.respond(429, "later\n")
    response.headers["Retry-After"] = "60"
    return response


@asynccontextmanager
async def good(handler: Handler, **options: object) -> AsyncIterator[str]:
    """A server of the library's own; gives its authority."""
    async with serve(handler, "127.0.0.1", 0, process_request=refuse, **options) as server:  # type: ignore[arg-type]
        yield f"127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@asynccontextmanager
async def bad(answer: Answer) -> AsyncIterator[tuple[Server, Outbound]]:
    async with misbehaving(answer) as server, open_outbound(allow=[server.host]) as outbound:
        yield server, outbound


async def shake(call: Call, extra: str = "") -> None:
    key = call.head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
    await call.say(
        f"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{extra}"
        f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n".encode()
    )


def frame(first: int, payload: bytes = b"") -> bytes:
    """A frame of a server; `first` is FIN, RSV1 (64) and the opcode."""
    if len(payload) < 126:
        return bytes([first, len(payload)]) + payload
    return bytes([first, 127]) + struct.pack("!Q", len(payload)) + payload


def framing(*frames: bytes, extra: str = "") -> Answer:
    async def answer(call: Call) -> None:
        await shake(call, extra)
        await call.say(*frames)
        await call.hang()

    return answer


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def test_messages_arrive_as_they_were_sent() -> None:
    messages = ["a", "한국어", b"\0\xff", "", "x" * 300_000, os.urandom(70_000)]

    async with (
        good(echo) as host,
        open_outbound(allow=[host]) as outbound,
        outbound.websocket(f"ws://{host}/") as socket,
    ):
        for message in messages:
            await socket.send(message)
            assert await anext(socket) == message


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.lists(st.integers(0, 90)))
def test_a_message_is_whole_however_it_is_cut(parts: list[bytes], cuts: list[int]) -> None:
    frames = b"".join(
        frame((2 if index == 0 else 0) | (128 if index == len(parts) - 1 else 0), part)
        + frame(0x89, b"ping")
        for index, part in enumerate(parts)
    )
    edges = [0, *sorted(min(cut, len(frames)) for cut in cuts), len(frames)]
    pieces = [frames[a:b] for a, b in itertools.pairwise(edges)]

    async def handler(call: Call) -> None:
        await shake(call)
        await call.say(*pieces)
        call.writer.write_eof()
        await call.hang()

    async def read() -> object:
        async with (
            bad(handler) as (server, outbound),
            outbound.websocket(server.url(scheme="ws")) as socket,
        ):
            return await anext(socket)

    assert asyncio.run(read()) == b"".join(parts)


async def test_a_listener_and_a_sender_may_work_at_the_same_time() -> None:
    async with (
        good(echo) as host,
        open_outbound(allow=[host]) as outbound,
        outbound.websocket(f"ws://{host}/") as socket,
    ):

        async def listen() -> list[str | bytes]:
            return [await anext(socket) for _ in range(200)]

        async with asyncio.TaskGroup() as group:
            heard = group.create_task(listen())
            for begin in range(0, 200, 50):
                group.create_task(send_all(socket, range(begin, begin + 50)))

    assert sorted(heard.result(), key=int) == [str(n) for n in range(200)]


async def send_all(socket: WebSocket, numbers: Sequence[int]) -> None:
    for number in numbers:
        await socket.send(str(number))


async def test_who_asks_is_told_and_what_is_spoken_is_agreed() -> None:
    seen: list[Request] = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request)
        await connection.wait_closed()

    async with (
        good(handler, subprotocols=["b", "a"]) as host,
        open_outbound(allow=[host]) as outbound,
        outbound.websocket(
            f"ws://{host}/뉴스?q=a b",
            headers={"Authorization": "Bearer x"},
            subprotocols=["a", "b"],
        ) as socket,
    ):
        assert socket.subprotocol in {"a", "b"}

    [request] = seen
    assert request.path == "/%EB%89%B4%EC%8A%A4?q=a%20b"
    assert request.headers["Authorization"] == "Bearer x"
    assert request.headers["User-Agent"].startswith("Maru")
    assert request.headers["Host"] == host


async def test_a_normal_close_ends_the_iteration_and_another_says_why() -> None:
    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        await connection.send("last")
        code = int(connection.request.path[1:])
        await connection.close(code, "because")

    async with good(handler) as host, open_outbound(allow=[host]) as outbound:
        for code in (1000, 1001):
            async with outbound.websocket(f"ws://{host}/{code}") as socket:
                assert [message async for message in socket] == ["last"]
        async with outbound.websocket(f"ws://{host}/4004") as socket:
            assert await anext(socket) == "last"
            with pytest.raises(Closed, match="4004: because") as told:
                await anext(socket)
            with pytest.raises(Unreachable):
                await socket.send("x")
    assert told.value.code == 4004


async def test_another_answer_is_told_with_its_waiting_time() -> None:
    async with good(echo) as host, open_outbound(allow=[host]) as outbound:
        with pytest.raises(Refused, match="429") as told:
            async with outbound.websocket(f"ws://{host}/busy"):
                pass
        with pytest.raises(AskedToWait):
            async with outbound.websocket(f"ws://{host}/"):
                pass

    answer = told.value.answer
    assert (answer.status, answer.retry_after, answer.body) == (429, 60, b"later\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 101 X\r\n\r\n",
        (
            b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: wrong\r\n\r\n"
        ),
        b"HTTP/1.1 101 X\r\n" + b"X: " + b"x" * 100_000,
        b"HTTP/1.1 101 X\r\n" + b"X: y\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 2 * MB,
    ],
)
async def test_what_is_no_handshake_is_unreachable(answer: bytes) -> None:
    async def handler(call: Call) -> None:
        await call.say(answer)

    async with bad(handler) as (server, outbound):
        with pytest.raises((Unreachable, Refused)):
            async with outbound.websocket(server.url(scheme="ws")):
                pass


async def test_a_redirect_is_not_followed() -> None:
    async def handler(call: Call) -> None:
        await call.say(
            b"HTTP/1.1 302 X\r\nLocation: ws://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
        )

    async with bad(handler) as (server, outbound):
        with pytest.raises(Refused) as told:
            async with outbound.websocket(server.url(scheme="ws")):
                pass
    assert told.value.answer.status == 302


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 101 X\r\n"])
async def test_a_handshake_that_does_not_end_is_given_up(
    says: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(call: Call) -> None:
        await call.say(says)
        while says:
            await call.say(b"X: y\r\n", apart=0.05)
        await call.hang()

    monkeypatch.setattr("maru_kit.outbound.client._DEADLINE", 0.3)
    async with bad(handler) as (server, outbound):
        with pytest.raises(TimedOut):
            async with outbound.websocket(server.url(scheme="ws")):
                pass
        async with asyncio.timeout(3):
            while server.here:
                await asyncio.sleep(0.01)


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


BOMBS = {
    "plain": (framing(frame(0x82, bytes(2 * MB)))),
    "announced": framing(bytes([0x82, 127]) + struct.pack("!Q", 2**62)),
    "packed": framing(frame(0xC2, deflated(bytes(200 * MB))), extra=DEFLATE),
    "fragments": framing(frame(0x02, bytes(MB // 2)), *[frame(0x00, bytes(MB // 2))] * 3),
    "packed fragments": framing(
        frame(0x42, deflated(bytes(MB)) + b"\0\0\xff\xff"),
        frame(0x80, deflated(bytes(200 * MB))),
        extra=DEFLATE,
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_is_cut_short_and_fills_no_memory(bomb: str) -> None:
    async with bad(BOMBS[bomb]) as (server, outbound):
        tracemalloc.start()
        try:
            async with outbound.websocket(server.url(scheme="ws"), max_message=MB) as socket:
                with pytest.raises(TooLarge):
                    await anext(socket)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 15 * MB


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, MB])
@pytest.mark.parametrize("is_packed", [False, True])
async def test_a_message_up_to_the_bound_is_whole(size: int, is_packed: bool) -> None:  # noqa: FBT001
    body = bytes(size)
    sent = (
        framing(frame(0xC2, deflated(body)), extra=DEFLATE)
        if is_packed
        else framing(frame(0x82, body))
    )
    async with (
        bad(sent) as (server, outbound),
        outbound.websocket(server.url(scheme="ws"), max_message=MB) as socket,
    ):
        assert await anext(socket) == body


@pytest.mark.parametrize(
    "broken",
    [
        frame(0x82, b"whole")[:-1],
        frame(0x01, b"half of a message"),
        frame(0x83),
        frame(0x81, b"\xff"),
        frame(0xC2, b"not packed"),
        frame(0x80, b"goes on with nothing"),
        bytes([0x89, 126, 1, 0]) + bytes(256),
        frame(0x88, b"\x00"),
    ],
)
async def test_what_breaks_off_or_breaks_the_rules_ends_after_the_whole_messages(
    broken: bytes,
) -> None:
    async def handler(call: Call) -> None:
        await shake(call, DEFLATE)
        await call.say(frame(0x81, b"first"), broken)

    async with (
        bad(handler) as (server, outbound),
        outbound.websocket(server.url(scheme="ws")) as socket,
    ):
        assert await anext(socket) == "first"
        with pytest.raises(Unreachable):
            await anext(socket)


async def test_a_silent_host_is_asked_for_a_sign_of_life_and_then_left() -> None:
    pings: list[bytes] = []

    async def handler(call: Call) -> None:
        await shake(call)
        pings.append(await call.reader.readexactly(2))
        await call.hang()

    async with (
        bad(handler) as (server, outbound),
        outbound.websocket(server.url(scheme="ws"), idle_seconds=0.4) as socket,
    ):
        began = time.monotonic()
        with pytest.raises(TimedOut, match=r"nothing for 0\.4 s"):
            await anext(socket)
        assert 0.3 < time.monotonic() - began < 1.5
    assert pings == [bytes([0x89, 0x80])]


async def test_a_quiet_host_that_gives_signs_of_life_is_waited_for() -> None:
    async def handler(connection: ServerConnection) -> None:
        await asyncio.sleep(1)
        await connection.send("at last")

    async with (
        good(handler) as host,
        open_outbound(allow=[host]) as outbound,
        outbound.websocket(f"ws://{host}/", idle_seconds=0.4) as socket,
    ):
        assert await anext(socket) == "at last"


async def test_pings_are_answered() -> None:
    async with (
        good(echo, ping_interval=0.1, ping_timeout=0.3) as host,
        open_outbound(allow=[host]) as outbound,
        outbound.websocket(f"ws://{host}/") as socket,
    ):
        waiting = asyncio.create_task(anext(socket))  # type: ignore[arg-type]
        await asyncio.sleep(1)
        await socket.send("still here")
        assert await waiting == "still here"


async def test_who_takes_nothing_does_not_hold_us() -> None:
    async def handler(call: Call) -> None:
        await shake(call)
        await asyncio.sleep(3600)

    async with (
        bad(handler) as (server, outbound),
        outbound.websocket(server.url(scheme="ws"), idle_seconds=0.3) as socket,
    ):
        with pytest.raises(TimedOut):
            await socket.send(os.urandom(100 * MB))


@pytest.mark.parametrize(("asked", "code"), [({}, 1_000), ({"goodbye": 4_000}, 4_000)])
async def test_we_close_with_the_code_that_was_asked_for(asked: dict[str, int], code: int) -> None:
    closed: asyncio.Queue[int | None] = asyncio.Queue()

    async def listen(connection: ServerConnection) -> None:
        await connection.wait_closed()
        closed.put_nowait(connection.close_code)

    async with good(listen) as host, open_outbound(allow=[host]) as outbound:
        async with outbound.websocket(f"ws://{host}/", **asked):
            pass
        async with asyncio.timeout(30):
            assert await closed.get() == code


async def test_who_does_not_answer_a_goodbye_is_not_waited_for_long() -> None:
    async with bad(framing()) as (server, outbound):
        async with outbound.websocket(server.url(scheme="ws")):
            began = time.monotonic()
        assert time.monotonic() - began < 2
        async with asyncio.timeout(2):
            while server.here:
                await asyncio.sleep(0.01)


async def test_who_is_stopped_while_listening_leaves_no_connection() -> None:
    async with bad(framing()) as (server, outbound):

        async def listen() -> None:
            async with outbound.websocket(server.url(scheme="ws")) as socket:
                await anext(socket)

        task = asyncio.create_task(listen())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(2):
            while server.here:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1/",
        "ws://127.0.0.1:{port}/",
        "ws://[::1]:{port}/",
        "ws://localhost:{port}/",
        "ws://2130706433:{port}/",
        "ws://user:pw@127.0.0.1:{port}/",
        "wss://169.254.169.254/",
        "http://127.0.0.1:{port}/",
        "ws://example.com:22/",
        "ws:///x",
        "",
    ],
)
async def test_no_address_within_is_reached(url: str) -> None:
    async with misbehaving(framing()) as server, open_outbound() as outbound:
        with pytest.raises(OutboundError):
            async with outbound.websocket(url.format(port=server.port)):
                pass
    assert server.heads == []


async def test_a_name_that_changes_its_address_gains_nothing() -> None:
    answers = [["8.8.8.8", "10.0.0.1"], ["8.8.8.8"]]

    async def resolver(_host: str, _port: int) -> Sequence[str]:
        return answers.pop(0)

    async with misbehaving(framing(frame(0x81, b"hi"))) as server:
        internet = Internet(server.port)
        async with open_outbound(resolver=resolver, network=internet) as outbound:
            with pytest.raises(Blocked, match=r"10\.0\.0\.1"):
                async with outbound.websocket("ws://rebound.example/"):
                    pass
            assert (internet.asked, server.heads) == ([], [])
            async with outbound.websocket("ws://rebound.example/") as socket:
                assert await anext(socket) == "hi"
        assert internet.asked == [("8.8.8.8", 80)]
    assert "Host: rebound.example\r\n" in server.heads[0]


@pytest.mark.parametrize(
    "headers",
    [{"X": "a\r\nX-Evil: 1"}, {"X\r\nX-Evil": "1"}, {"X": "a\nb"}, {"": "x"}, {"X": "한"}],
)
async def test_no_header_is_smuggled_in(headers: dict[str, str]) -> None:
    async with bad(framing()) as (server, outbound):
        with pytest.raises(Blocked):
            async with outbound.websocket(server.url(scheme="ws"), headers=headers):
                pass
    assert server.heads == []


@pytest.mark.parametrize("trick", ["/a\r\nX-Evil: 1", "/a HTTP/1.1\r\nX-Evil: 1\r\n", "/?a\nb c"])
async def test_no_header_is_smuggled_in_by_an_address(trick: str) -> None:
    async with (
        bad(framing(frame(0x81, b"hi"))) as (server, outbound),
        outbound.websocket(server.url(trick, scheme="ws")) as socket,
    ):
        assert await anext(socket) == "hi"
    [head] = server.heads
    assert "\nX-Evil" not in head
    assert len(head.splitlines()[0].split(" ")) == 3


async def test_the_certificate_must_be_the_hosts(tmp_path: Path) -> None:
    own, other = (
        make_certificate(tmp_path, name, host=host)
        for name, host in (("own", "127.0.0.1"), ("other", "127.0.0.2"))
    )
    for served, believed, is_fine in ((own, own, True), (other, other, False), (own, other, False)):
        theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        theirs.load_cert_chain(served.certificate, served.key)
        ours = ssl.create_default_context(cafile=str(believed.certificate))
        async with (
            misbehaving(framing(frame(0x81, b"hi")), tls=theirs) as server,
            open_outbound(allow=[server.host], context=ours) as outbound,
        ):
            if is_fine:
                async with outbound.websocket(server.url(scheme="wss")) as socket:
                    assert await anext(socket) == "hi"
            else:
                with pytest.raises(Unreachable, match="certificate"):
                    async with outbound.websocket(server.url(scheme="wss")):
                        pass
                assert server.heads == []


async def test_a_name_needs_a_certificate_of_its_own(tmp_path: Path) -> None:
    async def resolver(_host: str, _port: int) -> Sequence[str]:
        return ["8.8.8.8"]

    made = make_certificate(tmp_path, "own", host="127.0.0.1")
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(made.certificate, made.key)
    ours = ssl.create_default_context(cafile=str(made.certificate))
    async with misbehaving(framing(), tls=theirs) as server:
        internet = Internet(server.port)
        async with open_outbound(resolver=resolver, network=internet, context=ours) as outbound:
            with pytest.raises(Unreachable, match="certificate"):
                async with outbound.websocket("wss://one.example/"):
                    pass
    assert server.heads == []
