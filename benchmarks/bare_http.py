"""The references of the gateway: a list read through asyncpg, and a constant.

Run as `uvicorn benchmarks.bare_http:app`, with the database in BENCH_DATABASE_URL.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import orjson
from fastapi import FastAPI, Request, Response

_LIST = """
SELECT id, wire, score FROM ideas.ideas WHERE workspace = $1
ORDER BY score DESC, id DESC LIMIT $2
"""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["BENCH_DATABASE_URL"], min_size=10) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_lifespan)


@app.get("/rows")
async def rows(request: Request, limit: int = 20) -> list[object]:
    """The same rows, as FastAPI answers without further thought."""
    found = await request.app.state.pool.fetch(_LIST, "default", limit)
    return [orjson.loads(row["wire"]) for row in found]


@app.get("/joined")
async def joined(request: Request, limit: int = 20) -> Response:
    """The same rows, their stored JSON put together as text: the fastest way."""
    found = await request.app.state.pool.fetch(_LIST, "default", limit)
    body = '{"items":[' + ",".join(row["wire"] for row in found) + "]}"
    return Response(body, media_type="application/json")


@app.get("/constant")
async def constant() -> dict[str, str]:
    """Nothing at all."""
    return {"status": "fine"}
