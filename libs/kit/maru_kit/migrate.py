"""Brings a service's tables to the newest version, and back, with Alembic.

Every service keeps its steps in `<package>/migrations/versions/NNNN_<name>.py`; they run on both
databases. The version stands in a table of the service's own schema.
"""

from importlib.resources import files
from typing import Any, Literal

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from maru_kit.database import Database, open_database
from maru_kit.errors import ConfigError

Standing = Literal["new", "behind", "current", "ahead"]
"""How tables stand to the code: not made yet, older, the same, or made by newer code."""

_LOCK = 0x6D617275
"""The advisory lock (PostgreSQL) under which one replica at a time migrates."""

_PATIENCE = 1800.0
"""Seconds for one step on a large table, and for waiting until another replica is done."""

_VERSION = "schema_version"
"""The table in which the version stands."""


async def migrate(url: str, schema: str, package: str, *, to: str = "head") -> None:
    """Upgrade (or, for an older revision or "base", downgrade) the tables of `package`.

    Several replicas may call it at once: one works, the others wait. Raises what Alembic raises
    when a step fails; nothing of that step stays. Raises ConfigError when newer code made the
    tables.
    """
    scripts = _scripts(package)
    async with open_database(url, schema, statement_seconds=_PATIENCE) as database:
        await _make_schema(database)
        async with database.engine.connect() as connection:
            await connection.run_sync(_run, scripts, schema, to)


async def standing(url: str, schema: str, package: str) -> Standing:
    """Tell how the tables of `package` stand to its code, and change nothing.

    Raises Unavailable when the database does not answer.
    """
    async with open_database(url, schema) as database, database.reading() as connection:
        return await connection.run_sync(_standing, _scripts(package), schema)


def _scripts(package: str) -> ScriptDirectory:
    return ScriptDirectory(str(files(package) / "migrations"))


def _standing(connection: Connection, scripts: ScriptDirectory, schema: str) -> Standing:
    options = _where(connection, schema)
    if not inspect(connection).has_table(_VERSION, schema=options["version_table_schema"]):
        return "new"
    found = set(MigrationContext.configure(connection, opts=options).get_current_heads())
    if found == set(scripts.get_heads()):
        return "current"
    return "behind" if found <= _known(scripts) else "ahead"


def _known(scripts: ScriptDirectory) -> set[str]:
    return {step.revision for step in scripts.walk_revisions()}


def _where(connection: Connection, schema: str) -> dict[str, Any]:
    return {
        "version_table": _VERSION,
        "version_table_schema": schema if connection.dialect.name != "sqlite" else None,
    }


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
                **_where(connection, schema),
            },
        )
        if not set(context.get_current_heads()) <= _known(scripts):
            raise ConfigError(
                f"A newer Maru has made the tables of {schema}: run that version or a newer one"
            )
        with Operations.context(context):
            context.run_migrations()


def _steps(scripts: ScriptDirectory, current: Any, to: str) -> Any:
    # Alembic's documentation of EnvironmentContext uses these two; they have no public name.
    done = {step.revision for head in current for step in scripts.iterate_revisions(head, "base")}
    if to == "base" or to in done:
        return scripts._downgrade_revs(to, current)  # noqa: SLF001 - see above
    return scripts._upgrade_revs(to, current)  # noqa: SLF001 - see above
