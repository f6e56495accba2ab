"""What a newcomer does first."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from cli.conftest import Maru, until


def test_the_sample_becomes_ideas_and_the_next_start_goes_on(tmp_path: Path) -> None:
    maru = Maru(tmp_path / "home")
    with maru.up("--sample") as client:
        until(lambda: "ideas are on the board" in maru.output(), seconds=60)
        first = client.get("/api/v1/ideas", params={"limit": 100}).json()
        voice = client.get("/api/v1/share-of-voice", params={"first": "2020-01-01"}).json()

    began = time.monotonic()
    with maru.up("--sample") as client:
        started = time.monotonic() - began
        second = client.get("/api/v1/ideas", params={"limit": 100}).json()

    assert first["total"] > 10
    assert any(sorted(idea["languages"]) == ["en", "ko"] for idea in first["items"])
    assert {it["kind"] for it in voice["products"]} == {"own", "competitor"}
    assert second["items"] == first["items"]
    assert started < 30  # the machine of the tests is busy; the aim on an idle one is 3 s
    assert "Maru has stopped" in maru.output()


def test_a_post_that_is_on_the_log_when_it_stops_is_an_idea_after_the_next_start(
    tmp_path: Path,
) -> None:
    maru = Maru(tmp_path / "home")
    row = b'{"id":"1","text":"Please add a widget","rating":"2/5"}\n'
    maru.run("import", "-", "--source", "x", stdin=row)

    with maru.up() as client:
        until(lambda: client.get("/api/v1/ideas").json()["total"] == 1, seconds=60)
        (idea,) = client.get("/api/v1/ideas").json()["items"]
        (behind,) = client.get(f"/api/v1/ideas/{idea['id']}/evidence").json()["items"]

    assert behind["rating"] == {"value": 2.0, "best": 5.0}


def test_personal_data_is_on_the_raw_log_alone(tmp_path: Path) -> None:
    maru = Maru(tmp_path / "home")
    row = b'{"id":"1","text":"Please add a widget, write to kim@example.com or 010-2345-6789"}\n'
    maru.run("import", "-", "--source", "x", stdin=row)

    with maru.up() as client:
        until(lambda: client.get("/api/v1/ideas").json()["total"] == 1, seconds=60)
        answers = [client.get(path).text for path in ("/api/v1/ideas", "/api/v1/posts")]

    assert all("[email]" in answer or "[phone]" in answer for answer in answers)
    kept = {file: file.read_bytes() for file in (tmp_path / "home").rglob("*") if file.is_file()}
    holders = {file.name for file, bytes_ in kept.items() if b"kim@example.com" in bytes_}
    assert {name.split(".")[0] for name in holders} == {"log"}
    for said in (*answers, maru.output()):
        assert "kim@example.com" not in said
        assert "2345-6789" not in said


def test_two_in_one_home_do_not_start(tmp_path: Path) -> None:
    maru = Maru(tmp_path / "home")
    with maru.up():
        second = maru.run("up")

    assert second.returncode == 1
    assert b"already" in second.stderr


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    maru = Maru(tmp_path / "home")
    with maru.up() as client:
        other = Maru(tmp_path / "other", {"MARU_PORT": str(client.base_url.port)})
        refused = other.run("up")

    assert refused.returncode == 1
    assert b"MARU_PORT" in refused.stderr


def test_a_killed_one_leaves_no_worker_behind(tmp_path: Path) -> None:
    maru = Maru(tmp_path / "home")
    process = subprocess.Popen(
        [sys.executable, "-m", "maru_cli", "up"],
        env={**maru.environment, "MARU_PORT": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: len(family(process.pid)) > 1, seconds=60)
    children = family(process.pid) - {process.pid}

    process.send_signal(signal.SIGKILL)
    process.wait()

    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), seconds=10)


def family(pid: int) -> set[int]:
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return {pid, *map(int, done.stdout.split())}
