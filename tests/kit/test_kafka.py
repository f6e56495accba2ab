"""What only the Kafka log does: clients' settings, topics' settings, and a broker that fails."""

import asyncio
import signal
import time
from datetime import timedelta

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import OutOfOrderSequenceNumber
from aiokafka.partitioner import DefaultPartitioner

from kit.notes import Note, a_topic, everything, notes, plain, until
from maru_contracts.topics import Topic
from maru_kit.bus import Bus, open_bus
from maru_kit.errors import Unavailable
from maru_kit.kafka import KafkaLog, clients, kafka_group, open_kafka
from maru_kit.kafka.producing import partition_of
from maru_kit.stream import Batch, StreamHealth, consume, publish
from servers.kafka import Broker

pytestmark = pytest.mark.kafka
NOBODY = "kafka://127.0.0.1:1"


async def test_a_producer_acknowledges_by_all_replicas_and_writes_once() -> None:
    producer = clients.producer(NOBODY)

    assert producer._sender._acks == -1
    assert producer._txn_manager is not None  # idempotence
    assert producer._txn_manager.transactional_id is None
    assert producer._max_request_size >= 4 * 1024 * 1024
    assert producer._request_timeout_ms == 5_000
    assert producer._message_accumulator._linger_time == 0
    await producer.stop()


async def test_a_member_never_commits_by_itself_and_skips_nothing() -> None:
    member = clients.member(NOBODY, "g", "a")

    assert member._enable_auto_commit is False
    assert member._auto_offset_reset == "earliest"
    assert member._isolation_level == "read_committed"
    assert member._group_instance_id == "g-a"
    assert member._session_timeout_ms == 6_000
    assert member._heartbeat_interval_ms == 1_500
    assert member._rebalance_timeout_ms == 10_000
    assert member._max_poll_interval_ms == 300_000
    assert member._request_timeout_ms > member._rebalance_timeout_ms
    await member.stop()


async def test_a_reader_has_no_group_and_skips_nothing() -> None:
    reader = clients.reader(NOBODY)

    assert reader._group_id is None
    assert reader._enable_auto_commit is False
    assert reader._auto_offset_reset == "earliest"
    assert reader._isolation_level == "read_committed"
    await reader.stop()


@pytest.mark.parametrize("key", [b"", b"k", b"workspace/product", "작업/제품".encode()])
def test_keys_go_where_every_other_client_would_put_them(key: bytes) -> None:
    partitions = list(range(6))

    assert partition_of(key, 6) == DefaultPartitioner()(key, partitions, partitions)


@pytest.mark.parametrize(
    ("retention", "compacted", "expected"),
    [
        (
            timedelta(days=7),
            False,
            {"cleanup.policy": "delete", "retention.ms": "604800000", "segment.ms": "86400000"},
        ),
        (None, False, {"cleanup.policy": "delete", "retention.ms": "-1"}),
        (None, True, {"cleanup.policy": "compact"}),
    ],
)
async def test_a_topic_is_made_with_its_retention(
    kafka_url: str,
    retention: timedelta | None,
    compacted: bool,  # noqa: FBT001
    expected: dict[str, str],
) -> None:
    topic = a_topic(retention=retention, compacted=compacted, partitions=3)
    async with open_kafka(kafka_url) as bus:
        await bus.create([topic])
        [described] = await bus._admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic.name)]
        )

        settings = {name: value for name, value, *_ in described.resources[0][4]}
        assert settings.items() >= expected.items()
        assert settings["message.timestamp.type"] == "LogAppendTime"
        assert len(await bus.ends(topic.name)) == 3


def test_each_topic_is_shared_out_by_itself() -> None:
    assert kafka_group("posts.tagged.v1", "ideas") == "posts.tagged.v1.ideas"


async def test_without_a_broker_opening_says_so_in_time() -> None:
    begun = time.monotonic()

    with pytest.raises(Unavailable, match="Kafka"):
        async with open_bus(NOBODY):
            pass
    assert time.monotonic() - begun < 12


class Copies:
    """A consumer that goes through whatever happens to the broker."""

    def __init__(self) -> None:
        self.texts: set[str] = set()
        self.health = StreamHealth()
        self.stop = asyncio.Event()

    async def run(self, bus: Bus, topic: Topic[Note]) -> None:
        async def copy(batch: Batch[Note]) -> None:
            self.texts |= {note.text for note in batch.messages}

        await consume(bus, topic, "copies", copy, instance="a", stop=self.stop, health=self.health)


async def test_the_stream_goes_on_after_the_broker_comes_back(own_broker: Broker) -> None:
    topic = a_topic(partitions=2)
    copies = Copies()
    async with open_bus(own_broker.url) as bus:
        await bus.create([topic])
        running = asyncio.create_task(copies.run(bus, topic))
        await publish(bus, topic, notes(100))
        await until(lambda: len(copies.texts) == 100)

        for how in (signal.SIGTERM, signal.SIGKILL):
            await asyncio.to_thread(own_broker.stop, how)
            await asyncio.to_thread(own_broker.start)
            begun = time.monotonic()
            await _publish_at_last(bus, topic, how.name)
            await until(lambda name=how.name: name in copies.texts)
            assert time.monotonic() - begun < 8

        await until(lambda: copies.health.ready)
        copies.stop.set()
        await asyncio.wait_for(running, 10)
        found = await everything(bus, topic.name)
        assert {*map(str, range(100)), "SIGTERM", "SIGKILL"} == {
            Note.model_validate_json(value).text for value in found
        }


async def _publish_at_last(bus: Bus, topic: Topic[Note], text: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await publish(bus, topic, [Note(key="k", text=text)])
            except Unavailable:
                continue
            return


async def test_while_the_broker_is_down_everything_says_so_in_time(own_broker: Broker) -> None:
    topic = a_topic()
    copies = Copies()
    async with open_bus(own_broker.url) as bus:
        await bus.create([topic])
        running = asyncio.create_task(copies.run(bus, topic))
        await publish(bus, topic, notes(10))
        await until(lambda: len(copies.texts) == 10)
        await asyncio.to_thread(own_broker.stop, signal.SIGKILL)

        begun = time.monotonic()
        outcomes = await asyncio.gather(
            bus.append(topic.name, plain("a")),
            bus.ends(topic.name),
            bus.ping(),
            bus.read(topic.name, dict.fromkeys(range(4), 0), max_records=1),
            bus.committed(topic.name, "copies"),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 5
        assert time.monotonic() - begun < 12

        copies.stop.set()
        await asyncio.wait_for(running, 15)
        begun = time.monotonic()
    assert time.monotonic() - begun < 12


async def test_a_producer_that_failed_for_good_is_replaced(kafka_url: str) -> None:
    topic = a_topic(partitions=1)
    async with open_kafka(kafka_url) as bus:
        assert isinstance(bus, KafkaLog)
        await bus.create([topic])
        await bus.append(topic.name, plain("a"))
        broken = bus._appender._producer
        assert broken is not None
        broken._sender.sender_task.cancel()
        broken._message_accumulator.fail_all(OutOfOrderSequenceNumber())

        with pytest.raises(Unavailable):
            await bus.append(topic.name, plain("b"))
        await bus.append(topic.name, plain("c"))

        assert await everything(bus, topic.name) == ["a", "c"]
