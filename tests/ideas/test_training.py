import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from maru_ideas import phrases
from maru_ideas.domain.space import MEANING, trained
from maru_ideas.training import contrast
from maru_ideas.training.contrast import Floats, Groups, learnt, loss_of, slope_of
from maru_ideas.training.material import Asides
from maru_sentiment.encoder import Encoder, quantise

OUT = 4


def some_texts(seed: int, count: int, size: int = 8) -> Floats:
    rows = np.random.default_rng(seed).normal(size=(count, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def a_map(seed: int, size: int = 8) -> Floats:
    return np.random.default_rng(seed).normal(size=(size, OUT)).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=3, max_size=12))
def test_the_slope_is_the_derivative_of_the_loss(seed: int, groups: list[int]) -> None:
    numbers, rows, at = np.array(groups), some_texts(seed, len(groups)), a_map(seed + 1)
    direction = a_map(seed + 2)
    step = np.float32(1e-2)

    slope = float((slope_of(at, rows, numbers) * direction).sum())
    ahead = loss_of(at + step * direction, rows, numbers)
    behind = loss_of(at - step * direction, rows, numbers)

    assert abs(slope - (ahead - behind) / (2 * step)) < 0.02 * max(1, abs(slope))


def test_texts_of_one_group_come_nearer_than_others() -> None:
    # The group shows in one direction, and noise in all others is three times as strong.
    random = np.random.default_rng(3)
    numbers = np.arange(200) % 2
    rows = 3 * random.normal(size=(200, 8))
    rows[:, 0] = 2.0 * numbers - 1
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    start = np.eye(8, OUT, dtype=np.float32)

    found = learnt(start, [Groups(rows[None], numbers, 50, 1.0)], seed=1)

    assert loss_of(found, rows, numbers) < loss_of(start, rows, numbers) - 0.05
    assert np.linalg.norm(found[0]) > np.linalg.norm(found[1])


def test_the_same_texts_teach_the_same_map() -> None:
    rows, numbers = some_texts(1, 40)[None], np.arange(40) // 4

    first, again = (learnt(a_map(2), [Groups(rows, numbers, 3, 1.0)], seed=5) for _ in range(2))

    assert np.array_equal(first, again)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=80), st.integers(1, 4), st.integers(0, 99))
def test_a_batch_has_no_text_twice_and_no_group_too_often(
    groups: list[int], members: int, seed: int
) -> None:
    every = Groups(some_texts(1, len(groups))[None], np.array(groups), members, 1.0)

    batch = contrast._batch(every, np.random.default_rng(seed))

    assert len(set(batch)) == len(batch) <= contrast.BATCH
    assert np.bincount(every.numbers[batch]).max() <= members
    assert set(every.numbers[batch]) == set(groups)


def test_a_sentence_beside_a_text_is_of_its_script() -> None:
    asides = Asides(["Works for me on my old phone"], ["오늘도 좋은 하루 보내세요 여러분"])

    english, korean = asides.beside(["Please add a map", "지도 추가해 주세요"])

    assert "Works for me on my old phone" in english
    assert "Please add a map" in english
    assert "오늘도 좋은 하루 보내세요 여러분" in korean


def test_wishes_and_faults_lie_on_two_sides_in_three_languages() -> None:
    encoder = Encoder()
    wishes, faults = (
        trained().vectors(quantise(encoder.encode(texts)), texts)[:, MEANING - 1]
        for texts in (phrases.wishes(), phrases.faults())
    )

    assert (wishes > 0).mean() >= 0.95
    assert (faults < 0).mean() >= 0.9
