"""Where training and measuring look for the labelled data."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import Maru
from maru_cli.labelled_data import labelled_data


@pytest.mark.parametrize(
    "program",
    [
        "maru_cli.report",
        "maru_cli.learning",
        "maru_cli train heads",
        "maru_cli train encoder",
        "maru_cli eval left-out kote",
    ],
)
def test_the_labelled_data_stand_where_the_variable_says(tmp_path: Path, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *program.split()],
        env={**os.environ, "MARU_SHARED": str(tmp_path / "elsewhere")},
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 1
    said = "".join(done.stderr.decode().split())
    assert f"{tmp_path}/elsewhere/data/" in said
    assert "MARU_SHARED" in said
    assert "Traceback" not in said


def test_a_folder_that_is_given_counts_more_than_the_variable(maru: Maru, tmp_path: Path) -> None:
    maru.settings["MARU_SHARED"] = str(tmp_path / "elsewhere")

    done = maru.run("train", "encoder", "--data", str(tmp_path / "given"))
    told = maru.run("train", "heads", "--help")

    assert f"{tmp_path}/given/train/" in "".join(done.stderr.decode().split())
    assert b"MARU_SHARED" in told.stdout


def test_without_the_variable_they_stand_beside_the_project(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MARU_SHARED", raising=False)
    beside = labelled_data()
    monkeypatch.setenv("MARU_SHARED", "")

    assert beside == labelled_data() == Path(__file__).parents[3] / "shared" / "data"
