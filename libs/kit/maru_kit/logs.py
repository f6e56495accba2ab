"""Log lines: events with fields, JSON where machines read them and colour where people do.

A line names ids, never what somebody wrote and never a secret. Values of fields whose name
speaks of a secret are masked whatever they hold, and control characters are escaped.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import Processor

_SECRET = re.compile(
    r"token|secret|password|authorization|cookie|api_?key|signature", re.IGNORECASE
)
_CREDENTIALS = re.compile(r"(://)(?:[^/@\s]+|[^/:@\s]*:[^@\s]*)@")  # a password may hold a slash
_KEYS = re.compile(r"\bmaru_[\w-]{43}|(?<=\bBearer )\S+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_HIDDEN = "********"


def configure(
    service: str,
    *,
    level: str = "info",
    format: Literal["auto", "json", "console"] = "auto",
) -> None:
    """Send all log lines of this process, the libraries' too, to standard error."""
    as_json = format == "json" or (format == "auto" and not sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask,
    ]
    last: Processor = (
        structlog.processors.JSONRenderer(serializer=_json)
        if as_json
        else structlog.dev.ConsoleRenderer(pad_event_to=28)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # These tell each request or each rebalance; ours say it better, or it is noise.
    for name in ("httpx", "httpcore", "aiokafka", "alembic", "uvicorn", "aiosqlite"):
        logging.getLogger(name).setLevel("WARNING")
    structlog.contextvars.bind_contextvars(service=service)


def mask(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide secrets and make control characters visible, in every value of a log line."""
    return {str(key): _masked(str(key), value) for key, value in line.items()}


def hide_credentials(text: str) -> str:
    """Hide the user and the password of every URL in a text, and every key of Maru's."""
    return _KEYS.sub(_HIDDEN, _CREDENTIALS.sub(rf"\1{_HIDDEN}@", text))


def _masked(key: str, value: object) -> object:
    if value and _SECRET.search(key):
        return _HIDDEN
    match value:
        case str() if key == "exception":
            return "\n".join(map(_clean, value.split("\n")))  # a traceback is read in lines
        case str() | BaseException():
            return _clean(str(value))
        case dict():
            return {name: _masked(str(name), inner) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_masked(key, inner) for inner in value]
    return value


def _clean(text: str) -> str:
    shown = hide_credentials(text)
    return _CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", shown)


def _json(line: object, **_: object) -> str:
    return orjson.dumps(line, default=str).decode()
