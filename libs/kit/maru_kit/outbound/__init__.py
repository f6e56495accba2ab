"""The guarded way out for everything outside; see `client`."""

from maru_kit.outbound.client import Outbound, open_outbound
from maru_kit.outbound.errors import (
    AskedToWait,
    Blocked,
    Closed,
    Disallowed,
    OutboundError,
    Refused,
    TimedOut,
    TooLarge,
    Unreachable,
)
from maru_kit.outbound.fetched import Fetched
from maru_kit.outbound.lines import Lines
from maru_kit.outbound.manners import Manners
from maru_kit.outbound.websocket import WebSocket

__all__ = [
    "AskedToWait",
    "Blocked",
    "Closed",
    "Disallowed",
    "Fetched",
    "Lines",
    "Manners",
    "Outbound",
    "OutboundError",
    "Refused",
    "TimedOut",
    "TooLarge",
    "Unreachable",
    "WebSocket",
    "open_outbound",
]
