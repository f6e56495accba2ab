"""Which sentences set a competitor against one's own, and who comes off better."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_contracts.tags import Comparison
from maru_sentiment.comparing import comparisons
from maru_sentiment.terms import Finder, Term

FINDER = Finder(
    [
        Term("Our Watch", "own", ("우리워치",)),
        Term("X", "competitor", ("애플워치",)),
        Term("Y", "competitor", ("핏빗",)),
    ]
)


def compared(text: str) -> list[Comparison]:
    return comparisons(text, FINDER.find(text)[0])


@pytest.mark.parametrize(
    ("text", "winner"),
    [
        ("Our Watch is better than X.", "own"),
        ("So much faster than my X", "own"),
        ("I switched from X last year and I am happy", "own"),
        ("I prefer Our Watch over X", "own"),
        ("X can't do that, but you can", "own"),
        ("X is slower than this", "own"),
        ("X has this, you don't", "competitor"),
        ("X supports widgets but Our Watch still doesn't", "competitor"),
        ("X is better than Our Watch", "competitor"),
        ("It is worse than X", "competitor"),
        ("Not better than X", "competitor"),
        ("It is not as good as X", "competitor"),
        ("I'm switching to X", "competitor"),
        ("I went back to X", "competitor"),
        ("I left Our Watch for X", "competitor"),
        ("Please show the pulse like X does", "competitor"),
        ("More expensive than X", "competitor"),
        ("Unlike X, it has no alarm", None),
        ("Our Watch vs. X", None),
        ("Compared to X it is round", None),
        ("Is it better than X?", None),
        ("애플워치보다 훨씬 나아요", "own"),
        ("애플워치에서 우리워치로 갈아탔어요", "own"),
        ("애플워치는 안 되는데 이건 돼요", "own"),
        ("애플워치는 되는데 여기는 안 돼요", "competitor"),
        ("애플워치에는 있는데 왜 없어요", "competitor"),
        ("애플워치처럼 심박수 보여 주세요", "competitor"),
        ("애플워치보다 느려요", "competitor"),
        ("애플워치보다 안 좋아요", "competitor"),
        ("우리워치보다 애플워치가 좋아요", "competitor"),
        ("애플워치로 갈아탔어요", "competitor"),
        ("결국 우리워치에서 애플워치로 넘어갔습니다", "competitor"),
        ("애플워치처럼 생겼어요", None),
        ("애플워치보다 낫지 않아요", None),
        ("애플워치보다 좋은가요?", None),
    ],
)
def test_a_comparison_and_its_winner(text: str, winner: str | None) -> None:
    (found,) = compared(text)

    assert (found.name, found.winner) == ("X", winner)
    assert "[competitor]" in found.cue


@pytest.mark.parametrize(
    "text",
    [
        "I like X",
        "I love my X and my dog",
        "I bought X for my mother",
        "It is better than expected. X users can pair too",
        "I am not switching to X",
        "I won't go back to X",
        "It has to talk to X",
        "I moved the files to the folder",
        "Our Watch is better than ever",
        "애플워치 연동해 주세요",
        "애플워치로 알림이 오는데 소리가 안 나요",
        "애플워치 연결은 되는데 알림이 안 와요",
        "애플워치로 안 갈아탔어요",
        "애플워치로 갈아타지 않을래요",
        "애플워치 샀어요. 여기보다 좋은 앱은 없어요",
        "",
    ],
)
def test_a_mention_alone_is_no_comparison(text: str) -> None:
    assert compared(text) == []


def test_each_competitor_of_a_text_is_judged_in_its_own_sentence() -> None:
    text = "Better than X! 핏빗으로 갈아탈까 하다가 말았어요.\nI moved to Y"

    assert {(it.name, it.winner) for it in compared(text)} >= {
        ("X", "own"),
        ("Y", "competitor"),
    }


PIECES = [
    "X",
    "애플워치",
    "핏빗",
    "Our Watch",
    " ",
    "보다",
    "는 ",
    "되는데",
    "better than ",
    "to ",
    "not ",
    ". ",
]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=30).map("".join))
def test_any_text_gives_comparisons_of_competitors_that_it_names(text: str) -> None:
    named = {it.term.name for it in FINDER.find(text)[0] if it.term.meaning == "competitor"}

    assert {it.name for it in compared(text)} <= named


@given(st.sampled_from(["\n", ". ", "! "]), st.text("abc 가나다", max_size=300))
def test_what_stands_in_other_sentences_changes_nothing(end: str, other: str) -> None:
    text = "Our Watch is better than X"

    assert compared(f"{other}{end}{text}") == compared(text)
