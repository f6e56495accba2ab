"""Messages to records and back."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from maru_contracts.message import Message
from maru_contracts.topics import Topic
from maru_kit.bus import Outgoing, Record

M = TypeVar("M", bound=Message)

SCHEMA = "schema"
"""The header that names the topic, and so the schema and its version, a message was made for."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[M]):
    """Consecutive messages of one partition, for one call of a handler.

    `start` is the position it was read from, `next` the position once it is done. A handler with
    positions of its own stores `next` where it finds `start`, in the transaction of its effect.
    """

    topic: str
    partition: int
    start: int
    next: int
    messages: Sequence[M]
    records: Sequence[Record]


Handler = Callable[[Batch[M]], Awaitable[None]]
"""Returns: all done. Raises Rejected: the message (when alone) can never be processed. Raises
Unavailable: not now. Raises Fenced: another process has the partition. Raises anything else: the
messages are tried one at a time. It must bear to see a message twice."""


class Unreadable(Exception):
    """A record that is no message of its topic. Its text quotes nothing of the record."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def encode(topic: Topic[M], message: M) -> Outgoing:
    """The record that carries `message`."""
    return Outgoing(
        topic.key(message).encode(),
        message.model_dump_json().encode(),
        ((SCHEMA, topic.name.encode()),),
    )


def decode(topic: Topic[M], record: Record) -> M:
    """The message in a record. Raises Unreadable.

    A record without the header is read as if it had the right one: not every producer is ours.
    """
    schema = dict(record.headers).get(SCHEMA, topic.name.encode()).decode("latin-1")
    if schema != topic.name:
        raise Unreadable("schema", f"schema {schema[:100]!r} is not {topic.name!r}")
    try:
        return topic.message.model_validate_json(record.value)
    except ValidationError as error:
        raise Unreadable("unreadable", _outline(error)) from None


def _outline(error: ValidationError) -> str:
    """Where and what, without the input that pydantic would quote."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(part)[:50] for part in fault['loc']) or 'message'}: {fault['type']}"
        for fault in faults[:5]
    )
