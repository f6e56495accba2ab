"""Crash points end the process where a test asks for it, and nowhere else."""

import os
import signal
import subprocess
import sys

import pytest

_SCRIPT = """
from maru_kit.crash import crash_point
for number in range(3):
    crash_point("here")
    crash_point("there")
    print(number, flush=True)
"""


@pytest.mark.parametrize(
    ("at", "passed", "status"),
    [
        ("here", "", -signal.SIGKILL),
        ("here:3", "0\n1\n", -signal.SIGKILL),
        ("there:2", "0\n", -signal.SIGKILL),
        ("elsewhere", "0\n1\n2\n", 0),
        ("", "0\n1\n2\n", 0),
    ],
)
def test_the_process_ends_at_the_named_pass(at: str, passed: str, status: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        env={**os.environ, "MARU_CRASH_AT": at},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.stdout, ended.returncode) == (passed, status)
