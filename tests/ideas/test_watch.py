"""Watched products and corrections: defined, counted once, the same on both databases."""

from datetime import date, timedelta
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ideas.conftest import OpenParts, parts_of, take
from ideas.factories import NOON, a_tagged
from maru_contracts.tags import Mood, TaggedPost, TermDefined
from maru_contracts.topics import TERMS_DEFINED
from maru_ideas.app import Parts
from maru_ideas.domain.arrivals import arrivals
from maru_ideas.domain.mentions import changes, day_of, shares
from maru_ideas.service import desk

EVER = (date(2020, 1, 1), date(2030, 1, 1))
MOODS: tuple[Mood, ...] = ("negative", "neutral", "positive")


def a_stream(count: int) -> list[TaggedPost]:
    """Posts that mention products, some of them twice, and edits of some."""
    random = Random(7)
    return [
        a_tagged(
            str(random.randrange(count)),
            revision=number,
            entities=random.choices(["OURS", "theirs", "others"], k=random.randrange(4)),
            mood=random.choice(MOODS),
            at=NOON + timedelta(hours=random.randrange(100)),
        )
        for number in range(count)
    ]


async def voices(parts: Parts, workspace: str = "default") -> list[tuple[Any, ...]]:
    found = await parts.desk.share_of_voice(workspace, *EVER)
    return [(it.name, it.kind, it.posts, it.share, it.mood) for it in found]


async def test_share_of_voice_counts_each_post_once(client: httpx.AsyncClient) -> None:
    await take(
        parts_of(client),
        [
            a_tagged("1", entities=["OURS", "OURS", "theirs"], mood="positive"),
            a_tagged("2", entities=["theirs"], mood="negative", intent="praise"),
            a_tagged("3", entities=["theirs"], at=NOON + timedelta(days=3)),
            a_tagged("4", entities=["theirs"], workspace="foreign"),
            a_tagged("5"),
        ],
    )

    day = (await client.get("/api/v1/share-of-voice?first=2026-03-01&last=2026-03-01")).json()
    both = (await client.get("/api/v1/share-of-voice?first=2026-03-01&last=2026-03-04")).json()

    assert day == {
        "first": "2026-03-01",
        "last": "2026-03-01",
        "products": [
            {
                "name": "theirs",
                "kind": "competitor",
                "posts": 2,
                "share": 0.6667,
                "mood": {"negative": 1, "neutral": 0, "positive": 1},
            },
            {
                "name": "OURS",
                "kind": "own",
                "posts": 1,
                "share": 0.3333,
                "mood": {"negative": 0, "neutral": 0, "positive": 1},
            },
        ],
    }
    assert [it["posts"] for it in both["products"]] == [3, 1]


async def test_spam_has_no_share_of_voice(open_parts: OpenParts) -> None:
    parts = await open_parts()
    await take(parts, [a_tagged("1", entities=["theirs"]), a_tagged("2", entities=["OURS"])])
    await take(parts, [a_tagged("3", entities=["theirs"], spam=0.99)])
    once = await voices(parts)

    await take(parts, [a_tagged("1", entities=["theirs"], spam=0.99, models="2")])

    assert [(name, posts) for name, _, posts, _, _ in once] == [("OURS", 1), ("theirs", 1)]
    assert [(name, posts) for name, _, posts, _, _ in await voices(parts)] == [("OURS", 1)]


async def test_the_period_ends_today_and_must_not_end_before_it_begins(
    client: httpx.AsyncClient,
) -> None:
    month = (await client.get("/api/v1/share-of-voice")).json()
    wrong = await client.get("/api/v1/share-of-voice?first=2026-03-02&last=2026-03-01")
    early = await client.get("/api/v1/share-of-voice?last=0001-01-01")

    length = date.fromisoformat(month["last"]) - date.fromisoformat(month["first"])
    assert (length.days, month["products"]) == (29, [])
    assert wrong.status_code == 400
    assert early.status_code == 200


async def test_redelivery_and_replay_count_nothing_twice(open_parts: OpenParts) -> None:
    parts = await open_parts()
    stream = a_stream(60)
    for at in range(0, 60, 7):
        await take(parts, stream[at : at + 7])
    once = await voices(parts)

    await take(parts, stream)
    await take(parts, stream[:30])

    latest = {it.post.id: it for it in stream}.values()
    expected: dict[str, int] = {}
    for tagged in latest:
        for name in {it.name for it in tagged.entities}:
            expected[name] = expected.get(name, 0) + 1
    assert await voices(parts) == once
    assert {name: posts for name, _, posts, _, _ in once} == expected


async def test_tags_of_new_definitions_replace_the_old_counts(open_parts: OpenParts) -> None:
    parts = await open_parts()
    await take(parts, [a_tagged("1", entities=["theirs"], mood="negative")])

    await take(parts, [a_tagged("1", entities=["OURS"], mood="positive", models="2")])
    await take(parts, [a_tagged("1", entities=["theirs"], mood="negative", models="2")])

    mood = {"negative": 0, "neutral": 0, "positive": 1}
    assert await voices(parts) == [("OURS", "own", 1, 1.0, mood)]


@given(st.permutations(a_stream(12)), st.integers(1, 11))
def test_counts_are_those_of_the_newest_posts_however_they_come(
    posts: list[TaggedPost], cut: int
) -> None:
    news = arrivals(posts, {})
    together = changes(news)
    apart = [changes(news[:cut]), changes(news[cut:])]
    newest = changes(arrivals(list({it.post.id: it for it in posts}.values()), {}))

    summed = {key: sum(it.get(key, 0) for it in apart) for key in (*apart[0], *apart[1])}
    assert together == {key: step for key, step in summed.items() if step} == newest


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["own", "competitor"]),
            st.sampled_from(MOODS),
            st.integers(0, 1_000),
        )
    )
)
def test_shares_add_up_to_one(counts: list[Any]) -> None:
    found = shares(counts)

    assert sum(it.posts for it in found) == sum(posts for *_, posts in counts)
    assert all(sum(it.mood.values()) == it.posts > 0 for it in found)
    assert not found or sum(it.share for it in found) == pytest.approx(1, abs=0.001)


def test_a_day_is_a_day_in_utc() -> None:
    assert day_of(date(1970, 1, 2)) == 1
    assert day_of(NOON) == day_of(NOON.date())


async def test_products_are_watched_listed_and_removed(client: httpx.AsyncClient) -> None:
    await client.put("/api/v1/watch/Maru Notes", json={"kind": "competitor"})
    put = await client.put(
        "/api/v1/watch/Maru Notes", json={"kind": "own", "aliases": [" 마루 노트 "]}
    )
    listed = (await client.get("/api/v1/watch")).json()
    gone = await client.delete("/api/v1/watch/Maru Notes")
    again = await client.delete("/api/v1/watch/Maru Notes")

    assert put.status_code == 200
    assert [(it["name"], it["kind"], it["aliases"]) for it in listed] == [
        ("Maru Notes", "own", ["마루 노트"])
    ]
    assert (gone.status_code, again.status_code) == (204, 404)
    assert "watched product Maru Notes" in again.json()["detail"]
    assert (await client.get("/api/v1/watch")).json() == []


async def test_moods_are_corrected_listed_and_removed_beside_products(
    client: httpx.AsyncClient,
) -> None:
    await client.put("/api/v1/watch/War Zone", json={"kind": "own"})
    put = await client.put("/api/v1/corrections/War Zone", json={"mood": "neutral"})
    listed = (await client.get("/api/v1/corrections")).json()
    await client.delete("/api/v1/corrections/War Zone")

    assert [(it["term"], it["mood"]) for it in [put.json(), *listed]] == [
        ("War Zone", "neutral")
    ] * 2
    assert (await client.get("/api/v1/corrections")).json() == []
    assert [it["name"] for it in (await client.get("/api/v1/watch")).json()] == ["War Zone"]


async def test_definitions_reach_the_log(client: httpx.AsyncClient) -> None:
    parts = parts_of(client)
    await client.put("/api/v1/watch/Rival", json={"kind": "competitor", "aliases": ["라이벌"]})
    await client.put("/api/v1/corrections/Rival", json={"mood": "negative"})
    await client.delete("/api/v1/watch/Rival")
    await parts.relay.publish_waiting()

    begins = await parts.bus.begins(TERMS_DEFINED.name)
    spans = await parts.bus.read(TERMS_DEFINED.name, begins, max_records=9, wait=1)
    told = [TermDefined.model_validate_json(it.value) for span in spans for it in span.records]
    assert [(it.section, it.meaning, it.removed) for it in told] == [
        ("watch", "competitor", False),
        ("corrections", "negative", False),
        ("watch", "own", True),
    ]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("watch/x", {"kind": "friend"}, 422),
        ("watch/x", {"kind": "own", "aliases": ["!"]}, 422),
        ("watch/x", {"kind": "own", "aliases": ["a"] * 51}, 422),
        ("watch/x", {"kind": "own", "colour": "red"}, 422),
        ("watch/...", {"kind": "own"}, 422),
        ("corrections/x", {"mood": "great"}, 422),
    ],
)
async def test_a_wrong_definition_is_a_problem(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], status: int
) -> None:
    answer = await client.put(f"/api/v1/{path}", json=body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_full_section_says_so_and_takes_changes_still(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "MAX_TERMS", 1)
    await client.put("/api/v1/watch/One", json={"kind": "own"})

    more = await client.put("/api/v1/watch/Two", json={"kind": "own"})
    changed = await client.put("/api/v1/watch/One", json={"kind": "competitor"})
    other = await client.put("/api/v1/corrections/Two", json={"mood": "neutral"})

    assert (more.status_code, changed.status_code, other.status_code) == (409, 200, 200)
    assert "remove one first" in more.json()["detail"]
