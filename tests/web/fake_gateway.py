"""A gateway of fixed answers: what the board's browser tests talk to.

It answers the plan of the HTTP API, so that a test can also put the board into states that the
real composition does not reach on demand (a closed board, a failing service, a refused move).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from web.sample_ideas import DEFINED, IDEAS, LEARNT, MORE_IDEAS, POSTS, TOPICS, Json

KEY = "maru_" + "k" * 43
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass
class State:
    """What a test may change while the board runs."""

    ideas: list[Json] = field(default_factory=lambda: [dict(it) for it in IDEAS + MORE_IDEAS])
    posts: list[Json] = field(default_factory=lambda: list(POSTS))
    topics: list[Json] = field(default_factory=lambda: [dict(it) for it in TOPICS])
    defined: list[Json] = field(default_factory=lambda: [dict(it) for it in DEFINED])
    closed: bool = False
    failing: bool = False
    changed: list[str] = field(default_factory=list)
    kind: str = "evidence_added"


def problem(status: int, title: str, detail: str) -> Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


def create_app(static: Path, state: State) -> FastAPI:
    app = FastAPI(title="Maru", version="0.1.0", docs_url=None, redoc_url=None)
    _serve_board(app, static)
    _serve_ideas(app, state, "/board")
    _serve_ideas(app, state, "/api/v1")
    _serve_owner(app, state)
    _serve_topics(app, state)
    _serve_own_topics(app, state)

    @app.middleware("http")
    async def policy(request: Request, call_next):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        response = await call_next(request)
        response.headers["content-security-policy"] = POLICY
        return response

    return app


def _serve_board(app: FastAPI, static: Path) -> None:
    app.mount("/assets", StaticFiles(directory=static / "assets"))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(static / "docs.html")

    @app.get("/", include_in_schema=False)
    @app.get("/ideas/{id}", include_in_schema=False)
    @app.get("/topics", include_in_schema=False)
    @app.get("/nowhere", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(static / "index.html")


def _refused(request: Request, state: State) -> Response | None:
    if state.failing:
        return problem(503, "Service Unavailable", "The ideas service is starting; try again.")
    key = request.headers.get("authorization")
    needs_key = state.closed or request.url.path.startswith("/api/")
    if (needs_key or key) and key != f"Bearer {KEY}":
        return problem(401, "Unauthorized", "This needs an API key.")
    return None


def _serve_ideas(app: FastAPI, state: State, prefix: str) -> None:
    signed_in = prefix == "/api/v1"

    @app.get(f"{prefix}/ideas", openapi_extra={"x-maru-role": "reader"})
    async def ideas(
        request: Request,
        *,
        q: str = "",
        status: str = "",
        sort: str = "score",
        cursor: int = 0,
        limit: int = 20,
    ) -> Response:
        """Ideas, ranked."""
        if refused := _refused(request, state):
            return refused
        found = [
            it
            for it in state.ideas
            if q.lower() in it["title"].lower() and status in ("", it["status"])
        ]
        found.sort(key=lambda it: it["voices" if sort == "voices" else "score"], reverse=True)
        page = found[cursor : cursor + limit]
        following = cursor + limit if cursor + limit < len(found) else None
        return JSONResponse(
            {"items": page, "next": following and str(following), "total": len(found)}
        )

    @app.get(f"{prefix}/ideas/{{id}}")
    async def idea(request: Request, id: str) -> Response:
        if refused := _refused(request, state):
            return refused
        found = next((it for it in state.ideas if it["id"] == id), None)
        return (
            JSONResponse(found) if found else problem(404, "Not Found", f"There is no idea {id}.")
        )

    @app.get(f"{prefix}/ideas/{{id}}/evidence")
    async def evidence(request: Request, id: str) -> Response:
        if refused := _refused(request, state):
            return refused
        hidden = {} if signed_in else {"author": None}
        return JSONResponse(
            {"items": [it | hidden | {"idea_id": id} for it in state.posts], "next": None}
        )

    @app.get(f"{prefix}/live/ideas" if signed_in else f"{prefix}/live", include_in_schema=False)
    async def live(request: Request) -> Response:
        if refused := _refused(request, state):
            return refused
        return StreamingResponse(_changes(request, state), media_type="text/event-stream")


def _serve_topics(app: FastAPI, state: State) -> None:
    path = "/api/v1/discovered-topics"

    @app.get(path)
    async def topics(request: Request, sort: str = "volume") -> Response:
        if refused := _refused(request, state):
            return refused
        ranked = sorted(state.topics, key=lambda it: sort == "growth" and not it["rising"])
        return JSONResponse({"first": "2026-03-01", "last": "2026-03-30", "topics": ranked})

    @app.post(path + "/{id}/adoption")
    async def adopt(request: Request, id: str) -> Response:
        if refused := _refused(request, state):
            return refused
        topic = next(it for it in state.topics if it["id"] == id)
        if topic["rising"]:
            return problem(409, "Conflict", f"There is a topic {topic['name']} already.")
        return JSONResponse({"name": topic["name"], "examples": [], "updated_at": None})

    @app.put(path + "/{id}/dismissal")
    async def dismiss(request: Request, id: str) -> Response:
        if refused := _refused(request, state):
            return refused
        state.topics = [it for it in state.topics if it["id"] != id]
        return Response(status_code=204)


def _serve_own_topics(app: FastAPI, state: State) -> None:
    @app.get("/api/v1/topics")
    async def defined(request: Request) -> Response:
        return _refused(request, state) or JSONResponse(state.defined)

    @app.put("/api/v1/topics/{name}")
    async def describe(request: Request, name: str, told: dict[str, str]) -> Response:
        if refused := _refused(request, state):
            return refused
        topic = next(it for it in state.defined if it["name"] == name)
        if not (told["description"] or topic["examples"]):
            return problem(422, "Unprocessable", "Give the topic a description or examples.")
        topic |= told
        return JSONResponse(topic)

    @app.get("/api/v1/models/learnt")
    async def learnt(request: Request) -> Response:
        return _refused(request, state) or JSONResponse({"heads": LEARNT})


async def _changes(request: Request, state: State) -> AsyncIterator[str]:
    told = 0
    yield ": open\n\n"
    while not await request.is_disconnected():
        for idea in state.changed[told:]:
            told += 1
            event = {"id": f"event-{told}", "kind": state.kind, "idea": {"id": idea}}
            yield f"id: {told}\nevent: idea\ndata: {json.dumps(event)}\n\n"
        await asyncio.sleep(0.05)


def _serve_owner(app: FastAPI, state: State) -> None:
    @app.get("/api/v1/me")
    async def me(request: Request) -> Response:
        refused = _refused(request, state)
        return refused or JSONResponse({"workspace": "default", "actor": "key", "role": "owner"})

    @app.put("/api/v1/posts/{id}/correction", openapi_extra={"x-maru-role": "contributor"})
    async def correct(request: Request, id: str, said: dict[str, Any]) -> Response:
        if refused := _refused(request, state):
            return refused
        at = next(at for at, it in enumerate(state.posts) if it["post_id"] == id)
        post = state.posts[at]
        own = {
            "sentiment": {"label": post["sentiment"]},
            "intent": {"label": post["intent"]},
            "topics": [{"name": it} for it in post["topics"]],
        }
        correction = {
            "by": "key:5f0c6c0e-6a52-4c0b-9d55-6d6172750009",
            "topics": said.get("topics"),
            "own": own,
        }
        told = {
            "sentiment": said["mood"],
            "intent": said["intent"],
            "topics": said.get("topics", post["topics"]),
            "correction": correction,
        }
        state.posts[at] = post | told
        labels = {name: {"label": told[name]} for name in ("sentiment", "intent")}
        topics = [{"name": it} for it in told["topics"]]
        return JSONResponse({**labels, "topics": topics, "correction": correction})

    @app.delete("/api/v1/posts/{id}/correction", openapi_extra={"x-maru-role": "contributor"})
    async def take_back(request: Request, id: str) -> Response:
        if refused := _refused(request, state):
            return refused
        at = next(at for at, it in enumerate(state.posts) if it["post_id"] == id)
        own = state.posts[at]["correction"]["own"]
        labels = {name: own[name]["label"] for name in ("sentiment", "intent")}
        labels |= {"topics": [it["name"] for it in own["topics"]]}
        state.posts[at] = state.posts[at] | labels | {"correction": None}
        return Response(status_code=204)

    @app.post("/api/v1/ideas/{id}/status", openapi_extra={"x-maru-role": "owner"})
    async def move(request: Request, id: str, wish: dict[str, str]) -> Response:
        if refused := _refused(request, state):
            return refused
        idea = next(it for it in state.ideas if it["id"] == id)
        if wish["status"] == "declined":
            return problem(409, "Conflict", f"An idea that is {idea['status']} cannot be declined.")
        idea["status"] = wish["status"]
        return JSONResponse(idea)
