"""Named places where a test can end the process, as a power cut would.

`MARU_CRASH_AT=name` kills at the first pass through that place, `name:3` at the third;
`name:3:SIGSTOP` freezes the process there.
"""

import os
import signal
from itertools import count

_name, _pass, _signal, *_ = [*os.environ.get("MARU_CRASH_AT", "").split(":"), "", ""]
_passes = count(1)


def crash_point(name: str) -> None:
    """End or freeze the process if a test has asked for it here; otherwise do nothing."""
    if name == _name and next(_passes) == int(_pass or 1):
        os.kill(os.getpid(), signal.Signals[_signal or "SIGKILL"])
