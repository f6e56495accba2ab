"""Discovered topics as they are stored, counted, read, adopted and dismissed; both databases."""

from collections import Counter
from datetime import date, timedelta
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete, select

from ideas.conftest import OWNER, OpenParts, parts_of, take
from ideas.factories import NOON, a_tagged
from maru_contracts.tags import Mood, TaggedPost, TopicDefined
from maru_contracts.topics import TOPICS_DEFINED
from maru_ideas.app import Parts
from maru_ideas.service import index
from maru_ideas.store import discoveries
from maru_ideas.tables import (
    discovered_days,
    discovered_posts,
    discovered_topics,
    metadata,
    posts,
    product_days,
    waiting_posts,
)
from maru_ideas.tables import discoveries as remembered

FOREIGN = OWNER | {"X-Maru-Workspace": "foreign"}
PATH = "/api/v1/discovered-topics"
MARCH = {"first": "2026-03-01", "last": "2026-03-31"}
_TABLES = (
    discovered_topics,
    discovered_posts,
    discovered_days,
    product_days,
    waiting_posts,
    remembered,
)
MOODS: tuple[Mood, ...] = ("negative", "neutral", "positive")


def a_stream(count: int, seed: int = 1, **given: Any) -> list[TaggedPost]:
    """Posts on five subjects, the latter half of each in Korean, over a month."""
    random = Random(seed)
    chosen = [random.randrange(5) for _ in range(count)]
    return [
        a_tagged(
            f"{seed}-{number}",
            subject=subject,
            text=f"gadget{subject} 장치{subject} {random.choice(['good', 'bad'])}",
            author=f"author{number}",
            language=random.choice(["en", "ko"]),
            intent=random.choice(["praise", "problem"]),
            mood=random.choice(MOODS),
            at=NOON + timedelta(hours=number * 700 // count),
            **given,
        )
        for number, subject in enumerate(chosen)
    ]


async def rows(parts: Parts) -> dict[str, list[str]]:
    """Everything that is stored of discovered topics."""
    found = {}
    async with parts.database.reading() as connection:
        for table in _TABLES:
            lines = await connection.execute(select(table))
            found[table.name] = sorted(
                repr([bytes(it) if isinstance(it, memoryview) else it for it in line])
                for line in lines
            )
    return found


async def listed(client: httpx.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get(PATH, params=MARCH | params)
    assert answer.status_code == 200, answer.text
    topics: list[dict[str, Any]] = answer.json()["topics"]
    return topics


async def test_topics_are_listed_with_counts_and_samples(client: httpx.AsyncClient) -> None:
    stream = a_stream(120)
    await take(parts_of(client), stream)

    topics = await listed(client)

    subjects = Counter(it.post.text.split()[0] for it in stream)
    assert len(topics) == 5
    assert [it["posts"] for it in topics] == sorted((it["posts"] for it in topics), reverse=True)
    for topic in topics:
        name = topic["name"].split(" · ")[0].split(", ")[0]
        subject = "gadget" + name[-1]
        assert subject in topic["name"]
        assert 0.6 * subjects[subject] <= topic["posts"] <= subjects[subject]
        assert sum(it["posts"] for it in topic["days"]) == topic["posts"]
        assert sum(topic["mood"].values()) == sum(topic["languages"].values()) == topic["posts"]
        assert topic["share"] == pytest.approx(topic["posts"] / 120, abs=1e-4)
        assert len(topic["samples"]) == 3
        assert {it["language"] for it in topic["samples"]} == {"en", "ko"}
        assert all(it["text"].startswith(subject) for it in topic["samples"])
        assert "author" not in topic["samples"][0]


async def test_toxic_sentences_name_no_topic(client: httpx.AsyncClient) -> None:
    angry = [
        a_tagged(
            f"angry{number}",
            subject=9,
            text="The battery drains. You bloody morons",
            toxic=["You bloody morons"],
            author=f"author{number}",
        )
        for number in range(6)
    ]
    await take(parts_of(client), [*a_stream(60), *angry])

    (topic,) = [it for it in await listed(client) if "battery" in it["name"]]

    assert topic["posts"] == 6
    assert not {"bloody", "morons", "bloody morons"} & {*topic["words"], *topic["name"].split(", ")}


async def test_a_batch_taken_twice_and_the_whole_log_again_change_nothing(
    open_parts: OpenParts,
) -> None:
    parts = await open_parts()
    stream = a_stream(90)
    await take(parts, stream[:50])
    await take(parts, stream[:50])
    await take(parts, [*stream[50:], stream[60]])
    once = await rows(parts)

    await take(parts, stream)

    after = await rows(parts)
    assert after == once
    assert len(once["discovered_posts"]) > 60


async def test_other_batches_and_a_new_process_at_each_give_the_same_rows(
    open_parts: OpenParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = await open_parts()
    stream = a_stream(150)
    edits = [
        it.model_copy(update={"post": it.post.model_copy(update={"revision": 1, "text": "other"})})
        for it in stream[::9]
    ]
    log = [*stream[:100], *edits[:10], *stream[100:]]
    await take(parts, log)
    whole = await rows(parts)
    async with parts.database.transaction() as connection:
        for table in metadata.sorted_tables:
            await connection.execute(delete(table))

    monkeypatch.setattr(index, "DISCOVERIES", 0)
    for start in range(0, len(log), 13):
        await take(await open_parts(), log[start : start + 13])

    assert await rows(parts) == whole


async def test_edits_and_new_tags_change_counts_and_not_the_topic(
    client: httpx.AsyncClient,
) -> None:
    stream = [it.model_copy(update={"language": "en"}) for it in a_stream(40)]
    await take(parts_of(client), stream)
    before = await listed(client)

    again = [_retagged(it, mood="positive", language="ko") for it in stream]
    await take(parts_of(client), again)

    after = await listed(client)
    assert [(it["id"], it["posts"]) for it in after] == [(it["id"], it["posts"]) for it in before]
    for topic in after:
        assert topic["mood"] == {"negative": 0, "neutral": 0, "positive": topic["posts"]}
        assert topic["languages"] == {"ko": topic["posts"]}


def _retagged(tagged: TaggedPost, *, mood: Mood, language: str) -> TaggedPost:
    models = (tagged.models[0].model_copy(update={"version": "2"}),)
    sentiment = tagged.sentiment.model_copy(update={"label": mood})
    return tagged.model_copy(
        update={"models": models, "sentiment": sentiment, "language": language}
    )


async def test_counts_are_those_of_the_posts_however_they_came(open_parts: OpenParts) -> None:
    parts = await open_parts()
    random = Random(4)
    stream = a_stream(100)
    versions = [_retagged(it, mood=random.choice(MOODS), language="en") for it in stream]
    log = sorted([*stream, *versions], key=lambda _: random.random())
    for start in range(0, len(log), 23):
        await take(parts, log[start : start + 23])

    async with parts.database.reading() as connection:
        query = select(discovered_posts.c.topic_id, posts.c.sentiment, posts.c.language).join(
            posts, posts.c.id == discovered_posts.c.post_id
        )
        expected = Counter(tuple(row) for row in await connection.execute(query))
        counted: Counter[tuple[UUID, str, str]] = Counter()
        for row in await connection.execute(select(discovered_days)):
            counted[row.topic_id, row.mood, row.language] += row.posts
        every = [row.posts for row in await connection.execute(select(product_days))]
    assert +counted == expected
    assert sum(every) == 100


async def test_workspaces_and_products_are_apart(client: httpx.AsyncClient) -> None:
    parts = parts_of(client)
    foreign = a_stream(60, seed=2, workspace="foreign")
    other = a_stream(60, seed=3, product="watch")
    mixed = [it for three in zip(a_stream(60), foreign, other, strict=True) for it in three]
    await take(parts, mixed)

    mine = await listed(client)
    theirs = (await client.get(PATH, params=MARCH, headers=FOREIGN)).json()["topics"]

    assert {it["product"] for it in mine} == {"app", "watch"}
    assert {it["product"] for it in theirs} == {"app"}
    assert await listed(client, product="watch") == [it for it in mine if it["product"] == "watch"]
    for topic in theirs:
        path = f"{PATH}/{topic['id']}"
        for answer in (
            await client.get(path),
            await client.get(f"{path}/posts"),
            await client.post(f"{path}/adoption", json={}),
            await client.put(f"{path}/dismissal"),
        ):
            assert answer.status_code == 404
        shown = (await client.get(f"{path}/posts", headers=FOREIGN)).json()["items"]
        assert {it["post"]["workspace"] for it in shown} == {"foreign"}
    alone = Counter(it["posts"] for it in mine if it["product"] == "app")
    assert sum(alone.elements()) <= 60


async def test_posts_of_a_topic_come_in_pages_the_newest_first(client: httpx.AsyncClient) -> None:
    await take(parts_of(client), a_stream(100))
    topic, *_ = await listed(client)

    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(f"{PATH}/{topic['id']}/posts", params={"limit": 7, **cursor})
        page = answer.json()
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}

    assert len({it["post"]["id"] for it in seen}) == len(seen) == topic["posts"]
    written = [it["post"]["created_at"] for it in seen]
    assert written == sorted(written, reverse=True)


async def test_what_rises_is_told_from_what_all_do(client: httpx.AsyncClient) -> None:
    # Subject 0 is spoken of twice a day at first and eight times later, subject 1 always six times.
    often = [(0, 2 if day < 10 else 8, day) for day in range(20)] + [(1, 6, d) for d in range(20)]
    stream = [
        a_tagged(
            f"{subject}-{day}-{number}",
            subject=subject,
            text=f"gadget{subject}",
            author=f"{subject}{day}{number}",
            at=NOON + timedelta(days=day, minutes=number),
        )
        for subject, count, day in sorted(often, key=lambda it: it[2])
        for number in range(count)
    ]
    await take(parts_of(client), stream)

    period = {"first": "2026-03-11", "last": "2026-03-20"}
    by_growth = await listed(client, **period, sort="growth")
    by_volume = await listed(client, **period)

    assert [(it["name"], it["rising"]) for it in by_growth] == [
        ("gadget0", True),
        ("gadget1", False),
    ]
    assert by_growth[0]["posts"] == 80
    assert by_growth[0]["growth"] == round(80 / by_growth[0]["before"], 4)
    assert by_volume[0]["posts"] == 80
    assert by_growth[0]["first_seen"] == "2026-03-01"
    assert len(by_growth[0]["days"]) == 10


async def test_an_adopted_topic_is_one_of_the_workspaces_own(client: httpx.AsyncClient) -> None:
    parts = parts_of(client)
    await take(parts, a_stream(80))
    topic, second, *_ = await listed(client)

    adopted = await client.post(f"{PATH}/{topic['id']}/adoption", json={"name": "gadgets"})
    again = await client.post(f"{PATH}/{topic['id']}/adoption", json={"name": "gadgets"})
    taken = await client.post(f"{PATH}/{second['id']}/adoption", json={"name": "gadgets"})
    default = await client.post(f"{PATH}/{second['id']}/adoption", json={"name": "performance"})
    unnamed = await client.post(f"{PATH}/{second['id']}/adoption", json={})
    await parts.relay.publish_waiting()

    assert adopted.status_code == again.status_code == unnamed.status_code == 200
    assert (taken.status_code, default.status_code) == (409, 409)
    own = {it["name"]: it for it in (await client.get("/api/v1/topics")).json()}
    assert own["gadgets"]["examples"] == again.json()["examples"]
    assert 2 <= len(adopted.json()["examples"]) <= 50
    assert own[second["name"]]["examples"]
    named = {it["id"]: it["adopted_as"] for it in await listed(client)}
    assert (named[topic["id"]], named[second["id"]]) == ("gadgets", second["name"])
    begins = await parts.bus.begins(TOPICS_DEFINED.name)
    spans = await parts.bus.read(TOPICS_DEFINED.name, begins, max_records=9, wait=1)
    told = [TopicDefined.model_validate_json(it.value) for span in spans for it in span.records]
    assert [it.name for it in told] == ["gadgets", second["name"]]


async def test_a_topic_whose_name_is_taken_is_adopted_by_a_longer_one(
    client: httpx.AsyncClient,
) -> None:
    parts = parts_of(client)
    await take(parts, a_stream(80))
    topic, second, *_ = await listed(client)
    async with parts.database.transaction() as connection:
        changed = discovered_topics.update().where(
            discovered_topics.c.id.in_([UUID(topic["id"]), UUID(second["id"])])
        )
        await connection.execute(changed.values(name="price", words='["price", "coupon"]'))

    given = await client.post(f"{PATH}/{topic['id']}/adoption", json={"name": "price"})
    free = [
        await client.post(f"{PATH}/{it['id']}/adoption", json={}) for it in (topic, second, topic)
    ]

    assert given.status_code == 409
    assert given.headers["content-type"] == "application/problem+json"
    assert "price already: give this one another name" in given.json()["detail"]
    assert [it.json()["name"] for it in free] == ["price, coupon", "price 2", "price, coupon"]
    own = {it["name"] for it in (await client.get("/api/v1/topics")).json()}
    assert {"price", "price, coupon", "price 2"} <= own


async def test_a_dismissed_topic_is_not_listed_and_not_found_again(
    client: httpx.AsyncClient,
) -> None:
    await take(parts_of(client), a_stream(60))
    topic, *others = await listed(client)

    gone = await client.put(f"{PATH}/{topic['id']}/dismissal")
    await take(parts_of(client), a_stream(60, seed=2))

    assert gone.status_code == 204
    assert {it["id"] for it in await listed(client)} == {it["id"] for it in others}
    (dismissed,) = await listed(client, dismissed=True)
    assert dismissed["id"] == topic["id"]
    assert dismissed["posts"] > topic["posts"]
    await client.delete(f"{PATH}/{topic['id']}/dismissal")
    assert len(await listed(client)) == len(others) + 1


async def test_a_merged_topic_leads_to_the_one_it_is_part_of(parts: Parts) -> None:
    stream = a_stream(80)
    await take(parts, stream)
    async with parts.database.transaction() as connection:
        kept, gone, *_ = await discoveries.living(connection, ("default", "app"))
        await discoveries.save(
            connection,
            parts.database,
            [discoveries.Changed(("default", "app"), gone, "merged", kept.id)],
        )
        await discoveries.merge(connection, parts.database, {gone.id: kept.id})

    first, last = date(2026, 3, 1), date(2026, 3, 31)
    found = await parts.finds.find("default", gone.id, first, last)
    shown = await parts.finds.posts("default", gone.id, after=None, limit=100)
    listing = await parts.finds.ranked(
        "default", first, last, product=None, sort="volume", dismissed=False, limit=100
    )

    assert found.topic.id == kept.id
    assert found.posts == len(shown) == kept.posts + gone.posts
    assert sum(found.mood.values()) == found.posts
    assert gone.id not in {it.topic.id for it in listing}
    assert sum(it.posts for it in listing) == await _placed(parts)


async def _placed(parts: Parts) -> int:
    async with parts.database.reading() as connection:
        return len((await connection.execute(select(discovered_posts))).all())


async def test_erased_posts_are_no_samples_and_a_topic_of_none_is_not_adopted(
    client: httpx.AsyncClient,
) -> None:
    parts = parts_of(client)
    await take(parts, a_stream(60))
    topic, *_ = await listed(client)
    async with parts.database.transaction() as connection:
        await connection.execute(delete(posts))

    after = (await client.get(f"{PATH}/{topic['id']}", params=MARCH)).json()
    adopted = await client.post(f"{PATH}/{topic['id']}/adoption", json={})

    assert after["samples"] == []
    assert (await client.get(f"{PATH}/{topic['id']}/posts")).json()["items"] == []
    assert adopted.status_code == 409


async def test_a_topic_without_a_name_is_adopted_by_one_that_is_given(
    client: httpx.AsyncClient,
) -> None:
    parts = parts_of(client)
    await take(parts, a_stream(60))
    topic, *_ = await listed(client)
    async with parts.database.transaction() as connection:
        await connection.execute(discovered_topics.update().values(name=""))

    nameless = await client.post(f"{PATH}/{topic['id']}/adoption", json={})
    named = await client.post(f"{PATH}/{topic['id']}/adoption", json={"name": "gadgets"})

    assert (nameless.status_code, named.status_code) == (409, 200)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("?first=2026-03-02&last=2026-03-01", 400),
        ("?sort=colour", 422),
        ("?limit=101", 422),
        (f"/{UUID(int=7)}", 404),
        (f"/{UUID(int=7)}/posts", 404),
        ("/seven", 422),
    ],
)
async def test_a_wrong_question_is_a_problem(
    client: httpx.AsyncClient, path: str, status: int
) -> None:
    answer = await client.get(f"{PATH}{path}")

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [{"name": "a|b"}, {"name": ""}, {"colour": "red"}])
async def test_a_wrong_name_is_a_problem(client: httpx.AsyncClient, body: dict[str, str]) -> None:
    answer = await client.post(f"{PATH}/{UUID(int=7)}/adoption", json=body)

    assert answer.status_code == 422


async def test_an_empty_workspace_has_none(client: httpx.AsyncClient) -> None:
    answer = (await client.get(PATH)).json()

    assert answer["topics"] == []
    assert date.fromisoformat(answer["last"]) - date.fromisoformat(answer["first"]) == timedelta(29)


async def test_what_is_kept_in_memory_is_bounded(parts: Parts) -> None:
    many = [
        it
        for number in range(index.DISCOVERIES + 5)
        for it in a_stream(2, seed=number, product=f"app{number}")
    ]
    await take(parts, many)

    (_, held), *_ = parts.intake._index._held.values()
    assert len(held.discoveries) == index.DISCOVERIES
    await take(parts, a_stream(20, seed=900, product="app0"))
    assert ("default", "app0") in held.discoveries
