"""Brings a service's tables to the newest version, and back, with Alembic.

Every service keeps its steps in `<package>/migrations/versions/NNNN_<name>.py`; they run on both
databases. The version stands in a table of the service's own schema.
"""

from importlib.resources import files
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from maru_kit.database import Database, open_database

_LOCK = 0x6D617275
"""The advisory lock (PostgreSQL) under which one replica at a time migrates."""

_PATIENCE = 1800.0
"""Seconds for one step on a large table, and for waiting until another replica is done."""


async def migrate(url: str, schema: str, package: str, *, to: str = "head") -> None:
    """Upgrade (or, for an older revision or "base", downgrade) the tables of `package`.

    Several replicas may call it at once: one works, the others wait. Raises what Alembic raises
    when a step fails; nothing of that step stays.
    """
    scripts = ScriptDirectory(str(files(package) / "migrations"))
    async with open_database(url, schema, statement_seconds=_PATIENCE) as database:
        await _make_schema(database)
        async with database.engine.connect() as connection:
            await connection.run_sync(_run, scripts, schema, to)


async def _make_schema(database: Database) -> None:
    if database.dialect == "sqlite":
        return
    async with database.transaction() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{database.schema}"'))


def _run(connection: Connection, scripts: ScriptDirectory, schema: str, to: str) -> None:
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        context = MigrationContext.configure(
            connection,
            opts={
                "fn": lambda revision, _context: _steps(scripts, revision, to),
                "render_as_batch": True,
                "transactional_ddl": True,
                "version_table": "schema_version",
                "version_table_schema": schema if connection.dialect.name != "sqlite" else None,
            },
        )
        with Operations.context(context):
            context.run_migrations()


def _steps(scripts: ScriptDirectory, current: Any, to: str) -> Any:
    # Alembic's documentation of EnvironmentContext uses these two; they have no public name.
    done = {step.revision for head in current for step in scripts.iterate_revisions(head, "base")}
    if to == "base" or to in done:
        return scripts._downgrade_revs(to, current)  # noqa: SLF001 - see above
    return scripts._upgrade_revs(to, current)  # noqa: SLF001 - see above
