"""What is stored survives every step of the tables, forwards and back."""

from sqlalchemy import text

from maru_kit.database import open_database
from maru_kit.migrate import migrate

_POSTS = "INSERT INTO seen (id, fingerprint, revision, published, collected_at) VALUES "
_PUBLISHED = "SELECT id FROM seen WHERE published = 1 ORDER BY id"
_UNDER_WAY = (
    "SELECT seen.id FROM seen JOIN announcements AS a ON a.id = seen.announcement ORDER BY seen.id"
)


async def test_posts_that_were_under_way_stay_so(database_url: str) -> None:
    await migrate(database_url, "ingest", "maru_ingest", to="0001")
    async with (
        open_database(database_url, "ingest") as database,
        database.transaction() as connection,
    ):
        await connection.execute(text(_POSTS + "('a', 'f', 0, 1, 5), ('b', 'f', 0, 0, 5)"))

    await migrate(database_url, "ingest", "maru_ingest")
    assert await _ids(database_url, _UNDER_WAY) == ["b"]

    await migrate(database_url, "ingest", "maru_ingest", to="0001")
    assert await _ids(database_url, _PUBLISHED) == ["a"]


async def _ids(url: str, query: str) -> list[str]:
    async with open_database(url, "ingest") as database, database.reading() as connection:
        return list(await connection.scalars(text(query)))
