"""What a post judges, and how, in both languages."""

import csv
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maru_contracts.posts import Channel, Post, post_id
from maru_kit.errors import ConfigError
from maru_sentiment.analysers.aspects import MOST, english_marks, korean_marks
from maru_sentiment.evaluation import evaluate_aspects, measure_aspects
from maru_sentiment.handlers import _in_fields, analysed_text
from maru_sentiment.tagger import Tagger
from sentiment.conftest import tag

CASES = Path(__file__).with_name("aspects.tsv")
PARTS = st.sampled_from(
    (
        *(
            "배터리는 ",
            "화면이 어두워요 ",
            "지만 ",
            "좋은데 ",
            "ㅋㅋ",
            "안 ",
            "the battery ",
            "is great",
        ),
        *(
            ", but ",
            "\u202e",
            "\ud800",
            "👍",
            "https://example.com ",
            "\x00",
            "@[link]",
            "'s ",
            "\n",
        ),
    )
)
WRITING = st.text(st.characters()) | st.lists(PARTS).map("".join)


@pytest.mark.parametrize(
    ("text", "aspects"),
    [
        (
            "배터리는 오래가는데 화면이 너무 어두워요",
            [("배터리", "positive"), ("화면", "negative")],
        ),
        (
            "Love the design but the battery dies in an hour",
            [("design", "positive"), ("battery", "negative")],
        ),
        ("The screen is not bad.", [("screen", "positive")]),
        ("화면이 예쁘지 않아요", [("화면", "negative")]),
        ("The meeting is at 3 pm.", []),
        ("오늘 오후에 회의가 있습니다", []),
        ("👍", []),
    ],
)
def test_each_term_has_the_mood_of_its_own_clause(
    tagger: Tagger, text: str, aspects: list[tuple[str, str]]
) -> None:
    found = tag(tagger, text).aspects

    assert [(it.term, it.label) for it in found] == aspects
    assert all(text[it.start : it.end] == it.term for it in found)


@pytest.mark.parametrize(
    ("column", "value"), [("language", "en"), ("language", "ko"), ("part", "held")]
)
def test_the_labelled_cases_keep_their_level(column: str, value: str) -> None:
    rows = [row for row in _cases() if row[column] == value]

    found = measure_aspects([row["text"] for row in rows], [row["aspects"] for row in rows])

    assert found["f1"] >= 0.9, found
    assert found["mood_accuracy"] >= 0.95, found


def test_aspects_are_compared_by_term_and_then_by_mood(tmp_path: Path) -> None:
    file = tmp_path / "aspects.tsv"
    file.write_text(
        "text\taspects\nGreat screen, awful keyboard.\tScreen: positive; fan: negative\n"
    )

    found = evaluate_aspects(file)

    assert (found["precision"], found["recall"], found["mood_accuracy"]) == (0.5, 0.5, 1.0)


def test_an_aspect_without_a_mood_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "aspects.tsv"
    file.write_text("text\taspects\nGreat screen\tscreen\n")

    with pytest.raises(ConfigError, match="term: mood"):
        evaluate_aspects(file)


def _cases() -> list[dict[str, str]]:
    with CASES.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_the_cases_are_half_held_out() -> None:
    rows = _cases()

    assert sum(row["part"] == "held" for row in rows) * 2 == len(rows)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(WRITING)
def test_any_text_gets_valid_aspects(tagger: Tagger, text: str) -> None:
    for beginning in ("The screen is great. ", "화면이 정말 예뻐요 "):
        whole = beginning + text
        found = tag(tagger, whole).aspects

        assert len(found) <= MOST
        assert all(whole[it.start : it.end] == it.term for it in found)
        assert list(found) == sorted(found, key=lambda it: it.start)


@pytest.mark.parametrize(
    "part", ["가", "지만 ", "화면이 ", "안 ", "the battery ", "a", "-", "'s", "\n", "."]
)
def test_a_long_text_takes_a_bounded_time(tagger: Tagger, part: str) -> None:
    text = ("화면이 좋다 the screen is great " + part * 100_000)[:100_000]
    began = time.process_time()

    tag(tagger, text)

    assert time.process_time() - began < 1  # 0.05 s on an idle machine


@given(WRITING)
def test_marks_stand_in_the_text(text: str) -> None:
    for mark in (*english_marks(text), *korean_marks(text)):
        assert 0 <= mark.start <= mark.end <= len(text)


@pytest.mark.parametrize(
    ("title", "text", "field"),
    [("Great screen", "Bought it today.", "title"), ("Today", "Great screen!", "text"),
     ("Great screen", "Great screen, I say", "text"), ("", "Great screen", "text")],
)  # fmt: skip
def test_a_place_is_in_the_field_where_the_term_stands(
    tagger: Tagger, title: str, text: str, field: str
) -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    post = Post(
        id=post_id("w", "x", "1"), workspace="w", source_id="x", channel=Channel.OTHER,
        native_id="1", title=title, text=text, created_at=now, collected_at=now,
    )  # fmt: skip

    (aspect,) = _in_fields(post, tag(tagger, analysed_text(post)).aspects)

    assert aspect.field == field
    assert getattr(post, field)[aspect.start : aspect.end] == "screen"
