"""Whatever strangers send: a clear reason, good posts go on, memory stays small, Maru stays up."""

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from cli.conftest import until
from e2e.house import PATIENCE, House, open_house
from maru_contracts.topics import POSTS_COLLECTED, POSTS_TAGGED
from upstreams.feed import FeedServer, feed_server_beside

_MB = 1024 * 1024
_MEMORY = 400 * _MB
"""For each process; the one that holds the models takes half of it before anything comes."""
_PRODUCTION = pytest.param("production", marks=[pytest.mark.kafka, pytest.mark.postgres])
_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a0 "lol">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + ']><rss version="2.0"><channel><item><title>&a9;</title></item></channel></rss>'
).encode()


def _feed(text: bytes) -> bytes:
    return (
        b'<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>t</title>'
        b"<item><guid>bad</guid><title>" + text + b"</title></item></channel></rss>"
    )


@pytest.fixture(scope="module", params=["embedded", _PRODUCTION])
def running_house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with open_house(request.param, tmp_path_factory.mktemp(request.param)) as house:
        yield house


@pytest.fixture
def house(running_house: House) -> Iterator[House]:
    yield running_house
    assert running_house.watch.unready == []
    assert running_house.watch.peak < _MEMORY


@pytest.fixture
def upstream() -> Iterator[FeedServer]:
    with feed_server_beside() as server:
        yield server


_FEEDS = {
    "a post of 10 MB": ("raw", _feed(b"x" * 10 * _MB), "larger than 5,242,880 bytes"),
    "broken XML": ("raw", _feed(b"Please <b>add")[:-40], "broken XML: it ends in the middle"),
    "billion laughs": ("raw", _LAUGHS, "an XML bomb"),
    "a gzip bomb": ("bomb", b"", "larger than 5,242,880 bytes"),
    "endless and fast": ("endless", b"", "larger than 5,242,880 bytes"),
    "endless and slow": ("drip", b"", "did not finish within 20 s"),
}


@pytest.mark.parametrize(("mode", "body", "words"), _FEEDS.values(), ids=_FEEDS.keys())
def test_a_hostile_feed_says_why_and_comes_back_when_it_is_mended(
    house: House, upstream: FeedServer, mode: str, body: bytes, words: str
) -> None:
    upstream.mode, upstream.body = mode, body
    product = f"{mode} {words}"
    source = house.follow(upstream.url(), product)

    _others_go_on(house, f"beside {product}")
    house.says(source, words)

    _mend(house, upstream, source, product)


def test_a_feed_that_redirects_inwards_is_refused_before_anybody_is_asked(
    house: House, upstream: FeedServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        inwards = f"http://127.0.0.1:{trap.getsockname()[1]}/latest/meta-data"
        upstream.mode, upstream.status = "status", 302
        followed = []
        for target, words in (
            (inwards, "own network"),
            ("http://[::1]/", "not on the public internet"),
            ("http://169.254.169.254/latest/meta-data", "not on the public internet"),
        ):
            upstream.answer_headers = {"Location": target}
            followed.append(house.follow(upstream.url(), target))
            house.says(followed[-1], words)
            _others_go_on(house, f"beside {target}")
        trap.settimeout(0)
        with pytest.raises(BlockingIOError):
            trap.accept()

    # A post belongs to the source that brought it first, and all of these read the same feed.
    *others, source = followed
    for other in others:
        house.client.delete(f"/api/v1/sources/{other}").raise_for_status()
    _mend(house, upstream, source, target)


def test_a_feed_that_is_no_utf8_loses_only_the_bad_bytes(
    house: House, upstream: FeedServer
) -> None:
    upstream.mode, upstream.body = "raw", _feed(b"Please add \xff\xfe a dark mode \xc3\x28")

    source = house.follow(upstream.url(), "no utf-8")

    house.becomes_ideas("no utf-8", 1)
    (text,) = house.texts(source)
    assert "a dark mode" in text
    assert text.encode()
    _mend(house, upstream, source, "no utf-8")


def test_an_import_names_each_bad_row_and_takes_the_others(house: House, tmp_path: Path) -> None:
    file = tmp_path / "reviews.ndjson"
    file.write_bytes(
        b'{"id": "1", "text": "Please add offline maps"}\n'
        b"{broken\n"
        b'{"id": "2"}\n'
        b'{"id": "3", "text": "\xff\xfe"}\n'
        b'["no object"]\n'
        b'{"id": "4", "text": "Please add a widget", "created_at": "yesterweek"}\n'
        b'{"id": "5", "text": "' + b"x" * 10 * _MB + b'"}\n'
        b'{"id": "6", "text": "Please add a dark mode"}\n'
    )

    done = house.maru.run("import", str(file), "--product", "rows", "--wait", "--json")

    summary = json.loads(done.stdout)
    assert (done.returncode, summary["published"], summary["rejected"]) == (1, 2, 6)
    rejects = [json.loads(line) for line in Path(summary["rejects_file"]).read_text().splitlines()]
    assert [(row["line"], row["reason"].partition(":")[0]) for row in rejects] == [
        (2, "not JSON"),
        (3, "no text"),
        (4, "not UTF-8 at byte 22"),
        (5, "not a JSON object"),
        (6, "the date 'yesterweek' can't be read"),
        (7, "a line of more than 4 MB"),
    ]
    house.becomes_ideas("rows", 2)


def test_a_webhook_with_a_bad_signature_is_refused_and_the_next_good_one_taken(
    house: House,
) -> None:
    source = house.add("webhook", "hooks", {})
    forged = Webhook("whsec_" + "A" * 43 + "=")

    refused = _send(house, source["id"], forged, {"id": "1", "text": "Please add spam"})
    huge = _send(house, source["id"], forged, {"id": "2", "text": "x" * 10 * _MB})
    taken = _send(
        house,
        source["id"],
        Webhook(source["secret"]),
        [{"id": "3", "text": "Please add calendar sync"}, {"id": "4"}],
    )

    assert refused[0] == 401
    assert "The webhook's signature is not good: No matching signature found." in refused[1]
    assert huge[0] == 413
    assert "5,242,880 bytes" in huge[1] or "too large" in huge[1].lower()
    assert taken[0] == 202
    assert json.loads(taken[1]) == {"accepted": 1, "duplicates": 0, "rejected": 1, "deleted": 0}
    house.becomes_ideas("hooks", 1)
    assert house.texts(source["id"]) == ["Please add calendar sync"]
    assert house.dead("no text")


@pytest.mark.parametrize("topic", [POSTS_COLLECTED.name, POSTS_TAGGED.name])
def test_a_message_of_a_version_nobody_knows_is_set_aside_by_its_name(
    house: House, topic: str
) -> None:
    unknown = topic.replace(".v1", ".v99")
    product = f"beside {unknown}"
    before = len(house.dead(unknown))

    house.append(topic, f"default/{product}".encode(), b'{"surprise": true}', unknown)
    _others_go_on(house, product)

    until(lambda: len(house.dead(unknown)) == before + 1, seconds=PATIENCE)
    assert house.dead(unknown)[-1] == f"schema {unknown!r} is not {topic!r}"


def _others_go_on(house: House, product: str) -> None:
    """A post of a good feed becomes an idea's evidence."""
    with feed_server_beside([("1", "Please add keyboard shortcuts")]) as good:
        source = house.follow(good.url().replace("127.0.0.1", "localhost"), product)
        house.becomes_ideas(product, 1)
        assert house.texts(source) == ["Please add keyboard shortcuts"]
        house.client.delete(f"/api/v1/sources/{source}").raise_for_status()


def _mend(house: House, upstream: FeedServer, source: str, product: str) -> None:
    """The feed behaves from now on: its posts come, and it has no complaint any more."""
    before = house.evidence(product)
    upstream.mode, upstream.posts = "ok", [(f"good {product}", "Please add two-factor login")]
    house.resume(source)
    house.becomes_ideas(product, before + 1)
    assert "Please add two-factor login" in house.texts(source)
    assert house.reason(source) == ""
    house.client.delete(f"/api/v1/sources/{source}").raise_for_status()


def _send(
    house: House, source: str, signer: Webhook, posts: object, number: str = ""
) -> tuple[int, str]:
    body = json.dumps(posts)
    sent = datetime.now(UTC)
    delivery = f"message-{time.monotonic_ns()}{number}"
    headers = {
        "webhook-id": delivery,
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": signer.sign(delivery, sent, body),
    }
    answer = house.client.post(f"/hooks/{source}", content=body, headers=headers)
    return answer.status_code, answer.text
