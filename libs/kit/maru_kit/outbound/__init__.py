"""The guarded HTTP client for everything outside; see `client`."""

from maru_kit.outbound.client import (
    AskedToWait,
    Fetched,
    Outbound,
    TimedOut,
    TooLarge,
    Unreachable,
    open_outbound,
)
from maru_kit.outbound.guard import Blocked, OutboundError

__all__ = [
    "AskedToWait",
    "Blocked",
    "Fetched",
    "Outbound",
    "OutboundError",
    "TimedOut",
    "TooLarge",
    "Unreachable",
    "open_outbound",
]
