"""Import: a file to the log, beside a bare producer that sends the same bytes."""

import asyncio
import secrets
import shutil
import time
from collections.abc import Sequence
from itertools import chain

from aiokafka import AIOKafkaProducer

from benchmarks import material
from benchmarks.figures import Figure, at_least, below, in_turns, median, ratio
from benchmarks.stage import Stage, peak_megabytes
from maru_contracts.topics import POSTS_COLLECTED, TOPICS
from maru_ingest.importer import import_file
from maru_kit.bus import Bus, Record, open_bus
from maru_kit.database import Database, open_database
from maru_kit.kafka.producing import partition_of
from maru_kit.migrate import migrate

_BARE = "bare aiokafka producer (idempotent, acks=all, linger 10 ms), same bytes"


async def figures(stage: Stage, *, quick: bool) -> list[Figure]:
    """Posts a second, three ways."""
    with stage.kafka() as kafka_url:
        compared = await _compared(stage, kafka_url, quick=quick)
    return [*compared, *_in_flat_memory(stage, quick=quick)]


def _in_flat_memory(stage: Stage, *, quick: bool) -> list[Figure]:
    """The most memory that `maru import` ever holds, for a large file and for a tenth of it."""
    count = 20_000 if quick else 1_000_000
    peaks = {}
    for number in (count // 10, count):
        folder = stage.new_folder("memory")
        file = material.import_file(folder / "posts.ndjson", number)
        peaks[number] = peak_megabytes(
            ["-m", "maru_cli", "import", str(file), "--source", "bench"],
            {"MARU_HOME": str(folder / "home")},
            folder / "import.log",
        )
        shutil.rmtree(folder)
    return [
        Figure(
            f"Memory of `maru import`, {count:,} posts, embedded (peak)",
            peaks[count],
            "MB",
            f"the same with {count // 10:,} posts",
            peaks[count // 10],
            None,
            below(300, "MB"),
        )
    ]


async def _compared(stage: Stage, kafka_url: str, *, quick: bool) -> list[Figure]:
    count, rounds = (5_000, 2) if quick else (20_000, 5)
    file = material.import_file(stage.folder / "posts.ndjson", count)
    files = stage.new_folder("import")
    in_file, in_server = f"sqlite:///{files}", await stage.new_database()
    for url in (in_file, in_server):
        await migrate(url, "ingest", "maru_ingest")
    async with (
        open_bus(kafka_url) as kafka,
        open_bus(f"sqlite:///{files}/log.db") as sqlite,
        open_database(in_file, "ingest") as sqlite_database,
        open_database(in_server, "ingest") as postgres,
    ):
        for bus in (kafka, sqlite):
            await bus.create(TOPICS)

        async def imported(bus: Bus, database: Database) -> float:
            # A workspace of its own, so that every post is new.
            workspace = secrets.token_hex(4)
            summary = await import_file(
                bus, database, file, workspace=workspace, source_name="bench"
            )
            return summary.counts.published / summary.seconds

        await imported(kafka, postgres)
        sent = await _newest(kafka, count)
        measured = await in_turns(
            rounds,
            {
                "bare": lambda: _bare(kafka_url, sent),
                "kafka, postgresql": lambda: imported(kafka, postgres),
                "kafka, sqlite": lambda: imported(kafka, sqlite_database),
                "sqlite": lambda: imported(sqlite, sqlite_database),
            },
        )
    bare = measured.pop("bare")
    names = {
        "kafka, postgresql": "Import to the log, Kafka + PostgreSQL",
        "kafka, sqlite": "Import to the log, Kafka + SQLite",
        "sqlite": "Import to the log, embedded (SQLite log + SQLite)",
    }
    return [
        Figure(
            names[name],
            median(values),
            "posts/s",
            _BARE,
            median(bare),
            ratio(values, bare),
            at_least(0.5),
        )
        for name, values in measured.items()
    ]


async def _newest(bus: Bus, count: int) -> Sequence[Record]:
    """The last `count` records of the topic; they lie in one partition."""
    topic = POSTS_COLLECTED.name
    ends = await bus.ends(topic)
    start = {max(ends, key=lambda partition: ends[partition]): 0}
    found: list[Record] = []
    while len(found) < count:
        spans = await bus.read(topic, start, max_records=5_000, wait=1.0)
        found += chain.from_iterable(span.records for span in spans)
        start = {span.partition: span.next for span in spans}
    return found[-count:]


async def _bare(url: str, records: Sequence[Record]) -> float:
    producer = AIOKafkaProducer(
        bootstrap_servers=url.removeprefix("kafka://"),
        enable_idempotence=True,
        acks="all",
        linger_ms=10,
    )
    await producer.start()
    try:
        partition = partition_of(records[0].key, POSTS_COLLECTED.partitions)
        begun = time.perf_counter()
        acknowledged = [
            await producer.send(
                POSTS_COLLECTED.name,
                record.value,
                key=record.key,
                headers=list(record.headers),
                partition=partition,
            )
            for record in records
        ]
        await asyncio.gather(*acknowledged)
        return len(records) / (time.perf_counter() - begun)
    finally:
        await producer.stop()
