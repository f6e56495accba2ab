"""Posts that were edited by their authors: an idea follows what they say now, on both databases."""

import pytest

from ideas.conftest import take
from ideas.factories import a_tagged, a_tombstone
from maru_contracts.ideas import Idea, IdeaChanged
from maru_contracts.posts import Channel
from maru_ideas.app import Parts
from maru_ideas.store.listing import IdeaFilter


async def all_ideas(parts: Parts) -> list[Idea]:
    rows = await parts.desk.ideas("default", IdeaFilter(), "score", after=None, limit=100)
    return [Idea.model_validate_json(row["wire"]) for row in rows]


async def newest_change(parts: Parts, idea: Idea) -> IdeaChanged:
    (row,) = await parts.desk.history("default", idea.id, before=None, limit=1)
    return IdeaChanged.model_validate_json(row["body"])


async def test_an_edit_changes_the_words_the_counts_and_the_score(parts: Parts) -> None:
    await take(parts, [a_tagged("1", text="Please add a dark mode", topics=["design"])])
    (before,) = await all_ideas(parts)

    await take(
        parts,
        [a_tagged("1", text="Add a night theme", mood="negative", topics=["price"], revision=1)],
    )

    (idea,) = await all_ideas(parts)
    assert (idea.title, idea.topics, idea.mood["negative"]) == ("Add a night theme", ("price",), 1)
    assert (idea.evidence_count, idea.voices) == (1, 1)
    assert idea.score > before.score
    assert (await newest_change(parts, idea)).kind == "evidence_changed"


@pytest.mark.parametrize("together", [True, False])
async def test_an_edit_that_asks_for_nothing_takes_the_post_from_behind_its_idea(
    parts: Parts,
    together: bool,  # noqa: FBT001 - a pytest parameter
) -> None:
    first = a_tagged("1", text="Please add a purple mode")
    other = a_tagged("2", text="Please add the mode", author="lee")
    edited = a_tagged("1", text="It works now, great", intent="praise", revision=1)

    for batch in [[first, other, edited]] if together else [[first, other], [edited]]:
        await take(parts, batch)

    (idea,) = await all_ideas(parts)
    assert (idea.title, idea.evidence_count, idea.voices) == ("Please add the mode", 1, 1)
    change = await newest_change(parts, idea)
    assert (change.kind, change.actor, change.post_id) == (
        "evidence_removed",
        "maru",
        first.post.id,
    )
    assert '"It works now, great"' in await parts.desk.post("default", first.post.id)


async def test_the_last_post_behind_an_idea_that_asks_for_nothing_leaves_it_empty(
    parts: Parts,
) -> None:
    await take(parts, [a_tagged("1")])
    await take(parts, [a_tagged("1", text="Thanks!", intent="praise", revision=1)])
    assert await all_ideas(parts) == []

    await take(parts, [a_tagged("1", text="No, please add it", revision=2)])

    (idea,) = await all_ideas(parts)
    assert (idea.title, idea.evidence_count) == ("No, please add it", 1)


async def test_an_edit_by_another_source_leaves_the_post_where_it_was_first_heard(
    parts: Parts,
) -> None:
    first = a_tagged("1")
    pushed = a_tagged(
        "1", text="Add it", source_id="hook", channel=Channel.MAIL, product="else", revision=1
    )

    await take(parts, [first, pushed])

    (idea,) = await all_ideas(parts)
    assert (idea.title, idea.channels, idea.spread) == ("Add it", (Channel.REVIEW,), 1)
    await take(parts, [a_tombstone(pushed)])
    left = Idea.model_validate_json(await parts.desk.idea("default", idea.id))
    assert (left.channels, left.spread, left.evidence_count) == ((), 0, 0)


async def test_a_post_whose_author_turns_out_to_be_another_is_that_ones_voice(
    parts: Parts,
) -> None:
    await take(parts, [a_tagged("1", author=None), a_tagged("2", author="lee")])
    await take(parts, [a_tagged("1", author="lee", revision=1)])

    (idea,) = await all_ideas(parts)
    assert (idea.evidence_count, idea.voices) == (2, 1)
    await take(parts, [a_tombstone(a_tagged("1")), a_tombstone(a_tagged("2"))])
    assert await all_ideas(parts) == []
