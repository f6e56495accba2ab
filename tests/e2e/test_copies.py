"""An article goes around, from three sources to the board: one voice that was spread."""

from collections.abc import Iterator
from typing import Any

import pytest

from cli.conftest import until
from e2e.house import PATIENCE, House, open_house
from e2e.test_deletions import send

ARTICLE = (
    "Please add a monthly ticket to the app. Riders of the northern line would like to buy it "
    "there, since the machines on the platforms are broken every other week, and the counter "
    "closes before most of them are on their way home. It should be valid in two zones."
)
_PLACE = "https://{}.example.com/tickets"


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house("embedded", tmp_path_factory.mktemp("embedded")) as house:
        yield house


def test_an_article_in_three_places_is_one_voice_that_was_spread(house: House) -> None:
    places = {name: a_webhook(house, name) for name in ("north", "south", "west")}
    for name, hook in places.items():
        send(house, hook, a_row(name))
    again = {"id": _PLACE.format("again"), "retweet_of": _PLACE.format("north")}
    send(house, places["north"], a_row("north") | again | {"author": "somebody"})

    until(lambda: counted(house) == [(1, 1, 2, 1, 3)], seconds=PATIENCE)

    send(house, places["north"], {"id": _PLACE.format("north"), "deleted": True})
    until(lambda: counted(house) == [(1, 1, 1, 1, 3)], seconds=PATIENCE)


def a_webhook(house: House, name: str) -> Any:  # JSON as it comes
    wanted = {"kind": "webhook", "name": name, "product": "tickets", "settings": {}}
    return house.client.post("/api/v1/sources", json=wanted).raise_for_status().json()


def a_row(name: str) -> dict[str, Any]:
    return {
        "id": _PLACE.format(name),
        "text": ARTICLE if name == "north" else f"{ARTICLE} (The {name} gazette)",
        "author": f"The {name} gazette",
        "channel": "press",
        "created_at": f"2026-11-0{len(name)}T09:00:00Z",
    }


def counted(house: House) -> list[tuple[int, ...]]:
    """Voices, posts, copies, reposts and places of each idea."""
    found = house.client.get("/api/v1/ideas").raise_for_status().json()["items"]
    names = ("voices", "evidence_count", "copies", "reposts", "spread")
    return [tuple(idea[name] for name in names) for idea in found]
