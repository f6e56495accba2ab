"""Heads that learn from corrected tags: better or not used, the same each time, one's own."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from scipy.stats import binomtest

from maru_contracts.posts import Post, post_id
from maru_contracts.tags import ModelVersion, TaggedPost, TagsCorrected, TermDefined
from maru_contracts.topics import POSTS_COLLECTED, POSTS_TAGGED, TAGS_CORRECTED, TERMS_DEFINED
from maru_kit.bus import Bus, open_bus
from maru_kit.settings import Common
from maru_kit.stream import publish
from maru_sentiment import learning, retraining
from maru_sentiment.app import create_app
from maru_sentiment.learning import NEEDED, Learning, LearntHead, mcnemar
from maru_sentiment.learnt import apply, learn_head
from maru_sentiment.settings import Settings
from maru_sentiment.tagger import Tagger
from sentiment.checkpoints import write_checkpoint
from sentiment.slang import THINGS, sick_posts
from sentiment.test_models import MOODS, WORDS
from sentiment.test_service import NOW, a_post

Pairs = Sequence[tuple[str, str]]
OURS = "learners"
OWNER = {"X-Maru-Workspace": OURS, "X-Maru-Actor": "mia", "X-Maru-Role": "owner"}
MOOD_LABELS = ("negative", "neutral", "positive")
UNKNOWN = "the recorder is sick"


def corrections(count: int, seed: int = 1) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = list(sick_posts())
    Random(seed).shuffle(pairs)
    return pairs[:count]


def learnt_from(tagger: Tagger, pairs: Pairs, head: Learning = "sentiment") -> LearntHead:
    texts, labels = [text for text, _ in pairs], [label for _, label in pairs]
    return learn_head(head, texts, labels, tagger.tag(texts, ()), tagger.models)


def moods(tagger: Tagger, texts: Sequence[str], *heads: LearntHead) -> list[str]:
    found = apply(tagger.tag(texts, ()), texts, heads, tagger.models)
    return [it.sentiment.label for it in found]


@pytest.mark.parametrize("count", [NEEDED, 40, 100])
def test_a_workspaces_own_words_are_learnt(tagger: Tagger, count: int) -> None:
    head = learnt_from(tagger, corrections(count))

    assert head.measured.base < 0.65
    assert head.measured.own > 0.9
    assert head.measured.p_value < 0.001
    assert head.weights is not None
    others = ["i love the recorder", "the recorder crashes", "배터리가 너무 빨리 닳아요", "좋아요"]
    assert moods(tagger, [UNKNOWN], head) == ["positive"]
    assert moods(tagger, others, head) == moods(tagger, others)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("contradicting", [False, True])
def test_corrections_at_random_change_nothing(
    tagger: Tagger, seed: int, *, contradicting: bool
) -> None:
    random = Random(seed)
    pairs = []
    for text, _ in corrections(60, seed):
        (base,) = tagger.tag([text], ())
        said = random.choice(MOOD_LABELS)
        while contradicting and said == base.sentiment.label:
            said = random.choice(MOOD_LABELS)
        pairs.append((text, said))

    head = learnt_from(tagger, pairs)

    assert head.weights is None
    assert head.measured.p_value > 0.01 or head.measured.own < head.measured.exchanged
    assert moods(tagger, [UNKNOWN], head) == moods(tagger, [UNKNOWN])


def test_corrections_of_errors_alone_do_not_tell_when_the_model_is_right(tagger: Tagger) -> None:
    errors = [pair for pair in corrections(128) if pair[1] == "positive"]

    head = learnt_from(tagger, errors)

    assert head.measured.own > head.measured.base
    assert head.measured.exchanged > 0.9
    assert head.weights is None


def test_intents_are_learnt(tagger: Tagger) -> None:
    pairs = [(f"wl {thing}", "suggestion") for thing in THINGS]
    pairs += [(f"wl for {thing} too", "suggestion") for thing in THINGS]
    pairs += [(f"the {thing} is ok", "other") for thing in THINGS]
    head = learnt_from(tagger, pairs, "intent")
    texts = ["wl recorder", "the recorder is ok", "the recorder crashes when I open it"]
    before, after = tagger.tag(texts, ()), []
    after = apply(before, texts, [head], tagger.models)

    assert head.weights is not None
    assert head.measured.base < 0.5
    assert head.measured.own > 0.9
    assert [it.intent.label for it in before] == ["other", "other", "problem"]
    assert [it.intent.label for it in after] == ["suggestion", "other", "problem"]
    assert set(after[0].intent.probabilities) == set(before[0].intent.probabilities)
    assert [it.sentiment for it in after] == [it.sentiment for it in before]


def test_the_same_corrections_give_the_same_head_and_others_another(tagger: Tagger) -> None:
    pairs = corrections(40)
    first, again = learnt_from(tagger, pairs), learnt_from(tagger, pairs)
    other = learnt_from(tagger, [*pairs[:-1], (pairs[-1][0], "neutral")])

    assert pickle.dumps(first) == pickle.dumps(again)
    assert first.model.name == "maru-network+corrections"
    assert first.model.version.startswith(f"{first.base.version}+")
    assert other.model.version != first.model.version


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text() | st.sampled_from([UNKNOWN, "", "\ud800 sick", "sick " * 900])))
def test_a_learnt_tag_does_not_depend_on_the_batch(
    tagger: Tagger, sick: LearntHead, texts: list[str]
) -> None:
    together = apply(tagger.tag(texts, ()), texts, [sick], tagger.models)
    apart = [apply(tagger.tag([text], ()), [text], [sick], tagger.models)[0] for text in texts]

    assert together == apart
    for tags in together:
        assert sum(tags.sentiment.probabilities.values()) == pytest.approx(1, abs=0.001)
        assert tags.chosen.models == (sick.model,)


@pytest.fixture(scope="module")
def sick(tagger: Tagger) -> LearntHead:
    return learnt_from(tagger, corrections(40))


def test_a_head_says_nothing_on_top_of_another_model(tagger: Tagger, sick: LearntHead) -> None:
    renewed = [
        it if it.head != "sentiment" else ModelVersion(head="sentiment", name="new", version="2")
        for it in tagger.models
    ]

    (found,) = apply(tagger.tag([UNKNOWN], ()), [UNKNOWN], [sick], renewed)

    assert found == tagger.tag([UNKNOWN], ())[0]


@given(st.lists(st.text(max_size=300) | st.just("a long post " * 150), min_size=1, max_size=5))
def test_what_is_added_to_a_post_is_what_was_learnt_for_it(texts: list[str]) -> None:
    rarity, hashed = learning._hashed([*texts, *texts])
    words = np.random.default_rng(1).normal(size=(learning.COLUMNS, 3)).astype(np.float32)
    weights = learning.Weights(rarity, words, np.zeros((512, 3), np.float32))

    found = learning.change(weights, texts, np.ones((len(texts), 512), np.int8))

    assert found == pytest.approx(hashed[: len(texts)] @ words, abs=1e-4)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(["", "same", "same!", "other"]), st.sampled_from(
    MOOD_LABELS)), min_size=1, max_size=40))  # fmt: skip
def test_whatever_people_say_the_figures_are_figures(tagger: Tagger, pairs: Pairs) -> None:
    head = learnt_from(tagger, pairs)
    measured = head.measured

    assert measured.n == len(pairs)
    assert all(0 <= it <= 1 for it in (measured.base, measured.exchanged, measured.own))
    assert 0 < measured.p_value <= 1
    assert head.weights is None or np.isfinite(head.weights.words).all()


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=80))
def test_mcnemar_is_the_exact_test_of_the_binomial(pairs: list[tuple[bool, bool]]) -> None:
    gold = ["x"] * len(pairs)
    first = ["x" if right else "y" for right, _ in pairs]
    second = ["x" if right else "y" for _, right in pairs]
    ahead, behind = pairs.count((True, False)), pairs.count((False, True))

    found = mcnemar(gold, first, second)

    expected = binomtest(ahead, ahead + behind).pvalue if ahead + behind else 1.0
    assert found == pytest.approx(expected)


# The running service.


def told(number: int, text: str, workspace: str = OURS, **said: Any) -> TagsCorrected:
    return TagsCorrected(
        workspace=workspace,
        post_id=post_id(workspace, "corrected", str(number)),
        text=text,
        by="mia",
        at=NOW + timedelta(seconds=number),
        **said,
    )


def all_told(pairs: Pairs, workspace: str = OURS) -> list[TagsCorrected]:
    return [told(number, text, workspace, mood=mood) for number, (text, mood) in enumerate(pairs)]


def a_post_of(workspace: str, number: int, text: str) -> Post:
    post = a_post(number, text)
    changed = {"workspace": workspace, "id": post_id(workspace, "test", str(number))}
    return post.model_copy(update=changed)


@asynccontextmanager
async def running(bus_url: str, home: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(common=Common(home=home, bus_url=bus_url, instance="one")))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://sentiment", headers=OWNER
        ) as client,
    ):
        yield client


class Posts:
    """Publishes posts and waits for their tags."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._number = 0

    async def tagged(self, text: str, workspace: str = OURS) -> TaggedPost:
        self._number += 1
        post = a_post_of(workspace, self._number, text)
        start = await self._bus.ends(POSTS_TAGGED.name)
        await publish(self._bus, POSTS_COLLECTED, [post])
        async with asyncio.timeout(60):
            while True:
                spans = await self._bus.read(POSTS_TAGGED.name, start, max_records=99, wait=0.2)
                for record in (it for span in spans for it in span.records):
                    found = TaggedPost.model_validate_json(record.value)
                    if found.post.id == post.id:
                        return found

    async def until(self, text: str, mood: str, workspace: str = OURS) -> TaggedPost:
        async with asyncio.timeout(60):
            while (found := await self.tagged(text, workspace)).sentiment.label != mood:
                await asyncio.sleep(0.3)
            return found


def head_of(tagged: TaggedPost, head: str = "sentiment") -> ModelVersion:
    return next(model for model in tagged.models if model.head == head)


async def learnt(client: httpx.AsyncClient, **headers: str) -> dict[str, Any]:
    answer = await client.get("/api/v1/models/learnt", headers=headers)
    return {it["head"]: it for it in answer.json()["heads"]}


def times_learnt(head: Learning) -> float:
    labels = {"head": head}
    return REGISTRY.get_sample_value("maru_sentiment_learning_seconds_count", labels) or 0


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn again as soon as something has changed."""
    monkeypatch.setattr(retraining, "QUIET", 0.0)
    monkeypatch.setattr(retraining, "_REST", 0)


@pytest.mark.usefixtures("hasty")
async def test_corrections_are_learnt_told_of_and_turned_off(bus_url: str, tmp_path: Path) -> None:
    async with running(bus_url, tmp_path) as client, open_bus(bus_url) as bus:
        posts = Posts(bus)
        before = await posts.tagged(UNKNOWN)
        messages = all_told(corrections(40))
        await publish(bus, TAGS_CORRECTED, [*messages, *messages])  # as a relay may
        after = await posts.until(UNKNOWN, "positive")
        foreign = await posts.tagged(UNKNOWN, "foreign")
        heads = await learnt(client)
        of_others = await learnt(client, **{"X-Maru-Workspace": "foreign"})
        explained = (await client.post("/api/v1/explanations", json={"text": UNKNOWN})).json()
        off = await client.put("/api/v1/models/sentiment", json={"learns": False})
        back = await posts.tagged(UNKNOWN)
        heads_off = await learnt_until(client, "off")
        on = await client.put("/api/v1/models/sentiment", json={})
        again = await posts.until(UNKNOWN, "positive")

    assert (before.sentiment.label, foreign.sentiment.label) == ("negative", "negative")
    assert head_of(before) == head_of(foreign) == head_of(back)
    assert head_of(after).name == "maru-network+corrections"
    assert head_of(after).model_dump() == heads["sentiment"]["model"]
    assert head_of(before).model_dump() == heads["sentiment"]["base"]
    assert head_of(after, "intent") == head_of(before, "intent")
    told = heads["sentiment"]
    assert (told["state"], told["corrections"]) == ("used", 40)
    assert told["base_accuracy"] < 0.65
    assert told["accuracy"] > 0.9
    assert told["p_value"] < 0.001
    assert (heads["intent"]["state"], heads["intent"]["corrections"]) == ("too_few", 0)
    assert of_others["sentiment"]["state"] == "too_few"
    assert explained["tags"][0]["label"] == "positive"
    assert (off.json()["learns"], on.json()["learns"]) == (False, True)
    assert (back.sentiment, heads_off["sentiment"]["corrections"]) == (before.sentiment, 40)
    assert (again.sentiment, head_of(again)) == (after.sentiment, head_of(after))
    used = {"head": "sentiment", "state": "used"}
    assert REGISTRY.get_sample_value("maru_sentiment_learnt_heads", used) == 1


async def learnt_until(client: httpx.AsyncClient, state: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while (heads := await learnt(client))["sentiment"]["state"] != state:
            await asyncio.sleep(0.1)
        return heads


@pytest.mark.usefixtures("hasty")
async def test_a_replay_is_tagged_alike_by_a_process_that_knows_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    async with running(url, tmp_path), open_bus(url) as bus:
        posts = Posts(bus)
        await posts.tagged("warm up")
        for message in all_told(corrections(40)):
            await publish(bus, TAGS_CORRECTED, [message])
        await posts.until(UNKNOWN, "positive")
        await asyncio.sleep(2)
        before = await posts.tagged(UNKNOWN)
    async with open_bus(url) as bus:
        await publish(bus, POSTS_COLLECTED, [before.post])
        start = await bus.ends(POSTS_TAGGED.name)
        async with running(url, tmp_path):
            spans = []
            while not spans:
                spans = await bus.read(POSTS_TAGGED.name, start, max_records=1, wait=1)
    again = TaggedPost.model_validate_json(spans[0].records[0].value)

    assert again.model_copy(update={"tagged_at": before.tagged_at}) == before


@pytest.mark.usefixtures("hasty")
async def test_corrections_that_are_taken_back_are_unlearnt(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    async with running(url, tmp_path) as client, open_bus(url) as bus:
        posts, messages = Posts(bus), all_told(corrections(40))
        await publish(bus, TAGS_CORRECTED, messages)
        await posts.until(UNKNOWN, "positive")
        gone = [it.model_copy(update={"removed": True, "mood": None}) for it in messages[:20]]
        await publish(bus, TAGS_CORRECTED, gone)
        back = await posts.until(UNKNOWN, "negative")
        heads = await learnt(client)

    assert head_of(back).name == "maru-network"
    assert (heads["sentiment"]["state"], heads["sentiment"]["corrections"]) == ("too_few", 20)


@pytest.mark.usefixtures("hasty")
async def test_terms_speak_for_themselves_and_chosen_models_are_learnt_upon(
    tmp_path: Path,
) -> None:
    write_checkpoint(tmp_path / "models" / "own", MOODS, WORDS)
    url = f"sqlite:///{tmp_path}/log.db"
    async with running(url, tmp_path) as client, open_bus(url) as bus:
        posts = Posts(bus)
        await publish(bus, TAGS_CORRECTED, all_told(corrections(40)))
        await posts.until(UNKNOWN, "positive")
        await client.put("/api/v1/models/sentiment", json={"model": {"name": "own"}})
        upon = await learnt_upon(client, posts, "own")
        await client.put("/api/v1/models/sentiment", json={})
        term = TermDefined(workspace=OURS, name="sick", meaning="negative", at=NOW)
        await publish(bus, TERMS_DEFINED, [term])
        heads = await learnt_until(client, "too_few")
        with_term = await posts.tagged(UNKNOWN)

    assert head_of(upon).name == "own+corrections"
    assert upon.sentiment.label == "positive"
    assert heads["sentiment"]["corrections"] < NEEDED
    assert with_term.sentiment.corrections == ("sick",)
    assert with_term.sentiment.label == "negative"


async def learnt_upon(client: httpx.AsyncClient, posts: Posts, base: str) -> TaggedPost:
    async with asyncio.timeout(60):
        while True:
            found = await posts.tagged(UNKNOWN)
            if head_of(found).name == f"{base}+corrections":
                assert (await learnt(client))["sentiment"]["base"]["name"] == base
                return found
            assert head_of(found).name != "maru-network+corrections"


async def test_learning_holds_up_no_event_loop(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    texts = [f"{text} {number}" for number in range(8) for text, _ in sick_posts()]
    pairs = [(text, mood) for text, (_, mood) in zip(texts, sick_posts() * 8, strict=True)]
    async with open_bus(url) as bus, running(url, tmp_path) as client:
        await publish(bus, TAGS_CORRECTED, all_told(pairs))
        await Posts(bus).tagged("warm up")
        await learnt(client)  # loads all
        gaps: list[float] = []

        async def heartbeat() -> None:
            loop = asyncio.get_running_loop()
            while True:
                began = loop.time()
                await asyncio.sleep(0.005)
                gaps.append(loop.time() - began)

        beating = asyncio.create_task(heartbeat())
        await publish(bus, TAGS_CORRECTED, all_told(pairs, "other"))
        async with asyncio.timeout(60):
            while (await learnt(client, **{"X-Maru-Workspace": "other"}))["sentiment"][
                "state"
            ] != "used":
                await asyncio.sleep(0.05)
        beating.cancel()

    gaps.sort()
    assert gaps[int(len(gaps) * 0.95)] < 0.1


async def test_a_row_of_corrections_is_learnt_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    messages = all_told(corrections(40))

    async with open_bus(url) as bus, running(url, tmp_path) as client:
        await publish(bus, TAGS_CORRECTED, messages[:30])
        await Posts(bus).tagged("warm up")
        async with asyncio.timeout(60):
            while (await learnt(client))["sentiment"]["corrections"] != 30:
                await asyncio.sleep(0.1)
        before = times_learnt("sentiment")
        for message in messages[30:]:
            await publish(bus, TAGS_CORRECTED, [message])
            await asyncio.sleep(0.2)
        async with asyncio.timeout(60):
            while (await learnt(client))["sentiment"]["corrections"] != 40:
                await asyncio.sleep(0.1)

    assert times_learnt("sentiment") - before <= 2
