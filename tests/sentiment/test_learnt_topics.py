"""Topics that are described, and that learn from corrected posts: better or not used."""

import asyncio
import pickle
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maru_contracts.tags import ModelVersion, TaggedPost, TagsCorrected, TopicDefined
from maru_contracts.topics import TAGS_CORRECTED, TOPICS_DEFINED
from maru_kit.bus import open_bus
from maru_kit.errors import ConfigError
from maru_kit.stream import publish
from maru_sentiment import retraining
from maru_sentiment.analyser import vectors_of
from maru_sentiment.analysers.topics import head_for
from maru_sentiment.app import TOPICS
from maru_sentiment.domain import (
    DEFAULT_SUBJECTS,
    CorrectedText,
    Subject,
    bearers,
    corrected_of,
    name_now,
    of_subjects,
    subjects_of,
)
from maru_sentiment.learning import LearntHead
from maru_sentiment.learnt_topics import MOST_TOPICS, apply, learn_topics
from maru_sentiment.tagger import Tagger
from maru_sentiment.topics_evaluation import evaluate_learnt_topics
from sentiment.test_learnt import (
    Posts,
    corrections,
    head_of,
    learnt,
    running,
    times_learnt,
    told,
)
from sentiment.test_service import NOW

# Our "stage" is where people perform, and never a phase of a project.
CONCERTS = Subject("concerts", ("a concert on a stage",))
PLANS = Subject("plans", ("the schedule of the project",), "When the work on something is done.")
OURS_ARE = (CONCERTS, PLANS)
OURS = "learners of topics"
OWNER = {"X-Maru-Workspace": OURS}
UNKNOWN = "the main stage was too far away for us"
ANOTHER = "stage three of the tower takes until may"

_BANDS = ("singer", "drummer", "choir", "orchestra", "guitarist", "dancer", "band", "trio", "duo")
_WORKS = ("bridge", "website", "kitchen", "garage", "road", "report", "shop", "garden", "roof")
_ON_STAGE = (
    "the {} came late on stage",
    "from our seats the stage with the {} was tiny",
    "the {} owned the stage tonight",
)
_IN_STAGES = (
    "the {} is at its last stage now",
    "stage two of the {} takes until march",
    "which stage has the {} reached",
)


def stages() -> list[tuple[str, str]]:
    ours = [(frame.format(it), "concerts") for it, frame in product(_BANDS, _ON_STAGE)]
    others = [(frame.format(it), "plans") for it, frame in product(_WORKS, _IN_STAGES)]
    return [pair for both in zip(ours, others, strict=True) for pair in both]


def corrected(pairs: Sequence[tuple[str, str]]) -> list[CorrectedText]:
    return [
        CorrectedText(text, None, None, tuple(name.split()), NOW + timedelta(seconds=at))
        for at, (text, name) in enumerate(pairs)
    ]


def taught(
    tagger: Tagger, given: Sequence[CorrectedText], subjects: tuple[Subject, ...] = OURS_ARE
) -> LearntHead:
    vectors = vectors_of(tagger.tag([it.text for it in given], ()))
    return learn_topics(given, vectors, subjects, tagger.topics(subjects))


def topics(
    tagger: Tagger,
    texts: Sequence[str],
    learnt: LearntHead | None = None,
    subjects: tuple[Subject, ...] = OURS_ARE,
) -> list[list[str]]:
    tags = tagger.tag(texts, subjects)
    if learnt is not None:
        tags = apply(tags, texts, learnt, tagger.topics(subjects))
    return [[topic.name for topic in it.topics] for it in tags]


@pytest.fixture(scope="module")
def head(tagger: Tagger) -> LearntHead:
    return taught(tagger, corrected(stages()))


def test_what_a_workspace_says_of_its_topics_is_learnt(tagger: Tagger, head: LearntHead) -> None:
    others = ["the coffee is cold", "배터리가 너무 빨리 닳아요", "ㅋㅋㅋ", ""]

    assert head.weights is not None
    assert head.measured.base < 0.6
    assert head.measured.own > 0.85
    assert topics(tagger, [UNKNOWN, ANOTHER]) != [["concerts"], ["plans"]]
    assert topics(tagger, [UNKNOWN, ANOTHER], head) == [["concerts"], ["plans"]]
    assert topics(tagger, others, head) == topics(tagger, others) == [[], [], [], []]


@pytest.mark.parametrize("seed", range(6))
def test_topics_at_random_change_nothing(tagger: Tagger, seed: int) -> None:
    random = Random(seed)
    names = ("concerts", "plans", "", "concerts plans")
    pairs = [(text, random.choice(names)) for text, _ in stages()]

    assert taught(tagger, corrected(pairs)).weights is None


def test_a_topic_that_came_later_is_not_learnt_against(tagger: Tagger) -> None:
    """The people who said `plans` before there were concerts did not say: no concert."""
    nothing_known = [(text, name if name == "plans" else "") for text, name in stages()]
    before = corrected(nothing_known)
    after = NOW + timedelta(days=1)
    late = (Subject("concerts", CONCERTS.examples, since=after), PLANS)

    learnt_against = taught(tagger, before)
    not_asked = taught(tagger, before, late)

    assert "concerts" in learnt_against.columns
    assert "concerts" not in not_asked.columns


def test_a_renamed_topic_keeps_what_it_learnt_and_a_removed_one_is_gone(
    tagger: Tagger, head: LearntHead
) -> None:
    gigs = Subject("gigs", CONCERTS.examples, formerly=("concerts",))
    renamed = (gigs, PLANS)
    removed = taught(tagger, corrected(stages()), (PLANS,))

    of_gigs = taught(tagger, corrected(stages()), renamed)

    assert topics(tagger, [UNKNOWN], of_gigs, renamed) == [["gigs"]]
    assert of_gigs.measured == head.measured
    assert removed.columns == ("plans",)
    assert topics(tagger, [UNKNOWN], head, (PLANS,)) == [[]]


def test_a_former_name_is_of_the_topic_that_had_it_until_another_gets_it() -> None:
    was = Subject("music", ("x",), formerly=("concerts", "gigs"), since=NOW)
    later = NOW + timedelta(days=1)
    anew = Subject("concerts", ("y",), since=later)

    alone, both = bearers([was]), bearers([was, anew])

    assert {name_now(alone, it, NOW) for it in ("concerts", "gigs", "music")} == {"music"}
    assert name_now(both, "concerts", NOW) == "music"
    assert name_now(both, "concerts", later) == "concerts"
    assert name_now(bearers([anew]), "concerts", NOW) == "concerts"
    assert name_now(both, "other", NOW) == "other"


def test_a_renamed_topic_keeps_what_it_learnt_when_its_name_becomes_anothers(
    tagger: Tagger, head: LearntHead
) -> None:
    gigs = Subject("gigs", CONCERTS.examples, formerly=("concerts",))
    anew = Subject("concerts", ("a violin and a cello",), since=NOW + timedelta(days=1))
    subjects = (gigs, PLANS, anew)

    learnt = taught(tagger, corrected(stages()), subjects)

    assert learnt.columns == ("gigs", "plans")
    assert learnt.measured == head.measured
    assert topics(tagger, [UNKNOWN], learnt, subjects) == [["gigs"]]


def test_the_same_corrections_give_the_same_topics_and_others_others(
    tagger: Tagger, head: LearntHead
) -> None:
    again = taught(tagger, corrected(stages()))
    other = taught(tagger, corrected([*stages()[:-1], (stages()[-1][0], "")]))

    assert pickle.dumps(again) == pickle.dumps(head)
    assert head.model.name == "kernel-ridge+corrections"
    assert head.model.version.startswith(f"{head.base.version}+")
    assert other.model.version != head.model.version
    assert len(pickle.dumps(head)) < 20_000


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text() | st.sampled_from([UNKNOWN, ANOTHER, "", "stage " * 900]), max_size=40))
def test_learnt_topics_do_not_depend_on_the_batch(
    tagger: Tagger, head: LearntHead, texts: list[str]
) -> None:
    at = tagger.topics(OURS_ARE)
    together = apply(tagger.tag(texts, OURS_ARE), texts, head, at)
    apart = [apply(tagger.tag([text], OURS_ARE), [text], head, at)[0] for text in texts]

    assert together == apart
    for tags in together:
        assert all(0 <= topic.score <= 1 for topic in tags.topics)
        assert tags.chosen.models == (head.model,)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "same", "stage", "ㅋㅋ"]),
            st.lists(st.sampled_from(["concerts", "plans", "never defined"]), max_size=3),
            st.integers(-2, 2),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([(), OURS_ARE, (Subject("plans", ("a plan",), since=NOW),)]),
)
def test_whatever_people_say_of_topics_the_figures_are_figures(
    tagger: Tagger,
    said: list[tuple[str, list[str], int]],
    subjects: tuple[Subject, ...],
) -> None:
    given = [
        CorrectedText(text, None, None, tuple(names), NOW + timedelta(days=day))
        for text, names, day in said
    ]

    found = taught(tagger, given, subjects)

    assert found.measured.n == len(said)
    assert 0 < found.measured.p_value <= 1
    assert found.weights is None or np.isfinite(found.weights.vector).all()


def test_a_workspace_with_many_topics_learns_the_most_corrected_ones(tagger: Tagger) -> None:
    many = tuple(Subject(f"topic {at}", (f"number {at}",)) for at in range(MOST_TOPICS + 10))
    pairs = [(text, "") for text, _ in stages()]
    given = [*corrected(pairs), CorrectedText("x", None, None, ("topic 55",), NOW)]
    given += [CorrectedText(f"y {it.name}", None, None, (it.name,), NOW) for it in many] * 2
    given += [CorrectedText("z", None, None, ("topic 55",), NOW)]

    found = taught(tagger, given, many)

    assert len(found.columns) == MOST_TOPICS
    assert "topic 55" in found.columns


def test_posts_are_tagged_anew_when_their_topics_are_defined_anew() -> None:
    models = (
        ModelVersion(head="intent", name="a", version="1"),
        ModelVersion(head="topics", name="b", version="2"),
    )
    described = (replace(DEFAULT_SUBJECTS[0], description="new"), *DEFAULT_SUBJECTS[1:])

    first, again, other = (of_subjects(models, it) for it in (OURS_ARE, OURS_ARE, described))

    assert of_subjects(models, DEFAULT_SUBJECTS) == models
    assert first == again
    assert first[0] == other[0] == models[0]
    assert len({models[1].version, first[1].version, other[1].version}) == 3


def test_what_is_said_of_topics_alone_is_a_correction_too() -> None:
    messages = [told(1, "a", topics=()), told(2, "b", topics=("x",)), told(3, "c", removed=True)]

    (ours,) = corrected_of(messages).values()

    assert [(it.text, it.topics) for it in ours] == [("a", ()), ("b", ("x",))]


def test_a_topic_is_found_by_its_description_alone(tagger: Tagger) -> None:
    described = (Subject("refunds", (), "When customers want their money back."),)
    texts = ["I want my money back", "돈을 돌려받고 싶어요", "the weather is nice today"]

    assert topics(tagger, texts, subjects=described) == [["refunds"], ["refunds"], []]


def test_a_description_is_read_with_the_name_beside_the_examples() -> None:
    plain = Subject("refunds", ("my order was cancelled",))
    described = Subject("refunds", plain.examples, "Money that is sent back.")

    assert plain.phrases == plain.examples
    assert set(described.phrases) == {"refunds", "Money that is sent back.", *plain.examples}
    assert len(head_for([described], lambda it: np.ones((len(it), 512), np.int8)).examples) == 3


def test_definitions_are_told_with_all_that_they_have() -> None:
    at = {"workspace": "w", "at": NOW}
    later = NOW + timedelta(days=1)
    defined = [
        TopicDefined(name="old", examples=("x",), **at),
        TopicDefined(name="new", description="d", formerly=("was",), since=later, **at),
        TopicDefined(name="price", examples=("too dear",), **at),
    ]

    found = {it.name: it for it in subjects_of(defined)["w"]}

    assert found["old"] == Subject("old", ("x",), since=NOW)
    assert found["new"] == Subject("new", (), "d", ("was",), later)
    assert found["price"].since is None
    assert len(found) == len(DEFAULT_SUBJECTS) + 2


# The running service.


def all_told(pairs: Sequence[tuple[str, str]]) -> list[TagsCorrected]:
    return [
        told(number, text, OURS, topics=tuple(name.split()))
        for number, (text, name) in enumerate(pairs)
    ]


def defined(subject: Subject, **changed: object) -> TopicDefined:
    return TopicDefined(
        workspace=OURS,
        name=subject.name,
        description=subject.description,
        examples=subject.examples,
        at=NOW - timedelta(days=1),
    ).model_copy(update=changed)


async def until(posts: Posts, text: str, names: set[str]) -> TaggedPost:
    async with asyncio.timeout(90):
        while True:
            found = await posts.tagged(text, OURS)
            if {it.name for it in found.topics} == names:
                return found
            await asyncio.sleep(0.3)


@pytest.mark.usefixtures("hasty")
async def test_topics_are_learnt_told_of_renamed_and_turned_off(
    bus_url: str, tmp_path: Path
) -> None:
    gigs = defined(CONCERTS, name="gigs", formerly=("concerts",))
    async with running(bus_url, tmp_path) as client, open_bus(bus_url) as bus:
        posts = Posts(bus)
        await publish(bus, TOPICS_DEFINED, [defined(CONCERTS), defined(PLANS)])
        before = await posts.tagged(ANOTHER, OURS)
        await publish(bus, TAGS_CORRECTED, all_told(stages()))
        after = await until(posts, UNKNOWN, {"concerts"})
        heads = await learnt(client, **OWNER)
        ended = defined(CONCERTS, removed=True, examples=())
        await publish(bus, TOPICS_DEFINED, [gigs, ended])
        renamed = await until(posts, UNKNOWN, {"gigs"})
        off = await client.put("/api/v1/models/topics", json={"learns": False}, headers=OWNER)
        back = await posts.tagged(UNKNOWN, OURS)
        mine = {"model": {"name": "mine"}}
        other = await client.put("/api/v1/models/topics", json=mine, headers=OWNER)
        choices = (await client.get("/api/v1/models/choices", headers=OWNER)).json()["heads"]

    assert head_of(before, "topics").name == head_of(back, "topics").name == "kernel-ridge"
    assert head_of(after, "topics").model_dump() == heads["topics"]["model"]
    assert (heads["topics"]["state"], heads["topics"]["corrections"]) == ("used", len(stages()))
    assert heads["topics"]["accuracy"] > heads["topics"]["base_accuracy"]
    assert heads["sentiment"]["state"] == "too_few"
    assert head_of(renamed, "topics").name == "kernel-ridge+corrections"
    assert head_of(back, "topics") != head_of(before, "topics")  # so a replay says it anew
    assert (off.status_code, other.status_code) == (200, 422)
    assert {it["head"]: it["learns"] for it in choices}["topics"] is False


@pytest.mark.usefixtures("hasty")
async def test_a_head_is_learnt_anew_when_its_own_grounds_change_and_not_when_anothers_do(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    moods = [
        told(number, text, OURS, mood=mood)
        for number, (text, mood) in enumerate(corrections(41), start=1_000)
    ]
    async with open_bus(url) as bus:
        await bus.create(TOPICS)
        await publish(bus, TOPICS_DEFINED, [defined(CONCERTS), defined(PLANS)])
        await publish(bus, TAGS_CORRECTED, [*all_told(stages()), *moods[:40]])
    async with running(url, tmp_path) as client, open_bus(url) as bus:
        first = await learnt(client, **OWNER)
        began = times_learnt("sentiment"), times_learnt("topics")
        await publish(bus, TOPICS_DEFINED, [defined(CONCERTS, description="Live music.")])
        described = await learnt_other_than(first, client, "topics")
        after_topic = times_learnt("sentiment"), times_learnt("topics")
        await publish(bus, TAGS_CORRECTED, moods[40:])
        corrected = await learnt_other_than(described, client, "sentiment")
        after_mood = times_learnt("sentiment"), times_learnt("topics")

    assert {first[it]["state"] for it in ("sentiment", "topics")} == {"used"}
    assert described["sentiment"] == first["sentiment"]
    assert corrected["topics"] == described["topics"]
    assert after_topic == (began[0], began[1] + 1)
    assert after_mood == (began[0] + 1, began[1] + 1)


async def learnt_other_than(
    before: dict[str, Any], client: httpx.AsyncClient, head: str
) -> dict[str, Any]:
    """Wait until a head has learnt something else."""
    async with asyncio.timeout(90):
        while (heads := await learnt(client, **OWNER))[head]["model"] == before[head]["model"]:
            await asyncio.sleep(0.1)
        return heads


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn again as soon as something has changed."""
    monkeypatch.setattr(retraining, "QUIET", 0.0)
    monkeypatch.setattr(retraining, "_REST", 0)


# What `maru eval learnt-topics` measures.


def test_what_is_learnt_is_measured_on_texts_that_were_not_corrected(tmp_path: Path) -> None:
    pairs = stages()
    files = {"told": pairs[:40], "asked": pairs[40:], "topics": [
        ("Music that people perform.", "concerts"),
        ("When the work on something is done.", "plans"),
    ]}  # fmt: skip
    for name, rows in files.items():
        lines = [f"{text}\t{label}\n" for text, label in rows]
        (tmp_path / name).write_text("".join(["text\tlabel\n", *lines]))

    found = evaluate_learnt_topics(tmp_path / "asked", tmp_path / "told", tmp_path / "topics")

    assert (found["topics"], found["corrections"], found["after"]["n"]) == (2, 40, 14)
    assert found["used"]
    assert found["after"]["exact"] > found["before"]["exact"]
    with pytest.raises(ConfigError, match="takes 30"):
        evaluate_learnt_topics(tmp_path / "asked", tmp_path / "asked", tmp_path / "topics")
