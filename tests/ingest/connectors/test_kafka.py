"""What is special to topics of Kafka; the conformance suite has the rest."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from maru_contracts.posts import Post
from maru_ingest import connectors
from maru_ingest.collector import Collector
from maru_ingest.connector import Page, SourceBroken, Tools
from maru_ingest.connectors.kafka import CONNECTOR, KafkaConnector, KafkaSettings, _page, _row
from maru_ingest.formats import envelopes
from maru_ingest.formats.parsed import BadRow, Deletion, ParsedPost
from maru_ingest.service.publishing import Publisher
from maru_ingest.service.sources import NewSource, Sources
from maru_kit.bus import Bus, Outgoing, Record, Span, open_bus
from maru_kit.kafka.address import connection
from maru_kit.outbound import open_outbound
from maru_kit.vault import Vault, new_key
from upstreams.kafka import TOPIC, KafkaUpstream, Topic

Read = Callable[[], Awaitable[list[Post]]]
Dead = Callable[[], Awaitable[list[tuple[str, bytes]]]]
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def record(value: object, *, key: bytes = b"", offset: int = 7) -> Record:
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    return Record(TOPIC, 2, offset, _AT, key, data)


def row(value: object) -> ParsedPost | BadRow | Deletion:
    return _row(TOPIC, record(value))


def test_a_post_without_name_and_time_has_its_records() -> None:
    found = row({"text": "dark mode"})

    assert isinstance(found, ParsedPost)
    assert (found.native_id, found.created_at) == (f"{TOPIC}/2/7@1767225600000", _AT)


@pytest.mark.parametrize(
    ("wrapped", "native_id"),
    [
        ({"schema": {}, "payload": {"id": "a", "text": "dark"}}, "a"),
        ({"before": None, "after": {"id": "a", "text": "dark"}, "op": "c", "ts_ms": 1}, "a"),
        ({"schema": {}, "payload": {"after": {"id": "a", "text": "dark"}, "op": "u"}}, "a"),
        ({"specversion": "1.0", "id": "1", "source": "/x", "data": {"text": "dark"}}, "/x/1"),
        (
            {"specversion": "1.0", "id": "1", "source": "/x", "data": {"id": "a", "text": "dark"}},
            "a",
        ),
        (
            {
                "specversion": "1.0",
                "id": "1",
                "source": "/x",
                "data_base64": "eyJ0ZXh0IjoiZGFyayJ9",
            },
            "/x/1",
        ),
    ],
)
def test_envelopes_are_opened(wrapped: dict[str, Any], native_id: str) -> None:
    found = row(wrapped)

    assert isinstance(found, ParsedPost)
    assert (found.native_id, found.text) == (native_id, "dark")


def test_a_row_that_was_deleted_ends_its_post() -> None:
    found = row({"before": {"id": "a", "text": None}, "after": None, "op": "d"})

    assert isinstance(found, Deletion)
    assert found.native_ids == ("a",)


@pytest.mark.parametrize(
    "value", [b"\x00\x00\x00\x00\x05avro", b"[]", b"{", {"op": "t", "after": 1}]
)
def test_what_is_no_post_is_told_with_its_place(value: object) -> None:
    found = row(value)

    assert isinstance(found, BadRow)
    assert found.reason.startswith(f"{TOPIC}/2/7: ")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["op", "before", "after", "payload", "schema", "specversion", "data", "data_base64",
             "id", "source", "text", "deleted", "created_at"]
        ),
        inner,
    ),
    max_leaves=12,
)  # fmt: skip


@given(_JSON)
def test_any_value_is_a_row(value: object) -> None:
    assert isinstance(row(value), ParsedPost | BadRow | Deletion)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_row(data: bytes) -> None:
    assert isinstance(row(data), ParsedPost | BadRow | Deletion)
    assert isinstance(envelopes.opened(data + b'"op"'), bytes)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_user_and_password_arrive_whatever_they_hold(user: str, password: str) -> None:
    settings = KafkaSettings(
        topic="t",
        brokers=("a.example:9093", "b.example:9093"),
        mechanism="SCRAM-SHA-512",
        username=user,
        password=SecretStr(password),
    )

    told = connection(settings.url())

    assert told["bootstrap_servers"] == "a.example:9093,b.example:9093"
    assert told["security_protocol"] == "SASL_PLAINTEXT"
    assert told["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (told["sasl_plain_username"], told["sasl_plain_password"]) == (user, password)


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic": "posts.collected.v1"},
        {"topic": "posts.collected.v1.ingest.dlq"},
        {"topic": "a b"},
        {"topic": "t", "brokers": ["kafka.example.com"]},
        {"topic": "t", "brokers": ["user:password@kafka.example.com:9092"]},
        {"topic": "t", "brokers": ["a.example:9092"], "username": "alone"},
        {"topic": "t", "username": "me", "password": "secret"},
    ],
)
def test_settings_that_can_not_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KafkaSettings.model_validate(wrong)


def test_envelopes_without_end_are_a_row() -> None:
    deep = b'{"schema":1,"payload":' * 900 + b'{"text":"dark"}' + b"}" * 900

    assert isinstance(row(deep), BadRow)


def test_what_a_page_brings_and_ends_is_gone() -> None:
    post, end = record({"id": "a", "text": "dark"}, key=b"a"), record(b"", key=b"a")

    ended = _page(TOPIC, [Span(2, 7, 9, [post, end])], {2: 9})
    revived = _page(TOPIC, [Span(2, 7, 9, [end, post])], {2: 9})

    assert (ended.deleted, ended.deleted_if_known) == (["a"], [])
    assert (revived.deleted, revived.deleted_if_known) == ([], ["a"])


async def first(settings: KafkaSettings, tools: Tools) -> Page:
    async with aclosing(KafkaConnector(settings, tools).pages({})) as pages:
        return await anext(pages)


async def test_without_a_cluster_the_source_says_so() -> None:
    async with open_outbound() as outbound:
        with pytest.raises(SourceBroken, match="name the brokers"):
            await first(KafkaSettings(topic="t"), Tools(outbound, own_log="sqlite:///log.db"))


async def test_brokers_of_the_own_network_are_not_asked() -> None:
    async with open_outbound() as outbound:
        with pytest.raises(SourceBroken, match="not on the public internet"):
            await first(KafkaSettings(topic="t", brokers=("127.0.0.1:9092",)), Tools(outbound))


async def test_a_source_that_begins_now_has_nothing_of_before() -> None:
    async with KafkaUpstream().serving() as upstream:
        tools = upstream.equip(Tools(cast("Any", None)))
        upstream.write("before")
        async with tools.open_log("") as bus, asyncio.timeout(30):
            while sum((await bus.ends(TOPIC)).values()) < 1:
                await asyncio.sleep(0.01)
        connector = KafkaConnector(KafkaSettings(topic=TOPIC, begin="latest"), tools)
        async with aclosing(connector.pages({})) as pages:
            begun = await anext(pages)
            upstream.write("after")
            page = await anext(pages)
            while not page.rows:
                page = await anext(pages)

    assert (begun.rows, begun.cursor) == ([], {"positions": {"0": 1}})
    assert [cast("ParsedPost", one).text for one in page.rows] == ["after"]


@dataclass
class Cluster:
    """A real broker with a topic of the test's own, and the sources that follow it."""

    bus: Bus
    topic: str
    tools: Tools
    publisher: Publisher
    vault: Vault

    @property
    def sources(self) -> Sources:
        return Sources(self.publisher.database, connectors.kinds(), self.vault)

    async def follow(self) -> str:
        settings = {"topic": self.topic, "brokers": self.host}
        wanted = NewSource("w", "p", "it", CONNECTOR.kind, None, settings)
        return (await self.sources.add(wanted)).id

    @property
    def host(self) -> str:
        return self.tools.own_log.removeprefix("kafka://")

    async def write(self, start: int, end: int) -> None:
        await self.bus.append(
            self.topic,
            [
                Outgoing(
                    f"k{number}".encode(),
                    orjson.dumps({"id": f"r-{number}", "text": f"wish {number}"}),
                )
                for number in range(start, end)
            ],
        )

    @asynccontextmanager
    async def collecting(self, instance: str) -> AsyncIterator["asyncio.Task[None]"]:
        """Follow the source as a process of that name; cancelling the task kills it."""
        following = Collector(
            self.publisher,
            connectors.kinds(),
            self.tools,
            self.vault,
            instance,
            tick_seconds=0.05,
            lease_seconds=1,
        )
        task = asyncio.create_task(following.run(asyncio.Event()))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until_posts(self, source: str, number: int) -> None:
        ends = time.monotonic() + 60
        while (found := await self.sources.find("w", source)).posts < number:
            assert time.monotonic() < ends, found
            await asyncio.sleep(0.05)


@pytest.fixture
async def cluster(kafka_url: str, publisher: Publisher) -> AsyncIterator[Cluster]:
    topic = f"in-{uuid4().hex[:12]}"
    host = kafka_url.removeprefix("kafka://")
    async with open_bus(kafka_url) as bus, open_outbound(allow=[host]) as outbound:
        await bus.create([Topic(topic, partitions=3, retention=timedelta(days=1))])
        tools = Tools(outbound, own_log=kafka_url)
        yield Cluster(bus, topic, tools, publisher, Vault([new_key()]))


@pytest.mark.kafka
async def test_a_process_that_dies_in_the_middle_is_followed_by_another_without_loss(
    cluster: Cluster, collected: Read
) -> None:
    await cluster.write(0, 2_500)
    source = await cluster.follow()
    async with cluster.collecting("one"):
        await cluster.until_posts(source, 1)
    await cluster.write(2_500, 5_000)
    async with cluster.collecting("two"), cluster.collecting("three"):
        await cluster.until_posts(source, 5_000)
        await cluster.write(5_000, 5_010)
        await cluster.until_posts(source, 5_010)

    posts = await collected()
    assert len({post.id for post in posts}) == 5_010
    assert {post.revision for post in posts} == {0}
    assert (await cluster.sources.find("w", source)).posts == 5_010


@pytest.mark.kafka
async def test_poison_is_told_and_stops_nothing(
    cluster: Cluster, collected: Read, dead: Dead
) -> None:
    source = await cluster.follow()
    await cluster.write(1, 2)
    poison, end, stranger = Outgoing(b"", b"\0\1"), Outgoing(b"r-1", b""), Outgoing(b"x", b"")
    async with cluster.collecting("one"):
        await cluster.until_posts(source, 1)
        await cluster.bus.append(cluster.topic, [poison, end, stranger])
        await cluster.write(2, 3)
        await cluster.until_posts(source, 2)
        ends = time.monotonic() + 60
        while len(await collected()) < 3 or not await dead():
            assert time.monotonic() < ends
            await asyncio.sleep(0.05)

    assert {(post.native_id, post.deleted) for post in await collected()} == {
        ("r-1", False),
        ("r-1", True),
        ("r-2", False),
    }
    (told,) = await dead()
    assert told[0].startswith(f"{cluster.topic}/")
    assert (await cluster.sources.find("w", source)).rejected == 1


@pytest.mark.kafka
async def test_a_topic_that_is_not_there_is_the_sources_fault(cluster: Cluster) -> None:
    cluster.topic = "missing"
    source = await cluster.follow()
    async with cluster.collecting("one"):
        ends = time.monotonic() + 60
        while (found := await cluster.sources.find("w", source)).state != "broken":
            assert time.monotonic() < ends
            await asyncio.sleep(0.05)

    assert "no topic 'missing'" in found.reason
