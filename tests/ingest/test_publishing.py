import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import permutations
from typing import cast

import pytest

from ingest.conftest import OwnTopics
from maru_contracts.posts import Post
from maru_contracts.topics import POSTS_COLLECTED
from maru_ingest.domain import Origin
from maru_ingest.formats.parsed import BadRow, Deletion, ParsedPost
from maru_ingest.service.publishing import BATCH, DEAD, Publisher
from maru_ingest.store import sources as stored_sources
from maru_ingest.store.sources import Counts, Source
from maru_kit.bus import Bus, Outgoing
from maru_kit.database import Database, open_database
from maru_kit.errors import Unavailable
from maru_kit.migrate import migrate
from maru_kit.vault import Vault

Read = Callable[[], Awaitable[list[Post]]]
ReadDead = Callable[[], Awaitable[list[tuple[str, bytes]]]]
MakeOrigin = Callable[..., Origin]


@pytest.fixture
async def log(bus: Bus) -> Bus:
    """Each kind of log in turn."""
    own = cast("Bus", OwnTopics(bus))
    await own.create([POSTS_COLLECTED, DEAD])
    return own


def posts(count: int, text: str = "dark mode") -> list[ParsedPost]:
    return [ParsedPost(f"n-{number}", f"{text} {number}") for number in range(count)]


@dataclass
class Failing:
    """A log that takes nothing, or takes everything and does not say so."""

    bus: Bus
    writes: bool

    async def append(self, topic: str, records: list[Outgoing]) -> None:
        if self.writes:
            await self.bus.append(topic, records)
        raise Unavailable("no acknowledgement")


async def test_posts_arrive_once_in_order_however_often_they_are_seen(
    publisher: Publisher, an_origin: MakeOrigin, collected: Read
) -> None:
    first = await publisher.publish(an_origin(), posts(2 * BATCH + 3))
    again = await publisher.publish(an_origin(), posts(2 * BATCH + 3))

    assert first == Counts(published=2 * BATCH + 3)
    assert again == Counts(duplicates=2 * BATCH + 3)
    assert [post.native_id for post in await collected()] == [
        f"n-{number}" for number in range(2 * BATCH + 3)
    ]


async def test_records_have_the_contracts_key_and_schema(
    publisher: Publisher, an_origin: MakeOrigin, log: Bus
) -> None:
    await publisher.publish(an_origin(), posts(1))

    spans = await log.read(
        POSTS_COLLECTED.name, await log.begins(POSTS_COLLECTED.name), max_records=9
    )
    (record,) = [record for span in spans for record in span.records]
    assert record.key.decode() == POSTS_COLLECTED.key(Post.model_validate_json(record.value))
    assert dict(record.headers)["schema"] == POSTS_COLLECTED.name.encode()


async def test_an_edit_is_published_as_the_next_revision(
    publisher: Publisher, an_origin: MakeOrigin, collected: Read
) -> None:
    for text in ("a", "b", "b", "c"):
        await publisher.publish(an_origin(), [ParsedPost("n", text)])

    assert [(post.revision, post.text) for post in await collected()] == [
        (0, "a"),
        (1, "b"),
        (2, "c"),
    ]


@pytest.mark.parametrize("writes", [True, False])
async def test_without_acknowledgement_nothing_counts_and_the_next_try_is_the_same(
    publisher: Publisher,
    an_origin: MakeOrigin,
    a_source: Callable[..., Source],
    collected: Read,
    writes: bool,  # noqa: FBT001 - a pytest parameter
) -> None:
    log, ingest_database = publisher.bus, publisher.database
    async with ingest_database.transaction() as connection:
        await stored_sources.add_source(connection, a_source(), Vault())
    failing = Publisher(Failing(log, writes), ingest_database)  # type: ignore[arg-type]

    with pytest.raises(Unavailable):
        await failing.publish(an_origin(), posts(3), cursor={"at": 3})
    async with ingest_database.reading() as connection:
        source = await stored_sources.source_by_id(connection, "s1", Vault())
    assert source is not None
    assert (source.cursor, source.posts) == ({}, 0)

    counts = await Publisher(log, ingest_database).publish(an_origin(), posts(3), cursor={"at": 3})
    assert counts == Counts(published=3)
    assert {(post.native_id, post.revision) for post in await collected()} == {
        (f"n-{number}", 0) for number in range(3)
    }


async def test_an_edit_during_an_outage_is_not_lost(
    ingest_database: Database, log: Bus, an_origin: MakeOrigin, collected: Read
) -> None:
    with pytest.raises(Unavailable):
        await Publisher(Failing(log, writes=True), ingest_database).publish(  # type: ignore[arg-type]
            an_origin(), [ParsedPost("n", "before")]
        )
    await Publisher(log, ingest_database).publish(an_origin(), [ParsedPost("n", "after")])

    assert [(post.revision, post.text) for post in await collected()] == [
        (0, "before"),
        (1, "after"),
    ]


async def test_two_publishers_at_once_agree_on_who_was_first(
    database_url: str, log: Bus, an_origin: MakeOrigin, collected: Read
) -> None:
    await migrate(database_url, "ingest", "maru_ingest")
    async with open_database(database_url, "ingest") as database:
        await _publish_at_once(Publisher(log, database), an_origin)

    arrived = await collected()
    assert {post.revision for post in arrived} == {0}
    assert len({post.id for post in arrived}) == 300
    assert len({(post.id, post.text) for post in arrived}) == 300


async def _publish_at_once(publisher: Publisher, an_origin: MakeOrigin) -> None:
    await asyncio.gather(
        *(
            publisher.publish(an_origin(source_id=f"s{n}"), posts(300, text=f"by {n}"))
            for n in range(4)
        )
    )


async def test_a_deleted_post_ends_once_and_does_not_come_back(
    publisher: Publisher, an_origin: MakeOrigin, collected: Read
) -> None:
    await publisher.publish(an_origin(), posts(2))

    gone = await publisher.publish(an_origin(), [Deletion(("n-0",))], deleted=["n-0"])
    again = await publisher.publish(an_origin(), [ParsedPost("n-0", "edited")], deleted=["n-0"])

    later = await publisher.publish(an_origin(), [ParsedPost("n-0", "edited")])

    assert (gone, again, later) == (Counts(deleted=1), *[Counts(duplicates=1)] * 2)
    ended = (await collected())[-1]
    assert (ended.native_id, ended.revision, ended.deleted) == ("n-0", 1, True)
    assert (ended.text, ended.title, ended.author) == ("", "", None)
    assert len(await collected()) == 3


async def test_of_posts_that_nobody_brought_nothing_is_known(
    publisher: Publisher, an_origin: MakeOrigin
) -> None:
    number = ParsedPost("17", "a number is a name within its source")
    await publisher.publish(an_origin(), [*posts(2), number], deleted=["n-1"])

    known = await publisher.known(an_origin(), ["x", "n-1", "n-0", "17"])

    assert known == ["n-1", "n-0", "17"]
    assert await publisher.known(an_origin(), []) == []
    assert await publisher.known(an_origin(workspace="w2"), ["n-0"]) == []
    assert await publisher.known(an_origin(), ["x"]) == []


async def test_a_post_that_comes_after_its_deletion_is_not_published(
    publisher: Publisher, an_origin: MakeOrigin, collected: Read
) -> None:
    await publisher.publish(an_origin(), [], deleted=["n-1"])
    counts = await publisher.publish(an_origin(), posts(3))
    together = await publisher.publish(an_origin(), [ParsedPost("n-9", "x")], deleted=["n-9"])

    assert (counts, together) == (Counts(published=2, duplicates=1), Counts(duplicates=1))
    assert {post.native_id for post in await collected()} == {"n-0", "n-2"}


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_every_order_of_posts_edits_and_their_deletion_ends_the_post(
    publisher: Publisher, an_origin: MakeOrigin, collected: Read, order: tuple[int, ...]
) -> None:
    said = ["dark mode", "dark mode, please", "dark mode at night"]

    for event in order:
        if event == len(said):
            await publisher.publish(an_origin(), [], deleted=["n"])
        else:
            await publisher.publish(an_origin(), [ParsedPost("n", said[event])])

    arrived = await collected()
    assert [post.revision for post in arrived] == list(range(len(arrived)))
    assert not any(post.deleted for post in arrived[:-1])
    assert all(post.deleted for post in arrived[-1:])
    assert bool(arrived) == (order[0] != len(said))


async def test_only_the_source_that_brought_a_post_or_a_push_may_end_it(
    publisher: Publisher, an_origin: MakeOrigin, collected: Read
) -> None:
    await publisher.publish(an_origin(), posts(2))

    stranger = await publisher.publish(an_origin(source_id="s2"), [], deleted=["n-0", "new"])
    pushed = await publisher.publish(
        an_origin(source_id="s3", pushed=True), [], deleted=["n-1", "ended"]
    )
    later = await publisher.publish(
        an_origin(), [ParsedPost("new", "dark mode"), ParsedPost("ended", "offline")]
    )

    assert (stranger, pushed) == (Counts(), Counts(deleted=1))
    assert later == Counts(published=1, duplicates=1)
    assert [it.native_id for it in await collected() if it.deleted] == ["n-1"]


async def test_a_push_of_another_product_ends_a_post_in_the_posts_own_partition(
    publisher: Publisher,
    an_origin: MakeOrigin,
    a_source: Callable[..., Source],
    collected: Read,
) -> None:
    async with publisher.database.transaction() as connection:
        await stored_sources.add_source(connection, a_source(), Vault())
    await publisher.publish(an_origin(), posts(1))

    await publisher.publish(
        an_origin(source_id="s2", product="else", pushed=True), [], deleted=["n-0"]
    )

    assert [(it.product, it.deleted) for it in await collected()] == [("p", False), ("p", True)]


def a_row(text: str, native_id: str = "R-1") -> ParsedPost:
    return ParsedPost(native_id, text, is_row=True)


@pytest.mark.parametrize("pushed", [True, False])
async def test_rows_of_two_sources_that_share_an_id_and_say_different_things_are_two_posts(
    publisher: Publisher,
    an_origin: MakeOrigin,
    collected: Read,
    pushed: bool,  # noqa: FBT001 - a pytest parameter
) -> None:
    shops = an_origin(kind="import", name="shops", pushed=pushed)
    mails = an_origin(kind="import", name="mails", source_id="s2", pushed=pushed)

    await publisher.publish(shops, [a_row("dark mode")])
    await publisher.publish(mails, [a_row("offline maps")])
    again = await publisher.publish(mails, [a_row("offline maps")])
    await publisher.publish(mails, [a_row("offline maps, please")])
    await publisher.publish(shops, [a_row("dark mode, please")])

    assert again == Counts(duplicates=1)
    assert [(it.native_id, it.revision, it.text) for it in await collected()] == [
        ("R-1", 0, "dark mode"),
        ("mails/R-1", 0, "offline maps"),
        ("mails/R-1", 1, "offline maps, please"),
        ("R-1", 1, "dark mode, please"),
    ]
    for origin, name in ((mails, "mails/R-1"), (shops, "R-1")):
        counts = await publisher.publish(origin, [Deletion(("R-1",))])
        assert counts == Counts(deleted=1)
        assert (await collected())[-1].native_id == name


@pytest.mark.parametrize(
    "native_id", ["https://example.org/1", "urn:x:1", "0b7ed5f2-8e0c-4d43-bd4f-52b90a9ebe2e"]
)
async def test_a_row_whose_id_is_a_name_in_the_world_is_that_post_whoever_brings_it(
    publisher: Publisher, an_origin: MakeOrigin, collected: Read, native_id: str
) -> None:
    shops = an_origin(kind="import", name="shops", pushed=True)
    mails = an_origin(kind="import", name="mails", source_id="s2", pushed=True)

    await publisher.publish(shops, [a_row("dark mode", native_id)])
    await publisher.publish(mails, [a_row("dark mode, please", native_id)])

    assert [(it.native_id, it.revision) for it in await collected()] == [
        (native_id, 0),
        (native_id, 1),
    ]


async def test_the_same_row_in_two_sources_is_one_post(
    publisher: Publisher, an_origin: MakeOrigin, collected: Read
) -> None:
    for name in ("may", "june"):
        origin = an_origin(kind="import", name=name, source_id=name, pushed=True)
        await publisher.publish(origin, [a_row("dark mode"), a_row("offline", "R-2")])

    assert [it.native_id for it in await collected()] == ["R-1", "R-2"]


async def test_a_source_that_is_removed_holds_back_nobody_elses_posts(
    publisher: Publisher, an_origin: MakeOrigin
) -> None:
    await publisher.publish(an_origin(), posts(1), deleted=["n-0", "never"])
    async with publisher.database.transaction() as connection:
        await stored_sources.remove_source(connection, "s1")

    other = an_origin(source_id="s2")
    assert await publisher.publish(other, [ParsedPost("never", "x")]) == Counts(published=1)


@pytest.mark.parametrize("writes", [True, False])
async def test_a_deletion_during_an_outage_is_published_with_the_revision_that_it_had(
    publisher: Publisher,
    an_origin: MakeOrigin,
    collected: Read,
    writes: bool,  # noqa: FBT001 - a pytest parameter
) -> None:
    await publisher.publish(an_origin(), posts(1))
    failing = Publisher(Failing(publisher.bus, writes), publisher.database)  # type: ignore[arg-type]

    with pytest.raises(Unavailable):
        await failing.publish(an_origin(), [], deleted=["n-0"])
    counts = await publisher.publish(an_origin(), posts(1), deleted=["n-0"])

    assert counts == Counts(duplicates=1, deleted=1)
    assert {(it.revision, it.deleted) for it in await collected()} == {(0, False), (1, True)}


async def test_bad_rows_go_to_the_dead_letters_once(
    publisher: Publisher, an_origin: MakeOrigin, dead: ReadDead, collected: Read
) -> None:
    rows = [BadRow(3, "not JSON", b"{"), *posts(1), ParsedPost("wordless", "")]

    counts = await publisher.publish(an_origin(), rows)
    again = await publisher.publish(an_origin(), rows)

    assert counts == Counts(published=1, rejected=2)
    assert again == Counts(duplicates=1)
    assert [error for error, _ in await dead()] == ["not JSON", "no text"]
    assert (await dead())[0][1] == b"{"
    assert len(await collected()) == 1
