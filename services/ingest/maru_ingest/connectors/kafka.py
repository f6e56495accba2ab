"""A topic of Apache Kafka whose records are posts.

**What to set up.** Name the topic and, unless it is on the cluster that Maru keeps its own log on,
the brokers (`host:port`, the ones to ask first). Maru only reads: the user needs *Read* and
*Describe* on the topic, and no group. `tls` checks the brokers' certificates against the machine's
authorities; `username` and `password` are SASL's. Brokers of the own network must be allowed in
`MARU_INGEST_ALLOW_HOSTS` (`["kafka.internal:9092"]`), those that they name as others, too, by
whoever runs the network: a cluster tells its clients where to go. Where Maru keeps its log in a
file (without Kafka), the brokers must be named.

**What a record is.** A JSON object with the fields of an import (`id`, `text`, `author`,
`created_at` …), bare or in an envelope: a CloudEvent (its `data`), a change of Debezium (`after`;
a deleted row ends its post), Kafka Connect's `{"schema", "payload"}`. Without an id a post goes by
topic, partition, offset and time of its record, and without a time of its own it has the record's.
A record without a value (a tombstone) ends the post that its key names, if there is one. Whatever
else comes is a rejected row: it is counted, stands in the dead letters with its partition and
offset, and stops nothing.

**Where it stands.** The offsets are kept with the posts, after the log has acknowledged them, and
not in a group of the cluster: a restart in the middle goes on exactly there, and two sources read
one topic without sharing it. One process follows a source, and another takes over when it dies.
`begin` says where a new source begins, and one that is begun anew. Partitions that are added are
read from their beginning, within ten minutes. What the topic's retention took before it was read
is lost. `maru_ingest_topic_lag_records` says how far behind all these sources are.

**Limits.** At most a thousand records are in hand. Records in Avro or Protobuf are not read. Maru's
own topics can't be followed. Without `brokers` a source reads as the user that Maru's own log is
kept by: whoever owns a workspace can follow any topic that this user may read.

API: <https://kafka.apache.org/documentation/#design_consumerposition>.
"""

import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator, model_validator

from maru_contracts.posts import Channel
from maru_contracts.topics import TOPICS
from maru_ingest.connector import (
    Capability,
    ConnectorKind,
    Cursor,
    Page,
    SourceBroken,
    SourceBusy,
    SourceSettings,
    Tools,
    translated,
)
from maru_ingest.formats import envelopes, ndjson
from maru_ingest.formats.fields import bounded_id
from maru_ingest.formats.lines import Line
from maru_ingest.formats.parsed import BadRow, ParsedPost, Row
from maru_ingest.metrics import TOPIC_LAG
from maru_kit.bus import Bus, Record, Span
from maru_kit.errors import ConfigError, Unavailable

_PAGE = 1_000
_WAIT_SECONDS = 1.0
_LIFE_SECONDS = 600.0
"""After this long the cluster is asked anew which partitions there are."""
_MEASURE_SECONDS = 10.0
_OWN = {topic.name for topic in TOPICS}
_DEAD = ".dlq"


class KafkaSettings(SourceSettings):
    """Which topic, where, and as whom."""

    topic: str = Field(
        min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$", description="Topic to follow"
    )
    brokers: tuple[str, ...] = Field(
        default=(),
        max_length=20,
        description="Brokers to ask first (host:port); Maru's own cluster if empty",
    )
    begin: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where a new source begins: at the oldest record or now"
    )
    tls: bool = Field(default=False, description="Whether the brokers are spoken to over TLS")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="PLAIN", description="How SASL tells who we are, if there is a user"
    )
    username: str = Field(default="", max_length=500, description="User, for SASL")
    password: SecretStr | None = Field(default=None, description="The user's password, for SASL")

    @field_validator("topic")
    @classmethod
    def _not_ours(cls, topic: str) -> str:
        if topic in _OWN or topic.endswith(_DEAD):
            raise ValueError("Maru's own topics can't be followed")
        return topic

    @field_validator("brokers")
    @classmethod
    def _hosts(cls, brokers: tuple[str, ...]) -> tuple[str, ...]:
        for broker in brokers:
            host, _, port = broker.rpartition(":")
            if not host or not port.isdecimal() or set(broker) & set("@/?# ,"):
                raise ValueError("a broker is host:port, such as kafka.example.com:9092")
        return brokers

    @model_validator(mode="after")
    def _whole(self) -> "KafkaSettings":
        if bool(self.username) is not bool(self._word()):
            raise ValueError("username and password go together")
        if (self.username or self.tls) and not self.brokers:
            raise ValueError("name the brokers that TLS and the user are for")
        return self

    def url(self) -> str:
        """Where the named brokers are and how to speak to them, as `maru_kit.kafka` reads it."""
        user, password = self.username, self._word()
        who = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        wish = f"?sasl_mechanism={self.mechanism}" if user else ""
        return f"kafka{'+ssl' if self.tls else ''}://{who}{','.join(self.brokers)}{wish}"

    def _word(self) -> str:
        return self.password.get_secret_value() if self.password else ""


@dataclass(frozen=True, slots=True)
class KafkaConnector:
    """Reads all partitions of a topic from where the cursor says, as one member of no group."""

    settings: KafkaSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what is there and what comes; a page without rows each second that brings none."""
        at = {int(name): int(offset) for name, offset in cursor.get("positions", {}).items()}
        while True:
            async with aclosing(self._connected(at)) as pages:
                async for page in pages:
                    yield page

    async def _connected(self, at: dict[int, int]) -> AsyncGenerator[Page, None]:
        """Read with one connection; `at` is what is read next of each partition, and is moved."""
        topic = self.settings.topic
        async with AsyncExitStack() as stack:
            with _blamed():
                bus = await stack.enter_async_context(self.tools.open_log(await self._url()))
                await self._place(bus, at)
            lag = stack.enter_context(_Lag())
            ends = time.monotonic() + _LIFE_SECONDS
            while time.monotonic() < ends:
                with _blamed():
                    spans = await bus.read(topic, at, max_records=_PAGE, wait=_WAIT_SECONDS)
                    at.update({span.partition: span.next for span in spans})
                    await lag.measure(bus, topic, at)
                yield _page(topic, spans, at)

    async def _url(self) -> str:
        if not self.settings.brokers:
            if not self.tools.own_log.startswith("kafka"):
                raise SourceBroken(
                    "A topic needs a Kafka cluster: this Maru keeps its log in a file, so name "
                    "the brokers."
                )
            return self.tools.own_log
        with translated():
            for broker in self.settings.brokers:
                host, _, port = broker.rpartition(":")
                await self.tools.outbound.addresses(host.strip("[]"), int(port), ports={int(port)})
        return self.settings.url()

    async def _place(self, bus: Bus, at: dict[int, int]) -> None:
        """Choose where to begin in partitions that are new, or not what they were."""
        begins, ends = await bus.begins(self.settings.topic), await bus.ends(self.settings.topic)
        first = ends if not at and self.settings.begin == "latest" else begins
        known = {p: here for p, here in at.items() if begins.get(p, 0) <= here <= ends.get(p, -1)}
        at.clear()
        at.update(first | known)


class _Lag:
    """How many records one topic is behind, within the sum of all."""

    def __init__(self) -> None:
        self._told, self._due = 0, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tell(0)

    async def measure(self, bus: Bus, topic: str, at: dict[int, int]) -> None:
        """Ask where the topic ends, now and then."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _MEASURE_SECONDS
            ends = await bus.ends(topic)
            self._tell(sum(max(0, end - at.get(p, end)) for p, end in ends.items()))

    def _tell(self, lag: int) -> None:
        TOPIC_LAG.inc(lag - self._told)
        self._told = lag


@contextmanager
def _blamed() -> Iterator[None]:
    """Raise what is wrong with the source's cluster as the source's; our own log is another."""
    try:
        yield
    except SourceBusy:
        raise
    except Unavailable as error:
        raise SourceBusy(str(error), retry_after=0.0) from error
    except ConfigError as error:
        raise SourceBroken(str(error)) from error


def _page(topic: str, spans: Sequence[Span], at: dict[int, int]) -> Page:
    """Return posts and ends; what a page brings before it ends is not known yet, and ends, too."""
    rows: list[Row] = []
    ended: list[str] = []
    ended_here: list[str] = []
    here: set[str] = set()
    for record in (record for span in spans for record in span.records):
        if record.value:
            rows.append(row := _row(topic, record))
            here.update([row.native_id] if isinstance(row, ParsedPost) else ())
        elif record.key:
            name = bounded_id(record.key.decode("utf-8", "replace"))
            (ended_here if name in here else ended).append(name)
    cursor = {"positions": {str(partition): offset for partition, offset in at.items()}}
    return Page(rows, cursor, deleted=ended_here, deleted_if_known=ended)


def _row(topic: str, record: Record) -> Row:
    row = ndjson.row(Line(record.offset, 0, 0, envelopes.opened(record.value)))
    place = f"{topic}/{record.partition}/{record.offset}"
    if isinstance(row, BadRow):
        return BadRow(row.line, f"{place}: {row.reason}", row.original)
    if isinstance(row, ParsedPost):
        row.created_at = row.created_at or record.timestamp
        row.native_id = row.native_id or f"{place}@{int(record.timestamp.timestamp() * 1000)}"
    return row


def _open(settings: KafkaSettings, tools: Tools) -> KafkaConnector:
    return KafkaConnector(settings, tools)


CONNECTOR = ConnectorKind(
    kind="kafka",
    title="Kafka",
    summary="Follows a topic of Kafka: JSON, CloudEvents, changes of Debezium",
    settings=KafkaSettings,
    channel=Channel.OTHER,
    open=_open,
    stream=True,
    capabilities=frozenset(
        {Capability.LIVE, Capability.REPLIES, Capability.MEDIA, Capability.METRICS}
    ),
)
