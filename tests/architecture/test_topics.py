"""The map of the topics names those, and all those, who write and read them."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from maru_contracts import topics
from maru_contracts.message import Message
from maru_contracts.topics import TOPICS, Topic

SERVICES = Path(__file__).parents[2] / "services"
NAMES = {id(value): name for name, value in vars(topics).items() if isinstance(value, Topic)}


def users(topic: Topic[Message]) -> set[str]:
    """The services whose code names the topic."""
    name = re.compile(rf"\b{NAMES[id(topic)]}\b")
    sources = [
        (it.name, path.read_text())
        for it in SERVICES.iterdir()
        for path in it.glob("maru_*/**/*.py")
    ]
    return {
        service
        for service, text in sources
        if "from maru_contracts.topics import" in text and name.search(text)
    }


def test_every_topic_is_on_the_map() -> None:
    assert NAMES.keys() == {id(topic) for topic in TOPICS}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_who_writes_and_reads_a_topic_is_there_and_nobody_else_does(
    topic: Topic[Message],
) -> None:
    named = {topic.producer, *topic.consumers}

    assert topic.consumers
    assert all(find_spec(f"maru_{service}.app") for service in named)
    assert users(topic) == named
