"""What posts come wrapped in on a log: CloudEvents, changes of Debezium, Kafka Connect's JSON.

Shapes: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>,
<https://debezium.io/documentation/reference/stable/connectors/postgresql.html> (change events).
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson

_MARKS = (b'"payload"', b'"specversion"', b'"op"')
_CONNECT = {"schema", "payload"}
_CHANGED = ("c", "r", "u")
_DEPTH = 3
"""Envelopes in envelopes that are opened."""


def opened(data: bytes) -> bytes:
    """Return the object that an envelope holds, as JSON; bytes that are no envelope as they are.

    A row that Debezium saw deleted comes with `deleted`. An event's own source and id are the id
    of data that has none.
    """
    if not any(mark in data for mark in _MARKS):
        return data
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return data
    inner = value
    for _ in range(_DEPTH):
        inner = _inner(inner)
    try:
        return data if inner is value else orjson.dumps(inner)
    except orjson.JSONEncodeError:  # nested deeper than it writes
        return data


def _inner(value: object) -> object:
    if not isinstance(value, dict):
        return value
    if value.keys() == _CONNECT:
        return value["payload"]
    if "specversion" in value:
        return _event(value)
    if "op" in value and value.keys() & {"before", "after"}:
        return _change(value)
    return value


def _event(value: Mapping[str, Any]) -> object:
    held = value.get("data")
    packed = value.get("data_base64")
    if held is None and isinstance(packed, str):
        try:
            held = orjson.loads(base64.b64decode(packed, validate=True))
        except (binascii.Error, ValueError):
            return value
    if not isinstance(held, dict):
        return value
    name = f"{value.get('source', '')}/{value.get('id', '')}"
    return held if "id" in held else {"id": name, **held}


def _change(value: Mapping[str, Any]) -> object:
    before, after = value.get("before"), value.get("after")
    if value["op"] in _CHANGED and isinstance(after, dict):
        return after
    if value["op"] == "d" and isinstance(before, dict):
        return {**before, "deleted": True}
    return value
