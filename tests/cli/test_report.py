"""The programs of `make eval` and `make learning`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("program", ["report", "learning"])
def test_the_labelled_data_stand_where_the_variable_says(tmp_path: Path, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"maru_cli.{program}"],
        env={**os.environ, "MARU_SHARED": str(tmp_path / "elsewhere")},
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 1
    assert f"{tmp_path}/elsewhere/data/".encode() in done.stderr
    assert b"MARU_SHARED" in done.stderr
    assert b"Traceback" not in done.stderr
