"""Requests that nobody would send, made from the merged description of the API."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from gateway.conftest import opened
from ideas.factories import a_tagged

EXAMPLES = 6
STREAMS = {"/api/v1/live/ideas", "/board/live"}
UNAVAILABLE = 503
PAGES = "/forms/"
"""Read by people, and so are their errors."""


@schemathesis.serializer("application/x-ndjson")
def lines(_context: object, value: object) -> bytes:
    """Send whatever was made as it is: a text of any lines."""
    return str(value).encode("utf-8", "replace")


def judge(case: Case, answer: httpx.Response) -> None:
    asked = f"{case.method} {answer.request.url} → {answer.status_code} {answer.text[:300]}"
    assert answer.status_code < 500 or answer.status_code == UNAVAILABLE, asked
    if case.path.startswith(PAGES) and answer.headers["content-type"].startswith("text/html"):
        return
    if answer.is_error and case.path != "/api/v1/health":
        assert answer.headers["content-type"] == "application/problem+json", asked
        assert {"title", "status", "detail", "instance"} <= answer.json().keys(), asked


async def test_no_request_finds_an_unforeseen_error(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url=database_url, requests_per_minute=1_000_000) as api:
        await api.take(a_tagged("1"), a_tagged("2", text="Offline maps, please add them"))
        admin = await api.key("admin")
        document = (await api.http.get("/openapi.json")).json()
        loop = asyncio.get_running_loop()

        def send(case: Case) -> httpx.Response:
            asked = prepared(case, admin)
            sending = api.http.request(
                asked.method or "GET",
                asked.url or "",
                headers={**asked.headers, **admin},
                content=asked.body or b"",
            )
            return asyncio.run_coroutine_threadsafe(sending, loop).result(30)

        def ask_everything() -> int:
            found = 0
            for result in schemathesis.openapi.from_dict(document).get_all_operations():
                operation = result.ok()
                if operation.path in STREAMS:
                    continue
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    found += 1

                    @settings(
                        max_examples=EXAMPLES,
                        deadline=None,
                        database=None,
                        derandomize=True,
                        phases=[Phase.generate],
                        suppress_health_check=list(HealthCheck),
                    )
                    @given(case=operation.as_strategy(generation_mode=mode))
                    def check(case: Case) -> None:
                        judge(case, send(case))

                    with suppress(Unsatisfiable):  # nothing in it that could be wrong
                        check()
            return found

        assert await asyncio.to_thread(ask_everything) > 50


def prepared(case: Case, headers: Mapping[str, str]) -> requests.PreparedRequest:
    arguments = case.as_transport_kwargs(base_url="http://maru", headers=dict(headers))
    known = ("method", "url", "headers", "params", "json", "data", "cookies")
    return requests.Request(**{k: v for k, v in arguments.items() if k in known}).prepare()
