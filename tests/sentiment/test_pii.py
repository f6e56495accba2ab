"""What is replaced in a post, and what only looks like it."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_contracts.posts import Author, Channel, Media, Post, Rating, post_id
from maru_sentiment.evaluation import evaluate_pii
from maru_sentiment.pii import find, redact
from maru_sentiment.redaction import redacted

_LINES = Path(__file__).with_name("pii.tsv").read_text("utf-8").splitlines()[1:]
CASES = [line.split("\t") for line in _LINES]
NOW = datetime(2026, 11, 1, tzinfo=UTC)
PARTS = st.sampled_from(
    [
        "@",
        "a@b.com",
        "010-1234-5678",
        "+82 10",
        "1",
        ".",
        "-",
        " ",
        "서울 강남구 테헤란로 1",
        "�",
        "[email]",
        "4111 1111 1111 1111",
        "\u202e",
        "x",
        "２",
        "＠",
        "221 Baker Street",
        "@kim",
        ":",
    ]
)
WRITING = st.text() | st.lists(PARTS).map("".join)


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_what_is_personal_is_found_and_what_looks_like_it_is_not(kind: str, text: str) -> None:
    found = {span.kind for span in find(text)}

    assert found == (set() if kind == "none" else {kind})


def test_personal_data_is_found_as_it_is_written_and_look_alikes_are_left() -> None:
    found = evaluate_pii(Path(__file__).with_name("personal-data.tsv"))

    assert found["n"] >= 400
    assert found["precision"] >= 0.98, found["wrong"]
    assert found["recall"] >= 0.98, found["wrong"]


def test_a_find_with_wrong_edges_or_kind_is_no_find(tmp_path: Path) -> None:
    file = tmp_path / "marked.tsv"
    file.write_text("text\n⟦phone|010-1234⟧-5678\n⟦handle|kim@example.com⟧\n")

    found = evaluate_pii(file)

    assert (found["precision"], found["recall"]) == (0, 0)
    assert len(found["wrong"]) == 2


@given(WRITING)
def test_any_text_is_redacted_once_and_for_all(text: str) -> None:
    once = redact(text)

    assert redact(once.text).text == once.text
    assert [once.text[it.start : it.end] for it in once.spans] == [
        f"[{s.kind}]" for s in once.spans
    ]
    ends = [0, *(span.end for span in once.spans)]
    assert all(span.start >= end for span, end in zip(once.spans, ends, strict=False))


@pytest.mark.parametrize(
    "part",
    [
        "1",
        "a",
        "@",
        "a@",
        "a@a.",
        "1 ",
        "1-",
        "강남구 ",
        "1 A ",
        "AA11 ",
        "1.",
        "a:",
        "가",
        "010-1234-",
    ],
)
def test_a_long_text_takes_time_in_proportion(part: str) -> None:
    text = (part * 100_000)[:100_000]
    began = time.process_time()

    redact(text)

    assert time.process_time() - began < 0.5  # 0.1 s on an idle machine


def test_every_field_of_a_post_is_redacted() -> None:
    post = Post(
        id=post_id("w", "mail", "1"),
        workspace="w",
        source_id="mail",
        channel=Channel.MAIL,
        native_id="<1@mail.example.com>",
        url="https://example.com/?from=kim@example.com",
        author=Author(handle="kim@example.com", name="Kim 010-1234-5678"),
        title="From kim@example.com",
        text="Call 010-1234-5678, please",
        media=(Media(kind="image", url="https://example.com/1", alt="010-1234-5678"),),
        rating=Rating(value=4),
        created_at=NOW,
        collected_at=NOW,
    )

    clean, pii = redacted(post)

    written = clean.model_dump_json()
    assert "kim@" not in written
    assert "1234" not in written
    assert clean.rating == post.rating
    assert Post.model_validate_json(written) == clean
    assert [(it.field, it.kind) for it in pii] == [("title", "email"), ("text", "phone")]
    assert redacted(post) == (clean, pii)


def test_placeholders_never_make_a_text_too_long() -> None:
    post = Post(
        id=post_id("w", "x", "1"),
        workspace="w",
        source_id="x",
        channel=Channel.OTHER,
        native_id="1",
        text="@ab " * 25_000,
        created_at=NOW,
        collected_at=NOW,
    )

    clean, _ = redacted(post)

    assert clean.truncated
    assert Post.model_validate_json(clean.model_dump_json()) == clean
