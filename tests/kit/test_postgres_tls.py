"""A PostgreSQL that takes TLS alone, reached by a URL as its vendor gives it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from maru_kit.database import open_database
from maru_kit.errors import Unavailable
from maru_kit.migrate import migrate
from maru_kit.settings import Common
from servers.postgres import Server
from servers.tls import Certificate, make_certificate

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def safe() -> Iterator[tuple[Server, Certificate, Certificate]]:
    """A server, its certificate, and one that it does not have."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    own, other = (make_certificate(folder, name) for name in ("server", "stranger"))
    own.key.chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(own.key, "nobody")
    (folder / "hba").write_text("hostssl all all 127.0.0.1/32 trust\n")
    settings = {
        "ssl": "on",
        "ssl_cert_file": own.certificate,
        "ssl_key_file": own.key,
        "hba_file": folder / "hba",
    }
    server = Server([f"{name}={value}" for name, value in settings.items()])
    server.start()
    yield server, own, other
    server.stop()
    server.remove()
    shutil.rmtree(folder)


def url(server: Server, parameters: str, tmp_path: Path) -> str:
    given = f"{server.url}/postgres{parameters}"
    return Common(home=tmp_path, database_url=given).database_url


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_sslmode_and_sslrootcert_are_kept_to(
    safe: tuple[Server, Certificate, Certificate], mode: str, tmp_path: Path
) -> None:
    server, own, _ = safe
    reached = url(server, f"?sslmode={mode}&sslrootcert={own.certificate}", tmp_path)

    await migrate(reached, "gateway", "maru_gateway")

    async with open_database(reached, "gateway") as database, database.reading() as connection:
        query = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert await connection.scalar(query) is True


@pytest.mark.parametrize("parameters", ["?sslmode=disable", "?sslmode=verify-full&sslrootcert={}"])
async def test_what_the_url_forbids_is_not_done(
    safe: tuple[Server, Certificate, Certificate], parameters: str, tmp_path: Path
) -> None:
    server, _, other = safe
    reached = url(server, parameters.format(other.certificate), tmp_path)

    with pytest.raises((Unavailable, DBAPIError)):
        async with open_database(reached, "gateway") as database:
            await database.ping()


def test_a_url_without_them_is_left_alone(tmp_path: Path) -> None:
    given = "postgresql://me:a%2Fb@db:5432/maru?application_name=x"

    assert Common(home=tmp_path, database_url=given).database_url == given
