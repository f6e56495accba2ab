"""Posts that their sources took away: nothing of them is left, and none comes back."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import permutations
from random import Random
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from ideas.conftest import OpenParts, parts_of, take
from ideas.factories import NOON, a_tagged, a_tombstone
from maru_contracts.ideas import Idea, IdeaChanged
from maru_contracts.posts import Channel
from maru_contracts.tags import TaggedPost, TagsCorrected
from maru_contracts.topics import TAGS_CORRECTED
from maru_ideas import metrics
from maru_ideas.app import SCHEMA, Parts, wired
from maru_ideas.settings import Settings
from maru_ideas.store.listing import IdeaFilter
from maru_ideas.tables import (
    deletions,
    discovered_days,
    discovered_posts,
    events,
    evidence,
    ideas,
    metadata,
    posts,
    product_days,
    shelves,
    voices,
    waiting_posts,
)
from maru_kit.bus import open_bus
from maru_kit.database import open_database
from maru_kit.migrate import migrate
from maru_kit.stream import StreamHealth

SECRET = "Please add a purple elephant mode"


_PHASES = (
    Phase.explicit,
    Phase.reuse,
    Phase.generate,
)  # each example opens a database: no shrinking


async def all_ideas(parts: Parts, *, public: bool = False) -> list[Idea]:
    rows = await parts.desk.ideas(
        "default", IdeaFilter(public=public), "score", after=None, limit=100
    )
    assert not rows or rows[0]["total"] == len(rows)
    return [Idea.model_validate_json(row["wire"]) for row in rows]


async def changes(parts: Parts, idea: UUID) -> list[IdeaChanged]:
    rows = await parts.desk.history("default", idea, before=None, limit=100)
    return [IdeaChanged.model_validate_json(row["body"]) for row in rows]


async def everything(parts: Parts) -> str:
    """All that the database holds, as text."""
    found = []
    async with parts.database.reading() as connection:
        for table in metadata.sorted_tables:
            found += [repr(row) for row in await connection.execute(select(table))]
    return "\n".join(found)


async def state(parts: Parts) -> dict[str, list[str]]:
    """Everything that must be the same however the posts came in batches."""
    found = {}
    async with parts.database.reading() as connection:
        for table in metadata.sorted_tables:
            names = [it.name for it in table.c if it.name not in ("sequence", "next")]
            rows = await connection.execute(select(*(table.c[name] for name in names)))
            found[table.name] = sorted(map(repr, rows))
    return found


async def test_a_deleted_post_is_nowhere_and_what_it_counted_for_is_gone(
    client: httpx.AsyncClient,
) -> None:
    parts = parts_of(client)
    first = a_tagged("1", text=SECRET, mood="negative", entities=["OURS"], topics=["price"])
    await take(parts, [first, a_tagged("2", author="lee", channel=Channel.MAIL)])
    before = metrics.POSTS_DELETED._value.get()

    await take(parts, [a_tombstone(first)])

    assert (await client.get(f"/api/v1/posts/{first.post.id}")).status_code == 404
    assert metrics.POSTS_DELETED._value.get() == before + 1
    (idea,) = await all_ideas(parts)
    assert (idea.evidence_count, idea.voices, idea.title) == (1, 1, "Please add thing1")
    assert (idea.mood["negative"], idea.topics, idea.is_public) == (0, (), False)
    assert await all_ideas(parts, public=True) == []
    newest = (await changes(parts, idea.id))[0]
    assert (newest.kind, newest.actor, newest.post_id) == (
        "evidence_removed",
        "maru",
        first.post.id,
    )
    assert newest.idea == idea
    share = await parts.desk.share_of_voice("default", date(2020, 1, 1), date(2030, 1, 1))
    assert share == []
    assert "purple elephant" not in await everything(parts)


async def test_an_idea_that_nothing_is_behind_is_not_listed_and_has_no_words(
    parts: Parts,
) -> None:
    first = a_tagged("1", text=SECRET)
    await take(parts, [first])
    (idea,) = await all_ideas(parts)

    await take(parts, [a_tombstone(first)])

    assert await all_ideas(parts) == []
    left = Idea.model_validate_json(await parts.desk.idea("default", idea.id))
    assert (left.evidence_count, left.voices, left.title, left.summary) == (0, 0, "…", "…")
    assert "purple elephant" not in await everything(parts)

    await take(parts, [a_tagged("2", text="Add the mode")])
    (again,) = await all_ideas(parts)
    assert (again.id, again.title) == (idea.id, "Add the mode")


async def test_a_corrected_post_goes_with_its_correction_and_the_models_unlearn_it(
    client: httpx.AsyncClient,
) -> None:
    parts = parts_of(client)
    asked, praised = a_tagged("1", text=SECRET), a_tagged("2", text=SECRET, intent="praise")
    await take(parts, [asked, praised])
    for tagged, intent in ((asked, "praise"), (praised, "suggestion")):
        path = f"/api/v1/posts/{tagged.post.id}/correction"
        assert (await client.put(path, json={"intent": intent})).status_code == 200

    await take(parts, [a_tombstone(asked), a_tombstone(praised)])

    while await parts.relay.publish_waiting():
        pass
    spans = await parts.bus.read(TAGS_CORRECTED.name, {0: 0}, max_records=100)
    told = [TagsCorrected.model_validate_json(it.value) for it in spans[0].records]
    last = {it.post_id: it.removed for it in told}
    assert last == {asked.post.id: True, praised.post.id: True}
    assert await all_ideas(parts) == []
    assert "purple elephant" not in await everything(parts)


async def test_a_deletion_that_comes_first_keeps_its_post_out(parts: Parts) -> None:
    first = a_tagged("1", text=SECRET)

    await take(parts, [a_tombstone(first)])
    await take(parts, [first, a_tagged("1", text=SECRET, revision=9, models="2")])

    assert await all_ideas(parts) == []
    assert "purple elephant" not in await everything(parts)


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_every_order_of_revisions_and_the_deletion_leaves_nothing(
    parts: Parts, order: tuple[int, ...]
) -> None:
    said = [a_tagged("1", text=f"{SECRET} {it}", revision=it) for it in range(3)]
    sent = [*said, a_tombstone(said[-1])]

    for place in order:
        await take(parts, [sent[place]])
    await take(parts, [a_tagged("2", subject=7)])

    assert [idea.evidence_count for idea in await all_ideas(parts)] == [1]
    assert "purple elephant" not in await everything(parts)


async def test_a_voice_stays_while_another_post_of_it_does(parts: Parts) -> None:
    mine = [a_tagged(str(number)) for number in range(2)]
    await take(parts, mine)

    await take(parts, [a_tombstone(mine[0])])
    (one,) = await all_ideas(parts)
    await take(parts, [a_tombstone(mine[1])])

    assert (one.voices, one.evidence_count) == (1, 1)
    assert await all_ideas(parts) == []


async def test_a_replay_brings_nothing_back_and_changes_nothing(parts: Parts) -> None:
    stream = a_stream(40, seed=3)
    await take(parts, stream)
    once = await state(parts)

    await take(parts, stream)
    await take(parts, list(reversed(stream)))

    assert await state(parts) == once


def a_stream(count: int, seed: int) -> list[TaggedPost]:
    """Posts, edits and deletions, some of which come before their posts."""
    random = Random(seed)
    sent: list[TaggedPost] = []
    for number in range(count):
        tagged = a_tagged(
            str(number % (count // 2)),
            subject=random.randrange(3),
            author=random.choice(["kim", "lee", "park", None]),
            channel=random.choice([Channel.REVIEW, Channel.MAIL]),
            intent=random.choice(["suggestion", "problem", "praise"]),
            mood=random.choice(["negative", "positive"]),
            topics=random.choice([["price"], ["design", "price"], []]),
            entities=random.choice([["OURS"], ["theirs"], []]),
            revision=number // (count // 2),
            at=NOON + timedelta(minutes=number),
        )
        sent.append(tagged)
        if random.random() < 0.3:
            sent.append(a_tombstone(random.choice(sent)))
    return sent


@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(1, 12), min_size=1, max_size=12),
)
@example(seed=487, cuts=[2, 3])  # an edit gave a post in a topic another date
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=_PHASES)
async def test_batches_make_no_difference_and_counts_are_those_of_the_posts_that_are_left(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: list[int]
) -> None:
    stream = a_stream(24, seed)
    states = []
    for sizes in (cuts, [len(stream)]):
        home = tmp_path_factory.mktemp("home")
        url = f"sqlite:///{home}"
        await migrate(url, SCHEMA, "maru_ideas")
        async with open_database(url, SCHEMA) as database, open_bus(f"{url}/log.db") as bus:
            parts = wired(Settings(), database, bus, StreamHealth())
            await take_in(parts, stream, sizes)
            await check_counts(parts)
            states.append(await state(parts))

    assert states[0] == states[1]


async def take_in(parts: Parts, stream: Sequence[TaggedPost], sizes: Sequence[int]) -> None:
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        await take(parts, stream[at : at + size])
        at, turn = at + size, turn + 1


async def check_counts(parts: Parts) -> None:
    """Hold every count against the posts that are there."""
    async with parts.database.reading() as connection:
        behind = list(await connection.execute(select(evidence)))
        bodies = {
            row.id: json.loads(row.body)
            for row in await connection.execute(select(posts.c.id, posts.c.body))
        }
        days = {
            (row.topic_id, row.mood): row.posts
            for row in await connection.execute(select(discovered_days))
        }
        placed = list(await connection.scalars(select(discovered_posts.c.post_id)))
        waiting = list(await connection.scalars(select(waiting_posts.c.post_id)))
        spoke = Counter(
            row.idea_id
            for row in await connection.execute(select(voices).where(voices.c.scope == "whole"))
        )
        wires = [
            Idea.model_validate_json(row.wire)
            for row in await connection.execute(select(ideas.c.wire))
        ]
        of_days = sum(await connection.scalars(select(product_days.c.posts)))
        listed = sum(await connection.scalars(select(shelves.c.ideas)))
        gone = set(await connection.scalars(select(deletions.c.post_id)))
    assert not gone & bodies.keys()
    assert {row.post_id for row in behind} <= bodies.keys()
    assert {*placed, *waiting} <= bodies.keys()
    assert (of_days, sum(days.values())) == (len(bodies), len(placed))
    assert listed == sum(idea.evidence_count > 0 for idea in wires)
    for idea in wires:
        mine = [bodies[row.post_id] for row in behind if row.idea_id == idea.id]
        moods = Counter(it["sentiment"]["label"] for it in mine)
        channels = {it["post"]["channel"] for it in mine}
        speakers = {
            (
                it["post"]["channel"],
                (it["post"]["author"] or {"handle": it["post"]["id"]})["handle"],
            )
            for it in mine
        }
        assert idea.evidence_count == len(mine)
        assert {mood: n for mood, n in idea.mood.items() if n} == moods
        assert {str(it) for it in idea.channels} == channels
        assert idea.voices == len(speakers) == spoke[idea.id]
        assert idea.title == "…" or mine


async def test_what_was_told_before_anyone_noted_whose_words_it_has_loses_them(
    parts: Parts, open_parts: OpenParts
) -> None:
    first = a_tagged("1", text=SECRET)
    await take(parts, [first, a_tagged("2", author="lee")])
    async with parts.database.transaction() as connection:
        await connection.execute(text(f"UPDATE {events.name} SET quoted = NULL"))  # noqa: S608

    await take(await open_parts(), [a_tombstone(first)])

    assert "purple elephant" not in await everything(parts)
