"""The event loop of a process: uvloop, which does in C what asyncio does in Python, and rare GC."""

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_YOUNG = 20_000
"""New objects until the collector looks for cycles. A batch of posts is some ten thousand objects
that die together; at Python's 700 the collector walks the living ones dozens of times a batch."""
_FACTORY: Callable[[], asyncio.AbstractEventLoop] | None = None
if sys.platform != "win32":
    import uvloop

    _FACTORY = uvloop.new_event_loop


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a process's main coroutine to its end, as `asyncio.run` does.

    What was imported by then is left out of garbage collection: a full one, which walks all of it,
    would hold the loop for longer than a request may take.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG)
    with asyncio.Runner(loop_factory=_FACTORY) as runner:
        return runner.run(main)
