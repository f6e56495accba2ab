"""What a source keeps secret is in no file of the database, and no log line."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from maru_ingest import connectors
from maru_ingest.app import create_app
from maru_ingest.connector import SourceSettings
from maru_ingest.service.sources import NewSource, Sources
from maru_ingest.settings import Settings
from maru_ingest.store.sources import source_by_id
from maru_kit.bus import Bus
from maru_kit.database import Database, open_database
from maru_kit.errors import ConfigError
from maru_kit.migrate import migrate
from maru_kit.settings import Common
from maru_kit.vault import Vault, new_key

_SECRET = "Bearer-t0k3n-of-somebody"
_SETTINGS = {"url": "https://example.com/feed", "authorization": _SECRET}


async def a_feed(sources: Sources, name: str = "blog") -> str:
    return (await sources.add(NewSource("w", "p", name, "feed", None, _SETTINGS))).id


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def rows(database: Database) -> str:
    async with database.reading() as connection:
        return str((await connection.execute(text("SELECT * FROM sources"))).all())


async def test_secrets_are_stored_sealed_and_come_back(database_url: str) -> None:
    await migrate(database_url, "ingest", "maru_ingest")
    async with open_database(database_url, "ingest") as database:
        sources = Sources(database, connectors.kinds(), Vault([new_key()]))
        feed = await a_feed(sources)
        hook = await sources.add(NewSource("w", "p", "hook", "webhook", None, {}))

        stored = await rows(database)

        assert _SECRET not in stored
        assert str(hook.secret) not in stored
        assert "example.com" not in stored
        assert (await sources.find("w", feed)).settings["authorization"] == _SECRET
        assert (await sources.find("w", hook.id)).secret == hook.secret


async def test_what_was_in_the_clear_or_under_an_old_key_is_sealed_anew(database_url: str) -> None:
    await migrate(database_url, "ingest", "maru_ingest")
    old, new = new_key(), new_key()
    async with open_database(database_url, "ingest") as database:
        kinds = connectors.kinds()
        clear = await a_feed(Sources(database, kinds, Vault()), "clear")
        under_old = await a_feed(Sources(database, kinds, Vault([old])), "old")
        assert _SECRET in await rows(database)

        assert await Sources(database, kinds, Vault([new, old])).seal() == 2
        assert await Sources(database, kinds, Vault([new, old])).seal() == 0

        assert _SECRET not in await rows(database)
        only_new = Sources(database, kinds, Vault([new]))
        for source_id in (clear, under_old):
            assert (await only_new.find("w", source_id)).settings["authorization"] == _SECRET


async def test_a_source_without_settings_needs_no_key(database_url: str) -> None:
    await migrate(database_url, "ingest", "maru_ingest")
    async with open_database(database_url, "ingest") as database:
        kind = replace(connectors.kinds()["file"], settings=SourceSettings)
        wanted = NewSource("w", "p", "import", "file", None, {})
        source = await Sources(database, {"file": kind}, Vault()).add(wanted)

        await Sources(database, connectors.kinds(), Vault([new_key()])).seal()

        async with database.reading() as connection:
            found = await source_by_id(connection, source.id, Vault())

    assert found is not None
    assert found.settings == {}


async def test_no_file_of_a_laptop_holds_a_secret_and_the_key_is_made_once(
    tmp_path: Path, log: Bus, ingest_database: Database
) -> None:
    del log, ingest_database  # the same files, which this test looks into
    settings = Settings(common=Common(home=tmp_path))
    app = create_app(settings, work=False)
    async with app.router.lifespan_context(app):
        await a_feed(app.state.sources)
    again = create_app(settings, work=False)
    async with again.router.lifespan_context(again):
        (found,) = await again.state.sources.page("w", after=None, limit=10)

    assert found.settings["authorization"] == _SECRET
    assert (tmp_path / "ingest.key").exists()
    assert not [path for path in files_of(tmp_path) if _SECRET.encode() in path.read_bytes()]


async def test_a_missing_key_stops_the_service_and_nothing_is_lost(
    tmp_path: Path, log: Bus, ingest_database: Database
) -> None:
    del log
    key = new_key()
    sources = Sources(ingest_database, connectors.kinds(), Vault([key]))
    source_id = await a_feed(sources)
    app = create_app(
        Settings(common=Common(home=tmp_path), secret_keys=[SecretStr(new_key())]), work=False
    )

    with pytest.raises(ConfigError, match="not among the keys"):
        async with app.router.lifespan_context(app):
            pass

    assert (await sources.find("w", source_id)).settings["authorization"] == _SECRET


def test_a_server_database_wants_a_key_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MARU_INGEST_SECRET_KEYS", raising=False)
    common = Common(home=tmp_path, database_url="postgresql://maru@db/maru")

    with pytest.raises(ConfigError, match="MARU_INGEST_SECRET_KEYS"):
        Settings(common=common).keys()

    assert not (tmp_path / "ingest.key").exists()
