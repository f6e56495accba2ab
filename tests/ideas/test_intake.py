import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError

from ideas.conftest import TOPIC, OpenParts, take
from ideas.factories import a_tagged
from maru_contracts.ideas import Idea, IdeaChanged, event_id
from maru_contracts.posts import Channel
from maru_contracts.tags import SPAM_FROM, TaggedPost
from maru_ideas import metrics
from maru_ideas.app import SCHEMA, Parts, wired
from maru_ideas.domain.matching import idea_id
from maru_ideas.settings import Settings
from maru_ideas.store.listing import IdeaFilter
from maru_ideas.tables import events, evidence, ideas, posts
from maru_kit.bus import open_bus
from maru_kit.database import open_database
from maru_kit.errors import Fenced
from maru_kit.migrate import migrate
from maru_kit.stream import StreamHealth


async def all_ideas(parts: Parts, workspace: str = "default") -> list[Idea]:
    rows = await parts.desk.ideas(workspace, IdeaFilter(), "score", after=None, limit=1000)
    return [Idea.model_validate_json(row["wire"]) for row in rows]


async def dump(parts: Parts) -> dict[str, list[object]]:
    """Everything that must be the same however the posts came."""
    found: dict[str, list[object]] = {}
    async with parts.database.reading() as connection:
        for table in (ideas, evidence, posts, events):
            names = [column.name for column in table.c if column.name != "sequence"]
            rows = await connection.execute(select(*(table.c[name] for name in names)))
            found[table.name] = sorted(map(repr, rows))
    return found


def a_stream(count: int, seed: int = 1) -> list[TaggedPost]:
    random = Random(seed)
    return [
        a_tagged(
            str(number),
            subject=random.randrange(6),
            author=random.choice(["kim", "lee", "park", None]),
            channel=random.choice([Channel.REVIEW, Channel.MAIL]),
            intent=random.choice(["suggestion", "problem", "praise"]),
            mood=random.choice(["negative", "positive"]),
        )
        for number in range(count)
    ]


async def test_a_suggestion_founds_an_idea_and_the_next_joins_it(parts: Parts) -> None:
    first = a_tagged("1")
    second = a_tagged("2", text="다크 모드 추가해 주세요", language="ko", author="lee")

    await take(parts, [first, second])

    (idea,) = await all_ideas(parts)
    assert idea.id == idea_id(first.post.id)
    assert (idea.evidence_count, idea.voices, idea.version) == (2, 2, 2)
    assert set(idea.languages) == {"en", "ko"}


async def test_praise_is_stored_and_no_idea(parts: Parts) -> None:
    await take(parts, [a_tagged("1", intent="praise")])

    assert await all_ideas(parts) == []
    assert await parts.desk.post("default", a_tagged("1").post.id)


async def test_spam_is_stored_and_counted_and_no_idea(parts: Parts) -> None:
    before = metrics.SPAM_POSTS._value.get()
    spam = a_tagged("1", spam=SPAM_FROM)
    await take(parts, [spam, a_tagged("2", subject=2, spam=SPAM_FROM - 0.01)])
    await take(parts, [spam])

    (idea,) = await all_ideas(parts)
    assert idea.id == idea_id(a_tagged("2").post.id)
    assert await parts.desk.post("default", spam.post.id)
    assert metrics.SPAM_POSTS._value.get() == before + 1


async def test_a_post_that_is_no_spam_after_all_becomes_evidence(parts: Parts) -> None:
    await take(parts, [a_tagged("1", spam=0.99)])
    assert await all_ideas(parts) == []

    await take(parts, [a_tagged("1", spam=0.01, models="2")])

    (idea,) = await all_ideas(parts)
    assert idea.evidence_count == 1


async def test_a_toxic_complaint_counts_and_is_not_quoted(parts: Parts) -> None:
    toxic = "The login fails, you morons"
    await take(parts, [a_tagged("1", text=toxic, intent="problem", toxic=[toxic])])
    (alone,) = await all_ideas(parts)
    await take(parts, [a_tagged("2", text="The login fails", intent="problem", author="lee")])

    (idea,) = await all_ideas(parts)
    assert (alone.evidence_count, alone.title) == (1, "Problem (not quoted)")
    assert (idea.evidence_count, idea.voices, idea.title) == (2, 2, "The login fails")


async def test_a_batch_taken_twice_counts_once(parts: Parts) -> None:
    stream = a_stream(40)
    await take(parts, stream)
    once = await dump(parts)

    await take(parts, stream)

    assert await dump(parts) == once


async def test_a_post_twice_in_one_batch_counts_once(parts: Parts) -> None:
    await take(parts, [a_tagged("1"), a_tagged("1")])

    (idea,) = await all_ideas(parts)
    assert (idea.evidence_count, idea.voices) == (1, 1)


async def test_the_same_voice_speaks_once(parts: Parts) -> None:
    await take(parts, [a_tagged("1"), a_tagged("2")])
    await take(parts, [a_tagged("3"), a_tagged("4", author=None), a_tagged("5", author=None)])

    (idea,) = await all_ideas(parts)
    assert (idea.evidence_count, idea.voices) == (5, 3)


async def test_counts_equal_the_evidence(parts: Parts) -> None:
    await take(parts, a_stream(80))

    async with parts.database.reading() as connection:
        rows = list(await connection.execute(select(evidence.c.idea_id)))
    behind = Counter(row.idea_id for row in rows)
    found = await all_ideas(parts)
    assert {idea.id: idea.evidence_count for idea in found} == dict(behind)
    assert all(sum(idea.mood.values()) == idea.evidence_count for idea in found)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(1, 59), max_size=6, unique=True), restart=st.booleans())
def test_any_batching_and_any_restart_give_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    cuts: Sequence[int],
    restart: bool,
) -> None:
    stream = a_stream(60)
    whole = _run_alone(tmp_path_factory.mktemp("whole"), [stream], restart=False)
    bounds = [0, *sorted(cuts), len(stream)]
    batches = [stream[start:end] for start, end in pairwise(bounds)]

    assert _run_alone(tmp_path_factory.mktemp("cut"), batches, restart=restart) == whole


def _run_alone(
    folder: Path, batches: Sequence[Sequence[TaggedPost]], *, restart: bool
) -> dict[str, list[object]]:
    async def run() -> dict[str, list[object]]:
        url = f"sqlite:///{folder}"
        await migrate(url, SCHEMA, "maru_ideas")
        async with (
            open_database(url, SCHEMA) as database,
            open_bus(f"sqlite:///{folder}/log.db") as bus,
        ):
            parts = wired(Settings(), database, bus, StreamHealth())
            for batch in batches:
                if restart:
                    parts = wired(Settings(), database, bus, StreamHealth())
                await take(parts, batch)
            return await dump(parts)

    return asyncio.run(run())


async def test_of_two_writers_one_is_fenced_and_nothing_counts_twice(
    open_parts: OpenParts,
) -> None:
    first, second = await open_parts(), await open_parts()
    stream = a_stream(30)
    await take(first, stream[:10], start=0)
    await take(second, stream[10:20], start=10)

    with pytest.raises(Fenced):
        await take(first, stream[10:30], start=10)
    await take(first, stream[20:], start=20)

    alone = await dump(first)
    assert len(alone["posts"]) == 30
    assert sum(idea.evidence_count for idea in await all_ideas(first)) == len(alone["evidence"])


async def test_a_fenced_writer_matches_as_if_it_had_seen_everything(
    open_parts: OpenParts,
) -> None:
    first, second = await open_parts(), await open_parts()
    await take(first, [a_tagged("1", subject=1)], start=0)
    await take(second, [a_tagged("2", subject=2)], start=1)

    await take(first, [a_tagged("3", subject=2)], start=2)

    assert len(await all_ideas(first)) == 2


async def rename(parts: Parts, table: str, name: str) -> None:
    async with parts.database.transaction() as connection:
        await connection.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))


async def test_after_a_failed_batch_memory_equals_the_database(parts: Parts) -> None:
    await take(parts, [a_tagged("1", subject=1)])
    await rename(parts, "events", "away")
    with pytest.raises(DBAPIError):
        await take(parts, [a_tagged("2", subject=2), a_tagged("3", subject=1)])
    await rename(parts, "away", "events")
    assert len(await all_ideas(parts)) == 1

    await take(parts, [a_tagged("4", subject=2), a_tagged("3", subject=1)])

    found = {idea.id: idea.evidence_count for idea in await all_ideas(parts)}
    assert found == {
        idea_id(a_tagged("1").post.id): 2,
        idea_id(a_tagged("4").post.id): 1,
    }


async def test_an_edit_changes_the_mood_and_stays_with_its_idea(parts: Parts) -> None:
    await take(parts, [a_tagged("1", mood="negative"), a_tagged("2", subject=9)])

    await take(parts, [a_tagged("1", revision=1, mood="positive", subject=9, text="Now fine")])

    idea = next(it for it in await all_ideas(parts) if it.id == idea_id(a_tagged("1").post.id))
    assert (idea.evidence_count, idea.mood["negative"], idea.mood["positive"]) == (1, 0, 1)
    assert "Now fine" in await parts.desk.post("default", a_tagged("1").post.id)
    assert await kinds(parts, idea.id) == ["evidence_changed", "created"]


async def kinds(parts: Parts, idea: UUID) -> list[str]:
    rows = await parts.desk.history("default", idea, before=None, limit=50)
    return [IdeaChanged.model_validate_json(row["body"]).kind for row in rows]


async def test_an_older_revision_changes_nothing(parts: Parts) -> None:
    await take(parts, [a_tagged("1", revision=2, mood="positive")])

    await take(parts, [a_tagged("1", revision=1, mood="negative")])

    (idea,) = await all_ideas(parts)
    assert (idea.version, idea.mood["positive"]) == (1, 1)


async def test_other_models_replace_the_tags_of_the_same_revision(parts: Parts) -> None:
    await take(parts, [a_tagged("1", mood="negative", topics=["old"])])

    await take(parts, [a_tagged("1", mood="positive", topics=["new"], models="2")])

    (idea,) = await all_ideas(parts)
    assert (idea.mood["negative"], idea.mood["positive"]) == (0, 1)
    assert idea.topics == ("new",)


async def test_an_edit_that_asks_becomes_evidence(parts: Parts) -> None:
    await take(parts, [a_tagged("1", intent="praise")])

    await take(parts, [a_tagged("1", revision=1, intent="suggestion")])

    (idea,) = await all_ideas(parts)
    assert idea.evidence_count == 1


async def test_an_edit_in_the_same_batch_is_an_edit(parts: Parts) -> None:
    await take(parts, [a_tagged("1", mood="negative"), a_tagged("1", revision=1, mood="positive")])

    (idea,) = await all_ideas(parts)
    assert (idea.version, idea.mood["negative"], idea.mood["positive"]) == (2, 0, 1)
    stored = orjson.loads(await parts.desk.post("default", a_tagged("1").post.id))
    assert stored["post"]["revision"] == 1


async def test_products_and_workspaces_have_ideas_of_their_own(parts: Parts) -> None:
    await take(
        parts,
        [
            a_tagged("1"),
            a_tagged("2", product="other"),
            a_tagged("3", workspace="foreign"),
        ],
    )

    assert len(await all_ideas(parts)) == 2
    assert len(await all_ideas(parts, "foreign")) == 1


async def test_every_change_is_an_event_with_its_own_id(parts: Parts) -> None:
    await take(parts, a_stream(40))

    async with parts.database.reading() as connection:
        rows = list(await connection.execute(select(events).order_by(events.c.sequence)))
    changes = [IdeaChanged.model_validate_json(row.body) for row in rows]
    assert [change.id for change in changes] == [
        event_id(change.idea.id, change.idea.version) for change in changes
    ]
    assert len({change.id for change in changes}) == len(changes)
    final = {idea.id: idea for idea in await all_ideas(parts)}
    assert {change.idea.id: change.idea for change in changes} == final


async def test_a_batch_takes_few_statements_whatever_its_size(parts: Parts) -> None:
    seen: list[str] = []
    engine = parts.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2]))

    await take(parts, a_stream(300))

    writes = [statement for statement in seen if not statement.startswith(("BEGIN", "COMMIT"))]
    assert len(writes) <= 25, writes


async def test_positions_are_kept_and_skipped_by_compare_and_set(parts: Parts) -> None:
    await parts.positions.skip(TOPIC, 3, 0, 5)

    assert await parts.positions.load(TOPIC, [2, 3]) == {2: 0, 3: 5}
    with pytest.raises(Fenced):
        await parts.positions.skip(TOPIC, 3, 4, 6)
