"""Topics found in a stream: the rules alone, and with the encoder and the space that ship."""

import csv
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maru_ideas.domain import naming, rising
from maru_ideas.domain.discovered import Said, Topic, Turn
from maru_ideas.domain.discovery import WAITING, Discovery, Grain
from maru_ideas.domain.naming import Background
from maru_ideas.domain.ordinary import EXPECTED, Ordinary
from maru_ideas.domain.space import UNIT, Vectors, scaled, trained
from maru_ideas.evaluation import discovered, evaluate_discovery, purity
from maru_kit.errors import ConfigError
from maru_sentiment.encoder import Encoder, quantise

SUBJECTS = Path(__file__).parent / "subjects-ko-en.tsv"
"""Looked at while the rules were made."""
UNSEEN = Path(__file__).parent / "more-subjects-ko-en.tsv"
"""Written afterwards; nothing was changed for it but endings of Korean verbs in names."""
Stream = tuple[list[Said], Vectors]


def near(subject: int, *seeds: int, noise: float = 0.6) -> Vectors:
    """Vectors of posts about one subject, far from those of any other."""
    middle = np.random.default_rng(subject).normal(size=256)
    blurred = [
        middle + noise * np.random.default_rng([subject, seed]).normal(size=256) for seed in seeds
    ]
    return scaled(np.stack(blurred), UNIT)


def said(number: int, *words: str, voice: str | None = None, language: str = "en") -> Said:
    return Said(UUID(int=number + 1), voice or f"v{number}", language, words or ("thing",))


def a_stream(subjects: Sequence[int]) -> Stream:
    """A post about each subject, and about none where it is negative."""
    posts = [said(at, f"word{subject}") for at, subject in enumerate(subjects)]
    rows = [
        near(subject, at)[0] if subject >= 0 else near(10_000 + at, 0)[0]
        for at, subject in enumerate(subjects)
    ]
    return posts, np.stack(rows)


def mixed(count: int, subjects: int = 8, seed: int = 1) -> Stream:
    random = Random(seed)
    return a_stream([random.randrange(-2, subjects) for _ in range(count)])


def taken(stream: Stream, grain: Grain | None = None) -> tuple[Discovery, Turn]:
    discovery = Discovery(grain or Grain())
    return discovery, discovery.take(*stream)


def shown(discovery: Discovery) -> list[str]:
    """All that a discovery knows, comparable."""
    kept = discovery.kept
    topics = [repr(replace(topic, sampled=False)) for topic in discovery.topics]
    sums = [topic.sum.tobytes() for topic in discovery.topics]
    waiting = [(it.sequence, it.said, it.vector.tobytes()) for it in discovery.waiting]
    arrays = [kept.bins.tobytes(), kept.ring.tobytes(), kept.words.tobytes()]
    return [
        repr(it)
        for it in (kept.sequence, kept.founded, kept.yardstick, arrays, topics, sums, waiting)
    ]


def reopened(discovery: Discovery) -> Discovery:
    """The discovery as another process would make it from what is stored."""
    topics = [replace(topic, sampled=True) for topic in deepcopy(discovery.topics)]
    return Discovery(Grain(), deepcopy(discovery.kept), topics, list(discovery.waiting))


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(1, 399), max_size=8, unique=True), restart=st.booleans())
def test_any_batching_and_any_restart_give_the_same_topics(
    *, cuts: Sequence[int], restart: bool
) -> None:
    posts, vectors = mixed(400)
    whole, turn = taken((posts, vectors))
    ends = [0, *sorted(cuts), 400]

    apart = Discovery(Grain())
    topics: dict[UUID, UUID] = {}
    for start, end in pairwise(ends):
        part = apart.take(posts[start:end], vectors[start:end])
        topics = {post: part.merged.get(topic, topic) for post, topic in topics.items()}
        topics |= {post: it.topic for post, it in part.placed.items()}
        apart = reopened(apart) if restart else apart

    assert shown(apart) == shown(whole)
    assert topics == {post: it.topic for post, it in turn.placed.items()}


def test_each_subject_is_one_topic_and_strangers_are_in_none() -> None:
    random = Random(3)
    subjects = [random.randrange(-2, 6) for _ in range(320)]
    _, turn = taken(a_stream(subjects))

    topics = {
        subject: {
            turn.placed[UUID(int=at + 1)].topic
            for at, it in enumerate(subjects)
            if it == subject and UUID(int=at + 1) in turn.placed
        }
        for subject in set(subjects)
    }
    assert [len(topics[subject]) for subject in range(6)] == [1] * 6
    assert topics[-1] == topics[-2] == set()
    assert len(turn.placed) > 0.9 * sum(subject >= 0 for subject in subjects)


def test_a_topic_needs_enough_posts_of_enough_voices() -> None:
    three = a_stream([1, 1, 1, -1, -1, -1, -1, -1])
    posts, vectors = a_stream([1] * 4 + [-1] * 4)
    one_voice = [replace(it, voice="kim") for it in posts]
    two_voices = [replace(it, voice=f"v{at % 2}") for at, it in enumerate(posts)]

    assert not taken(three)[1].founded
    assert not taken((one_voice, vectors))[1].founded
    assert not taken((two_voices, vectors))[1].founded
    assert len(taken((posts, vectors))[1].founded) == 1


def test_posts_that_name_nothing_are_in_no_topic() -> None:
    posts, vectors = a_stream([1] * 16)
    silent = [replace(it, words=naming.words("Excellent!! 최고예요")) for it in posts]

    discovery, turn = taken((silent, vectors))

    assert (turn.placed, turn.founded, list(discovery.waiting)) == ({}, set(), [])


def test_the_oldest_stop_waiting_when_too_many_do() -> None:
    discovery, turn = taken(a_stream([-1] * (WAITING + 200)))

    # 712 posts are 22 pages of 32 and 8 posts of the next.
    assert len(discovery.waiting) == len(turn.began_waiting) == WAITING + 8
    assert [it.sequence for it in discovery.waiting] == list(range(192, WAITING + 200))


def test_topics_that_grew_together_become_the_older_one() -> None:
    older, younger = near(1, *range(8)), near(2, *range(8))
    discovery = Discovery(Grain())
    first = discovery.take([said(at) for at in range(16)], np.concatenate([older, younger]))
    assert len(first.founded) == 2

    # Both move towards each other, a little at each post, and stay where they almost met.
    steps = np.minimum(np.linspace(0, 2, 400), 0.45)[:, None]
    start, end = older.mean(axis=0), younger.mean(axis=0)
    moving = [start + steps * (end - start), end + steps * (start - end)]
    vectors = scaled(np.rint(np.stack(moving, axis=1).reshape(800, 256) * 100), UNIT)
    later = discovery.take([said(16 + at) for at in range(800)], vectors)

    (gone, kept), *others = later.merged.items()
    assert not others
    assert [topic.id for topic in discovery.topics] == [kept]
    assert discovery.topics[0].place == 0
    assert {it.topic for it in later.placed.values()} == {kept}
    assert later.changed[gone].id == gone


def test_beyond_the_most_the_one_longest_without_a_post_retires() -> None:
    subjects = [subject for subject in range(6) for _ in range(8)] + [0] * 8

    discovery, turn = taken(a_stream(subjects), Grain(topics=3))

    assert len(discovery.topics) == 3
    assert len(turn.retired) == len(turn.founded) - 3
    assert all(turn.changed[it].id == it for it in turn.retired)


def test_a_big_subject_does_not_make_everything_ordinary() -> None:
    def middle(share: float) -> int:
        random, ordinary = Random(1), Ordinary()
        subjects = [0 if random.random() < share else -1 for _ in range(1_000)]
        ordinary.see(a_stream(subjects)[1].astype(np.float32), 0)
        return ordinary.settle().middle

    assert Ordinary().settle() == EXPECTED
    assert abs(middle(0.5) - middle(0.0)) < 0.05 * UNIT * UNIT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("배터리가 너무 빨리 닳아요", {"배터리"}),
        ("환불해 주세요, 환불은 언제 되나요", {"환불"}),
        ("I don't like the app's dark mode", {"dark", "mode", "dark mode"}),
        ("https://example.org/delivery [email] [handle]", set()),
        ("PDF로 저장하고 login이 안 되는 AI비서", {"pdf", "login", "ai비서"}),
        ("最高のバッテリー", {"最高", "バッテリー"}),
        ("ㅠㅠ 123 !!", set()),
    ],
)
def test_words_that_may_name_a_topic(text: str, expected: set[str]) -> None:
    found = set(naming.words(text))

    assert expected <= found
    assert not found & {"너무", "주세요", "the", "app", "email", "handle", "123"}
    assert found or not expected


def test_a_name_has_telling_words_of_each_script() -> None:
    background = Background()
    topic = Counter({"battery": 20, "배터리": 15, "phone": 20, "충전": 9, "charge": 9})
    background.see([("phone",)] * 400 + [("battery", "배터리")] * 15 + [("battery",)] * 5)
    background.see([("충전", "charge")] * 9)

    best = naming.ranked(topic, 30, background)

    assert naming.name(naming.named(best, ())) == "battery, charge · 배터리, 충전"
    assert "phone" not in best


def test_a_name_stays_until_its_words_are_outdated() -> None:
    before = ("battery", "배터리")

    assert naming.named(["charge", "충전", "battery", "배터리"], before) == before
    assert naming.named(["screen", "화면", "glass", "유리"], before) == (
        "screen",
        "glass",
        "화면",
        "유리",
    )
    assert naming.named(["charge", "battery"], before) == ("charge", "battery")
    assert naming.named([], before) == before


@given(
    st.lists(st.sampled_from(["price", "coupon", "가격", "할인", "x" * 60, "y" * 60]), min_size=1),
    st.lists(st.sampled_from(["price", "coupon", "dark mode", "가격", "z" * 60])),
    st.sets(st.sampled_from(["price", "price, coupon", "price 2", "price · 가격", "가격"])),
)
def test_a_free_name_is_none_that_there_is(
    chosen: list[str], best: list[str], taken: set[str]
) -> None:
    called = naming.name(chosen)

    free = naming.free(called, best, taken)
    another = naming.free(called, best, taken | {free})

    assert (free == called) == (called not in taken)
    assert free not in taken
    assert another not in taken | {free}
    assert 0 < len(another) <= 100
    assert another[:90].startswith(called[:90]) or " · " in another


def test_a_free_name_has_the_next_telling_word() -> None:
    best = ["offline", "sync", "오프라인"]

    assert naming.free("offline", best, {"price"}) == "offline"
    assert naming.free("offline", best, {"offline"}) == "offline, sync"
    assert naming.free("offline", best, {"offline", "offline, sync"}) == "offline · 오프라인"
    assert naming.free("offline", ["offline"], {"offline", "offline 2"}) == "offline 3"


@given(st.lists(st.text(max_size=60), max_size=30))
def test_whatever_people_write_a_name_fits(texts: list[str]) -> None:
    spoken = [naming.words(text) for text in texts]
    counts = Counter(word for words in spoken for word in words)
    background = Background()
    background.see(spoken)

    name = naming.name(naming.named(naming.ranked(counts, len(texts), background), ()))

    assert len(name) <= 100
    assert not any(sign in name for sign in "|/\n")
    assert all(background.count(word) >= count for word, count in counts.items())


@given(*[st.integers(0, 1_000)] * 4)
def test_a_topic_rises_only_above_what_everything_does(
    posts: int, before: int, more: int, more_before: int
) -> None:
    every, every_before = posts + more, before + more_before

    surge = rising.surge(posts, before, every, every_before)
    of_others = rising.surge(more, more_before, every, every_before)

    assert surge * of_others <= 1e-9
    assert not rising.is_rising(posts, 0, every, 0)


def test_a_topic_that_doubled_rises_and_a_product_that_doubled_does_not() -> None:
    assert rising.is_rising(40, 20, 1_000, 1_000)
    assert not rising.is_rising(40, 20, 2_000, 1_000)
    assert not rising.is_rising(3, 1, 1_000, 1_000)
    assert rising.growth(40, 20) == 2
    assert rising.growth(40, 0) is None


def subjects(file: Path = SUBJECTS) -> tuple[list[str], list[str], list[str], Vectors]:
    """Posts of our own on five subjects, half of them Korean: text, subject, language, meaning."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    texts, topics, languages = (
        [row[name] for row in rows] for name in ("text", "topic", "language")
    )
    vectors = trained().meaning(quantise(Encoder().encode(texts)), UNIT)
    return texts, topics, languages, vectors


@pytest.mark.parametrize("order", ["mixed", "other", "english first"])
def test_five_subjects_in_korean_and_english_are_five_topics_of_both(order: str) -> None:
    texts, gold, languages, vectors = subjects()
    places = list(range(len(texts)))
    Random({"other": 2}.get(order, 1)).shuffle(places)
    if order == "english first":
        places.sort(key=lambda at: languages[at] == "ko")

    found = discovered([texts[at] for at in places], vectors[places], Grain())

    topics: dict[UUID, list[int]] = {}
    for at, topic in zip(places, found.topics, strict=True):
        if topic is not None:
            topics.setdefault(topic, []).append(at)
    assert sorted({gold[at] for at in members}.pop() for members in topics.values()) == sorted(
        set(gold)
    )
    for members in topics.values():
        assert len({gold[at] for at in members}) == 1
        assert {languages[at] for at in members} == {"en", "ko"}
    assert sum(map(len, topics.values())) >= 0.65 * len(texts)


def test_five_subjects_that_nothing_was_tuned_to_come_apart_in_both_languages() -> None:
    texts, gold, languages, vectors = subjects(UNSEEN)
    found, pure, both = [], [], []
    for seed in range(8):
        places = list(range(len(texts)))
        Random(seed).shuffle(places)
        topics = discovered([texts[at] for at in places], vectors[places], Grain()).topics
        assigned = [(gold[at], it) for at, it in zip(places, topics, strict=True) if it]
        spoken = {(it, languages[at]) for at, it in zip(places, topics, strict=True) if it}
        found.append(len({it for _, it in assigned}))
        pure.append(purity(*zip(*assigned, strict=True)))
        both.append(len(spoken) == 2 * found[-1])

    assert all(4 <= count <= 5 for count in found)
    assert Counter(found)[5] >= 4
    assert min(pure) >= 0.95
    assert sum(both) >= 6


def test_names_of_both_languages_are_theirs() -> None:
    texts, _, _, vectors = subjects()
    places = list(range(len(texts)))
    Random(1).shuffle(places)

    found = discovered([texts[at] for at in places] * 2, np.tile(vectors[places], (2, 1)), Grain())

    names = " / ".join(found.days[-1].values())
    for word in ("배터리", "battery", "구독", "subscription", "고객센터", "배송", "소리", "sound"):
        assert word in names


def test_a_labelled_file_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "topics.tsv"
    rows = [f"thing{at % 4} is broken\tt{at % 4}" for at in range(160)]
    file.write_text("text\ttopic\n" + "\n".join(rows), "utf-8")
    middles = np.random.default_rng(5).normal(size=(4, 512))

    def encode(texts: Sequence[str]) -> Vectors:
        noise = np.random.default_rng(6).normal(size=(len(texts), 512))
        numbers = [int(text[5]) for text in texts]
        return scaled(np.rint((middles[numbers] + 0.3 * noise) * 100), UNIT)

    scores = evaluate_discovery(file, encode, Grain(), shuffle=1)

    assert (scores["n"], scores["topics_gold"], scores["topics_found"]) == (160, 4, 4)
    assert scores["purity"] == scores["v_measure"] == scores["bcubed_f1"] == 1
    assert scores["other_order_bcubed_f1"] == scores["ids_kept"] == scores["halves_alike"] == 1
    assert scores["assigned"] > 0.9
    file.write_text("a\tb\nx\ty\n", "utf-8")
    with pytest.raises(ConfigError, match="text and cluster"):
        evaluate_discovery(file, encode, Grain())


def test_purity_equals_the_value_counted_by_hand() -> None:
    assert purity(["a", "a", "b", "b", "c"], [1, 1, 1, 2, 2]) == 3 / 5
    assert purity([], []) == 0


def test_an_unnamed_topic_has_no_name() -> None:
    empty = Topic(UUID(int=1), 0, np.zeros(256, np.int32), np.zeros(256, np.int8))

    assert empty.name == ""
