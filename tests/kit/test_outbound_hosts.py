"""How hosts are treated that fail, that ask for time, or that must only be asked once."""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from kit.hostile import Hostile, open_hostile
from kit.misbehaving import Call, misbehaving
from maru_kit.metrics import OUTBOUND
from maru_kit.outbound import (
    AskedToWait,
    Blocked,
    Manners,
    Outbound,
    TimedOut,
    TooLarge,
    Unreachable,
    open_outbound,
)
from maru_kit.outbound.manners import Asker

NOTHING = "http://127.0.0.1:1/"


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def hostile() -> AsyncIterator[Hostile]:
    async with open_hostile() as server:
        yield server


@pytest_asyncio.fixture
async def outbound(hostile: Hostile, clock: Clock) -> AsyncIterator[Outbound]:
    manners = Manners(clock=clock)
    async with open_outbound(allow=[hostile.host, "127.0.0.1:1"], manners=manners) as client:
        yield client


async def fail(outbound: Outbound, hostile: Hostile, times: int) -> None:
    hostile.say("/broken", 500)
    for _ in range(times):
        assert (await outbound.get(hostile.url("/broken"))).status == 500


async def rest(outbound: Outbound, hostile: Hostile) -> float:
    """How long the host is left alone."""
    with pytest.raises(AskedToWait, match="in a row") as told:
        await outbound.get(hostile.url("/"))
    return told.value.retry_after


async def test_a_host_that_fails_five_times_is_left_alone_and_then_tried_once(
    hostile: Hostile, outbound: Outbound, clock: Clock
) -> None:
    await fail(outbound, hostile, 5)
    waits = []
    for _ in range(8):
        waits.append(await rest(outbound, hostile))
        clock.now += waits[-1]
        await fail(outbound, hostile, 1)

    assert len(hostile.seen) == 5 + 8
    assert all(0.5 * 30 * 2**n <= wait <= 30 * 2**n for n, wait in enumerate(waits)), (
        "each rest is about twice the one before"
    )


async def test_one_good_answer_makes_up_for_all_failures(
    hostile: Hostile, outbound: Outbound, clock: Clock
) -> None:
    await fail(outbound, hostile, 4)
    await outbound.get(hostile.url("/"))
    await fail(outbound, hostile, 5)
    clock.now += await rest(outbound, hostile)
    await outbound.get(hostile.url("/"))

    await fail(outbound, hostile, 5)
    assert await rest(outbound, hostile) <= 30, "it begins anew"


async def test_while_one_request_finds_out_the_others_wait(
    hostile: Hostile, outbound: Outbound, clock: Clock
) -> None:
    await fail(outbound, hostile, 5)
    clock.now += await rest(outbound, hostile)
    seen = len(hostile.seen)

    trial = asyncio.create_task(outbound.get(hostile.url("/drip"), deadline=0.5))
    while len(hostile.seen) == seen:
        await asyncio.sleep(0.01)
    assert await rest(outbound, hostile) > 0
    with pytest.raises(TimedOut):
        await trial

    assert len(hostile.seen) == seen + 1
    assert await rest(outbound, hostile) >= 30


async def test_a_trial_that_is_called_off_is_none(
    hostile: Hostile, outbound: Outbound, clock: Clock
) -> None:
    await fail(outbound, hostile, 5)
    clock.now += await rest(outbound, hostile)
    seen = len(hostile.seen)

    trial = asyncio.create_task(outbound.get(hostile.url("/drip")))
    while len(hostile.seen) == seen:
        await asyncio.sleep(0.01)
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial

    assert (await outbound.get(hostile.url("/"))).body == b"ok"


async def test_every_kind_of_failure_counts(hostile: Hostile, outbound: Outbound) -> None:
    hostile.answers["/junk"] = b"nonsense\r\n\r\n"
    with pytest.raises(Unreachable):
        await outbound.get(hostile.url("/junk"))
    with pytest.raises(TimedOut):
        await outbound.get(hostile.url("/drip"), deadline=0.05)
    with pytest.raises(Unreachable):
        async with outbound.lines(hostile.url("/junk")):
            pass
    with pytest.raises(Unreachable):
        async with outbound.websocket(hostile.url("/junk").replace("http", "ws")):
            pass
    await fail(outbound, hostile, 1)

    await rest(outbound, hostile)


async def test_what_one_server_of_a_host_suffers_from_is_no_other_servers(
    hostile: Hostile, outbound: Outbound
) -> None:
    for _ in range(5):
        with pytest.raises(Unreachable):
            await outbound.get(NOTHING)

    with pytest.raises(AskedToWait, match=r"127\.0\.0\.1:1 failed 5 times in a row"):
        await outbound.get(NOTHING)
    assert (await outbound.get(hostile.url("/"))).body == b"ok"


async def test_what_is_not_the_hosts_fault_does_not_count(
    hostile: Hostile, outbound: Outbound
) -> None:
    hostile.say("/missing", 404)
    for _ in range(10):
        assert (await outbound.get(hostile.url("/missing"))).status == 404
        with pytest.raises(TooLarge):
            await outbound.get(hostile.url("/endless"), max_bytes=1)
        with pytest.raises(Blocked):
            await outbound.get("http://127.0.0.1:9/")
        with pytest.raises(Blocked):
            await outbound.request("G ET", hostile.url("/"))

    assert (await outbound.get(hostile.url("/"))).body == b"ok"


async def test_what_becomes_of_requests_is_counted(hostile: Hostile, outbound: Outbound) -> None:
    def counted() -> dict[str, float]:
        return {
            sample.labels["outcome"]: sample.value
            for metric in OUTBOUND.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }

    before = counted()
    await outbound.get(hostile.url("/"))
    async with outbound.lines(hostile.url("/")):
        pass
    for url, deadline in ((hostile.url("/drip"), 0.05), ("http://10.0.0.1/", 1), (NOTHING, 1)):
        with pytest.raises((TimedOut, Blocked, Unreachable)):
            await outbound.get(url, deadline=deadline)
    after = counted()

    changed = {name: after[name] - before.get(name, 0) for name in after}
    assert {name: count for name, count in changed.items() if count} == {
        "answered": 2,
        "timed_out": 1,
        "blocked": 1,
        "unreachable": 1,
    }


@given(st.lists(st.sampled_from(["fine", "failed", "called off", "later"]), max_size=60))
def test_a_host_is_never_given_up_for_good_nor_asked_while_it_rests(steps: list[str]) -> None:
    clock = Clock()
    manners = Manners(clock=clock, dice=random.Random(1))
    asker = Asker("a.example")
    failures = 0
    waits: list[float] = []
    for step in steps:
        if step == "later":
            clock.now += 10
            continue
        try:
            with visiting(manners, asker, step):
                pass
        except AskedToWait as told:
            waits.append(told.retry_after)
            assert failures >= 5
        else:
            failures = {"fine": 0, "failed": failures + 1, "called off": failures}[step]

    assert all(0 < wait <= 3840 for wait in waits)
    clock.now += 3840
    with visiting(manners, asker, "fine"):
        pass
    with visiting(manners, asker, "fine"):
        pass


@contextmanager
def visiting(manners: Manners, asker: Asker, outcome: str) -> Iterator[None]:
    timeout = asyncio.Timeout(None)
    try:
        with manners.visit(asker, timeout) as visit:
            yield
            visit.failed = outcome == "failed"
            if outcome == "called off":
                raise asyncio.CancelledError
    except asyncio.CancelledError:
        pass


def test_of_many_hosts_the_newest_are_remembered() -> None:
    manners = Manners(patience=1)
    for number in range(10_100):
        with visiting(manners, Asker(f"{number}.example"), "failed"):
            pass

    with visiting(manners, Asker("0.example"), "fine"):
        pass
    with pytest.raises(AskedToWait):
        manners.check(Asker("10099.example"))
    assert len(manners._health) <= 10_000


async def test_a_delay_lies_between_two_requests_to_a_host(hostile: Hostile) -> None:
    times: list[float] = []

    async def answer(call: Call) -> None:
        times.append(time.monotonic())
        await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with (
        misbehaving(answer) as server,
        open_outbound(allow=[server.host, hostile.host]) as outbound,
    ):
        await asyncio.gather(*(outbound.get(server.url(), delay=0.1) for _ in range(4)))
        begun = time.monotonic()
        await outbound.get(server.url())
        assert time.monotonic() - begun < 0.09, "who does not ask for a delay has none"

    gaps = [b - a for a, b in itertools.pairwise(times[:4])]
    assert all(gap >= 0.08 for gap in gaps)
    assert sum(gaps) < 3 * 0.15 + 0.5


async def test_waiting_for_ones_turn_is_within_the_deadline_and_no_failure(
    hostile: Hostile,
) -> None:
    async with open_outbound(allow=[hostile.host]) as outbound:
        await outbound.get(hostile.url("/"), delay=60)
        for _ in range(6):
            with pytest.raises(TimedOut):
                await outbound.get(hostile.url("/"), delay=60, deadline=0.02)
        assert (await outbound.get(hostile.url("/"))).body == b"ok"


@asynccontextmanager
async def saving(answer: bytes) -> AsyncIterator[tuple[list[bytes], str, Outbound]]:
    """A server that keeps what it is sent, and gives this answer."""
    bodies: list[bytes] = []

    async def keep(call: Call) -> None:
        length = int(call.head.lower().partition("content-length: ")[2].partition("\r\n")[0] or 0)
        bodies.append(call.head.encode() + await call.reader.readexactly(length))
        await call.say(answer)

    async with misbehaving(keep) as server, open_outbound(allow=[server.host]) as outbound:
        yield bodies, server.url("/here"), outbound


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@pytest.mark.parametrize("body", [b"", b"x=1", bytes(300_000)])
async def test_a_body_is_sent_whole(body: bytes) -> None:
    async with saving(OK) as (sent, url, outbound):
        headers = {"content-type": "text/x", "user-agent": "Own/1", "Content-Length": "7"}
        fetched = await outbound.post(url, body, headers=headers)

    head, _, arrived = sent[0].partition(b"\r\n\r\n")
    assert (fetched.status, fetched.body, arrived) == (200, b"ok", body)
    assert head.startswith(b"POST /here HTTP/1.1\r\n")
    lines = head.lower().split(b"\r\n")
    assert f"content-length: {len(body)}".encode() in lines
    assert sum(line.startswith(b"content-length:") for line in lines) == 1
    assert b"user-agent: own/1" in lines
    assert sum(line.startswith(b"user-agent:") for line in lines) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nothing_but_get_follows_a_redirect(method: str, status: int) -> None:
    answer = b"HTTP/1.1 %d X\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    async with saving(answer % status) as (sent, url, outbound):
        fetched = await outbound.request(method, url, body=b"" if method == "HEAD" else b"x")

    assert (fetched.status, fetched.headers["location"], fetched.url) == (status, "/there", url)
    assert len(sent) == 1


@pytest.mark.parametrize(
    "headers", [{"X": "a\r\nEvil: 1"}, {"X\r\nEvil": "1"}, {"Host": "b\r\nEvil: 1"}]
)
async def test_a_header_that_cannot_be_sent_is_not(headers: dict[str, str]) -> None:
    async with saving(OK) as (sent, url, outbound):
        try:
            await outbound.post(url, b"x", headers=headers)
        except Blocked:
            assert sent == []
    assert all(b"Evil" not in head for head in sent)
