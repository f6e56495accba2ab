"""What comes in unasked, from whoever sends it to an idea, through the gateway's own door."""

import json
import re
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest

from cli.conftest import until
from e2e.house import PATIENCE, House, Mode, open_house

WISHES = ["Please add a dark mode", "Please add offline maps", "Please add a dark mode to the app"]


@pytest.fixture(
    params=["embedded", pytest.param("production", marks=[pytest.mark.kafka, pytest.mark.postgres])]
)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    mode: Mode = request.param
    with open_house(mode, tmp_path) as opened:
        yield opened


def send(house: House, form: str, words: str) -> None:
    """Fill a form in as somebody without a key; who is too quick for it sends again."""
    with httpx.Client(base_url=house.client.base_url) as browser:
        page = browser.get(f"/forms/{form}", params={"lang": "en"})
        ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)
        assert ticket
        sent = {"text": words, "ticket": unescape(ticket[1]), "email": "kim@example.com"}
        ends = time.monotonic() + PATIENCE
        while (answer := browser.post(f"/forms/{form}", data=sent)).status_code != 303:
            assert "That was very fast" in answer.text
            assert time.monotonic() < ends
            time.sleep(0.2)


def test_lines_and_forms_become_ideas(house: House) -> None:
    lines = house.add("webhook", "shop", {})["id"]
    form = house.add("form", "notes", {"title": "What is missing?"})["id"]
    rows = [{"id": f"r-{at}", "text": words} for at, words in enumerate(WISHES)]
    body = "\n".join(json.dumps(row) for row in rows).encode()

    told = [house.client.post(f"/api/v1/sources/{lines}/posts", content=body) for _ in range(2)]
    send(house, form, "Please add a calendar to the app")

    assert [answer.json()["accepted"] for answer in told] == [3, 0]
    house.becomes_ideas("shop", 3)
    house.becomes_ideas("notes", 1)
    until(lambda: house.texts(form) == ["Please add a calendar to the app"], seconds=PATIENCE)
    (post,) = house.client.get("/api/v1/posts", params={"source_id": form}).json()["items"]
    contact = house.client.get(f"/api/v1/contacts/{post['post']['id']}")
    assert contact.json() == {"email": "kim@example.com"}
    assert "kim@example.com" not in json.dumps(post)
    board = httpx.get(f"{house.client.base_url}/board/ideas").text
    assert "kim@example.com" not in board
