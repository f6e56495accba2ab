"""A post is edited, then deleted where it was written: whoever reads Maru sees it change and go."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Self

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from cli.conftest import until
from e2e.house import PATIENCE, House, open_house
from upstreams.feed import FeedServer, feed_server_beside

_PRODUCTION = pytest.param("production", marks=[pytest.mark.kafka, pytest.mark.postgres])
_FIRST, _SECOND = "Please add a purple elephant mode", "Please add a purple elephant mode, too"
_STORY = {"id": 8863, "type": "story", "by": "ann", "time": 1_790_000_000}


@pytest.fixture(params=["embedded", _PRODUCTION])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with open_house(request.param, tmp_path_factory.mktemp(request.param)) as house:
        yield house


@pytest.fixture
def upstream() -> Iterator[FeedServer]:
    with feed_server_beside() as server:
        server.mode = "raw"
        yield server


def test_an_edit_and_a_deletion_reach_everything_that_people_see(
    house: House, upstream: FeedServer
) -> None:
    hook = house.add("webhook", "hook", {})
    with ExitStack() as stack:
        heard = stack.enter_context(Listening(house))
        send(house, hook, {"id": "1", "text": _FIRST, "author": "ann", "channel": "review"})
        send(house, hook, {"id": "2", "text": _SECOND, "author": "bob", "channel": "review"})
        house.becomes_ideas("hook", 2)
        post, other = (it["post_id"] for it in behind(house))
        assert other != post

        send(house, hook, {"id": "1", "text": "Thanks, I love it!", "author": "ann"})
        house.becomes_ideas("hook", 1)
        send(house, hook, {"id": "1", "text": _FIRST, "author": "ann"})
        house.becomes_ideas("hook", 2)

        assert send(house, hook, {"id": "1", "deleted": True})["deleted"] == 1
        assert send(house, hook, {"id": "2", "deleted": True})["deleted"] == 1
        house.becomes_ideas("hook", 0)
        send(house, hook, {"id": "1", "text": _FIRST, "author": "ann"})
        until(lambda: heard.kinds.count("evidence_removed") == 3, seconds=PATIENCE)

    assert house.texts(hook["id"]) == []
    for gone in (post, other):
        assert house.client.get(f"/api/v1/posts/{gone}").status_code == 404
    for path in (
        "/api/v1/posts",
        "/api/v1/ideas",
        "/board/ideas",
        "/feeds/ideas.atom",
        "/board/ideas.atom",
    ):
        answer = house.client.get(path).raise_for_status()
        assert "elephant" not in answer.text, path
    follow_a_platform(house, upstream)


def follow_a_platform(house: House, upstream: FeedServer) -> None:
    """A platform's answer says that its post is gone."""
    upstream.body = json.dumps(_STORY | {"title": "Please add an export to PDF"}).encode()
    source = house.follow(upstream.url(), "platform")
    house.becomes_ideas("platform", 1)

    upstream.body = json.dumps(_STORY | {"deleted": True}).encode()

    house.becomes_ideas("platform", 0)
    assert house.texts(source) == []


def behind(house: House) -> list[Any]:
    """The posts behind the ideas of the webhook's product."""
    ideas = house.client.get("/api/v1/ideas", params={"product": "hook"}).raise_for_status()
    return [
        post
        for idea in ideas.json()["items"]
        for post in house.client.get(f"/api/v1/ideas/{idea['id']}/evidence").json()["items"]
    ]


def send(house: House, source: Any, post: dict[str, Any]) -> Any:
    """Send one signed webhook; return what became of it."""
    body, sent = json.dumps(post), datetime.now(UTC)
    delivery = f"message-{time.monotonic_ns()}"
    headers = {
        "webhook-id": delivery,
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": Webhook(source["secret"]).sign(delivery, sent, body),
    }
    answer = house.client.post(f"/hooks/{source['id']}", content=body, headers=headers)
    return answer.raise_for_status().json()


class Listening:
    """Hears the public live stream in a thread."""

    def __init__(self, house: House) -> None:
        self.kinds: list[str] = []
        self._client = httpx.Client(base_url=house.client.base_url, timeout=30)
        self._begun = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._hear)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._begun.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _hear(self) -> None:
        with self._client, self._client.stream("GET", "/board/live") as answer:
            for line in answer.iter_lines():
                self._begun.set()
                if line.startswith("data: "):
                    self.kinds.append(json.loads(line.removeprefix("data: ")).get("kind", ""))
                if self._ended.is_set():
                    return
