"""One text that goes around is one voice, whoever passes it on and in whatever order it comes."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import count, pairwise
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from ideas.conftest import take
from ideas.factories import NOON, a_tagged, a_tombstone
from maru_contracts.ideas import Idea
from maru_contracts.posts import Channel, post_id
from maru_contracts.tags import TaggedPost
from maru_ideas.app import SCHEMA, TOPICS, Parts, wired
from maru_ideas.domain.corrections import Word
from maru_ideas.domain.sketches import CROWD
from maru_ideas.domain.voices import voice
from maru_ideas.domain.wordings import Wording
from maru_ideas.settings import Settings
from maru_ideas.store.listing import IdeaFilter
from maru_ideas.tables import copies, events, evidence, ideas, prints, voices
from maru_kit.bus import open_bus
from maru_kit.database import open_database
from maru_kit.migrate import migrate
from maru_kit.stream import StreamHealth

ARTICLE = (
    "Riders of the northern line ask the operator for a cheaper monthly ticket. Prices rose twice "
    "last year, and a survey by the passengers' union shows that every third commuter has gone "
    "back to the car. The union wants a pass for two zones, sold at the machines on platforms, "
    "before the winter timetable begins in December."
)
OTHER = (
    "The library should open on Sundays, say students who found its doors locked before the exams. "
    "They collected four hundred signatures in a week and handed them to the mayor, who promised "
    "to look for money in the next budget; a guard and two librarians would be enough for a trial."
)
HEADED = f"(Northern News Agency) {ARTICLE} Copyright Northern News Agency. All rights reserved."
REWORDED = ARTICLE.replace("cheaper", "less expensive").replace("every third", "one in three")
SUMMARY = ARTICLE[: ARTICLE.index(". The union")] + " …"
LONG = ARTICLE + "\n\n" + OTHER
BRIEF = "Please make the monthly ticket cheaper"
KOREAN = (
    "북부선 승객들이 정기권 요금을 내려 달라고 운영사에 요구하고 나섰다. "
    "작년에만 두 번 올랐고, 승객 단체가 조사해 보니 "
    "출퇴근하는 세 명 가운데 한 명은 다시 자가용을 탄다고 답했다. "
    "단체는 겨울 시간표가 시작되기 전에 두 구역을 "
    "오가는 정기권을 승강장 발매기에서 팔아 달라고 했다."
)


def said(
    name: str, text: str = ARTICLE, *, of: str = "", hours: float = 0, **more: object
) -> TaggedPost:
    """A post of one subject, `hours` after noon; a repost if it is `of` another."""
    values = {"author": name, "channel": Channel.PRESS, "source_id": name} | more
    tagged = a_tagged(name, text=text, at=NOON + timedelta(hours=hours), **values)  # type: ignore[arg-type]
    if not of:
        return tagged
    original = post_id(tagged.post.workspace, "test", of)
    update = {"repost_of": original, "reshared_from": of}
    return tagged.model_copy(update={"post": tagged.post.model_copy(update=update)})


async def the_ideas(parts: Parts, workspace: str = "default") -> list[Idea]:
    rows = await parts.desk.ideas(workspace, IdeaFilter(), "score", after=None, limit=100)
    return [Idea.model_validate_json(row["wire"]) for row in rows]


async def counts(parts: Parts) -> tuple[int, int, int, int]:
    """Voices, posts, copies and reposts of the only idea."""
    (idea,) = await the_ideas(parts)
    return idea.voices, idea.evidence_count, idea.copies, idea.reposts


async def test_an_article_in_three_feeds_is_one_voice_that_was_spread(parts: Parts) -> None:
    await take(parts, [said("a"), said("b", hours=1), said("c", hours=2)])

    (idea,) = await the_ideas(parts)
    assert (idea.voices, idea.evidence_count, idea.copies, idea.reposts) == (1, 1, 2, 0)
    assert (idea.spread, idea.mood["neutral"]) == (3, 1)
    assert (idea.terms["voices"], idea.terms["spread"]) == (2.0, 1.58)


@pytest.mark.parametrize("text", [HEADED, REWORDED, "  " + ARTICLE.upper().replace(" ", "\n")])
async def test_a_few_other_words_make_no_other_voice(parts: Parts, text: str) -> None:
    await take(parts, [said("a")])
    await take(parts, [said("b", text, hours=5)])

    assert await counts(parts) == (1, 1, 1, 0)


async def test_korean_articles_are_compared_by_their_syllables(parts: Parts) -> None:
    changed = KOREAN.replace("요구하고 나섰다", "요구했다")
    await take(parts, [said("a", KOREAN), said("b", changed)])

    assert await counts(parts) == (1, 1, 1, 0)


@pytest.mark.parametrize("first", [SUMMARY, LONG])
async def test_a_summary_and_its_article_are_one_voice_by_their_title(
    parts: Parts, first: str
) -> None:
    second = LONG if first == SUMMARY else SUMMARY
    title = "Riders ask for a cheaper ticket"
    await take(parts, [said("a", first, title=title), said("b", second, title=title, hours=1)])

    assert await counts(parts) == (1, 1, 1, 0)


async def test_who_quotes_a_text_and_goes_on_in_own_words_is_a_voice(parts: Parts) -> None:
    answer = said("b", f"{ARTICLE}\n\n{OTHER}", title="Re: tickets", hours=1)
    await take(parts, [said("a", title="tickets"), answer])

    assert await counts(parts) == (2, 2, 0, 0)


@pytest.mark.parametrize(
    "text", [BRIEF, "love it, please keep it", "정기권 요금 좀 내려 주세요 제발요"]
)
async def test_two_people_may_say_the_same_few_words(parts: Parts, text: str) -> None:
    await take(parts, [said("a", text), said("b", text)])

    assert await counts(parts) == (2, 2, 0, 0)


async def test_a_form_letter_that_customers_send_is_a_voice_each(parts: Parts) -> None:
    await take(parts, [said(name, channel=Channel.MAIL) for name in "abc"])

    assert await counts(parts) == (3, 3, 0, 0)


async def test_a_text_of_another_month_is_no_copy(parts: Parts) -> None:
    await take(parts, [said("a"), said("b", hours=31 * 24)])

    assert await counts(parts) == (2, 2, 0, 0)


@pytest.mark.parametrize("reposts_first", [False, True])
async def test_reposts_spread_a_voice_however_few_its_words_are(
    parts: Parts,
    reposts_first: bool,  # noqa: FBT001 - a pytest parameter
) -> None:
    original, passed_on = said("a", BRIEF), [said(it, BRIEF, of="a", hours=-1) for it in "bc"]
    for batch in [passed_on, [original]] if reposts_first else [[original], passed_on]:
        await take(parts, batch)

    assert await counts(parts) == (1, 1, 0, 2)
    (idea,) = await the_ideas(parts)
    (row,) = await parts.desk.evidence("default", idea.id, public=False, after=None, limit=9)
    assert row["post_id"] == original.post.id


async def test_reposts_of_a_post_that_nobody_collected_are_one_voice(parts: Parts) -> None:
    await take(parts, [said(it, BRIEF, of="x") for it in "abc"])

    assert await counts(parts) == (1, 1, 0, 2)


async def test_a_quote_is_a_voice_of_its_own(parts: Parts) -> None:
    quote = said("b", "This! Please make it cheaper")
    quote = quote.model_copy(update={"post": quote.post.model_copy(update={"reshared_from": "a"})})
    await take(parts, [said("a", BRIEF), quote])

    assert await counts(parts) == (2, 2, 0, 0)


async def test_the_first_copy_is_deleted_and_another_carries_the_voice(parts: Parts) -> None:
    first, second = said("a"), said("b", hours=1)
    await take(parts, [first, second, said("c", hours=2), said("d", of="a", hours=3)])

    await take(parts, [a_tombstone(first)])

    assert await counts(parts) == (1, 1, 1, 1)
    (idea,) = await the_ideas(parts)
    (row,) = await parts.desk.evidence("default", idea.id, public=False, after=None, limit=9)
    assert row["post_id"] == second.post.id
    await take(parts, [a_tombstone(second)])
    assert await counts(parts) == (1, 1, 0, 1)


async def test_all_copies_deleted_leave_nothing_behind(parts: Parts) -> None:
    came = [said("a"), said("b", hours=1), said("c", of="b", hours=2), said("d", of="a")]
    await take(parts, came)

    await take(parts, [a_tombstone(it) for it in came])

    assert await the_ideas(parts) == []
    async with parts.database.reading() as connection:
        for table in (copies, prints, evidence):
            assert (await connection.execute(select(func.count()).select_from(table))).scalar() == 0


async def test_a_copy_that_is_edited_into_own_words_is_a_voice(parts: Parts) -> None:
    await take(parts, [said("a"), said("b", hours=1)])

    await take(parts, [said("b", OTHER, hours=1, revision=1)])

    assert await counts(parts) == (2, 2, 0, 0)
    await take(parts, [said("b", HEADED, hours=1, revision=2)])
    assert await counts(parts) == (1, 1, 1, 0)


async def test_a_repost_is_still_compared_when_its_original_says_something_else(
    parts: Parts,
) -> None:
    await take(parts, [said("a"), said("b", HEADED, of="a", hours=1)])
    await take(parts, [said("a", OTHER, revision=1)])

    await take(parts, [said("c", of="x", hours=3)])

    assert await counts(parts) == (1, 1, 0, 2)


async def test_an_edit_that_asks_for_nothing_is_spread_no_more(parts: Parts) -> None:
    await take(parts, [said("a"), said("b", hours=1), said("c", hours=2)])

    await take(parts, [said("b", hours=1, revision=1, intent="praise")])
    assert await counts(parts) == (1, 1, 1, 0)
    await take(parts, [said("a", revision=1, intent="praise")])
    assert await counts(parts) == (1, 1, 0, 0)


async def test_likes_of_a_copy_change_nothing(parts: Parts) -> None:
    await take(parts, [said("a"), said("b", hours=1)])
    (before,) = await the_ideas(parts)

    await take(parts, [said("b", hours=1, revision=1)])

    assert await the_ideas(parts) == [before]


async def test_an_original_that_is_said_to_be_anothers_keeps_its_copies(parts: Parts) -> None:
    await take(parts, [said("a"), said("b", hours=1)])

    await take(parts, [said("a", author="lee", revision=1)])

    assert await counts(parts) == (1, 1, 1, 0)


async def test_workspaces_and_products_know_nothing_of_each_other(parts: Parts) -> None:
    await take(
        parts, [said("a"), said("b", workspace="other"), said("c", product="else", subject=2)]
    )

    found = await the_ideas(parts) + await the_ideas(parts, "other")
    assert [(it.voices, it.copies) for it in found] == [(1, 0)] * 3


async def test_a_person_says_that_the_original_asks_for_nothing(parts: Parts) -> None:
    first, second = said("a"), said("b", hours=1)
    await take(parts, [first, second])

    await parts.correcting.correct("default", first.post.id, Word(intent="praise"), by="mia")
    assert await counts(parts) == (1, 1, 0, 0)
    await parts.correcting.take_back("default", first.post.id, by="mia")
    assert await counts(parts) == (1, 1, 1, 0)
    await parts.correcting.correct("default", second.post.id, Word(mood="negative"), by="mia")
    assert await counts(parts) == (1, 1, 1, 0)
    await parts.correcting.correct("default", second.post.id, Word(intent="other"), by="mia")
    assert await counts(parts) == (1, 1, 0, 0)


async def test_what_is_two_years_older_than_the_newest_text_is_found_no_more(parts: Parts) -> None:
    await take(parts, [said("a")])
    await take(parts, [said("b", OTHER, hours=25 * 30 * 24)])
    await take(parts, [said("c", hours=1)])

    async with parts.database.reading() as connection:
        found = set(await connection.scalars(select(prints.c.post_id)))
    assert found == {said("b").post.id}


# What must hold whatever comes: the definition, applied to what is there in the end.

TEXTS = (ARTICLE, HEADED, REWORDED, SUMMARY, LONG, OTHER, BRIEF)
TITLES = ("", "Riders ask for a cheaper ticket")
AUTHORS = ("kim", "lee", None)
_numbers = count()


@dataclass(frozen=True)
class Said:
    """One revision of a post: its text is None if it asks for nothing, and `gone` if it ends."""

    name: int
    text: int | None
    title: int
    author: int
    hour: int
    of: int | None
    private: bool
    gone: bool


revisions = st.builds(
    Said,
    name=st.integers(0, 6),
    text=st.one_of(st.integers(0, len(TEXTS) - 1), st.none()),
    title=st.integers(0, 1),
    author=st.integers(0, 2),
    hour=st.integers(0, 3),
    of=st.one_of(st.none(), st.none(), st.integers(0, 7)),
    private=st.sampled_from([False, False, False, True]),
    gone=st.sampled_from([False, False, False, False, True]),
)


def a_stream(events: Sequence[Said], workspace: str) -> list[TaggedPost]:
    """The revisions as messages; a post stays in the channel and of the work that it came as."""
    stream: list[TaggedPost] = []
    first: dict[int, Said] = {}
    for event in events:
        came = first.setdefault(event.name, event)
        tagged = said(
            str(event.name),
            TEXTS[event.text or 0],
            of="" if came.of in {None, came.name} else str(came.of),
            hours=event.hour,
            title=TITLES[event.title],
            author=AUTHORS[event.author],
            workspace=workspace,
            channel=Channel.MAIL if came.private else Channel.PRESS,
            source_id=f"feed{event.name % 3}",
            intent="other" if event.text is None else "suggestion",
            revision=sum(it.post.native_id == str(event.name) for it in stream),
        )
        stream.append(a_tombstone(tagged) if event.gone else tagged)
    return stream


def expected(stream: Sequence[TaggedPost]) -> dict[str, int]:
    """What is there in the end, by the definition alone."""
    gone = {it.post.id for it in stream if it.post.deleted}
    latest = {it.post.id: it for it in stream if it.post.id not in gone}
    asking = [it for it in latest.values() if it.intent.label == "suggestion"]
    wordings = {it.post.id: Wording.of(it.post) for it in asking}

    def is_copy(post: UUID) -> bool:
        mine = wordings[post]
        others = (it for it in wordings.values() if it.rank < mine.rank)
        return any(it.has_words_of(mine) for it in others)

    voices = [it for it in asking if not is_copy(it.post.id)]
    others = [it for it in asking if is_copy(it.post.id)]
    reposts = sum(it.post.repost_of is not None for it in others)
    return {
        "voices": len({voice(it.post) for it in voices}),
        "evidence_count": len(voices),
        "copies": len(others) - reposts,
        "reposts": reposts,
        "spread": len({(it.post.channel, it.post.source_id) for it in asking}),
    }


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[asyncio.Runner, Parts]]:
    """One service for all examples, each of which has a workspace of its own."""
    folder = tmp_path_factory.mktemp("copies")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def opened() -> Parts:
            await migrate(f"sqlite:///{folder}", SCHEMA, "maru_ideas")
            database = open_database(f"sqlite:///{folder}", SCHEMA)
            bus = await stack.enter_async_context(open_bus(f"sqlite:///{folder}/log.db"))
            await bus.create(TOPICS)
            return wired(Settings(), await stack.enter_async_context(database), bus, StreamHealth())

        yield runner, runner.run(opened())
        runner.run(stack.aclose())


async def _end(parts: Parts, stream: Sequence[TaggedPost], cuts: Sequence[int]) -> dict[str, int]:
    bounds = [0, *sorted({cut for cut in cuts if cut < len(stream)}), len(stream)]
    for start, end in pairwise(bounds):
        await take(parts, stream[start:end])
    found = await the_ideas(parts, stream[0].post.workspace)
    names = ("voices", "evidence_count", "copies", "reposts", "spread")
    if not found:
        return dict.fromkeys(names, 0)
    (idea,) = found
    return {name: getattr(idea, name) for name in names}


def test_a_crowd_of_copies_is_still_one_voice(running: tuple[asyncio.Runner, Parts]) -> None:
    runner, parts = running
    count = CROWD + 4
    newest_first = [said(f"s{n}", hours=-n / 10, workspace="crowd") for n in range(count)]

    found = runner.run(_end(parts, newest_first, range(0, count, 16)))

    assert (found["voices"], found["copies"]) == (1, count - 1)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink one takes minutes
)
@given(
    events=st.lists(revisions, min_size=1, max_size=14),
    cuts=st.lists(st.integers(1, 13), max_size=4),
)
def test_whatever_comes_in_whatever_order_the_voices_are_those_of_the_definition(
    running: tuple[asyncio.Runner, Parts], events: Sequence[Said], cuts: Sequence[int]
) -> None:
    runner, parts = running
    stream = a_stream(events, f"w{next(_numbers)}")

    assert runner.run(_end(parts, stream, cuts)) == expected(stream)


async def _rows(folder: Path, stream: Sequence[TaggedPost], cuts: Sequence[int]) -> list[object]:
    await migrate(f"sqlite:///{folder}", SCHEMA, "maru_ideas")
    async with (
        open_database(f"sqlite:///{folder}", SCHEMA) as database,
        open_bus(f"sqlite:///{folder}/log.db") as bus,
    ):
        parts = wired(Settings(), database, bus, StreamHealth())
        await _end(parts, stream, cuts)
        async with database.reading() as connection:
            return [
                sorted(map(str, await connection.execute(select(table))))
                for table in (ideas, evidence, voices, copies, prints, events)
            ]


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(
    said_=st.lists(revisions, min_size=4, max_size=14),
    cuts=st.lists(st.integers(1, 13), min_size=1, max_size=8),
)
def test_any_batches_give_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, said_: Sequence[Said], cuts: Sequence[int]
) -> None:
    stream = a_stream(said_, "default")
    whole, cut = (
        asyncio.run(_rows(tmp_path_factory.mktemp("rows"), stream, some)) for some in ([], cuts)
    )

    assert cut == whole
