"""`maru doctor` looks at everything, whatever is wrong, and tells it by its exit status."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from cli.conftest import Maru
from maru_cli import doctor
from maru_kit.database import open_database
from maru_kit.migrate import migrate
from servers.ports import free_ports
from servers.postgres import SECRET_KEYS

EVERYTHING = {"settings", "disk", "board", "port", "model", "log"} | {
    f"database: {schema}" for schema in ("ingest", "ideas", "gateway")
}


@pytest.fixture(
    params=["embedded", pytest.param("production", marks=[pytest.mark.kafka, pytest.mark.postgres])]
)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Maru:
    """An installation that has never started, of either mode."""
    home = tmp_path / "home"
    if request.param == "embedded":
        urls = (f"sqlite:///{home}/log.db", f"sqlite:///{home}")
    else:
        urls = (
            request.getfixturevalue("kafka_url"),
            request.getfixturevalue("postgres_database"),
        )
    return Maru(
        home,
        {
            "MARU_BUS_URL": urls[0],
            "MARU_DATABASE_URL": urls[1],
            "MARU_INGEST_SECRET_KEYS": SECRET_KEYS,
        },
    )


def findings(maru: Maru, *, status: int) -> dict[str, dict[str, Any]]:
    """What doctor finds, by name; it must end with this status."""
    maru.settings.setdefault("MARU_PORT", str(free_ports(1)[0]))
    done = maru.run("doctor", "--json")
    assert done.returncode == status, done.stderr.decode() or done.stdout.decode()
    return {finding["name"]: finding for finding in json.loads(done.stdout)}


def bad(found: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, finding in found.items() if not finding["ok"]}


def test_a_new_installation_is_well_and_still_is_once_it_is_used(installed: Maru) -> None:
    new = findings(installed, status=0)
    used = findings(installed, status=0)

    assert new.keys() == EVERYTHING
    assert "at the first start" in new["database: ideas"]["detail"]
    assert "those of this version" in used["database: ideas"]["detail"]


def test_tables_that_are_behind_are_told_and_left_alone(installed: Maru) -> None:
    url = installed.settings["MARU_DATABASE_URL"]
    asyncio.run(migrate(url, "ideas", "maru_ideas", to="base"))

    for _ in range(2):
        found = findings(installed, status=1)
        assert bad(found) == {"database: ideas"}
        assert "older than this version" in found["database: ideas"]["detail"]
        assert "start Maru again" in found["database: ideas"]["advice"]


def test_tables_of_a_newer_version_are_told_by_doctor_and_by_every_command(
    installed: Maru,
) -> None:
    url = installed.settings["MARU_DATABASE_URL"]
    asyncio.run(migrate(url, "gateway", "maru_gateway"))
    asyncio.run(_stamp(url, "gateway", "9999"))

    found = findings(installed, status=1)
    asked = installed.run("sources", "list")

    assert bad(found) == {"database: gateway"}
    assert "newer version" in found["database: gateway"]["detail"]
    assert "run that version" in found["database: gateway"]["advice"]
    assert asked.returncode == 1
    assert asked.stderr.startswith(b"maru: A newer Maru has made the tables of gateway")
    assert asked.stderr.count(b"\n") == 1


async def _stamp(url: str, schema: str, revision: str) -> None:
    async with open_database(url, schema) as database, database.transaction() as connection:
        await connection.execute(
            text("UPDATE schema_version SET version_num = :to"), {"to": revision}
        )


def test_what_does_not_answer_is_told_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    nobody = {
        "MARU_BUS_URL": "kafka://127.0.0.1:1",
        "MARU_DATABASE_URL": "postgresql://maru:hush@127.0.0.1:1/maru",
    }

    found = findings(Maru(tmp_path, nobody), status=1)

    assert found.keys() == EVERYTHING
    assert bad(found) == {name for name in EVERYTHING if name.startswith(("log", "database"))}
    assert "MARU_BUS_URL" in found["log"]["advice"]
    assert "MARU_DATABASE_URL" in found["database: ideas"]["advice"]
    assert "hush" not in json.dumps(found)


def test_a_database_that_is_no_database_is_one_finding(maru: Maru) -> None:
    maru.home.mkdir()
    (maru.home / "ideas.db").write_bytes(b"not a database at all, " * 100)

    found = findings(maru, status=1)

    assert found.keys() == EVERYTHING
    assert bad(found) == {"database: ideas"}
    assert "not a database" in found["database: ideas"]["detail"]


def test_a_setting_that_cannot_be_and_a_port_that_is_taken_are_findings(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        busy = findings(Maru(tmp_path, {"MARU_PORT": taken}), status=1)
    wrong = findings(Maru(tmp_path, {"MARU_PORT": "web"}), status=1)

    assert bad(busy) == {"port"}
    assert taken in busy["port"]["detail"]
    assert bad(wrong) == {"settings", "port", "sources"}
    assert wrong["settings"]["detail"].startswith("MARU_PORT: ")


def test_people_see_what_to_do(tmp_path: Path) -> None:
    done = Maru(tmp_path, {"MARU_BUS_URL": "kafka://127.0.0.1:1"}).run("doctor")

    assert done.returncode == 1
    assert "→ check MARU_BUS_URL and the broker" in done.stdout.decode()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("the disk has gone"),
        asyncio.CancelledError(),
        ExceptionGroup("two", [ValueError("one thing"), OSError("and another")]),
    ],
)
async def test_whatever_a_check_raises_is_its_finding(error: BaseException) -> None:
    async def check() -> str:
        raise error

    found = await doctor._tried("log", check, "look at it")

    assert (found.name, found.ok, found.advice) == ("log", False, "look at it")
    leaves = error.exceptions if isinstance(error, ExceptionGroup) else [error]
    for leaf in leaves:
        assert type(leaf).__name__ in found.detail
        assert str(leaf) in found.detail


def test_a_port_where_a_gateway_answers_is_well(maru: Maru, tmp_path: Path) -> None:
    with maru.up() as client:
        beside = Maru(tmp_path / "other", {"MARU_PORT": str(client.base_url.port)})
        found = findings(beside, status=0)

    assert "a gateway answers" in found["port"]["detail"]
