"""One message in a hundred can't be processed (row 15)."""

from dataclasses import replace

from sqlalchemy import text

from faults.simulator import write_ndjson, written
from faults.world import World
from maru_contracts.topics import POSTS_COLLECTED, POSTS_TAGGED
from maru_kit.bus import Outgoing
from maru_kit.database import Database
from maru_kit.dead import dead_list, dead_replay

_TOPIC = POSTS_COLLECTED.name
_BUG = {
    "sqlite": (
        (
            "CREATE TRIGGER bug BEFORE INSERT ON posts WHEN NEW.body LIKE '%poisonous%' "
            "BEGIN SELECT RAISE(ABORT, 'a bug'); END"
        ),
        "DROP TRIGGER bug",
    ),
    "postgresql": (
        "ALTER TABLE posts ADD CONSTRAINT bug CHECK (body NOT LIKE '%poisonous%') NOT VALID",
        "ALTER TABLE posts DROP CONSTRAINT bug",
    ),
}
"""Something in ideas that fails for certain posts, every time, until it is mended."""


def test_poison_is_set_aside_once_and_comes_back_when_the_bug_is_mended(
    world: World, rounds: int
) -> None:
    truth = written(seed="poison", count=500 * rounds)
    poisonous = range(100, len(truth), 100)
    for number in poisonous:
        truth[number] = replace(truth[number], text=f"Please add poisonous ideas #{number}")
    file = world.home / "poison.ndjson"
    write_ndjson(file, truth)
    _alter(world, mended=False)
    try:
        _append_unreadable(world)
        world.import_file(file, "poison")
        world.drain("poison", len(truth) - len(poisonous))
    finally:
        _alter(world, mended=True)

    unreadable = _letters(world, _TOPIC, "sentiment")
    failed = _letters(world, POSTS_TAGGED.name, "ideas")
    assert sorted(unreadable) == ["schema", "schema", "unreadable"]
    assert failed == ["failed"] * len(poisonous)

    assert world.ask(lambda bus, _: dead_replay(bus, POSTS_TAGGED.name, "ideas")) == len(poisonous)
    world.drain("poison", len(truth))
    found = world.judge("poison", truth)
    assert (found.lost, found.duplicate, found.miscounted) == ([], [], [])
    assert _letters(world, POSTS_TAGGED.name, "ideas") == []


def _append_unreadable(world: World) -> None:
    """Bad JSON, the schema of another topic, a version that nobody knows."""
    kinds = [
        (b"{not json", _TOPIC),
        (b"{}", POSTS_TAGGED.name),
        (b"{}", _TOPIC.replace(".v1", ".v99")),
    ]
    records = [
        Outgoing(b"default/poison", value, (("schema", schema.encode()),))
        for value, schema in kinds
    ]
    world.ask(lambda bus, _: bus.append(_TOPIC, records))


def _letters(world: World, topic: str, group: str) -> list[str]:
    letters = world.ask(lambda bus, _: dead_list(bus, topic, group))
    return [letter.reason for letter in letters]


def _alter(world: World, *, mended: bool) -> None:
    async def alter(database: Database) -> None:
        async with database.transaction() as connection:
            await connection.execute(text(_BUG[database.dialect][mended]))

    world.ask(lambda _, database: alter(database))
