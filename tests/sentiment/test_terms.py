"""Whole words in a text, for Latin letters and for Korean, and the mood of corrected terms."""

import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from maru_contracts.posts import Post
from maru_contracts.tags import Mood, Sentiment, TermDefined
from maru_sentiment.corrections import corrected, without
from maru_sentiment.marking import marked
from maru_sentiment.terms import Finder, Found, Term, terms_of
from sentiment.test_service import NOW, a_post

TERMS = [
    Term("Galaxy Watch", "own", ("갤럭시워치", "갤워치")),
    Term("삼성 헬스", "own"),
    Term("이마트", "own"),
    Term("Apple Watch", "competitor", ("애플 워치",)),
    Term("Fit", "competitor"),
    Term("사과", "competitor"),
    Term("애플", "competitor"),
    Term("Apple Watch Ultra", "competitor"),
    Term("アップル", "competitor"),
    Term("苹果", "competitor"),
    Term("War Zone", "neutral"),
    Term("사기캐", "positive"),
    Term("ㄹㅇ", "positive"),
]
FINDER = Finder(TERMS)


def words(text: str) -> list[str]:
    """What is found, as it is written in the text."""
    watched, corrections = FINDER.find(text)
    return [text[it.start : it.end] for it in [*watched, *corrections]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fitness, benefit, FITS, fit_app, fit2", []),
        ("FIT! ＦＩＴ: fit's", ["FIT", "ＦＩＴ", "fit"]),
        ("Fit이 좋다", ["Fit"]),
        ("GALAXY\nWATCH", ["GALAXY\nWATCH"]),
        ("갤럭시워치가 좋아요", ["갤럭시워치"]),
        ("갤럭시 워치에서만", ["갤럭시 워치"]),
        ("애플워치는 애플 워치들도 애플워치입니다", ["애플워치", "애플 워치", "애플워치"]),
        ("삼성헬스에서 삼성 헬스로", ["삼성헬스", "삼성 헬스"]),
        ("애플은 애플이 애플한테도 애플이었어요 애플ㅋㅠ", ["애플"] * 5),
        ("애플파이 애플망고 파인애플 애플가", []),
        ("불사과나무 사과나무 사과도시 감사과일", []),
        ("사과나 사과도, 사과!", ["사과", "사과", "사과"]),
        ("이 마트는 크다", []),
        ("이마트는 크다", ["이마트"]),
        ("Apple Watch Ultra and Apple Watch", ["Apple Watch Ultra", "Apple Watch"]),
        ("アップルは アップルパイ", ["アップル"]),
        ("我喜欢苹果手表", ["苹果"]),
        (
            unicodedata.normalize("NFD", "갤럭시워치가"),
            [unicodedata.normalize("NFD", "갤럭시워치")],
        ),
        ("½ ㅠㅠ … Fit ㅋㅋ", ["Fit"]),
        ("ㄹㅇㅋㅋ", ["ㄹㅇ"]),
        ("WAR ZONE 사기캐네요", ["WAR ZONE", "사기캐"]),
    ],
)
def test_names_are_found_as_whole_words(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_one_name_can_be_watched_and_corrected() -> None:
    finder = Finder([Term("War Zone", "own"), Term("War Zone", "neutral")])

    watched, corrections = finder.find("I play War Zone")

    assert [it.term.meaning for it in watched + corrections] == ["own", "neutral"]


TEXTS = st.lists(
    st.one_of(
        st.text(max_size=4),
        st.sampled_from([name for term in TERMS for name in (term.name, *term.aliases)]),
        st.sampled_from(["은", "가", "에서", " ", "ㅋ", "½", "\u1161", "e\u0301", "ﾊﾟ", "İ", "\n"]),
    ),
    max_size=12,
).map("".join)


@given(TEXTS)
@example("가\u11a8Fit")
@example("½갤럭시워치\u1161")
@example("½갤럭시워치\u1160")
@example("İ Fit ß ﷺ 애플")
def test_places_lie_in_the_text_in_order_and_hold_the_name(text: str) -> None:
    for found in FINDER.find(text):
        end = 0
        for it in found:
            assert end <= it.start < it.end <= len(text)
            spelled = [squeezed(name) for name in (it.term.name, *it.term.aliases)]
            assert squeezed(text[it.start : it.end]) in spelled
            end = it.end


def squeezed(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


@given(TEXTS, st.sampled_from(["Fit", "애플은", "갤럭시 워치"]))
def test_what_stands_apart_is_found_whatever_is_around_it(text: str, name: str) -> None:
    plain = {squeezed(written) for written in words(f"{text}. {name}.")}

    assert squeezed(name.removesuffix("은")) in plain


@given(st.permutations(TERMS), TEXTS)
def test_the_order_of_definitions_does_not_matter(terms: list[Term], text: str) -> None:
    finder = Finder(terms)

    assert finder.find(text) == FINDER.find(text)
    assert finder.version == FINDER.version


def test_a_later_definition_replaces_an_earlier_one_of_its_section() -> None:
    def defined(meaning: str, *, removed: bool = False) -> TermDefined:
        return TermDefined.model_validate(
            {"workspace": "a", "name": "x", "meaning": meaning, "removed": removed, "at": NOW}
        )

    steps = [defined("own"), defined("negative"), defined("competitor")]

    assert {it.meaning for it in terms_of(steps)["a"]} == {"competitor", "negative"}
    ended = [*steps, defined("own", removed=True), defined("neutral", removed=True)]
    assert terms_of(ended) == {"a": []}
    assert Finder([]).find("x") == ([], [])


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "애플 " * 33_000, "ㅋ½" * 50_000, "e\u0301" * 50_000]
)
def test_a_thousand_names_cost_little_and_hostile_texts_a_bounded_time(text: str) -> None:
    many = [Term(f"Product {n}", "own", (f"제품{n}호기", "a" * (n % 50 + 1))) for n in range(1_000)]
    finder = Finder([*many, *TERMS])
    began = time.perf_counter()
    marked(finder, a_post(1, text))
    without(text, finder.find(text)[1])
    assert time.perf_counter() - began < 2  # 0.1 s on a machine with nothing else to do


def a_mood(negative: float, neutral: float, positive: float) -> Sentiment:
    shares: dict[Mood, float] = {"negative": negative, "neutral": neutral, "positive": positive}
    return Sentiment(
        label=max(shares, key=lambda mood: shares[mood]),
        score=positive - negative,
        probabilities=shares,
    )


GOOD, BAD, CALM = Term("good", "positive"), Term("bad", "negative"), Term("calm", "neutral")


@pytest.mark.parametrize(
    ("rest", "masked", "terms", "label"),
    [
        (a_mood(0.1, 0.8, 0.1), "a __", [GOOD], "positive"),
        (a_mood(0.1, 0.8, 0.1), "a __", [BAD], "negative"),
        (a_mood(0.1, 0.8, 0.1), "a __", [CALM], "neutral"),
        (a_mood(0.1, 0.8, 0.1), "a __", [GOOD, BAD], "neutral"),
        (a_mood(0.1, 0.8, 0.1), "a __", [GOOD, BAD, GOOD, GOOD], "positive"),
        (a_mood(0.9, 0.05, 0.05), "hate __", [GOOD], "negative"),
        (a_mood(0.9, 0.05, 0.05), "hate __", [CALM], "negative"),
        (a_mood(0.9, 0.05, 0.05), "__!", [CALM], "neutral"),
        (a_mood(0.9, 0.05, 0.05), "__", [GOOD], "positive"),
    ],
)
def test_a_correction_speaks_where_the_rest_says_nothing(
    rest: Sentiment, masked: str, terms: list[Term], label: str
) -> None:
    mood = corrected(rest, masked, terms)

    assert mood.label == label
    assert mood.corrections == tuple(dict.fromkeys(term.name for term in terms))
    assert sum(mood.probabilities.values()) == pytest.approx(1, abs=0.001)


def test_a_post_without_terms_is_read_as_it_is() -> None:
    post: Post = a_post(1, "nothing of all that")

    marks = marked(FINDER, post)

    assert (marks.entities, marks.comparisons) == ((), ())
    assert without(post.text, FINDER.find(post.text)[1]) == post.text


def test_title_and_text_are_searched_apart() -> None:
    post = a_post(1, "better than 애플워치").model_copy(update={"title": "갤워치 사기캐"})

    marks = marked(FINDER, post)

    assert [(it.name, it.kind, it.field, it.start, it.end) for it in marks.entities] == [
        ("Galaxy Watch", "own", "title", 0, 3),
        ("Apple Watch", "competitor", "text", 12, 16),
    ]
    assert without(post.title, FINDER.find(post.title)[1]) == "갤워치 __"


def test_what_is_found_is_a_value() -> None:
    assert FINDER.find("Fit")[0] == [Found(Term("Fit", "competitor"), 0, 3)]
