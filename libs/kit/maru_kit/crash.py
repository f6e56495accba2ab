"""Named places where a test can end the process, as a power cut would.

`MARU_CRASH_AT=name` kills at the first pass through that place, `name:3` at the third.
"""

import os
import signal
from itertools import count

_name, _, _pass = os.environ.get("MARU_CRASH_AT", "").partition(":")
_passes = count(1)


def crash_point(name: str) -> None:
    """End the process with SIGKILL if a test has asked for it here; otherwise do nothing."""
    if name == _name and next(_passes) == int(_pass or 1):
        os.kill(os.getpid(), signal.SIGKILL)
