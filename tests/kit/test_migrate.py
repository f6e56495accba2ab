"""Tables go up and down on both databases, also when two replicas start at once."""

import asyncio
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.exc import DBAPIError

from maru_kit.database import open_database
from maru_kit.errors import ConfigError
from maru_kit.migrate import migrate, standing

SERVICES = ["gateway", "ideas", "ingest"]
STEP = """
    import sqlalchemy as sa
    from alembic import op

    revision = "{revision}"
    down_revision = {before!r}


    def upgrade():
        op.create_table("t{revision}", sa.Column("id", sa.Integer, primary_key=True))
        {more}


    def downgrade():
        op.drop_table("t{revision}")
"""


def step(folder: Path, revision: str, before: str | None, more: str = "") -> None:
    source = dedent(STEP.format(revision=revision, before=before, more=more))
    (folder / f"{revision}_step.py").write_text(source)


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a package's two steps."""
    folder = tmp_path / "packages" / "sample_service" / "migrations" / "versions"
    folder.mkdir(parents=True)
    (tmp_path / "packages" / "sample_service" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "packages")
    step(folder, "0001", None)
    step(folder, "0002", "0001")
    yield folder
    sys.modules.pop("sample_service", None)


async def tables(url: str, schema: str = "sample") -> set[str]:
    async with open_database(url, schema) as database, database.engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


@pytest.mark.usefixtures("steps")
async def test_steps_go_up_and_down_one_by_one(database_url: str) -> None:
    seen = []
    for to in ("0001", "head", "head", "0001", "base", "head"):
        await migrate(database_url, "sample", "sample_service", to=to)
        seen.append(sorted(await tables(database_url) - {"schema_version"}))

    both = ["t0001", "t0002"]
    assert seen == [["t0001"], both, both, ["t0001"], [], both]


async def test_a_step_that_fails_leaves_nothing(database_url: str, steps: Path) -> None:
    await migrate(database_url, "sample", "sample_service")
    step(steps, "0003", "0002", more='op.execute("SELECT no_such_column FROM t0001")')

    with pytest.raises(DBAPIError, match="no_such_column"):
        await migrate(database_url, "sample", "sample_service")

    assert await tables(database_url) == {"schema_version", "t0001", "t0002"}
    (steps / "0003_step.py").unlink()
    await migrate(database_url, "sample", "sample_service", to="base")


@pytest.mark.usefixtures("steps")
async def test_replicas_may_start_at_once(database_url: str) -> None:
    await asyncio.gather(*(migrate(database_url, "sample", "sample_service") for _ in range(4)))

    assert await tables(database_url) == {"schema_version", "t0001", "t0002"}


@pytest.mark.usefixtures("steps")
async def test_tables_are_new_behind_or_current(database_url: str) -> None:
    seen = [await standing(database_url, "sample", "sample_service")]
    for to in ("0001", "head", "base"):
        await migrate(database_url, "sample", "sample_service", to=to)
        seen.append(await standing(database_url, "sample", "sample_service"))

    assert seen == ["new", "behind", "current", "behind"]


async def test_tables_of_newer_code_are_told_and_left_alone(database_url: str, steps: Path) -> None:
    await migrate(database_url, "sample", "sample_service")
    (steps / "0002_step.py").unlink()

    assert await standing(database_url, "sample", "sample_service") == "ahead"
    with pytest.raises(ConfigError, match="newer Maru has made the tables of sample"):
        await migrate(database_url, "sample", "sample_service")
    assert await tables(database_url) == {"schema_version", "t0001", "t0002"}


@pytest.mark.postgres
async def test_a_step_may_take_longer_than_a_request(postgres_database: str, steps: Path) -> None:
    note = "CREATE TABLE note AS SELECT current_setting('statement_timeout') AS patience"
    step(steps, "0003", "0002", more=f'op.execute("{note}")')

    await migrate(postgres_database, "sample", "sample_service")

    async with (
        open_database(postgres_database, "sample") as database,
        database.reading() as connection,
    ):
        assert await connection.scalar(text("SELECT patience FROM note")) == "30min"
        assert await connection.scalar(text("SHOW statement_timeout")) == "8s"


@pytest.mark.parametrize("service", SERVICES)
async def test_a_services_steps_make_the_tables_that_its_code_names(
    database_url: str, service: str
) -> None:
    package = f"maru_{service}"
    metadata: MetaData = import_module(f"{package}.tables").metadata
    await migrate(database_url, service, package)

    def differences(connection: Connection) -> list[object]:
        opts = {"version_table": "schema_version"}
        return list(compare_metadata(MigrationContext.configure(connection, opts=opts), metadata))

    async with (
        open_database(database_url, service) as database,
        database.engine.connect() as connection,
    ):
        assert await connection.run_sync(differences) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_services_steps_go_down_and_up_again(database_url: str, service: str) -> None:
    package = f"maru_{service}"
    await migrate(database_url, service, package)
    before = await tables(database_url, service)

    await migrate(database_url, service, package, to="base")
    assert await tables(database_url, service) == {"schema_version"}

    await migrate(database_url, service, package)
    assert await tables(database_url, service) == before
    async with open_database(database_url, service) as database, database.reading() as connection:
        found = await connection.execute(text("SELECT count(*) FROM schema_version"))
        assert found.scalar() == 1
