"""The event loop of a process: uvloop, which does in C what asyncio does in Python."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_FACTORY: Callable[[], asyncio.AbstractEventLoop] | None = None
if sys.platform != "win32":
    import uvloop

    _FACTORY = uvloop.new_event_loop


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a process's main coroutine to its end, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=_FACTORY) as runner:
        return runner.run(main)
