"""Forms through the gateway: what it passes on, and what nobody can make it say."""

import re

import pytest

from gateway.conftest import Api


async def a_form(api: Api) -> str:
    wanted = {"kind": "form", "name": "form", "settings": {"title": "What is missing?"}}
    answer = await api.http.post("/api/v1/sources", json=wanted, headers=await api.key("owner"))
    return f"/forms/{answer.json()['id']}"


async def send(api: Api, path: str, **headers: str) -> int:
    """Send a form a minute after it was opened."""
    forms = api.services["ingest"].state.forms
    ticket = re.search(r'name="ticket" value="([^"]+)"', (await api.http.get(path)).text)
    assert ticket
    now = forms.clock()
    forms.clock = lambda: now + 60
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"text": "Dark mode, please", "ticket": ticket[1]}
    return (await api.http.post(path, data=sent, headers=named)).status_code


async def test_anybody_may_send_a_form(api: Api) -> None:
    path = await a_form(api)
    page = await api.http.get(path)

    assert page.headers["content-type"].startswith("text/html")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "same-origin"
    assert await send(api, path) == 303


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec_fetch_site": "same-origin", "origin": "http://maru"}, 303),
        ({"sec_fetch_site": "cross-site", "origin": "https://evil.example"}, 403),
        ({"origin": "http://maru"}, 303),
        ({"origin": "https://evil.example"}, 403),
    ],
)
async def test_what_browsers_say_of_where_it_comes_from_arrives(
    api: Api, headers: dict[str, str], status: int
) -> None:
    assert await send(api, await a_form(api), **headers) == status


async def test_nobody_can_say_that_it_comes_from_another_address(api: Api) -> None:
    path = await a_form(api)

    codes = [await send(api, path, x_maru_address=f"192.0.2.{number}") for number in range(9)]

    assert codes == [303] * 8 + [429]


async def test_the_script_is_small_and_kept_by_browsers(api: Api) -> None:
    first = await api.http.get("/widget/1.js")
    again = await api.http.get("/widget/1.js", headers={"If-None-Match": first.headers["etag"]})

    assert len(first.content) < 5_000
    assert first.headers["content-type"].startswith("text/javascript")
    assert "max-age=3600" in first.headers["cache-control"]
    assert first.headers["cross-origin-resource-policy"] == "cross-origin"
    assert again.status_code == 304
