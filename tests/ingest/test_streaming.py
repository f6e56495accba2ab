"""JSON Lines in one request of any length."""

import asyncio
import gzip
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_contracts.posts import Post
from maru_ingest import connectors
from maru_ingest.app import create_app
from maru_ingest.formats import lines
from maru_ingest.service.publishing import Publisher
from maru_ingest.service.streaming import Streaming
from maru_ingest.settings import Settings
from maru_kit.bus import Bus, Outgoing
from maru_kit.database import Database
from maru_kit.errors import Unavailable
from maru_kit.settings import Common
from maru_kit.vault import Vault

Read = Callable[[], Awaitable[list[Post]]]
Dead = Callable[[], Awaitable[list[tuple[str, bytes]]]]
_BY = {"X-Maru-Workspace": "w", "X-Maru-Actor": "key", "X-Maru-Role": "contributor"}


@dataclass
class SlowLog:
    """The log, when it pleases it: a write waits for the gate, and fails after `fails_after`."""

    bus: Bus
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    fails_after: int = 1_000_000
    writes: int = 0

    async def append(self, topic: str, records: Sequence[Outgoing]) -> None:
        self.asked.set()
        await self.gate.wait()
        self.writes += 1
        if self.writes > self.fails_after:
            raise Unavailable("The log is gone.")
        await self.bus.append(topic, records)


@dataclass
class House:
    http: httpx.AsyncClient
    slow: SlowLog
    database: Database
    vault: Vault
    address: str = ""

    def streaming(self, **changes: float) -> Streaming:
        publisher = Publisher(self.slow, self.database)  # type: ignore[arg-type]
        return Streaming(publisher, self.vault, connectors.kinds(), **changes)  # type: ignore[arg-type]

    async def send(self, body: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(self.address, content=body, headers=named)


@pytest.fixture
async def house(tmp_path: Path, log: Bus, ingest_database: Database) -> AsyncIterator[House]:
    app = create_app(Settings(common=Common(home=tmp_path)), work=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://ingest", headers=_BY
        ) as http,
    ):
        made = House(http, SlowLog(log), ingest_database, app.state.receiver.vault)
        made.slow.gate.set()
        app.state.streaming = made.streaming()
        http.app = app  # type: ignore[attr-defined]
        made.address = f"/api/v1/sources/{await add(http, 'webhook')}/posts"
        yield made


async def add(http: httpx.AsyncClient, kind: str, **settings: str) -> str:
    wanted = {"kind": kind, "name": kind, "settings": settings}
    answer = await http.post("/api/v1/sources", json=wanted)
    return str(answer.json()["id"])


def rows(start: int, end: int) -> bytes:
    return b"".join(
        orjson.dumps({"id": f"r-{number}", "text": f"wish {number}"}) + b"\n"
        for number in range(start, end)
    )


@given(st.lists(st.binary(max_size=40)), st.integers(1, 8))
def test_lines_are_the_same_however_they_are_cut(parts: list[bytes], longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "MAX_LINE", longest)
        splitter = lines.Splitter()
        found = [line for part in parts for line in splitter.feed(part)]
        found += splitter.end()

        assert found == list(lines.read(io.BytesIO(b"".join(parts))))


async def test_every_line_is_told_what_became_of_it(
    house: House, collected: Read, dead: Dead
) -> None:
    body = rows(0, 2) + b'\n{"id": "x"}\nno json\n' + rows(1, 3)

    told = (await house.send(body)).json()

    assert {name: told[name] for name in told if name != "reasons"} == {
        "lines": 7,
        "accepted": 3,
        "duplicates": 1,
        "rejected": 2,
        "deleted": 0,
    }
    assert [reason["line"] for reason in told["reasons"]] == [4, 5]
    assert "no text" in told["reasons"][0]["reason"]
    assert sorted(post.native_id for post in await collected()) == ["r-0", "r-1", "r-2"]
    assert [original for _, original in await dead()] == [b'{"id": "x"}\n', b"no json\n"]


@pytest.mark.parametrize("named", [{}, {"idempotency_key": "monday"}])
async def test_the_same_lines_again_add_nothing(
    house: House, collected: Read, named: dict[str, str]
) -> None:
    body = rows(0, 1_500) + b'{"text": "nameless"}\n' * 2

    first = (await house.send(body, **named)).json()
    again = (await house.send(body, **named)).json()

    assert (first["accepted"], again["accepted"]) == (1_502 if named else 1_501, 0)
    assert len(await collected()) == first["accepted"]


async def test_gzip_is_unpacked_piece_by_piece(house: House, collected: Read) -> None:
    body = gzip.compress(rows(0, 700)) + gzip.compress(rows(700, 900))

    told = (await house.send(body, content_encoding="gzip")).json()

    assert told["accepted"] == 900
    assert len(await collected()) == 900


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [(b"\x1f\x8b broken", "gzip", 400), (b"plain", "gzip", 400), (b"{}", "br", 415)],
)
async def test_what_can_not_be_unpacked_is_refused(
    house: House, body: bytes, encoding: str, status: int
) -> None:
    answer = await house.send(body, content_encoding=encoding)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_line_without_end_is_one_bad_row(house: House, collected: Read) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"text": "'
        for _ in range(12):
            yield b"x" * 1024 * 1024
        yield b'"}\n' + rows(0, 1)

    told = (await house.send(body())).json()

    assert (told["accepted"], told["rejected"]) == (1, 1)
    assert told["reasons"] == [{"line": 1, "reason": "a line of more than 4 MB"}]
    assert len(await collected()) == 1


async def test_nothing_is_read_while_the_log_does_not_acknowledge(house: House) -> None:
    house.slow.gate.clear()
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        for number in range(20):
            taken = number
            yield rows(number * 500, (number + 1) * 500)

    sending = asyncio.create_task(house.send(body()))
    async with asyncio.timeout(30):
        await house.slow.asked.wait()
    for _ in range(1_000):  # whatever could be read by now would be
        await asyncio.sleep(0)

    assert taken <= 4  # one batch in hand, and what lies between
    house.slow.gate.set()
    assert (await sending).json()["accepted"] == 10_000


async def test_a_post_is_in_the_log_while_others_are_still_to_come(
    house: House, collected: Read
) -> None:
    arrived = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield rows(0, 1)
        await arrived.wait()
        yield rows(1, 2)

    sending = asyncio.create_task(house.send(body()))
    async with asyncio.timeout(30):
        while not await collected():
            await asyncio.sleep(0.05)
    arrived.set()

    assert (await sending).json()["accepted"] == 2


async def test_a_log_that_fails_says_how_far_it_came(house: House, collected: Read) -> None:
    house.slow.fails_after = 2

    answer = await house.send(rows(0, 5_000))
    told = answer.json()

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert told["lines"] == told["published"] == len(await collected()) == 2_000
    house.slow.fails_after = 1_000
    rest = (await house.send(rows(told["lines"], 5_000))).json()
    assert rest["accepted"] == 3_000


async def test_a_sender_that_falls_silent_is_not_waited_for(house: House) -> None:
    house.http.app.state.streaming = house.streaming(idle=0.05)  # type: ignore[attr-defined]

    async def body() -> AsyncIterator[bytes]:
        yield rows(0, 1)
        await asyncio.sleep(30)
        yield b""

    answer = await house.send(body())

    assert (answer.status_code, answer.json()["published"]) == (408, 1)


async def test_no_more_streams_than_can_be_held(house: House) -> None:
    house.http.app.state.streaming = house.streaming(most=1)  # type: ignore[attr-defined]
    begun, over = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        begun.set()
        await over.wait()
        yield rows(0, 1)

    first = asyncio.create_task(house.send(body()))
    await begun.wait()

    assert (await house.send(rows(1, 2))).status_code == 503
    over.set()
    assert (await first).status_code == 200
    assert (await house.send(rows(1, 2))).status_code == 200


async def test_only_what_is_sent_is_taken(house: House) -> None:
    feed = await add(house.http, "feed", url="https://example.com/feed")
    source = house.address.split("/")[-2]

    wrong = await house.http.post(f"/api/v1/sources/{feed}/posts", content=rows(0, 1))
    missing = await house.http.post("/api/v1/sources/none/posts", content=rows(0, 1))
    other = await house.send(rows(0, 1), x_maru_workspace="other")
    await house.http.post(f"/api/v1/sources/{source}/pause")
    paused = await house.send(rows(0, 1))

    codes = [answer.status_code for answer in (wrong, missing, other, paused)]
    assert codes == [409, 404, 404, 503]
