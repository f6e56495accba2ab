"""The edge of every service: problems, roles, pages, limits, headers, probes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import httpx
import pytest
import structlog
from fastapi import APIRouter, Depends, FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from maru_kit.errors import (
    BadRequest,
    ConfigError,
    Conflict,
    Forbidden,
    NotFound,
    Problem,
    Unauthorized,
    Unavailable,
    Unprocessable,
)
from maru_kit.http import (
    Caller,
    Check,
    Page,
    caller,
    create_app,
    decode_cursor,
    encode_cursor,
    requires,
    role_of,
)

Client = httpx.AsyncClient
ERRORS = [BadRequest, Unauthorized, Forbidden, NotFound, Conflict, Unprocessable]
CALLER = {"X-Maru-Workspace": "acme", "X-Maru-Actor": "ann", "X-Maru-Role": "reader"}


class Colour(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=20)
    shade: int = Field(ge=0)

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name == "octarine":
            raise ValueError("nobody sees it")
        return name


def routes() -> APIRouter:
    router = APIRouter()

    @router.get("/raise/{name}", openapi_extra=requires("public"))
    async def fail(name: str) -> None:
        known = {error.__name__: error for error in ERRORS}
        if name in known:
            raise known[name]("so it is", extra={"hint": "try"})
        if name == "Unavailable":
            raise Unavailable("the log is away", retry_after=7.2)
        raise RuntimeError("canary: SELECT secret FROM /etc/passwd")

    @router.post("/colours", openapi_extra=requires("owner"))
    async def mix(colour: Colour) -> Colour:
        return colour

    @router.get("/colours/{id}", openapi_extra=requires("reader"))
    async def show(id: UUID, limit: int = 1) -> dict[str, str]:
        return {"id": str(id), "limit": str(limit)}

    @router.get("/me", openapi_extra=requires("reader", cached=True))
    async def me(who: Annotated[Caller, Depends(caller)]) -> Caller:
        return who

    @router.get("/pages", openapi_extra=requires("reader"))
    async def pages() -> Page[Colour]:
        return Page(items=[Colour(name="red", shade=1)], next="x")

    return router


@asynccontextmanager
async def nothing(_app: FastAPI) -> AsyncIterator[None]:
    yield


HEALTH = {"log": ""}


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[MutableMapping[str, object]]]:
    """The log lines of a test."""
    with structlog.testing.capture_logs() as lines:
        yield lines


async def checks() -> list[Check]:
    return [Check(name, ok=not reason, reason=reason) for name, reason in HEALTH.items()]


def make(*routers: APIRouter, token: str | None = None) -> FastAPI:
    return create_app(
        title="Sample",
        service="sample",
        lifespan=nothing,
        routers=routers or (routes(),),
        checks=checks,
        service_token=SecretStr(token) if token else None,
        max_body=1000,
    )


@asynccontextmanager
async def asking(app: FastAPI) -> AsyncIterator[Client]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://sample") as client:
        yield client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with asking(make()) as client:
        yield client


def problem(answer: httpx.Response, status: int) -> dict[str, object]:
    """The problem that an answer holds, once it is shown to be a whole one."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert document["status"] == status
    assert all(isinstance(document[key], str) for key in ("type", "title", "detail", "instance"))
    assert document["title"]
    assert document["detail"]
    return document


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
async def test_every_problem_is_told_as_one(client: Client, error: type[Problem]) -> None:
    document = problem(await client.get(f"/raise/{error.__name__}"), error.status)

    assert document["detail"] == "so it is"
    assert document["title"] == error.title
    assert document["instance"] == f"/raise/{error.__name__}"
    assert document["hint"] == "try"


async def test_what_is_away_is_worth_another_try(client: Client) -> None:
    answer = await client.get("/raise/Unavailable")

    problem(answer, 503)
    assert answer.headers["retry-after"] == "7"


async def test_a_bug_tells_the_log_and_nobody_else(
    client: Client, lines: list[MutableMapping[str, object]]
) -> None:
    answer = await client.get("/raise/bug?q=secret")

    assert "request.failed" in [line["event"] for line in lines]
    assert "q=secret" not in str(lines)

    problem(answer, 500)
    for inside in ("canary", "RuntimeError", "passwd", "Traceback"):
        assert inside not in answer.text


async def test_an_unknown_address_and_method_are_problems(client: Client) -> None:
    problem(await client.get("/nowhere"), 404)
    answer = await client.delete("/colours")
    problem(answer, 405)
    assert answer.headers["allow"] == "POST"
    problem(await client.options("/colours"), 405)


async def test_what_does_not_fit_is_named_field_by_field(client: Client) -> None:
    body = {"name": "x" * 21, "shade": -1, "more": 1}

    document = problem(await client.post("/colours", json=body), 422)

    errors = document["errors"]
    assert isinstance(errors, list)
    assert {fault["field"] for fault in errors} == {"body.name", "body.shade", "body.more"}
    assert "body.name" in str(document["detail"])
    unseen = problem(await client.post("/colours", json={"name": "octarine", "shade": 1}), 422)
    assert unseen["errors"] == [{"field": "body.name", "message": "nobody sees it"}]
    problem(await client.get("/colours/7"), 422)
    problem(await client.get(f"/colours/{UUID(int=7)}?limit=many"), 422)


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe", b"[" * 900, b'{"name":"\xed\xa0\x80","shade":1}', b"null", b"", b"\x00"],
)
async def test_a_body_that_is_no_json_is_the_callers_fault(client: Client, body: bytes) -> None:
    answer = await client.post(
        "/colours", content=body, headers={"content-type": "application/json"}
    )

    problem(answer, answer.status_code)
    assert answer.status_code in {400, 422}


@pytest.mark.parametrize(
    "path", ["/%ff", "/colours/%00", "/pages?q=%00", "/pages?q=%ff", "/pages?%80=1", "/%c0%ae"]
)
async def test_bytes_that_are_no_text_are_a_bad_request(client: Client, path: str) -> None:
    problem(await client.get(path), 400)


async def test_text_of_any_language_is_no_junk(client: Client) -> None:
    assert (await client.get("/pages?q=환불 + ü%20🙂")).status_code == 200


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 100):
        yield b" " * 100


async def test_a_body_that_is_too_large_is_refused_also_without_a_length(client: Client) -> None:
    headers = {"content-type": "application/json"}

    problem(await client.post("/colours", content=b" " * 1001, headers=headers), 413)
    problem(await client.post("/colours", content=in_pieces(1100), headers=headers), 413)
    problem(await client.post("/colours", content=in_pieces(1000), headers=headers), 422)


@pytest.mark.parametrize("length", ["-1", "1e3", "many", "٣"])
async def test_a_length_that_is_no_number_is_a_bad_request(client: Client, length: str) -> None:
    headers = {"content-length": length.encode(), "content-type": b"application/json"}

    problem(await client.post("/colours", content=b"{}", headers=headers), 400)


@pytest.mark.parametrize(
    "path", ["/pages", "/me", "/nowhere", "/raise/bug", "/raise/NotFound", "/healthz", "/%ff"]
)
async def test_every_answer_carries_the_headers_of_security(client: Client, path: str) -> None:
    headers = (await client.get(path)).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-request-id"]


@pytest.mark.parametrize("id", ["a-b-1", "5d4e5b1c-7f2b-4f41-9a24-1f9c6f6b8e0d"])
async def test_a_request_keeps_the_id_that_it_brought(client: Client, id: str) -> None:
    answer = await client.get("/pages", headers={"x-request-id": id})

    assert answer.headers["x-request-id"] == id


@pytest.mark.parametrize("id", ["", "x" * 65, "a b", "a\x1bb", "<script>"])
async def test_an_id_that_could_do_harm_is_replaced(client: Client, id: str) -> None:
    answer = await client.get("/pages", headers={"x-request-id": id})

    assert answer.headers["x-request-id"].isalnum()
    assert answer.headers["x-request-id"] != id


async def test_a_caller_is_read_from_the_gateways_headers(client: Client) -> None:
    assert (await client.get("/me", headers=CALLER)).json() == {
        "workspace": "acme",
        "actor": "ann",
        "role": "reader",
    }
    problem(await client.get("/me"), 422)
    problem(await client.get("/me", headers={**CALLER, "X-Maru-Role": "king"}), 422)


def test_roles_are_in_order() -> None:
    roles = ("public", "reader", "contributor", "owner", "admin")
    for rank, role in enumerate(roles):
        who = Caller(workspace="w", actor="a", role=role)
        assert [who.may(needed) for needed in roles] == [other <= rank for other in range(5)]


def test_a_route_without_a_role_keeps_the_service_from_starting() -> None:
    router = APIRouter()
    router.add_api_route("/open", lambda: None)

    with pytest.raises(ConfigError, match="/open declares no role"):
        make(router)


def test_the_document_declares_roles_and_problems() -> None:
    document = make().openapi()

    operations = [one for path in document["paths"].values() for one in path.values()]
    assert {role_of(operation) for operation in operations} == {"public", "reader", "owner"}
    assert all("default" in operation["responses"] for operation in operations)
    assert "Problem" in document["components"]["schemas"]
    assert document["paths"]["/me"]["get"]["x-maru-cache"]
    assert "X-Maru-Workspace" not in json.dumps(document)
    assert role_of({"x-maru-role": "king"}) is None


async def test_a_service_token_is_asked_for_everywhere_but_on_the_probes() -> None:
    async with asking(make(token="right")) as client:
        for path in ("/pages", "/nowhere", "/openapi.json", "/metrics"):
            problem(await client.get(path), 401)
            problem(await client.get(path, headers={"X-Maru-Service-Token": "wrong"}), 401)
        for path in ("/healthz", "/readyz"):
            assert (await client.get(path)).status_code == 200
        right = {"X-Maru-Service-Token": "right"}
        assert (await client.get("/pages", headers=right)).status_code == 200
        bearer = {"Authorization": "Bearer right"}
        assert (await client.get("/metrics", headers=bearer)).status_code == 200
        problem(await client.get("/pages", headers=bearer), 401)


async def test_a_service_is_ready_when_all_that_it_needs_is(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await client.get("/readyz")).json()["status"] == "ready"

    monkeypatch.setitem(HEALTH, "log", "away")

    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == [{"name": "log", "ok": False, "reason": "away"}]
    assert (await client.get("/healthz")).status_code == 200


async def test_requests_are_measured_by_template_not_by_address(client: Client) -> None:
    for number in range(5):
        await client.get(f"/colours/{UUID(int=number)}?limit=1")
        await client.get(f"/nowhere/canary-{number}")
        await client.request(f"CANARY{number}", "/pages")

    text = (await client.get("/metrics")).text
    line = 'method="GET",route="/colours/{id}",service="sample",status="200"'
    assert f"maru_http_request_seconds_count{{{line}}}" in text
    assert "canary" not in text.lower()


async def test_the_lag_of_the_event_loop_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from maru_kit.http import app as edge

    monkeypatch.setattr(edge, "_LAG_SAMPLE", 0.01)
    app = make()
    async with app.router.lifespan_context(app), asking(app) as client:
        await asyncio.sleep(0.05)
        text = (await client.get("/metrics")).text
    assert 'maru_loop_lag_seconds_count{service="sample"}' in text
    assert "process_resident_memory_bytes" in text


Values = st.tuples(
    st.text().map(lambda text: text.replace("\0", "")),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
)


@given(Values)
def test_a_cursor_comes_back_as_it_was_given(values: tuple[str, int, float]) -> None:
    cursor = encode_cursor(*values)

    assert decode_cursor(cursor, str, int, float) == values
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_a_cursor_that_nobody_gave_out_is_a_bad_request(cursor: str) -> None:
    with pytest.raises(BadRequest):
        decode_cursor(cursor, str, int, float)


Change = Callable[[str], str]


@pytest.mark.parametrize(
    "change",
    [
        lambda cursor: cursor[:-3],
        lambda cursor: cursor + "AAAA",
        lambda _: encode_cursor(1, "a"),
        lambda _: "WyJhIix0cnVlXQ",
        lambda _: encode_cursor("a", 2**63),
        lambda _: encode_cursor("a\0", 1),
        lambda _: "bnVsbA",
    ],
)
def test_a_cursor_of_another_list_is_a_bad_request(change: Change) -> None:
    with pytest.raises(BadRequest):
        decode_cursor(change(encode_cursor("a", 1)), str, int)
