"""What a product owner expects of the tags, in both languages and on bad days."""

import random
import time
from base64 import b64decode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maru_sentiment.analysers.topics import MOST
from maru_sentiment.domain import DEFAULT_SUBJECTS, Subject
from maru_sentiment.tagger import Tagger
from sentiment.conftest import tag

SUGGESTIONS = [
    "다크 모드 추가해 주세요",
    "please add a dark mode",
    "It would be great to have an offline mode.",
    "오프라인에서도 쓸 수 있으면 좋겠어요",
    "I wish there was a widget for the home screen",
    "캘린더 연동 기능 부탁드립니다",
    "Can you add support for keyboard shortcuts?",
    "글씨 크기 조절 가능하게 해 주세요 ㅠㅠ",
]
PROBLEMS = [
    "The app crashes every time I open it",
    "로그인이 안 돼요",
    "Since the update it does not sync anymore",
    "업데이트 후 계속 튕겨요",
    "It freezes when I upload a photo",
]
OTHERS = [
    "I love this app, use it every day!",
    "정말 잘 쓰고 있어요 감사합니다",
    "Good morning everyone",
    "오늘 처음 설치했어요",
]


@pytest.mark.parametrize("text", SUGGESTIONS)
def test_a_request_is_a_suggestion_however_short(tagger: Tagger, text: str) -> None:
    assert tag(tagger, text).intent.label == "suggestion"


@pytest.mark.parametrize("text", PROBLEMS)
def test_a_complaint_is_a_problem(tagger: Tagger, text: str) -> None:
    assert tag(tagger, text).intent.label == "problem"


@pytest.mark.parametrize("text", OTHERS)
def test_praise_and_small_talk_ask_for_nothing(tagger: Tagger, text: str) -> None:
    assert tag(tagger, text).intent.label in {"praise", "other"}


@pytest.mark.parametrize(
    ("text", "mood"),
    [
        ("This is wonderful, I am so happy with it!", "positive"),
        ("정말 최고예요, 너무 만족합니다!", "positive"),
        ("This is terrible, I hate it", "negative"),
        ("진짜 최악이다 돈이 아깝다", "negative"),
        ("The meeting is at 3 pm.", "neutral"),
    ],
)
def test_moods_that_nobody_disputes(tagger: Tagger, text: str, mood: str) -> None:
    found = tag(tagger, text).sentiment

    assert found.label == mood
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=0.001)
    assert found.score == pytest.approx(
        found.probabilities["positive"] - found.probabilities["negative"], abs=0.001
    )


@pytest.mark.parametrize(
    "text", ["", " \n\t", "https://example.com/x", "@someone", "12345", "\x00\x07", "\u202e"]
)
def test_a_text_that_says_nothing_has_no_mood(tagger: Tagger, text: str) -> None:
    found = tag(tagger, text)

    assert (found.sentiment.label, found.intent.label) == ("neutral", "other")
    assert found.sentiment.probabilities["neutral"] > 0.99
    assert (found.emotions, found.topics, found.aspects) == ((), (), ())


@pytest.mark.parametrize("text", ["👍👍", "ㅋㅋㅋㅋ", "ㅠㅠ", "!!!", "1 2 3"])
def test_a_text_without_words_is_about_no_topic(tagger: Tagger, text: str) -> None:
    assert tag(tagger, text).topics == ()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("다크모드 plz ㅋㅋ", "ko"),
        ("앱 update 후 crash 나요", "ko"),
        ("ㅠㅠ", "ko"),
        ("Please add a dark mode", "en"),
        ("Il manque le mode sombre dans cette application", "fr"),
        ("ダークモードを追加してください", "ja"),
        ("请添加深色模式", "zh"),
        ("Добавьте тёмную тему", "ru"),
        ("👍👍👍", "und"),
        ("https://example.com/x", "und"),
        ("", "und"),
        ("12345", "und"),
    ],
)
def test_languages_of_short_and_mixed_posts(tagger: Tagger, text: str, language: str) -> None:
    assert tag(tagger, text).language == language


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("배터리가 너무 빨리 닳아요", "battery"),
        ("it drains my battery", "battery"),
        ("로그인이 자꾸 풀려요", "login and account"),
        ("please add a dark theme", "design"),
    ],
)
def test_default_topics_in_both_languages(tagger: Tagger, text: str, topic: str) -> None:
    assert topic in [found.name for found in tag(tagger, text).topics]


@pytest.mark.parametrize(
    "text",
    [
        "love this app",
        "Nice app",
        "great app, highly recommend",
        "worst app ever",
        "the app is ok",
        "I enjoy it a lot",
        "앱이 좋아요",
        "이 앱 최악이에요",
        "아주 잘 쓰고 있습니다",
    ],
)
def test_a_judgement_of_the_whole_is_about_no_default_topic(tagger: Tagger, text: str) -> None:
    assert tag(tagger, text).topics == ()


def test_a_topic_of_the_workspace_may_be_the_whole(tagger: Tagger) -> None:
    subjects = (Subject("fans", ("a really lovely app",)), *DEFAULT_SUBJECTS)
    (tags,) = tagger.tag(["love this app"], subjects)

    assert [topic.name for topic in tags.topics] == ["fans"]


def test_a_workspaces_own_topic_is_found_in_another_language(tagger: Tagger) -> None:
    own = (Subject("parking", ("there is nowhere to park my car", "the parking lot is full")),)

    (tags,) = tagger.tag(["주차장이 너무 좁아서 차를 댈 곳이 없어요"], own)

    assert [topic.name for topic in tags.topics] == ["parking"]


TEXTS = [*SUGGESTIONS, *PROBLEMS, *OTHERS, "👍", "", "x" * 700, "가" * 300, "a b c " * 200]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_tags_do_not_depend_on_the_rest_of_the_batch(tagger: Tagger, data: st.DataObject) -> None:
    batch = data.draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=40))

    together = tagger.tag(batch, DEFAULT_SUBJECTS)

    place = random.Random(len(batch)).randrange(len(batch))
    (alone,) = tagger.tag([batch[place]], DEFAULT_SUBJECTS)
    assert together[place] == alone


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(st.characters(), max_size=300))
def test_any_text_gets_valid_tags(tagger: Tagger, text: str) -> None:
    tags = tag(tagger, text)

    assert len(b64decode(tags.embedding)) == 512
    assert len(tags.topics) <= MOST


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "다크 모드 " * 20_000,
        "👍" * 100_000,
        "\x00\x01\x02",
        "\u202egnp.exe",
        "\ud800\udfff lone",
        "\n" * 50_000,
    ],
    ids=["letters", "words", "emoji", "control", "override", "surrogates", "lines"],
)
def test_hostile_texts_take_a_bounded_time(tagger: Tagger, text: str) -> None:
    began = time.perf_counter()

    tag(tagger, text)

    assert time.perf_counter() - began < 4  # 0.1 s on a machine with nothing else to do


SAYINGS = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.text(st.characters(), max_size=10),  # with lone surrogates
        st.sampled_from(
            [
                *("\u202e", "\u200b", "\x00", "\ud83d", "👍", "👨\u200d👩\u200d👧", "ㅋㅋ", "ㅠㅠ"),
                *("\n\n", "א ב ", "https://a.b/c ", "@x ", "한글", "ｆｕｌｌ", "e\u0301" * 9),
                *("a" * 999, "가" * 999, "1" * 99),
            ]
        ),
    ),
    max_size=8,
).map("".join)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(SAYINGS, min_size=1, max_size=8))
def test_any_texts_get_valid_tags(tagger: Tagger, texts: list[str]) -> None:
    found = tagger.tag(texts, DEFAULT_SUBJECTS)

    assert len(found) == len(texts)
    for text, tags in zip(texts, found, strict=True):
        assert sum(tags.sentiment.probabilities.values()) == pytest.approx(1, abs=0.001)
        assert all(0 <= chance <= 1 for chance in tags.intent.probabilities.values())
        assert tags.intent.label in tags.intent.probabilities
        assert all(text[it.start : it.end] == it.term for it in tags.aspects)
        assert len(b64decode(tags.embedding)) == 512
