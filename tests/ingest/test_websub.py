"""Feeds that hubs push (WebSub), with a hub that behaves, or misbehaves, as a test says."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from gateway.conftest import opened
from maru_contracts.posts import Post
from maru_ingest import connectors, domain
from maru_ingest.app import create_app
from maru_ingest.collector import Collector
from maru_ingest.connector import Push, Tools
from maru_ingest.formats import documents, links
from maru_ingest.service.pushing import METHODS, Pushing, is_signed
from maru_ingest.service.sources import Sources
from maru_ingest.settings import Settings
from maru_ingest.store import sources as stored_sources
from maru_ingest.store import subscriptions
from maru_ingest.store.subscriptions import Subscription
from maru_ingest.subscriber import Subscriber
from maru_kit.bus import Bus
from maru_kit.errors import Unavailable
from maru_kit.settings import Common
from upstreams.websub import Behaviour, Hub, Offer, PushedBlog

Read = Callable[[], Awaitable[list[Post]]]
_BY = {"X-Maru-Workspace": "w", "X-Maru-Actor": "key", "X-Maru-Role": "owner"}
_PUBLIC = "https://maru.example/at"


@dataclass
class Stage:
    """A blog with a hub, and the service that follows it."""

    blog: PushedBlog
    client: httpx.AsyncClient
    pushing: Pushing
    collected: Read

    @property
    def hub(self) -> Hub:
        return self.blog.hub

    async def follow(self, **settings: object) -> dict[str, Any]:
        wanted = {"kind": "feed", "name": "blog", "settings": {**self.blog.settings(), **settings}}
        answer = await self.client.post("/api/v1/sources", json=wanted)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def shown(self, source: dict[str, Any]) -> dict[str, Any]:
        return dict((await self.client.get(f"/api/v1/sources/{source['id']}")).json())

    async def act(self, source: dict[str, Any], action: str) -> None:
        method, path = ("DELETE", "") if action == "remove" else ("POST", f"/{action}")
        await self.client.request(method, f"/api/v1/sources/{source['id']}{path}")

    async def until(
        self, source: dict[str, Any], holds: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        ends = time.monotonic() + 15
        while not holds(found := await self.shown(source)):
            assert time.monotonic() < ends, found
            await asyncio.sleep(0.02)
        return found

    async def until_pushed(self, source: dict[str, Any], state: str = "active") -> dict[str, Any]:
        found = await self.until(source, lambda it: (it["push"] or {}).get("state") == state)
        if state == "active":
            await self.until_hub(lambda hub: bool(hub.granted))
        return found

    async def until_hub(self, holds: Callable[[Hub], bool]) -> None:
        ends = time.monotonic() + 15
        while not holds(self.hub):
            assert time.monotonic() < ends, self.hub
            await asyncio.sleep(0.02)

    async def poll(self, source: dict[str, Any]) -> None:
        """Have the source polled, and wait until it was."""
        before = (await self.shown(source))["last_success_at"]
        async with self.pushing.publisher.database.transaction() as connection:
            await stored_sources.set_state(
                connection, source["id"], "active", next_poll_at=domain.utc_now()
            )
        await self.until(source, lambda it: it["last_success_at"] != before)

    async def subscription(self, source: dict[str, Any]) -> Subscription:
        async with self.pushing.publisher.database.reading() as connection:
            return (await subscriptions.of_sources(connection, [source["id"]]))[source["id"]]

    async def make_due(self, source: dict[str, Any]) -> None:
        """Have the hub asked again now."""
        known = await self.subscription(source)
        async with self.pushing.publisher.database.transaction() as connection:
            await subscriptions.note_refusal(
                connection,
                known,
                known.reason,
                state=known.state,
                next_at=datetime(2020, 1, 1, tzinfo=UTC),
            )


@asynccontextmanager
async def staged(
    home: Path, database_url: str, read: Read, *, public_url: str = _PUBLIC, allow_hub: bool = True
) -> AsyncIterator[Stage]:
    async with PushedBlog().serving() as blog:
        common = Common(home=home, bus_url=f"sqlite:///{home}/log.db", database_url=database_url)
        allowed = [blog.host] if allow_hub else [blog.host.replace("127.0.0.1", "localhost")]
        app = create_app(
            Settings(common=common, public_url=public_url, allow_hosts=allowed), work=False
        )
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=_BY) as client,
            httpx.AsyncClient(transport=Prefixed(transport, public_url)) as subscriber,
        ):
            blog.hub = Hub(subscriber)
            stage = Stage(blog, client, app.state.pushing, read)
            async with working(stage):
                yield stage


class Prefixed(httpx.AsyncBaseTransport):
    """The proxy before Maru, which serves it below the path of the public address."""

    def __init__(self, inner: httpx.AsyncBaseTransport, public_url: str) -> None:
        self._inner = inner
        self._prefix = httpx.URL(public_url).path.rstrip("/") if public_url else ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == "maru.example"
        assert request.url.path.startswith(f"{self._prefix}/hooks/")
        raw = request.url.raw_path.decode().removeprefix(self._prefix)
        request.url = request.url.copy_with(raw_path=raw.encode())
        return await self._inner.handle_async_request(request)


@asynccontextmanager
async def working(stage: Stage) -> AsyncIterator[None]:
    """Follow sources and tend subscriptions while the block runs."""
    stop = asyncio.Event()
    pushing = stage.pushing
    async with asyncio.TaskGroup() as group:
        collector = Collector(
            pushing.publisher,
            connectors.kinds(),
            Tools(pushing.outbound),
            pushing.vault,
            "i1",
            tick_seconds=0.02,
            pushing=pushing,
        )
        group.create_task(collector.run(stop))
        group.create_task(Subscriber(pushing, tick_seconds=0.02).run(stop))
        try:
            yield
        finally:
            stop.set()


@pytest.fixture
async def stage(
    tmp_path: Path, database_url: str, log: Bus, collected: Read
) -> AsyncIterator[Stage]:
    del log  # the same file
    async with staged(tmp_path, database_url, collected) as stage:
        yield stage


@pytest.mark.parametrize("offer", ["headers", "header", "elements", "json"])
async def test_what_a_hub_pushes_comes_at_once_and_is_what_the_poll_brings(
    stage: Stage, offer: Offer
) -> None:
    stage.blog.offer = offer
    stage.blog.write("before")
    source = await stage.follow()
    await stage.until_pushed(source)
    stage.blog.write("다크 모드 <b>please</b> 😀")
    kind = "application/feed+json" if offer == "json" else "application/rss+xml"

    (answer,) = await stage.hub.push(stage.blog.document(), kind=kind)
    pushed = await stage.collected()
    await stage.poll(source)

    assert (answer.status, answer.told["accepted"]) == (202, 1)
    assert [post.text for post in pushed] == ["before", "다크 모드 please 😀"] or offer == "json"
    assert len(pushed) == 2
    assert await stage.collected() == pushed, "the poll brings nothing else"
    found = await stage.shown(source)
    assert (found["posts"], found["reason"]) == (2, "")
    assert found["push"]["last_push_at"]


async def test_a_hub_is_asked_as_the_standard_says_and_the_state_is_shown(stage: Stage) -> None:
    source = await stage.follow()
    found = await stage.until_pushed(source)

    (form,) = stage.hub.asked
    assert form["hub.topic"] == stage.blog.topic
    assert form["hub.callback"].startswith(f"{_PUBLIC}/hooks/{source['id']}/websub/")
    assert len(form["hub.callback"].rpartition("/")[2]) >= 32
    assert 32 <= len(form["hub.secret"]) < 200
    assert int(form["hub.lease_seconds"]) == 10 * 86_400
    push = found["push"]
    assert (push["hub"], push["topic"], push["reason"]) == (
        stage.blog.hub_url,
        stage.blog.topic,
        "",
    )
    left = datetime.fromisoformat(push["lease_until"]) - datetime.now(UTC)
    assert timedelta(days=9.9) < left <= timedelta(days=10)
    asked_again = datetime.fromisoformat(push["next_at"]) - datetime.now(UTC)
    assert timedelta(days=6) < asked_again < timedelta(days=8)
    assert form["hub.secret"] not in str(found)
    assert form["hub.callback"].rpartition("/")[2] not in str(found)


@pytest.mark.parametrize("method", METHODS)
async def test_every_way_to_sign_is_taken(stage: Stage, method: str) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    stage.blog.write("signed")

    (answer,) = await stage.hub.push(stage.blog.document(), method=method)

    assert (answer.status, answer.told["accepted"]) == (202, 1)


@pytest.mark.parametrize(
    "signature",
    ["", "sha256=", "sha256", "nonsense", "=", "md5=00", "sha256=" + "0" * 64, "sha1=" + "0" * 40],
)
async def test_what_is_not_signed_is_ignored_without_a_word(stage: Stage, signature: str) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    stage.blog.write("forged")

    (answer,) = await stage.hub.push(stage.blog.document(), signature=signature)

    assert (answer.status, answer.told["accepted"]) == (202, 0)
    assert await stage.collected() == []
    assert (await stage.shown(source))["push"]["last_push_at"] is None


async def test_a_signature_is_that_of_these_bytes_and_of_this_source(stage: Stage) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    secret = stage.hub.asked[0]["hub.secret"]
    stage.blog.write("signed")
    body = stage.blog.document()
    good = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()

    (changed,) = await stage.hub.push(body + b" ", signature=f"sha256={good}")
    (whole,) = await stage.hub.push(body, signature=f"SHA256={good.upper()}")

    assert (changed.told["accepted"], whole.told["accepted"]) == (0, 1)


async def test_the_same_push_again_changes_nothing(stage: Stage) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    stage.blog.write("once")

    answers = [(await stage.hub.push(stage.blog.document()))[0].told for _ in range(3)]

    assert [(it["accepted"], it["duplicates"]) for it in answers] == [(1, 0), (0, 1), (0, 1)]
    assert len(await stage.collected()) == 1


async def test_an_edit_that_is_pushed_is_the_next_revision(stage: Stage) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    written = stage.blog.write("dark mode")
    await stage.hub.push(stage.blog.document())
    stage.blog.edit(written, "dark mode, please")

    await stage.hub.push(stage.blog.document())

    first, second = await stage.collected()
    assert (first.id, second.revision, second.text) == (second.id, 1, "dark mode, please")


async def test_ids_that_a_feed_misuses_stay_untrusted_in_a_part_of_it(stage: Stage) -> None:
    first, second = stage.blog.write("dark mode"), stage.blog.write("offline mode")
    second.native_id = first.native_id
    source = await stage.follow()
    await stage.until_pushed(source)
    assert len(await stage.collected()) == 2
    stage.blog.delete(first)

    (answer,) = await stage.hub.push(stage.blog.document())

    assert (answer.told["accepted"], answer.told["duplicates"]) == (0, 1)


async def test_a_hub_hears_503_while_the_log_is_away_and_sends_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    stage.blog.write("kept")

    async def refuse(*_: object) -> None:
        raise Unavailable("the log is away")

    with monkeypatch.context() as away:
        away.setattr(stage.pushing.publisher.bus, "append", refuse)
        (refused,) = await stage.hub.push(stage.blog.document())
    (taken,) = await stage.hub.push(stage.blog.document())

    assert (refused.status, taken.status, taken.told["accepted"]) == (503, 202, 1)
    assert [post.text for post in await stage.collected()] == ["kept"]


async def test_what_can_not_be_read_has_the_feed_polled(stage: Stage) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    stage.blog.write("only in the feed")

    (answer,) = await stage.hub.push(b"<p>something has changed</p>", kind="text/html")

    assert (answer.status, answer.told["accepted"]) == (202, 0)
    await stage.until(source, lambda it: it["posts"] == 1)


async def test_a_hub_can_not_have_a_feed_polled_again_and_again(stage: Stage) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    before = len(stage.blog.asked)

    for _ in range(10):
        await stage.hub.push(b"nothing")
        await asyncio.sleep(0.05)

    assert len(stage.blog.asked) == before


async def test_nothing_is_confirmed_that_was_not_asked_for(stage: Stage) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    (form,) = stage.hub.asked
    asked = {"hub.mode": "subscribe", "hub.topic": stage.blog.topic, "hub.challenge": "c"}
    wrong = [
        (form["hub.callback"], {**asked, "hub.mode": "unsubscribe"}),
        (form["hub.callback"], {**asked, "hub.mode": "publish"}),
        (form["hub.callback"], {**asked, "hub.topic": stage.blog.topic + "x"}),
        (form["hub.callback"] + "x", asked),
        (form["hub.callback"].replace(source["id"], "another"), asked),
    ]

    for callback, query in wrong:
        answer = await stage.hub.subscriber.get(callback, params=query)
        assert answer.status_code == 404, query
        assert answer.text != "c"
    right = await stage.hub.subscriber.get(form["hub.callback"], params=asked)
    assert (right.status_code, right.text) == (200, "c")
    assert right.headers["content-type"].startswith("text/plain")
    assert right.headers["x-content-type-options"] == "nosniff"
    assert (await stage.hub.subscriber.get(form["hub.callback"])).status_code == 422


async def test_while_a_hub_pushes_the_feed_is_polled_less_often(stage: Stage) -> None:
    source = await stage.follow()
    before = await stage.until_pushed(source)
    await stage.poll(source)
    after = await stage.shown(source)

    def wait(shown: dict[str, Any]) -> timedelta:
        last, due = (
            datetime.fromisoformat(shown[it]) for it in ("last_success_at", "next_poll_at")
        )
        return due - last

    assert wait(before) < timedelta(hours=1.2)
    assert timedelta(hours=4) <= wait(after) < timedelta(hours=4.5)


async def test_a_lease_is_renewed_before_it_ends_and_nothing_comes_twice(stage: Stage) -> None:
    stage.hub.lease = 2
    source = await stage.follow()
    first = await stage.until_pushed(source)
    await stage.until_hub(lambda hub: len(hub.asked) == 2)
    renewed = await stage.until(
        source, lambda it: it["push"]["lease_until"] != first["push"]["lease_until"]
    )

    assert renewed["push"]["state"] == "active"
    assert stage.hub.asked[0] == stage.hub.asked[1]
    stage.blog.write("once")
    assert len(await stage.hub.push(stage.blog.document())) == 1


async def test_a_lease_that_ends_has_the_feed_polled_at_its_own_pace(stage: Stage) -> None:
    stage.hub.lease = 2
    source = await stage.follow()
    await stage.until_pushed(source)
    await stage.poll(source)
    stage.hub.behaviour = "down"
    stage.blog.write("while the hub was away")

    found = await stage.until(source, lambda it: it["posts"] == 1)

    assert found["push"]["state"] == "pending"
    assert "500" in found["push"]["reason"]
    polled = datetime.fromisoformat(found["last_success_at"])
    assert datetime.fromisoformat(found["next_poll_at"]) - polled < timedelta(hours=1.2)


async def test_a_hub_may_deny_at_any_time_and_says_why(stage: Stage) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    await stage.poll(source)
    (form,) = stage.hub.asked
    stage.blog.write("in the feed")

    status = await stage.hub.deny(
        form["hub.topic"], form["hub.callback"], "no <b>more</b>\nof\x07 this"
    )

    found = await stage.until(source, lambda it: it["posts"] == 1)
    assert status == 200
    assert found["push"]["state"] == "denied"
    assert found["push"]["reason"] == "The hub denies it: no <b>more</b> of this"
    wait = datetime.fromisoformat(found["push"]["next_at"]) - datetime.now(UTC)
    assert wait > timedelta(hours=23)


@pytest.mark.parametrize(
    ("behaviour", "state", "says", "at_least"),
    [
        ("denies", "denied", "not for you", timedelta(hours=23)),
        ("rejects", "denied", "answers 400: No: ", timedelta(hours=23)),
        ("down", "pending", "answers 500", timedelta(minutes=0.9)),
        ("busy", "pending", "answers 429", timedelta(minutes=59)),
        ("circles", "pending", "again and again", timedelta(minutes=0.9)),
        ("hang", "pending", "did not finish within 8 s", timedelta(minutes=0.7)),
    ],
)
async def test_a_hub_that_does_not_push_is_told_of_and_left_alone(
    stage: Stage, behaviour: Behaviour, state: str, says: str, at_least: timedelta
) -> None:
    stage.hub.behaviour = behaviour
    source = await stage.follow()

    found = await stage.until(source, lambda it: bool(it["push"] and it["push"]["reason"]))

    assert (found["push"]["state"], found["state"]) == (state, "active")
    assert says in found["push"]["reason"]
    wait = datetime.fromisoformat(found["push"]["next_at"]) - datetime.now(UTC)
    assert wait >= at_least
    form = stage.hub.asked[0]
    assert form["hub.callback"].rpartition("/")[2] not in found["push"]["reason"]


async def test_a_hub_that_forgets_to_ask_back_is_asked_again(stage: Stage) -> None:
    stage.hub.behaviour = "forgetful"
    source = await stage.follow()
    await stage.until_hub(lambda hub: len(hub.asked) == 1)
    assert (await stage.shown(source))["push"]["state"] == "pending"
    stage.hub.behaviour = "ok"

    await stage.make_due(source)

    await stage.until_pushed(source)
    assert stage.hub.asked[0] == stage.hub.asked[1]


@pytest.mark.parametrize("behaviour", ["early", "moved"])
async def test_hubs_may_ask_back_before_they_answer_and_name_another(
    stage: Stage, behaviour: Behaviour
) -> None:
    stage.hub.behaviour = behaviour
    source = await stage.follow()

    await stage.until_pushed(source)

    paths = [form["path"] for form in stage.hub.asked]
    assert paths == (["/hub", "/other-hub"] if behaviour == "moved" else ["/hub"])


async def test_another_hub_that_a_feed_offers_is_asked_when_the_first_is_down(
    stage: Stage,
) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    known = await stage.subscription(source)
    gone = f"{stage.blog.url}/no-hub"
    async with stage.pushing.publisher.database.transaction() as connection:
        await subscriptions.replace_offer(
            connection, known, hubs=[gone, stage.blog.hub_url], url=known.url
        )

    await stage.make_due(source)
    refused = await stage.until(source, lambda it: "404" in it["push"]["reason"])
    await stage.make_due(source)
    taken = await stage.until(source, lambda it: not it["push"]["reason"])

    assert (refused["push"]["hub"], refused["push"]["state"]) == (gone, "active")
    assert (taken["push"]["hub"], taken["push"]["state"]) == (stage.blog.hub_url, "active")


@pytest.mark.parametrize("action", ["pause", "remove"])
async def test_a_source_that_is_paused_or_removed_is_left(stage: Stage, action: str) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    (form,) = stage.hub.asked
    again = {"hub.mode": "subscribe", "hub.topic": stage.blog.topic, "hub.challenge": "c"}
    granted = dict(stage.hub.granted)

    await stage.act(source, action)
    refused = await stage.hub.subscriber.get(form["hub.callback"], params=again)
    await stage.until_hub(lambda hub: not hub.granted)

    assert refused.status_code == 404
    (left,) = stage.hub.forms("unsubscribe")
    assert (left["hub.topic"], left["hub.callback"]) == (form["hub.topic"], form["hub.callback"])
    stage.hub.granted = granted
    stage.blog.write("too late")
    (answer,) = await stage.hub.push(stage.blog.document())
    assert answer.status == 410
    assert await stage.collected() == []


async def test_a_hub_that_does_not_hear_that_it_is_left_brings_nothing_more(stage: Stage) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    stage.hub.behaviour = "forgetful"
    await stage.act(source, "pause")
    await stage.until_hub(lambda hub: bool(hub.forms("unsubscribe")))
    await stage.act(source, "resume")
    await stage.until_hub(lambda hub: len(hub.forms("subscribe")) == 2)
    stage.blog.write("to the old address")

    (answer,) = await stage.hub.push(stage.blog.document())

    assert answer.status == 410
    assert await stage.collected() == []


@pytest.mark.parametrize("offer", ["headers", "elements", "json"])
async def test_hubs_are_known_while_the_feed_does_not_change(stage: Stage, offer: Offer) -> None:
    stage.blog.offer = offer
    kind = connectors.kinds()["feed"]
    assert kind.open is not None
    settings = kind.settings.model_validate(stage.blog.settings())
    connector = kind.open(settings, Tools(stage.pushing.outbound))
    (first,) = [page async for page in connector.pages({})]
    without_validator = {k: v for k, v in first.cursor.items() if k != "etag"}

    (unchanged,) = [page async for page in connector.pages(first.cursor)]
    (same,) = [page async for page in connector.pages(without_validator)]

    wanted = Push([stage.blog.hub_url], stage.blog.topic, f"{stage.blog.url}/feed.xml")
    for page in (first, unchanged, same):
        assert page.push is not None
        assert replace(page.push, hubs=list(page.push.hubs)) == wanted


async def test_a_source_that_is_resumed_is_pushed_to_another_address(stage: Stage) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)

    await stage.act(source, "pause")
    await stage.until_hub(lambda hub: not hub.granted)
    assert (await stage.shown(source))["push"] is None
    await stage.act(source, "resume")
    await stage.until_pushed(source)

    first, second = stage.hub.forms("subscribe")
    assert first["hub.callback"] != second["hub.callback"]
    assert first["hub.secret"] != second["hub.secret"]


async def test_a_feed_that_names_no_hub_any_more_is_polled(stage: Stage) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)

    stage.blog.offer = "none"
    await stage.poll(source)

    await stage.until_hub(lambda hub: not hub.granted)
    assert (await stage.shown(source))["push"] is None


async def test_a_feed_with_a_key_is_not_given_to_hubs(stage: Stage) -> None:
    source = await stage.follow(authorization="Bearer s3cret")
    await stage.until(source, lambda it: it["last_success_at"] is not None)

    await asyncio.sleep(0.2)
    assert (await stage.shown(source))["push"] is None
    assert stage.hub.asked == []


async def test_a_poll_from_before_a_change_subscribes_to_nothing(stage: Stage) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    async with stage.pushing.publisher.database.reading() as connection:
        before = await stored_sources.source_by_id(connection, source["id"], stage.pushing.vault)
    assert before is not None
    page = {"settings": {"url": f"{stage.blog.url}/nowhere.xml"}}
    await stage.client.patch(f"/api/v1/sources/{source['id']}", json=page)

    await stage.until_hub(lambda hub: not hub.granted)
    await stage.pushing.offered(
        before, Push([stage.blog.hub_url], stage.blog.topic, stage.blog.url)
    )

    assert (await stage.shown(source))["push"] is None


async def test_the_secret_is_stored_sealed_and_sealed_anew_under_another_key(
    stage: Stage,
) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    secret = stage.hub.asked[0]["hub.secret"]
    stored = await stage.subscription(source)
    database, vault = stage.pushing.publisher.database, stage.pushing.vault
    place = subscriptions.secret_place(stored.token)
    clear = vault.open(stored.secret, place)
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE subscriptions SET secret = :clear"), {"clear": clear})

    sealed = await Sources(database, connectors.kinds(), vault).seal()
    again = await stage.subscription(source)

    assert secret not in stored.secret + again.secret
    assert (clear, sealed, vault.open(again.secret, place)) == (secret, 1, secret)


async def test_two_processes_ask_a_hub_once(stage: Stage) -> None:
    stage.hub.behaviour = "forgetful"
    source = await stage.follow()
    await stage.until_hub(lambda hub: len(hub.asked) == 1)
    await stage.make_due(source)

    await asyncio.gather(*(stage.pushing.tend() for _ in range(4)))

    assert len(stage.hub.asked) == 2


async def test_without_a_public_address_nobody_is_asked_and_who_was_is_left(
    tmp_path: Path, log: Bus, collected: Read
) -> None:
    del log
    url = f"sqlite:///{tmp_path}"
    async with staged(tmp_path, url, collected) as stage:
        source = await stage.follow()
        await stage.until_pushed(source)
        silent = Pushing(stage.pushing.publisher, stage.pushing.outbound, stage.pushing.vault)
        async with stage.pushing.publisher.database.reading() as connection:
            found = await stored_sources.source_by_id(connection, source["id"], stage.pushing.vault)
        assert found is not None
        push = Push([stage.blog.hub_url], stage.blog.topic, stage.blog.url)

        await silent.offered(found, push)
        await stage.until_hub(lambda hub: not hub.granted)
        await silent.offered(found, push)

        assert (await stage.shown(source))["push"] is None


async def test_a_stranger_names_no_hub_of_the_own_network(stage: Stage) -> None:
    source = await stage.follow()
    await stage.until_pushed(source)
    async with stage.pushing.publisher.database.reading() as connection:
        found = await stored_sources.source_by_id(connection, source["id"], stage.pushing.vault)
    assert found is not None
    before = len(stage.hub.forms("subscribe"))

    await stage.pushing.offered(
        found, Push([stage.blog.hub_url], "https://blog.example/x", "https://blog.example/feed")
    )
    assert (await stage.shown(source))["push"] is None
    unknown = Push(["http://127.0.0.1:1/hub"], "https://blog.example/x", stage.blog.url)
    await stage.pushing.offered(found, unknown)
    shown = await stage.until(source, lambda it: bool(it["push"] and it["push"]["reason"]))

    assert "Port 1 of 127.0.0.1 is not asked" in shown["push"]["reason"]
    assert len(stage.hub.forms("subscribe")) == before


async def test_the_gateway_lets_hubs_in_without_a_key(tmp_path: Path) -> None:
    async with opened(tmp_path) as api:
        key = await api.key("owner")
        wanted = {"kind": "feed", "name": "b", "settings": {"url": "https://blog.example/feed"}}
        source = (await api.http.post("/api/v1/sources", json=wanted, headers=key)).json()
        pushing = api.services["ingest"].state.pushing
        async with pushing.publisher.database.transaction() as connection:
            await subscriptions.add(
                connection,
                Subscription(
                    token="t0ken",
                    source_id=source["id"],
                    callback="https://maru.example/",
                    hubs=["https://hub.example/"],
                    topic="https://blog.example/topic",
                    url="https://blog.example/feed",
                    secret="s3cret",
                    next_at=domain.utc_now(),
                ),
            )
        path = f"/hooks/{source['id']}/websub/t0ken"
        asked = {
            "hub.mode": "subscribe",
            "hub.topic": "https://blog.example/topic",
            "hub.challenge": "a&b=c",
            "hub.lease_seconds": "864000",
        }
        body = b'<rss version="2.0"><channel><item><title>push me</title></item></channel></rss>'
        signed = f"sha1={hmac.new(b's3cret', body, hashlib.sha1).hexdigest()}"
        headers = {"X-Hub-Signature": signed, "Content-Type": "application/rss+xml"}

        confirmed = await api.http.get(path, params=asked)
        pushed = await api.http.post(path, content=body, headers=headers)
        shown = (await api.http.get(f"/api/v1/sources/{source['id']}", headers=key)).json()

    assert (confirmed.status_code, confirmed.text) == (200, "a&b=c")
    assert (pushed.status_code, pushed.json()["accepted"]) == (202, 1)
    assert shown["push"]["state"] == "active"


@given(st.binary(max_size=200), st.text(max_size=40), st.sampled_from(METHODS))
def test_only_the_right_signature_is_one(body: bytes, secret: str, method: str) -> None:
    good = hmac.new(secret.encode(), body, method).hexdigest()

    assert is_signed(body, f"{method}={good}", secret)
    assert not is_signed(body + b"x", f"{method}={good}", secret)
    assert not is_signed(body, f"{method}={good}", secret + "x")
    assert not is_signed(body, f"{method}={good[:-1]}", secret)


@given(st.text(max_size=200))
def test_no_signature_is_too_odd(signature: str) -> None:
    assert not is_signed(b"", signature, "secret") or "=" in signature


@given(st.text(alphabet='<>;,=" \\relhubself:/.x', max_size=300))
def test_no_link_header_is_too_odd(header: str) -> None:
    for link in links.related(header, "hub", "https://blog.example/"):
        assert link.startswith(("http://", "https://"))


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9) | st.just("https://h.example/"),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "url", "x"]), inner),
    max_leaves=9,
)


@given(_JSON, _JSON)
def test_no_hubs_of_a_json_feed_are_too_odd(hubs: object, feed_url: object) -> None:
    feed = {"version": "https://jsonfeed.org/version/1.1", "items": []}
    body = json.dumps({**feed, "hubs": hubs, "feed_url": feed_url}).encode()

    found = documents.parse(body, url="https://blog.example/feed")

    assert all(hub.startswith("http") for hub in found.hubs)
    assert not found.topic or found.topic.startswith("http")


def test_links_of_a_header_are_found_whatever_stands_around_them() -> None:
    header = (
        '</a>; rel="next hub", <https://h.example/?a=1,2>; title="x; rel=no, y"; REL=HUB,'
        '<https://i.example/>; rel="hub"; anchor="/other", <javascript:1>; rel=hub,'
        "<https://s.example/>;rel=self"
    )

    assert links.related(header, "hub", "https://blog.example/feed") == [
        "https://blog.example/a",
        "https://h.example/?a=1,2",
    ]
    assert links.related(header, "self") == ["https://s.example/"]


@given(st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=30)))
def test_a_safe_interval_is_longer_and_at_most_a_day_or_the_own(interval: timedelta) -> None:
    safe = domain.safe_interval(interval)

    assert interval <= safe <= max(interval, timedelta(days=1))
    assert safe == 4 * interval or safe >= timedelta(days=1)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("60", 60), ("864000", 864_000), ("", 864_000), ("-1", 864_000), ("ten", 864_000),
     ("9" * 12, 365 * 86_400), ("9" * 50, 864_000), ("٣", 3)],
)  # fmt: skip
def test_a_lease_is_what_the_hub_says_within_reason(written: str, seconds: int) -> None:
    assert domain.lease(written) == timedelta(seconds=seconds)


@given(st.integers(1, 10_000), st.integers())
def test_hubs_are_asked_again_later_and_later(failures: int, seed: int) -> None:
    wait = domain.ask_again(failures, dice=Random(seed))

    assert timedelta(minutes=1) <= wait <= timedelta(hours=12)
