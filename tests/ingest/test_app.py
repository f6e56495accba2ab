import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from maru_contracts.posts import Post
from maru_ingest import connectors
from maru_ingest.app import create_app
from maru_ingest.connector import SourceSettings, Tools
from maru_ingest.service.trying import Trying
from maru_ingest.settings import Settings
from maru_kit.bus import Bus
from maru_kit.database import Database, open_database
from maru_kit.errors import Unavailable
from maru_kit.migrate import migrate
from maru_kit.settings import Common
from upstreams.slack import SlackUpstream

Read = Callable[[], Awaitable[list[Post]]]
_BY = {"X-Maru-Workspace": "w", "X-Maru-Actor": "key", "X-Maru-Role": "owner"}


@pytest.fixture
async def client(
    tmp_path: Path, log: Bus, ingest_database: Database
) -> AsyncIterator[httpx.AsyncClient]:
    del log, ingest_database  # the same files, which the tests look into
    app = create_app(Settings(common=Common(home=tmp_path)), work=False)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=_BY) as client,
    ):
        client.app = app  # type: ignore[attr-defined]
        yield client


async def add(client: httpx.AsyncClient, **changes: object) -> dict[str, object]:
    wanted = {"kind": "feed", "name": "blog", "settings": {"url": "https://example.com/feed"}}
    answer = await client.post("/api/v1/sources", json={**wanted, **changes})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def a_webhook(client: httpx.AsyncClient) -> dict[str, object]:
    return await add(client, kind="webhook", name="hook", settings={})


async def send(
    client: httpx.AsyncClient,
    source: dict[str, object],
    body: bytes,
    *,
    id: str = "msg_1",
    at: datetime | None = None,
) -> httpx.Response:
    at = at or datetime.now(UTC)
    signature = Webhook(str(source["secret"])).sign(id, at, body.decode())
    headers = {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }
    return await client.post(f"/hooks/{source['id']}", content=body, headers=headers)


async def test_a_source_is_added_shown_paused_resumed_and_removed(
    client: httpx.AsyncClient,
) -> None:
    added = await add(client, product="notes")
    url = f"/api/v1/sources/{added['id']}"

    shown = (await client.get(url)).json()
    assert (shown["state"], shown["channel"], shown["product"]) == ("active", "blog", "notes")
    assert "secret" not in shown
    assert (await client.post(f"{url}/pause")).json()["state"] == "paused"
    assert (await client.post(f"{url}/resume")).json()["state"] == "active"
    assert (await client.delete(url)).status_code == 204
    assert (await client.get(url)).status_code == 404


async def test_secrets_are_never_shown_again(client: httpx.AsyncClient) -> None:
    settings = {"url": "https://example.com/feed", "authorization": "Bearer s3cret"}
    feed, hook = await add(client, settings=settings), await a_webhook(client)
    listed = await client.get("/api/v1/sources")

    assert str(hook["secret"]).startswith("whsec_")
    assert "s3cret" not in json.dumps(feed) + listed.text
    assert "whsec_" not in listed.text


async def test_sources_are_listed_in_pages(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await add(client, name=f"blog {number}")

    names, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/api/v1/sources", params=params)).json()
        names += [source["name"] for source in page["items"]]
        if (cursor := page["next"]) is None:
            break

    assert names == [f"blog {number}" for number in range(5)]


async def test_another_workspace_sees_nothing(client: httpx.AsyncClient) -> None:
    added = await add(client)
    other = {"X-Maru-Workspace": "other"}

    assert (await client.get("/api/v1/sources", headers=other)).json()["items"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        answer = await client.request(method, f"/api/v1/sources/{added['id']}{path}", headers=other)
        assert answer.status_code == 404


async def test_a_webhook_deletes_what_it_brought(
    client: httpx.AsyncClient, collected: Read
) -> None:
    source = await a_webhook(client)
    await send(client, source, b'{"id": "h-1", "text": "dark mode"}')

    gone = await send(client, source, b'{"id": "h-1", "deleted": true}', id="msg_2")
    late = await send(client, source, b'{"id": "h-1", "text": "edited"}', id="msg_3")

    assert gone.json() == {"accepted": 0, "duplicates": 0, "rejected": 0, "deleted": 1}
    assert late.json() == {"accepted": 0, "duplicates": 1, "rejected": 0, "deleted": 0}
    assert [(post.native_id, post.deleted) for post in await collected()] == [
        ("h-1", False),
        ("h-1", True),
    ]


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"kind": "telegraph"}, 422, "there are: "),
        ({"settings": {"url": "gopher://x"}}, 422, "url"),
        ({"settings": {"url": "https://example.com", "extra": 1}}, 422, "extra"),
        ({"name": "taken"}, 409, "taken"),
        ({"name": ""}, 422, "name"),
    ],
)
async def test_what_can_not_be_followed_is_refused_with_the_reason(
    client: httpx.AsyncClient, changes: dict[str, object], status: int, says: str
) -> None:
    await add(client, name="taken")
    wanted = {"kind": "feed", "name": "blog", "settings": {"url": "https://example.com/feed"}}

    answer = await client.post("/api/v1/sources", json={**wanted, **changes})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


async def test_a_signed_webhook_is_accepted_once(
    client: httpx.AsyncClient, collected: Read
) -> None:
    source = await a_webhook(client)
    body = json.dumps([{"id": "h-1", "text": "다크 모드"}, {"body": "no id"}, {"id": 3}]).encode()

    first, again = await send(client, source, body), await send(client, source, body)
    other = await send(client, source, body, id="msg_2")

    assert (first.status_code, first.json()) == (
        202,
        {"accepted": 2, "duplicates": 0, "rejected": 1, "deleted": 0},
    )
    assert again.json() == {"accepted": 0, "duplicates": 3, "rejected": 0, "deleted": 0}
    assert other.json()["accepted"] == 1, "a row without an id goes by its message"
    assert [post.native_id for post in await collected()] == ["h-1", "msg_1/2", "msg_2/2"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"webhook-signature": "v1,AAAA"}, 401),
        ({"webhook-signature": "nonsense"}, 401),
        ({"webhook-signature": "v1,\x80"}, 401),
        ({"webhook-id": "another"}, 401),
        ({"webhook-timestamp": "1"}, 401),
        ({"webhook-timestamp": "soon"}, 401),
    ],
)
async def test_a_bad_signature_is_refused(
    client: httpx.AsyncClient, collected: Read, change: dict[str, str], status: int
) -> None:
    source = await a_webhook(client)
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(str(source["secret"])).sign("m", now, '{"text":"x"}'),
        **change,
    }
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    answer = await client.post(f"/hooks/{source['id']}", content=b'{"text":"x"}', headers=raw)

    assert answer.status_code == status
    assert await collected() == []


async def test_a_platform_that_asks_whether_it_may_push_is_answered_in_plain_text(
    client: httpx.AsyncClient, collected: Read
) -> None:
    secrets = {"access_token": "t", "app_secret": "s", "verify_token": "ours"}
    page = await add(client, kind="facebook", name="page", settings={"page": "1", **secrets})
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "ours"}
    url, hook = f"/hooks/{page['id']}", await a_webhook(client)

    answer = await client.get(url, params=asked)
    wrong = await client.get(url, params={**asked, "hub.verify_token": "theirs"})
    unsigned = await client.post(url, content=b'{"object":"page","entry":[]}')

    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    assert (wrong.status_code, unsigned.status_code) == (401, 401)
    assert "1158201444" not in wrong.text
    for other in (f"/hooks/{hook['id']}", "/hooks/nowhere"):
        assert (await client.get(other, params=asked)).status_code == 404
    assert await collected() == []


async def test_a_platform_that_asks_by_a_message_is_answered_in_plain_text_too(
    client: httpx.AsyncClient, collected: Read
) -> None:
    slack = SlackUpstream()
    source = await add(client, kind="slack", name="talk", settings=slack.settings())
    url = f"/hooks/{source['id']}"
    headers, body = slack.signed({"type": "url_verification", "challenge": "3eZbrw1aBm2rZg"})

    answer = await client.post(url, content=body, headers=headers)
    forged = await client.post(url, content=body, headers={**headers, "X-Slack-Signature": "v0=1"})
    asked = await client.get(url, params={"challenge": "3eZbrw1aBm2rZg"})

    assert (answer.status_code, answer.text) == (200, "3eZbrw1aBm2rZg")
    assert answer.headers["content-type"].startswith("text/plain")
    assert (forged.status_code, asked.status_code) == (401, 401)
    assert "3eZbrw1aBm2rZg" not in forged.text + asked.text
    assert await collected() == []


async def test_what_a_platform_signed_and_is_no_post_is_kept_in_the_dead_letters(
    client: httpx.AsyncClient,
) -> None:
    secrets = {"access_token": "t", "app_secret": "s", "verify_token": "ours"}
    page = await add(client, kind="facebook", name="page", settings={"page": "1", **secrets})
    body = b'{"object":"permissions","entry":[{"id":"1"}]}'
    signature = hmac.new(b"s", body, hashlib.sha256).hexdigest()

    answer = await client.post(
        f"/hooks/{page['id']}",
        content=body,
        headers={"X-Hub-Signature-256": f"sha256={signature}"},
    )

    assert (answer.status_code, answer.json()["rejected"]) == (200, 1)


@pytest.mark.parametrize(("minutes", "status"), [(-6, 401), (-4, 202), (4, 202), (6, 401)])
async def test_clocks_may_differ_by_five_minutes(
    client: httpx.AsyncClient, minutes: int, status: int
) -> None:
    source = await a_webhook(client)

    at = datetime.now(UTC) + timedelta(minutes=minutes)
    assert (await send(client, source, b'{"text":"x"}', at=at)).status_code == status


async def test_a_body_that_is_no_post_is_a_bad_request(client: httpx.AsyncClient) -> None:
    source = await a_webhook(client)

    assert (await send(client, source, b"{")).status_code == 400
    assert (await send(client, source, b'"text"')).status_code == 400
    assert (await client.post("/hooks/nowhere", content=b"{}")).status_code == 404


async def test_a_paused_or_speechless_log_asks_to_send_again(
    client: httpx.AsyncClient, collected: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await a_webhook(client)
    receiver = client.app.state.receiver  # type: ignore[attr-defined]

    async def refuse(*_: object) -> None:
        raise Unavailable("the log is away")

    with monkeypatch.context() as away:
        away.setattr(receiver.publisher.bus, "append", refuse)
        answer = await send(client, source, b'{"text":"x"}')
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1

    await client.post(f"/api/v1/sources/{source['id']}/pause")
    assert (await send(client, source, b'{"text":"x"}')).status_code == 503
    await client.post(f"/api/v1/sources/{source['id']}/resume")
    assert (await send(client, source, b'{"text":"x"}')).status_code == 202
    assert len(await collected()) == 1


async def test_probes_and_metrics_answer(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200
    assert "maru_ingest_posts_total" in (await client.get("/metrics")).text


async def test_a_refusal_names_the_settings_that_do_not_fit(client: httpx.AsyncClient) -> None:
    wanted = {"kind": "feed", "name": "blog", "settings": {"interval_seconds": 0, "extra": 1}}

    for path, body in (
        ("/api/v1/sources", wanted),
        ("/api/v1/connectors/feed/test", {"settings": wanted["settings"]}),
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code == 422
        told = {one["field"]: one["message"] for one in answer.json()["errors"]}
        assert told.keys() == {"settings.url", "settings.interval_seconds", "settings.extra"}
        assert told["settings.url"] == "Field required"


async def test_connectors_describe_their_settings(client: httpx.AsyncClient) -> None:
    listed = {one["kind"]: one for one in (await client.get("/api/v1/connectors")).json()}

    assert {"feed", "file", "webhook"} <= listed.keys()
    assert listed["feed"]["settings"]["properties"]["url"]["description"]
    assert listed["webhook"]["pushed"]


@pytest.mark.parametrize("kind", connectors.kinds().values(), ids=connectors.kinds().keys())
def test_every_connector_keeps_the_contract(kind: connectors.ConnectorKind) -> None:
    assert kind.kind.isidentifier()
    assert kind.summary
    assert issubclass(kind.settings, SourceSettings)
    assert kind.settings.model_config.get("extra") == "forbid"
    assert all(field.description for field in kind.settings.model_fields.values())
    assert kind.kind != "import"


async def test_the_tables_go_up_and_down_and_up_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/elsewhere"
    for to in ("head", "base", "head"):
        await migrate(url, "ingest", "maru_ingest", to=to)

    async with open_database(url, "ingest") as database, database.reading() as connection:
        rows = await connection.exec_driver_sql("SELECT count(*) FROM seen")
        assert rows.scalar() == 0


async def test_a_source_is_tried_out_before_it_is_added(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    client.app.state.trying = Trying(  # type: ignore[attr-defined]
        connectors.kinds(),
        Tools(client.app.state.discovery.outbound, tmp_path),  # type: ignore[attr-defined]
    )
    rows = '{"id":"1","text":"dark mode","author":"kim","likes":3,"stars":4}\n[]\n'
    (tmp_path / "rows.ndjson").write_text(rows, "utf-8")

    wanted = {"settings": {"path": "rows.ndjson"}}
    answer = await client.post("/api/v1/connectors/file/test", json=wanted)
    listed = await client.get("/api/v1/sources")

    assert answer.status_code == 200, answer.text
    tried = answer.json()
    assert (tried["posts"], tried["waiting"]) == (1, False)
    assert (tried["sample"][0]["text"], tried["sample"][0]["author"]) == ("dark mode", "kim")
    assert tried["sample"][0]["rating"] == {"value": 4.0, "best": 5.0}
    assert [row["line"] for row in tried["rejected"]] == [2]
    assert listed.json()["items"] == []


@pytest.mark.parametrize(
    ("kind", "settings", "says"),
    [
        ("telegraph", {}, "there are: "),
        ("feed", {"url": "gopher://x"}, "url"),
        ("feed", {"url": "http://127.0.0.1:1/feed"}, "127.0.0.1"),
        ("feed", {"url": "http://127.0.0.1:99999/feed"}, "ports are numbers up to 65535"),
        ("imap", {}, "The settings of an imap source do not fit"),
        ("file", {"path": "nothing.csv"}, "MARU_INGEST_FILES_ROOT"),
        ("webhook", {}, "sent to Maru"),
    ],
)
async def test_what_can_not_be_tried_out_says_why(
    client: httpx.AsyncClient, kind: str, settings: dict[str, object], says: str
) -> None:
    answer = await client.post(f"/api/v1/connectors/{kind}/test", json={"settings": settings})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


async def test_a_source_is_changed_reset_and_shown_with_its_health(
    client: httpx.AsyncClient,
) -> None:
    added = await add(client, settings={"url": "https://example.com/a", "authorization": "s3cret"})
    url = f"/api/v1/sources/{added['id']}"

    changed = await client.patch(url, json={"name": "new", "daily_requests": 9})
    free = await client.patch(url, json={"daily_requests": None})
    reset = await client.post(f"{url}/reset")

    assert changed.status_code == 200, changed.text
    shown = changed.json()
    assert (shown["name"], shown["daily_requests"], shown["health"]) == ("new", 9, "healthy")
    assert (shown["days"], shown["backfill"]) == ([], None)
    assert "s3cret" not in changed.text
    assert free.json()["daily_requests"] is None
    assert reset.status_code == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"settings": {"url": "gopher://x"}}, "url"),
        ({"kind": "file"}, "kind"),
        ({"daily_requests": 0}, "daily_requests"),
    ],
)
async def test_a_change_that_does_not_fit_is_refused(
    client: httpx.AsyncClient, body: dict[str, object], says: str
) -> None:
    added = await add(client)

    answer = await client.patch(f"/api/v1/sources/{added['id']}", json=body)

    assert answer.status_code == 422
    assert says in answer.text


async def test_a_feed_can_not_look_back(client: httpx.AsyncClient) -> None:
    added = await add(client)
    url = f"/api/v1/sources/{added['id']}/backfill"

    asked = await client.post(url, json={"since": "2026-01-01T00:00:00Z"})
    naive = await client.post(url, json={"since": "2026-01-01T00:00:00"})
    gone = await client.delete(url)

    assert (asked.status_code, naive.status_code, gone.status_code) == (422, 422, 404)
