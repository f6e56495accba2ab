"""What counts as a question and as praise."""

import csv
import time
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_sentiment.evaluation import measure
from maru_sentiment.purposes import praise, question
from maru_sentiment.tagger import Tagger
from sentiment.conftest import tag

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("When will the Android version be released?", "question"),
        ("언제 출시되나요?", "question"),
        ("이거 방수 되나요?", "question"),
        ("Could you add a dark mode?", "suggestion"),
        ("다크 모드 추가해 주실 수 있나요?", "suggestion"),
        ("이 앱 정말 최고예요, 강력 추천합니다", "praise"),
        ("This app is amazing, I recommend it!", "praise"),
        ("오늘 날씨 좋다", "other"),
        ("who cares", "other"),
        ("", "other"),
    ],
)
def test_what_the_author_wants(tagger: Tagger, text: str, label: str) -> None:
    assert tag(tagger, text).intent.label == label


def test_one_post_reports_a_problem_and_asks(tagger: Tagger) -> None:
    chances = tag(
        tagger, "업데이트 후로 로그인이 왜 안 되는 거죠? 자꾸 튕겨요"
    ).intent.probabilities

    assert chances["problem"] >= 0.5
    assert chances["question"] >= 0.5


@pytest.mark.parametrize("part", ["tune", "held"])
@pytest.mark.parametrize(("intent", "file"), [("question", "questions"), ("praise", "praise")])
def test_the_labelled_cases_keep_their_level(
    intent: Literal["question", "praise"], file: str, part: str
) -> None:
    with (HERE / f"{file}.tsv").open(encoding="utf-8") as lines:
        table = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        rows = [row for row in table if row["part"] == part]

    found = measure(intent, [row["text"] for row in rows], [row["label"] for row in rows])

    assert found["labels"][intent]["f1"] >= 0.85, found


@given(st.text(st.characters()), st.floats(0, 1))
def test_any_text_gets_probabilities(text: str, positive: float) -> None:
    assert 0 <= question(text) <= 1
    assert 0 <= praise(text, positive) <= 1


@pytest.mark.parametrize("part", ["?", "how ", "왜 ", "나요", "a", "좋", "\n", "\u202e", "\ud800"])
def test_a_long_text_takes_a_bounded_time(part: str) -> None:
    text = "how good? 왜 좋나요? " + part * 100_000
    began = time.process_time()

    question(text)
    praise(text, 0.9)

    assert time.process_time() - began < 0.2  # 0.002 s on an idle machine
