"""People's words on tags: what a post, its idea and the counts become, on both databases."""

import asyncio
from collections import Counter
from datetime import date, timedelta
from math import log2
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from ideas.conftest import parts_of, take
from ideas.factories import NOON, a_tagged
from maru_contracts.ideas import Idea, IdeaChanged
from maru_contracts.posts import Channel
from maru_contracts.tags import Mood, TaggedPost, TagsCorrected
from maru_contracts.topics import TAGS_CORRECTED
from maru_ideas.app import Parts
from maru_ideas.domain.matching import idea_id
from maru_ideas.domain.tally import Heard, Span, Tally
from maru_ideas.domain.voices import voice
from maru_ideas.service import correcting
from maru_ideas.store.listing import IdeaFilter
from maru_ideas.tables import events, evidence, posts, shapes, shelves, voices

EDITOR = {"X-Maru-Workspace": "default", "X-Maru-Actor": "mia", "X-Maru-Role": "contributor"}
MOODS: tuple[Mood, ...] = ("negative", "neutral", "positive")


@pytest.fixture
def caller() -> dict[str, str]:
    return EDITOR


def path_of(tagged: TaggedPost) -> str:
    return f"/api/v1/posts/{tagged.post.id}"


async def correct(client: httpx.AsyncClient, tagged: TaggedPost, **said: Any) -> Any:
    answer = await client.put(f"{path_of(tagged)}/correction", json=said)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def take_back(client: httpx.AsyncClient, tagged: TaggedPost) -> None:
    answer = await client.delete(f"{path_of(tagged)}/correction")
    assert answer.status_code == 204, answer.text


async def ideas(client: httpx.AsyncClient, *, public: bool = False) -> list[Idea]:
    at = parts_of(client).desk
    rows = await at.ideas("default", IdeaFilter(public=public), "score", after=None, limit=100)
    assert not rows or rows[0]["total"] == len(rows)
    return [Idea.model_validate_json(row["wire"]) for row in rows]


async def changes(client: httpx.AsyncClient, idea: UUID) -> list[IdeaChanged]:
    rows = await parts_of(client).desk.history("default", idea, before=None, limit=100)
    return [IdeaChanged.model_validate_json(row["body"]) for row in rows]


async def test_a_corrected_post_shows_both_tags_and_who_said_so(client: httpx.AsyncClient) -> None:
    post = a_tagged("1", mood="negative", intent="praise", topics=["price"])
    await take(parts_of(client), [post])

    put = await correct(client, post, mood="positive", topics=["design"])
    got = (await client.get(path_of(post))).json()

    assert put == got
    assert got["sentiment"]["label"] == "positive"
    assert got["sentiment"]["score"] == 1
    assert [it["name"] for it in got["topics"]] == ["design"]
    assert got["intent"]["label"] == "praise"
    correction = got["correction"]
    assert (correction["by"], correction["mood"], correction["intent"]) == ("mia", "positive", None)
    assert correction["own"]["sentiment"]["label"] == "negative"
    assert [it["name"] for it in correction["own"]["topics"]] == ["price"]
    assert "embedding" not in got
    (listed,) = (await client.get("/api/v1/posts?sentiment=positive&topic=design")).json()["items"]
    assert listed == got


async def test_a_correction_that_is_taken_back_leaves_the_models_tags(
    client: httpx.AsyncClient,
) -> None:
    post = a_tagged("1", mood="negative", topics=["price"])
    await take(parts_of(client), [post])
    before = (await client.get(path_of(post))).json()
    (idea_before,) = await ideas(client)

    await correct(client, post, mood="positive", intent="other", topics=[])
    await take_back(client, post)

    assert (await client.get(path_of(post))).json() == before | {"correction": None}
    (idea,) = await ideas(client)
    assert idea.model_copy(update={"version": 1}) == idea_before
    again = await client.delete(f"{path_of(post)}/correction")
    assert again.status_code == 404


async def test_corrected_posts_can_be_listed(client: httpx.AsyncClient) -> None:
    first, second = a_tagged("1"), a_tagged("2")
    await take(parts_of(client), [first, second])
    await correct(client, second, mood="positive")

    for asked, expected in (("true", [second]), ("false", [first])):
        found = (await client.get(f"/api/v1/posts?corrected={asked}")).json()["items"]
        assert [it["post"]["id"] for it in found] == [str(it.post.id) for it in expected]


async def test_the_idea_and_the_mentions_count_the_mood_that_a_person_says(
    client: httpx.AsyncClient,
) -> None:
    first, second = a_tagged("1", mood="negative", entities=["OURS"]), a_tagged("2", author="lee")
    await take(parts_of(client), [first, second])

    await correct(client, first, mood="positive", topics=["price"])

    (idea,) = await ideas(client)
    assert idea.mood == {"negative": 0, "neutral": 1, "positive": 1}
    assert (idea.topics, idea.evidence_count, idea.version) == (("price",), 2, 3)
    newest = (await changes(client, idea.id))[0]
    assert (newest.kind, newest.actor, newest.post_id) == ("evidence_changed", "mia", first.post.id)
    share = await parts_of(client).desk.share_of_voice(
        "default", date(2020, 1, 1), date(2030, 1, 1)
    )
    assert [it.mood for it in share] == [{"negative": 0, "neutral": 0, "positive": 1}]


async def test_a_post_that_asks_for_nothing_is_taken_from_behind_its_idea(
    client: httpx.AsyncClient,
) -> None:
    early, late = NOON - timedelta(days=60), NOON + timedelta(days=3)
    first = a_tagged("1", text="Please add a dark mode soon", at=early)
    same = a_tagged("2", at=NOON)
    other = a_tagged("3", author="lee", at=late, mood="negative", text="I wish for dark mode here")
    await take(parts_of(client), [first, same, other])
    (before,) = await ideas(client)

    await correct(client, other, intent="other")
    (without_other,) = await ideas(client)
    await correct(client, first, intent="praise")
    (without_first,) = await ideas(client)

    assert (before.voices, before.evidence_count) == (2, 3)
    assert (without_other.voices, without_other.evidence_count) == (1, 2)
    assert (without_other.last_seen, without_other.mood["negative"]) == (NOON, 0)
    assert (without_first.voices, without_first.evidence_count) == (1, 1)
    assert (without_first.first_seen, without_first.last_seen) == (NOON, NOON)
    assert without_first.title == "Please add thing1"
    assert without_first.terms["momentum"] == 1.0
    page = await client.get(f"/api/v1/ideas/{before.id}/evidence")
    assert [it["post_id"] for it in page.json()["items"]] == [str(same.post.id)]
    kinds = [it.kind for it in await changes(client, before.id)]
    assert kinds[:2] == ["evidence_removed"] * 2


async def test_an_idea_without_posts_is_nowhere_and_comes_back_with_the_next(
    client: httpx.AsyncClient,
) -> None:
    post = a_tagged("1", text="Please add a thing that nobody wants")
    await take(parts_of(client), [post])
    (before,) = await ideas(client)

    await correct(client, post, intent="other")
    none, none_public = await ideas(client), await ideas(client, public=True)
    await take(parts_of(client), [a_tagged("2", author="lee", text="Please add the second thing")])

    (back,) = await ideas(client)
    assert (none, none_public) == ([], [])
    assert (back.id, back.evidence_count, back.voices) == (before.id, 1, 1)
    assert back.title == "Please add the second thing"
    assert await ideas(client, public=True) == [back]
    await correct(client, post, intent="suggestion")
    (both,) = await ideas(client)
    assert (both.evidence_count, both.voices) == (2, 2)


async def test_a_post_that_a_person_calls_a_suggestion_becomes_evidence(
    client: httpx.AsyncClient,
) -> None:
    known, near, far = (
        a_tagged("1"),
        a_tagged("2", intent="other", author="lee"),
        a_tagged("3", subject=5, intent="praise", author="park"),
    )
    await take(parts_of(client), [known, near, far])

    await correct(client, near, intent="suggestion")
    await correct(client, far, intent="problem")

    found = {idea.id: idea for idea in await ideas(client)}
    assert {it: idea.evidence_count for it, idea in found.items()} == {
        idea_id(known.post.id): 2,
        idea_id(far.post.id): 1,
    }
    (founded,) = await changes(client, idea_id(far.post.id))
    assert (founded.kind, founded.actor) == ("created", "mia")


async def test_the_matcher_knows_ideas_that_a_correction_founded(
    client: httpx.AsyncClient,
) -> None:
    first, far = a_tagged("1"), a_tagged("2", subject=5, intent="praise")
    await take(parts_of(client), [first, far])
    await correct(client, far, intent="suggestion")

    await take(parts_of(client), [a_tagged("3", subject=5), a_tagged("4", subject=9)])

    counts = Counter({idea.id: idea.evidence_count for idea in await ideas(client)})
    assert counts[idea_id(far.post.id)] == 2
    assert sorted(counts.values()) == [1, 1, 2]
    async with parts_of(client).database.reading() as connection:
        places = [row.place for row in await connection.execute(select(shapes.c.place))]
    assert sorted(places) == [0, 1, 2]


async def test_no_replay_and_no_edit_overwrites_what_a_person_said(
    client: httpx.AsyncClient,
) -> None:
    post = a_tagged("1", mood="negative")
    await take(parts_of(client), [post])
    await correct(client, post, mood="positive", intent="other")
    corrected = (await client.get(path_of(post))).json()

    await take(parts_of(client), [post, post])
    same = (await client.get(path_of(post))).json()
    retagged = a_tagged("1", mood="neutral", models="2")
    edited = a_tagged("1", text="Please add it now", mood="negative", models="2", revision=1)
    await take(parts_of(client), [retagged, edited])
    now = (await client.get(path_of(post))).json()

    assert same == corrected
    assert (now["sentiment"]["label"], now["intent"]["label"]) == ("positive", "other")
    assert now["post"]["text"] == "Please add it now"
    assert now["correction"]["own"]["sentiment"]["label"] == "negative"
    assert now["correction"]["by"] == "mia"
    assert await ideas(client) == []
    await take_back(client, post)
    assert (await client.get(path_of(post))).json()["sentiment"]["label"] == "negative"


async def test_a_tag_that_is_confirmed_changes_no_idea(client: httpx.AsyncClient) -> None:
    post = a_tagged("1", mood="negative")
    await take(parts_of(client), [post])
    before = await ideas(client)

    confirmed = await correct(client, post, mood="negative")

    assert await ideas(client) == before
    assert confirmed["correction"]["mood"] == "negative"


async def test_a_replay_at_the_same_moment_loses_no_word(client: httpx.AsyncClient) -> None:
    stream = [a_tagged(str(number), mood="negative") for number in range(12)]
    await take(parts_of(client), stream)

    for step in range(2, 8):
        again = [a_tagged(str(number), mood="neutral", models=str(step)) for number in range(12)]
        said = {"mood": "positive", "intent": "suggestion" if step % 2 else "other"}
        await asyncio.gather(
            take(parts_of(client), again), *(correct(client, post, **said) for post in stream)
        )
        shown = (await client.get("/api/v1/posts?limit=20")).json()["items"]
        assert {it["sentiment"]["label"] for it in shown} == {"positive"}
        assert {it["models"][0]["version"] for it in shown} == {str(step)}
        if step % 2:
            await assert_counts_are_true(parts_of(client))


async def test_saying_the_same_twice_is_saying_it_once(client: httpx.AsyncClient) -> None:
    post = a_tagged("1", mood="negative")
    await take(parts_of(client), [post])

    first = await correct(client, post, mood="positive", intent="other")
    second = await correct(client, post, mood="positive", intent="other")

    assert first == second
    async with parts_of(client).database.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(events))).scalar() == 3


async def test_corrections_reach_the_log_in_order(client: httpx.AsyncClient) -> None:
    post = a_tagged("1", title="T" * 2_000, text="x" * 5_000)
    await take(parts_of(client), [post])
    await correct(client, post, mood="positive")
    await correct(client, post, intent="praise")
    await take_back(client, post)
    parts = parts_of(client)
    await parts.relay.publish_waiting()

    begins = await parts.bus.begins(TAGS_CORRECTED.name)
    spans = await parts.bus.read(TAGS_CORRECTED.name, begins, max_records=9, wait=1)
    records = [record for span in spans for record in span.records]
    told = [TagsCorrected.model_validate_json(it.value) for it in records]

    assert {record.key for record in records} == {f"default/{post.post.id}".encode()}
    assert [(it.mood, it.intent, it.removed, len(it.text)) for it in told] == [
        ("positive", None, False, 2_000),
        (None, "praise", False, 2_000),
        (None, None, True, 0),
    ]


@pytest.mark.parametrize(
    "said",
    [{}, {"mood": "great"}, {"intent": "rant"}, {"colour": 1}, {"topics": ["nowhere defined"]}],
)
async def test_a_wrong_correction_is_a_problem(
    client: httpx.AsyncClient, said: dict[str, Any]
) -> None:
    post = a_tagged("1")
    await take(parts_of(client), [post])

    answer = await client.put(f"{path_of(post)}/correction", json=said)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "correction" not in (await client.get(path_of(post))).json()


async def test_another_workspaces_posts_cannot_be_corrected(client: httpx.AsyncClient) -> None:
    foreign = a_tagged("1", workspace="foreign")
    await take(parts_of(client), [foreign])

    answer = await client.put(f"{path_of(foreign)}/correction", json={"mood": "positive"})

    assert answer.status_code == 404
    assert (await client.delete(f"{path_of(foreign)}/correction")).status_code == 404


async def test_full_is_said_and_what_is_there_can_change(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correcting, "MAX_CORRECTIONS", 1)
    first, second = a_tagged("1"), a_tagged("2")
    await take(parts_of(client), [first, second])
    await correct(client, first, mood="positive")

    more = await client.put(f"{path_of(second)}/correction", json={"mood": "positive"})
    await correct(client, first, mood="negative")

    assert more.status_code == 409
    assert "take some" in more.json()["detail"]


async def test_the_public_board_does_not_say_who_corrected(client: httpx.AsyncClient) -> None:
    post = a_tagged("1")
    await take(parts_of(client), [post])
    await correct(client, post, mood="positive")
    (idea,) = await ideas(client)

    (signed_in,) = (await client.get(f"/api/v1/ideas/{idea.id}/evidence")).json()["items"]
    (anybody,) = (await client.get(f"/board/ideas/{idea.id}/evidence")).json()["items"]

    assert signed_in["correction"]["by"] == "mia"
    assert (anybody["correction"], anybody["sentiment"]) == (None, "positive")


async def test_counts_equal_the_evidence_whatever_people_say(client: httpx.AsyncClient) -> None:
    random = Random(4)
    stream = [
        a_tagged(
            str(number),
            subject=random.randrange(4),
            author=random.choice(["kim", "lee", "park", None]),
            channel=random.choice([Channel.REVIEW, Channel.MAIL]),
            intent=random.choice(["suggestion", "praise"]),
            mood=random.choice(MOODS),
            at=NOON + timedelta(hours=random.randrange(1_000)),
        )
        for number in range(40)
    ]
    await take(parts_of(client), stream[:30])
    for step in range(60):
        post = random.choice(stream[:30])
        if random.random() < 0.25:
            await client.delete(f"{path_of(post)}/correction")
        else:
            said = {"mood": random.choice(MOODS)} if random.random() < 0.5 else {}
            said |= {"intent": random.choice(["suggestion", "problem", "other"])}
            await correct(client, post, **said)
        if step == 30:
            await take(parts_of(client), stream[30:])

    await assert_counts_are_true(parts_of(client))


async def assert_counts_are_true(parts: Parts) -> None:
    """Each idea's counts, on both faces, are those of the posts that stand behind it."""
    for public in (False, True):
        rows = await parts.desk.ideas(
            "default", IdeaFilter(public=public), "score", after=None, limit=100
        )
        found = [Idea.model_validate_json(row["wire"]) for row in rows]
        assert len(found) == rows[0]["total"]
        for idea in found:
            async with parts.database.reading() as connection:
                behind = await parts.intake._store.newest_evidence(
                    connection, idea.id, 100, public=public
                )
                spoken = await connection.execute(
                    select(voices.c.voice).where(
                        voices.c.idea_id == idea.id,
                        voices.c.scope == ("public" if public else "whole"),
                    )
                )
                remembered = {row.voice for row in spoken}
            kept = [post for post, _ in behind]
            assert remembered == {voice(it.post) for it in kept}
            assert idea.evidence_count == len(kept)
            assert idea.voices == len(remembered)
            assert +Counter(idea.mood) == Counter(it.sentiment.label for it in kept)
            assert idea.first_seen == min(it.post.created_at for it in kept)
            assert idea.last_seen == max(it.post.created_at for it in kept)
            fresh = Tally()
            for it in sorted(kept, key=lambda it: it.post.created_at):
                fresh = fresh.plus(Heard.of(it), new_voice=False, half_life=30)
            assert idea.terms["momentum"] == pytest.approx(log2(1 + fresh.heat), abs=0.011)
    async with parts.database.reading() as connection:
        behind_ideas = (
            await connection.execute(select(func.count(func.distinct(evidence.c.idea_id))))
        ).scalar()
        listed = (await connection.execute(select(func.sum(shelves.c.ideas)))).scalar()
        asking = (
            await connection.execute(
                select(func.count()).where(posts.c.intent.in_(["suggestion", "problem"]))
            )
        ).scalar()
        there = (await connection.execute(select(func.count()).select_from(evidence))).scalar()
    assert behind_ideas == listed
    assert asking == there


@given(
    st.lists(st.tuples(st.integers(0, 5_000), st.sampled_from(MOODS)), min_size=1, max_size=12),
    st.data(),
)
def test_taking_a_post_away_is_never_having_heard_it(
    heard: list[tuple[int, Mood]], data: st.DataObject
) -> None:
    says = [
        Heard(mood, Channel.REVIEW, "s", "en", (), NOON + timedelta(hours=hours))
        for hours, mood in heard
    ]
    gone = data.draw(st.integers(0, len(says) - 1))
    rest = says[:gone] + says[gone + 1 :]

    def tally(of: list[Heard]) -> Tally:
        found = Tally()
        for it in of:
            found = found.plus(it, new_voice=True, half_life=30)
        return found

    span = Span(min(it.at for it in rest), max(it.at for it in rest)) if rest else None
    left = tally(says).minus(says[gone], lost_voice=True, span=span, half_life=30)

    assert left.heat == pytest.approx(tally(rest).heat, rel=1e-6, abs=1e-6)
    if rest:
        assert left.mood == tally(rest).mood
        assert (left.first_seen, left.last_seen) == (span.first, span.last)  # type: ignore[union-attr]  # there is a rest
    assert (left.posts, left.voices) == (len(rest), len(rest))
