"""What is taken for spam and for toxic, and which of a post's sentences are."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maru_contracts.posts import Post
from maru_contracts.tags import SPAM_FROM, TOXIC_FROM, TaggedPost
from maru_contracts.topics import POSTS_COLLECTED
from maru_kit.bus import open_bus
from maru_kit.errors import ConfigError
from maru_kit.stream import publish
from maru_sentiment import synthetic
from maru_sentiment.analysers.toxicity import sentences
from maru_sentiment.dataset import Example
from maru_sentiment.evaluation import evaluate
from maru_sentiment.explanation import explain, parts_of, without_each
from maru_sentiment.network import LABELS
from maru_sentiment.tagger import Tagger
from maru_sentiment.training.targets import targets_of
from sentiment.conftest import tag
from sentiment.test_service import a_post, running, tagged

HELD = Path(__file__).parent

SPAM = [
    "무직자 소액대출 당일 승인 카톡 money77 문의 주세요 신용불량자도 가능",
    "안전한 카지노 추천 첫충 50% 꽁머니 지급 코드 LUCKY7 지금 가입하세요",
    "코인 리딩방 무료 입장 수익률 500% 보장 텔레그램 @coinking",
    "Earn $800 a day from home with this crypto bot, message me on WhatsApp now!!!",
    "FREE casino spins, no deposit needed, click the link in my bio to claim your bonus",
    "Buy cheap followers and likes, instant delivery, DM us for promo",
]
GENUINE = [
    "다크 모드 추가해 주세요",
    "로그인이 안 돼요 빨리 고쳐 주세요",
    "어제 3만원 주고 샀는데 정말 만족합니다",
    "Please add a dark mode",
    "The app crashes every time I open it",
    "I bought this for $30 last week and it works well",
    "Our new version is out today with offline mode, thanks for your feedback!",
    "Call me at 010-1234-5678, the sync is broken again",
    "Please call me back on +82 10-1234-5678 about the refund",
    "결제가 두 번 됐어요 확인 후 010-9876-5432 로 연락주세요",
    "연락 주세요 010-1234-5678",
    "전화번호 010-1234-5678 빠른 연락 바랍니다",
]
TOXIC = [
    "이 병신새끼야 나가 죽어",
    "ㅅㅂ 개새끼들아 꺼져",
    "you stupid bitch, go kill yourself",
    "f*ck you, worthless piece of shit, I hope you die",
    "You fucking idiots broke the sync again!",
    "개발자 멍청이들아 동기화가 또 안 되잖아",
]
CIVIL = [
    "존나 맛있다 진짜",
    "미친 가성비네요",
    "정말 최악의 앱입니다 돈이 아까워요",
    "holy shit this is good",
    "This app is garbage, it crashes all the time",
    "The worst update ever, I want my money back",
    "The fucking sync broke again!",
    "동기화가 또 깨졌네 아 진짜 미치겠다",
]


@pytest.mark.parametrize("text", SPAM)
def test_what_sells_and_lures_is_spam(tagger: Tagger, text: str) -> None:
    assert tag(tagger, text).spam >= SPAM_FROM


@pytest.mark.parametrize("text", [*GENUINE, *CIVIL])
def test_what_customers_say_is_no_spam(tagger: Tagger, text: str) -> None:
    assert tag(tagger, text).spam < SPAM_FROM


@pytest.mark.parametrize("text", TOXIC)
def test_insults_and_threats_are_toxic(tagger: Tagger, text: str) -> None:
    assert tag(tagger, text).toxicity >= TOXIC_FROM


@pytest.mark.parametrize("text", [*CIVIL, *GENUINE])
def test_harsh_words_about_a_product_are_not_toxic(tagger: Tagger, text: str) -> None:
    found = tag(tagger, text)

    assert found.toxicity < TOXIC_FROM
    assert found.toxic == ()


def test_the_toxic_sentence_is_found_among_others(tagger: Tagger) -> None:
    insult = "You stupid bitch, go kill yourself!"
    text = f"{insult} You worthless piece of shit. The export is slow."

    found = tag(tagger, text)

    said = [text[it.start : it.end] for it in found.toxic]
    assert insult in said
    assert "The export is slow." not in said


@pytest.mark.parametrize("text", ["", " \n", "https://example.com/x", "@someone", "12345", "\x00"])
def test_a_text_that_says_nothing_is_neither(tagger: Tagger, text: str) -> None:
    found = tag(tagger, text)

    assert max(found.spam, found.toxicity) < 0.01


SAYINGS = st.lists(
    st.one_of(st.text(st.characters(), max_size=20), st.sampled_from([*TOXIC, *CIVIL, "\n", ". "])),
    max_size=6,
).map(" ".join)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(SAYINGS)
def test_a_text_has_toxic_parts_if_it_is_toxic(tagger: Tagger, text: str) -> None:
    found = tag(tagger, text)

    assert 0 <= found.spam <= 1
    assert bool(found.toxic) == (found.toxicity >= TOXIC_FROM)
    ends = [place for it in found.toxic for place in (it.start, it.end)]
    assert ends == sorted(ends)
    assert all(0 <= place <= len(text) for place in ends)


@given(st.text(max_size=300))
def test_sentences_hold_every_letter_once(text: str) -> None:
    parts = sentences(text)

    inside = {place for it in parts for place in range(it.start, it.end)}
    assert len(inside) == sum(it.end - it.start for it in parts)
    assert all(at in inside for at, letter in enumerate(text) if letter.isalnum())


@pytest.mark.parametrize("text", ["." * 100_000, "a. " * 50_000, "새끼" * 50_000, "\n" * 9_999])
def test_long_texts_have_few_sentences(text: str) -> None:
    assert len(sentences(text)) <= 2_000


@pytest.mark.parametrize(
    ("text", "what", "word"),
    [
        ("The box came today you bastard", ("toxicity", "toxic"), "bastard"),
        ("오늘 택배 왔는데 기사 병신새끼", ("toxicity", "toxic"), "병신새끼"),
        ("casino bonus 200% for new players", ("spam", "spam"), "casino"),
    ],
)
def test_the_word_that_says_it_is_among_those_that_move_the_tag(
    tagger: Tagger, text: str, what: tuple[str, str], word: str
) -> None:
    parts = parts_of(text)
    tags, *without = tagger.tag([text, *without_each(text, parts)], ())

    (found,) = [it for it in explain(tags, parts, without) if it.tag == what]

    moving = {text[it.part.start : it.part.end]: it.weight for it in found.parts[:3]}
    assert moving[word] > 0
    assert found.probability == {"spam": tags.spam, "toxicity": tags.toxicity}[what[0]]


def test_both_heads_are_among_the_models(tagger: Tagger) -> None:
    heads = [model.head for model in tagger.models]

    assert heads[-2:] == ["spam", "toxicity"]


async def tagged_alone(tmp_path: Path, post: Post) -> TaggedPost:
    url = f"sqlite:///{tmp_path}/log.db"
    async with open_bus(url) as bus, running(url, tmp_path):
        await publish(bus, POSTS_COLLECTED, [post])
        (found,) = await tagged(bus, 1)
    return found


async def test_a_toxic_title_is_marked_where_it_stands(tmp_path: Path) -> None:
    insult = "You stupid bitch, go kill yourself"
    post = a_post(1, "The export is slow today.").model_copy(update={"title": insult})

    found = await tagged_alone(tmp_path, post)

    assert found.toxicity is not None
    assert found.toxicity >= TOXIC_FROM
    assert [(it.field, it.start, it.end) for it in found.toxic] == [("title", 0, len(insult))]


async def test_a_toxic_title_that_begins_the_text_is_marked_in_both(tmp_path: Path) -> None:
    insult = "이 병신새끼야 나가 죽어"
    post = a_post(1, f"{insult}\n내보내기가 느려요").model_copy(update={"title": insult})

    found = await tagged_alone(tmp_path, post)

    assert [(it.field, it.start, it.end) for it in found.toxic] == [
        ("title", 0, len(insult)),
        ("text", 0, len(insult)),
    ]


@pytest.mark.parametrize(("kind", "yes"), [("spam", "spam"), ("toxicity", "toxic")])
def test_a_file_is_measured(tmp_path: Path, kind: str, yes: str) -> None:
    file = tmp_path / "posts.tsv"
    text = {"spam": SPAM[0], "toxicity": TOXIC[0]}[kind]
    file.write_text(f"text\tlabel\n{text}\t{yes}\nPlease add a dark mode\tother\n", "utf-8")

    found = evaluate(kind, file)  # type: ignore[arg-type]  # both are kinds

    assert (found["n"], found["accuracy"]) == (2, 1.0)


@pytest.mark.parametrize("kind", ["spam", "toxicity"])
def test_a_label_that_the_head_does_not_know_is_explained(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "posts.tsv"
    file.write_text("text\tlabel\nhello\tham\n")

    with pytest.raises(ConfigError, match=r"line 2.*'ham'"):
        evaluate(kind, file)  # type: ignore[arg-type]  # both are kinds


@pytest.mark.parametrize(
    ("file", "kind", "yes", "precision", "recall"),
    [
        ("spam-held", "spam", "spam", 0.92, 0.55),
        ("spam-contact-held", "spam", "spam", 0.95, 0.8),
        ("toxicity-held", "toxicity", "toxic", 0.92, 0.55),
        ("toxicity-beside-held", "toxicity", "toxic", 0.85, 0.45),
        ("toxicity-ko-held", "toxicity", "toxic", 0.92, 0.6),
    ],
)
def test_unseen_cases_are_found_and_few_are_blamed_wrongly(
    file: str, kind: str, yes: str, precision: float, recall: float
) -> None:
    found = evaluate(kind, HELD / f"{file}.tsv")["labels"][yes]  # type: ignore[arg-type]  # both are kinds

    assert found["precision"] >= precision
    assert found["recall"] >= recall


@given(st.integers(1, 300), st.integers(1, 20))
def test_rows_that_nobody_read_count_for_the_same_share_however_many(rows: int, own: int) -> None:
    examples = [
        *(Example("x", synthetic.SPAM, spam=bool(number % 2)) for number in range(2 * own)),
        *(Example("y", "films", "positive", spam=False) for _ in range(rows)),
    ]

    weights = targets_of(examples).weights[:, LABELS.index("spam")]

    assert weights[2 * own :].sum() == pytest.approx(0.3 * weights[: 2 * own].sum())
    assert weights.mean() == pytest.approx(1)


def test_no_case_that_is_held_out_is_learnt() -> None:
    learnt = {example.text for example in synthetic.moderated()}
    held = [
        line.split("\t")[0]
        for name in ("spam", "spam-contact", "toxicity", "toxicity-beside", "toxicity-ko")
        for line in (HELD / f"{name}-held.tsv").read_text("utf-8").splitlines()[1:]
    ]

    assert len(held) == 380
    assert learnt.isdisjoint(held)


def test_what_teaches_is_labelled_once_and_in_both_languages() -> None:
    examples = synthetic.moderated()
    for source, label in ((synthetic.SPAM, "spam"), (synthetic.TOXICITY, "toxicity")):
        known = {it.text: getattr(it, label) for it in examples if it.source == source}
        korean = sum(any("가" <= letter <= "힣" for letter in text) for text in known)
        assert set(known.values()) == {True, False}
        assert len(known) == sum(it.source == source for it in examples)
        assert 0.35 < korean / len(known) < 0.65
