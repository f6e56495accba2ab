"""One Maru runs in a folder, and looking whether it does disturbs nobody."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from maru_cli.home import is_running, locked
from maru_kit.bus import open_bus
from maru_kit.database import open_database
from maru_kit.errors import ConfigError

LOOKERS = 4
STARTS = 300
LOOK = """
import sys
from pathlib import Path
from maru_cli.home import is_running

home, stop, looks = Path(sys.argv[1]), Path(sys.argv[2]), 0
print("looking", flush=True)
while not stop.exists():
    is_running(home)
    looks += 1
print(looks)
"""


def test_it_is_seen_that_somebody_runs_and_that_nobody_does_any_more(tmp_path: Path) -> None:
    seen = [is_running(tmp_path / "home")]
    for _ in range(2):
        with locked(tmp_path / "home"):
            seen.append(is_running(tmp_path / "home"))
        seen.append(is_running(tmp_path / "home"))

    assert seen == [False, True, False, True, False]


def test_looking_makes_no_folder(tmp_path: Path) -> None:
    is_running(tmp_path / "home")

    assert not (tmp_path / "home").exists()


async def test_what_is_kept_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with locked(home):
        async with open_database(f"sqlite:///{home}", "notes") as database:
            async with database.transaction() as connection:
                await connection.execute(text("CREATE TABLE notes (id INTEGER)"))
            async with open_bus(f"sqlite:///{home}/log.db"):
                modes = {one.name: oct(one.stat().st_mode & 0o777) for one in home.glob("*.db*")}

    assert oct(home.stat().st_mode & 0o777) == "0o700"
    assert {"notes.db", "notes.db-wal", "log.db", "log.db-wal"} <= modes.keys()
    assert set(modes.values()) == {"0o600"}


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    with locked(tmp_path):
        pass

    assert oct(tmp_path.stat().st_mode & 0o777) == "0o750"


def test_a_second_one_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(ConfigError, match="MARU_HOME"), locked(tmp_path):
            pass
        assert is_running(tmp_path)


def test_a_start_is_never_refused_because_somebody_looks(tmp_path: Path) -> None:
    home, stop = tmp_path / "home", tmp_path / "stop"
    command = [sys.executable, "-c", LOOK, str(home), str(stop)]
    lookers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(LOOKERS)]
    try:
        for looker in lookers:
            assert looker.stdout.readline() == "looking\n"
        slowest = 0.0
        for _ in range(STARTS):
            begun = time.monotonic()
            with locked(home):
                slowest = max(slowest, time.monotonic() - begun)
                assert is_running(home)
        stop.touch()
        looks = [int(looker.communicate(timeout=30)[0]) for looker in lookers]
    finally:
        for looker in lookers:
            looker.kill()
            looker.wait()
            looker.stdout.close()

    assert slowest < 2
    assert min(looks) > STARTS / 10
    assert not is_running(home)
