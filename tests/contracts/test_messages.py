"""Messages are promises to every reader, of today and of last year."""

import json
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maru_contracts.json_schemas import EXAMPLES, FOLDER, rendered
from maru_contracts.message import Message
from maru_contracts.posts import Post, post_id, post_name
from maru_contracts.topics import TOPICS, Topic, dead_letters

GOLDEN = [(topic, path) for topic in TOPICS for path in sorted((EXAMPLES / topic.name).iterdir())]


def test_every_topic_has_examples() -> None:
    assert {topic.name for topic, _ in GOLDEN} == {topic.name for topic in TOPICS}


@pytest.mark.parametrize(("topic", "path"), GOLDEN, ids=lambda it: getattr(it, "stem", ""))
def test_an_example_is_read_and_written_back_unchanged(topic: Topic[Message], path: Path) -> None:
    text = path.read_text("utf-8")

    message = topic.message.model_validate_json(text)

    assert json.loads(message.model_dump_json()) == json.loads(text)


@pytest.mark.parametrize(("topic", "path"), GOLDEN, ids=lambda it: getattr(it, "stem", ""))
def test_a_field_that_a_later_version_adds_is_ignored(topic: Topic[Message], path: Path) -> None:
    later = json.loads(path.read_text("utf-8")) | {"added_in_2027": {"by": "someone"}}

    message = topic.message.model_validate_json(json.dumps(later))

    assert message == topic.message.model_validate_json(path.read_text("utf-8"))


def test_the_committed_schemas_are_what_the_models_generate() -> None:
    committed = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.json")}

    assert committed == rendered(), "run `make schemas` and look at what it changes"


def test_posts_of_one_product_share_a_partition_key_on_every_hop() -> None:
    posts = [
        topic.key(topic.message.model_validate_json(path.read_text("utf-8")))
        for topic, path in GOLDEN
        if topic.name.startswith(("posts.", "ideas."))
    ]

    assert set(posts) == {"default/Maru Notes"}


def test_a_post_has_the_same_id_wherever_it_is_computed() -> None:
    assert str(post_id("default", "file", "r-1042")) == str(post_id("default", "file", "r-1042"))
    assert post_id("default", "file", "1") != post_id("default", "feed", "1")
    assert post_id("a", "bc", "d") != post_id("ab", "c", "d")


@given(st.text(max_size=9), st.text(max_size=9), st.text(max_size=99))
def test_the_id_of_a_post_is_a_uuid_of_version_5(workspace: str, kind: str, native_id: str) -> None:
    posts = UUID("8f0c6c0e-6a52-5c0b-9d55-6d6172750001")
    expected = uuid5(posts, f"{workspace}\x1f{kind}\x1f{native_id}")
    assert post_name(workspace, kind, native_id) == str(expected)
    assert post_id(workspace, kind, native_id) == expected


def test_a_time_without_an_offset_is_refused() -> None:
    golden = json.loads((EXAMPLES / "posts.collected.v1" / "least.json").read_text("utf-8"))

    with pytest.raises(ValidationError):
        Post.model_validate(golden | {"created_at": "2026-11-20T08:30:00"})


def test_an_error_does_not_repeat_what_a_customer_wrote() -> None:
    golden = json.loads((EXAMPLES / "posts.collected.v1" / "least.json").read_text("utf-8"))

    with pytest.raises(ValidationError) as refused:
        Post.model_validate(golden | {"revision": "my secret words"})

    assert "my secret words" not in str(refused.value)


def test_topic_names_follow_the_rule() -> None:
    for topic in TOPICS:
        noun, verb, version = topic.name.split(".")
        assert noun.endswith("s")
        assert verb.endswith("ed")
        assert version.startswith("v")
    assert dead_letters("posts.tagged.v1", "ideas") == "posts.tagged.v1.ideas.dlq"
