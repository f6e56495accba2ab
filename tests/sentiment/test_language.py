"""Languages of short, mixed and hostile posts.

`languages.tsv` was written by us: short posts in sixteen languages (`plain`), Korean with English
(`mixed`), and what is hard or has no language (`hard`). The CRC-32 of a text says which half it is
in: errors on an even one may be read while tuning, on an odd one never; it counts for the figure.
"""

import csv
import time
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maru_sentiment.analysers.language import LANGUAGES, UNKNOWN, LanguageHead, hinted
from maru_sentiment.evaluation import evaluate
from maru_sentiment.tagger import Tagger

CASES = Path(__file__).parent / "languages.tsv"


@pytest.fixture(scope="module")
def head() -> LanguageHead:
    return LanguageHead()


def cases() -> list[dict[str, str]]:
    with CASES.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def is_tuning(case: dict[str, str]) -> bool:
    return zlib.crc32(case["text"].encode()) % 2 == 0


def test_there_are_enough_cases_of_every_kind() -> None:
    kinds = Counter(case["kind"] for case in cases())
    plain = Counter(case["label"] for case in cases() if case["kind"] == "plain")

    assert len(cases()) >= 800
    assert len({case["text"] for case in cases()}) == len(cases())
    assert set(plain) == LANGUAGES
    assert min(plain.values()) >= 40
    assert kinds["mixed"] >= 120
    assert sum(case["label"] == UNKNOWN for case in cases()) >= 60


@pytest.mark.parametrize("half", ["tuning", "final"])
def test_short_posts_are_right_in_ninety_eight_of_a_hundred(head: LanguageHead, half: str) -> None:
    asked = [case for case in cases() if is_tuning(case) == (half == "tuning")]

    wrong = [case for case in asked if head.language(case["text"]) != case["label"]]

    assert 1 - len(wrong) / len(asked) >= 0.98
    of = Counter(case["label"] for case in asked)
    missed = Counter(case["label"] for case in wrong)
    assert {code: missed[code] / of[code] for code in of if missed[code] > 0.1 * of[code]} == {}


def test_mixed_korean_and_english_is_korean(head: LanguageHead) -> None:
    mixed = [case for case in cases() if case["kind"] == "mixed"]

    right = sum(head.language(case["text"]) == "ko" for case in mixed)

    assert right / len(mixed) >= 0.98


def test_the_file_is_measured_as_the_command_does() -> None:
    found = evaluate("language", CASES)

    assert found["accuracy"] >= 0.98
    assert set(found["labels"]) == LANGUAGES | {UNKNOWN}


@pytest.mark.parametrize(
    ("text", "hint", "language"),
    [
        ("👍👍", "ko-KR", "ko"),
        ("10/10", "tr", "tr"),
        ("Netflix", "pt_BR", "pt"),
        ("便利", "ja", "ja"),
        ("super", "de", "de"),
        ("👍", "tlh", UNKNOWN),
        ("👍", "", UNKNOWN),
        ("please add a dark mode", "ko", "en"),
        ("다크 모드 추가해 주세요", "en", "ko"),
        ("Das funktioniert leider nicht", "en-US", "de"),
        ("Δεν λειτουργεί", "en", UNKNOWN),
    ],
)
def test_the_source_is_believed_where_the_text_is_open(
    head: LanguageHead, text: str, hint: str, language: str
) -> None:
    assert head.language(text, hint) == language


def test_the_hint_of_a_post_reaches_the_head(tagger: Tagger) -> None:
    silent, spoken = tagger.tag(["👍", "so good"], (), ["ko", "ko"])

    assert (silent.language, spoken.language) == ("ko", "en")


@pytest.mark.parametrize(
    "text",
    [
        "Jag älskar den här appen",
        "Tôi không thích ứng dụng này",
        "aplikasi ini sangat bagus",
        "Ez egy nagyon jó alkalmazás",
        "Додаток не працює взагалі",
        "این برنامه عالی است",
        "ऐप बहुत अच्छा है",
    ],
)
def test_a_language_that_we_do_not_know_is_not_taken_for_one_that_we_do(
    head: LanguageHead, text: str
) -> None:
    assert head.language(text) == UNKNOWN


@pytest.mark.parametrize("text", ["#배터리 #최악", "배터리 life 너무 짧아요 " + "so bad " * 3])
def test_hashtags_and_english_around_it_leave_korean_korean(head: LanguageHead, text: str) -> None:
    assert head.language(text) == "ko"


def test_a_name_in_hangul_does_not_make_an_english_post_korean(head: LanguageHead) -> None:
    assert head.language("I saw Jungkook (정국) in Busan and he was so kind to everyone") == "en"


STRANGE = st.one_of(
    st.text(st.characters(), max_size=400),
    st.text(st.characters(categories=["Cs", "Cf", "Mn", "Lo", "So"]), max_size=400),
    st.text("@#/.:-_' ruhtps\u202e\u200d\x00가ㅋaé文のไя", max_size=400),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(STRANGE, st.none() | st.text(max_size=35))
def test_any_text_has_one_answer(head: LanguageHead, text: str, hint: str | None) -> None:
    found = head.language(text, hint)

    assert found in LANGUAGES | {UNKNOWN}
    assert head.language(text, hint) == found
    assert LanguageHead().language(text, hint) == found


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(st.characters(), min_size=1, max_size=6))
def test_any_run_to_a_hundred_thousand_takes_a_bounded_time(head: LanguageHead, part: str) -> None:
    text = part * (100_000 // len(part))
    began = time.perf_counter()

    head.language(text)

    assert time.perf_counter() - began < 1  # at most 0.02 s on a machine with nothing else to do


@pytest.mark.parametrize(
    "part", ["@", "#a", "a.@", "x@", "http://", "r/", "/", "a'", "\u202e", "ﷺ"]
)
def test_runs_that_slow_patterns_down_take_a_bounded_time(head: LanguageHead, part: str) -> None:
    began = time.perf_counter()

    head.language(part * (100_000 // len(part)))

    assert time.perf_counter() - began < 1


def test_a_post_takes_microseconds(head: LanguageHead) -> None:
    texts = [case["text"] for case in cases()]
    began = time.process_time()

    for text in texts:
        head.language(text)

    assert (time.process_time() - began) / len(texts) < 300e-6  # 13 on a quiet machine


@pytest.mark.parametrize(
    ("hint", "code"),
    [
        ("ko-KR", "ko"),
        ("EN_us", "en"),
        (" zh-Hant ", "zh"),
        ("kor", None),
        ("", None),
        (None, None),
    ],
)
def test_hints_are_read_as_language_tags(hint: str | None, code: str | None) -> None:
    assert hinted(hint) == code
