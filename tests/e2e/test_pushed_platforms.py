"""A platform is shown Maru's address, asks whether it may send, and what it sends is an idea."""

from collections.abc import Iterator

import pytest

from e2e.house import House, open_house
from upstreams.facebook import VERIFY, FacebookUpstream
from upstreams.slack import SlackUpstream

_PRODUCTION = pytest.param("production", marks=[pytest.mark.kafka, pytest.mark.postgres])


@pytest.fixture(scope="module", params=["embedded", _PRODUCTION])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with open_house(request.param, tmp_path_factory.mktemp(request.param)) as house:
        yield house


def test_what_meta_pushes_through_the_gateway_becomes_an_idea_though_no_poll_succeeds(
    house: House,
) -> None:
    page = FacebookUpstream()
    comment = page.write("Please add a dark mode", parent=page.write("News!").native_id)
    source = house.add("facebook", "page", page.settings())
    hook = f"/hooks/{source['id']}"
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": VERIFY}
    headers, body = page.pushed(comment, "written")

    greeted = house.client.get(hook, params=asked)
    forged = house.client.post(hook, content=body, headers={"X-Hub-Signature-256": "sha256=00"})
    taken = house.client.post(hook, content=body, headers=headers)

    assert (greeted.status_code, greeted.text) == (200, "1158201444")
    assert greeted.headers["content-type"].startswith("text/plain")
    assert forged.status_code == 401
    assert (taken.status_code, taken.json()["accepted"]) == (200, 1)
    house.becomes_ideas("page", 1)


def test_slack_asks_by_a_message_and_then_sends(house: House) -> None:
    slack = SlackUpstream()
    source = house.add("slack", "talk", slack.settings())
    hook = f"/hooks/{source['id']}"
    asked = slack.signed({"type": "url_verification", "challenge": "3eZbrw1aBm2rZg"})
    said = slack.pushed(slack.write("Please add an offline mode"), "written")

    greeted = house.client.post(hook, content=asked[1], headers=asked[0])
    taken = house.client.post(hook, content=said[1], headers=said[0])

    assert (greeted.status_code, greeted.text) == (200, "3eZbrw1aBm2rZg")
    assert greeted.headers["content-type"].startswith("text/plain")
    assert (taken.status_code, taken.json()["accepted"]) == (200, 1)
