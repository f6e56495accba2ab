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
_CREDENTIALS = re.compile(r"(://)[^/@\s]+@")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


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
    return {
        key: "********" if _SECRET.search(key) and value else _clean(value)
        for key, value in line.items()
    }


def _clean(value: object) -> object:
    if not isinstance(value, str):
        return value
    shown = _CREDENTIALS.sub(r"\1********@", value)
    return _CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", shown)


def _json(line: object, **_: object) -> str:
    return orjson.dumps(line, default=str).decode()
