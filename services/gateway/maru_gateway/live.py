"""The live stream of changes: one reader of the log, fanned out to all that listen.

Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). An event's id
is the reader's position in every partition after it, so that `Last-Event-ID` resumes without a
gap while the log keeps the events; when it does not, a `reset` event says so.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import orjson
import structlog

from maru_contracts.topics import IDEAS_CHANGED
from maru_gateway import metrics
from maru_kit.bus import Bus, Record
from maru_kit.errors import Unavailable

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 15.0
LIFE_SECONDS = 600.0
_QUEUE = 1_000
_WAIT = 1.0
_PAUSE = 1.0

Positions = dict[int, int]
_RESET = b"event: reset\ndata: {}\n\n"


@dataclass(frozen=True)
class Change:
    """One IdeaChanged as it stands in the log; `is_public` until it or until the change before."""

    partition: int
    next: int
    workspace: str
    is_public: bool
    event: bytes
    public_event: bytes


@dataclass(eq=False)
class Listener:
    """One open stream. `is_behind`: its queue ran over; it hears no more and then ends."""

    workspace: str
    public: bool
    queue: asyncio.Queue[Change] = field(default_factory=lambda: asyncio.Queue(_QUEUE))
    is_behind: bool = False

    def hears(self, change: Change) -> bool:
        """Whether a change is for these ears."""
        is_ours = change.workspace == self.workspace and not self.is_behind
        return is_ours and (change.is_public or not self.public)


class Live:
    """Reads the changes of all ideas and tells whoever listens."""

    def __init__(self, bus: Bus, *, on_change: Callable[[str], None]) -> None:
        self._bus = bus
        self._on_change = on_change
        self._listeners: set[Listener] = set()
        self._positions: Positions = {}
        self.draining = asyncio.Event()

    async def start(self) -> None:
        """Begin at the log's end: what was before is read only by who asks for it."""
        self._positions = dict(await self._bus.ends(IDEAS_CHANGED.name))

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`; while the log does not answer, wait and try again."""
        while not stop.is_set():
            try:
                await self._read()
            except Unavailable as error:
                log.warning("live.waiting", reason=str(error))
                await asyncio.sleep(_PAUSE)
        self.draining.set()

    async def _read(self) -> None:
        spans = await self._bus.read(
            IDEAS_CHANGED.name, self._positions, max_records=500, wait=_WAIT
        )
        for span in spans:
            for record in span.records:
                self._tell(read_change(record))
            self._positions[span.partition] = span.next

    def _tell(self, change: Change | None) -> None:
        if change is None:
            return
        self._on_change(change.workspace)
        for listener in self._listeners:
            if listener.hears(change):
                try:
                    listener.queue.put_nowait(change)
                except asyncio.QueueFull:
                    listener.is_behind = True

    async def stream(
        self, workspace: str, *, public: bool, after: str | None
    ) -> AsyncIterator[bytes]:
        """Yield the events of one stream until its life ends, it falls behind or we drain."""
        listener = Listener(workspace, public)
        self._listeners.add(listener)
        metrics.STREAMS.inc()
        try:
            now = dict(self._positions)
            # Whoever resumes keeps the old id until it has heard what it missed.
            hello = b": listening\n\n"
            yield b"retry: 2000\n" + (hello if after else _with_id(now, hello))
            if after:
                async for event in self._missed(listener, parse_id(after), now):
                    yield event
            async for event in self._coming(listener, now):
                yield event
        except Unavailable as error:  # the listener comes back with its last id
            log.warning("live.broken_off", reason=str(error))
        finally:
            self._listeners.discard(listener)
            metrics.STREAMS.dec()

    async def _missed(
        self, listener: Listener, at: Positions | None, until: Mapping[int, int]
    ) -> AsyncIterator[bytes]:
        begins = await self._bus.begins(IDEAS_CHANGED.name)
        ends = await self._bus.ends(IDEAS_CHANGED.name)
        if (
            at is None
            or at.keys() != until.keys()
            or any(not begins[p] <= position <= ends[p] for p, position in at.items())
        ):
            metrics.STREAM_RESETS.labels("old").inc()
            yield _with_id(until, _RESET)
            return
        while any(at[p] < end for p, end in until.items()):
            behind = {p: position for p, position in at.items() if position < until[p]}
            spans = await self._bus.read(IDEAS_CHANGED.name, behind, max_records=500, wait=_WAIT)
            for span in spans:
                for record in span.records:
                    change = read_change(record)
                    if record.offset < until[span.partition]:
                        at[span.partition] = record.offset + 1
                        if change is not None and listener.hears(change):
                            yield _event(listener, change, at)
                at[span.partition] = min(span.next, until[span.partition])

    async def _coming(self, listener: Listener, at: Positions) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        end = loop.time() + LIFE_SECONDS
        draining = asyncio.ensure_future(self.draining.wait())
        waiting: asyncio.Future[Change] = loop.create_future()
        try:
            while loop.time() < end and not self.draining.is_set():
                waiting = asyncio.ensure_future(listener.queue.get())
                await asyncio.wait(
                    (waiting, draining),
                    timeout=HEARTBEAT_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not waiting.done():
                    waiting.cancel()
                    yield b": still here\n\n"
                    continue
                change = waiting.result()
                at[change.partition] = change.next
                yield _event(listener, change, at)
                if listener.is_behind and listener.queue.empty():
                    metrics.STREAM_RESETS.labels("slow").inc()
                    yield _RESET
                    return
        finally:
            draining.cancel()
            waiting.cancel()


def read_change(record: Record) -> Change | None:
    """Read what the stream needs of a record; None for one that is no IdeaChanged."""
    try:
        changed = orjson.loads(record.value)
        idea = changed["idea"]
        return Change(
            partition=record.partition,
            next=record.offset + 1,
            workspace=idea["workspace"],
            is_public=idea["is_public"] or changed.get("left_public", False),
            event=record.value,
            public_event=orjson.dumps(
                {"id": changed["id"], "kind": changed["kind"], "idea": {"id": idea["id"]}}
            ),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        log.warning("live.unreadable", offset=record.offset, error=type(error).__name__)
        return None


def parse_id(value: str) -> Positions | None:
    """Read an event id; None when it is none of ours."""
    positions = value.split(".")
    if not all(position.isascii() and position.isdigit() for position in positions):
        return None
    return {p: int(position) for p, position in enumerate(positions)}


def _with_id(at: Mapping[int, int], rest: bytes) -> bytes:
    return b"id: " + ".".join(str(at[p]) for p in sorted(at)).encode() + b"\n" + rest


def _event(listener: Listener, change: Change, at: Mapping[int, int]) -> bytes:
    metrics.STREAM_EVENTS.inc()
    data = change.public_event if listener.public else change.event
    return _with_id(at, b"event: idea\ndata: " + data + b"\n\n")
