import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ideas.factories import an_embedding
from maru_ideas.domain.space import SIZE, UNIT, scaled, trained

TEXTS = [
    "Please add a dark mode",
    "다크 모드 추가해 주세요",
    "",
    "ㅋㅋㅋ 🙏",
    "No sync since the update",
]


def test_a_vector_does_not_depend_on_the_batch() -> None:
    space = trained()
    embeddings = np.stack([an_embedding(subject) for subject in range(len(TEXTS))])

    together = space.vectors(embeddings, TEXTS)
    alone = [space.vectors(embeddings[i : i + 1], TEXTS[i : i + 1])[0] for i in range(len(TEXTS))]

    assert np.array_equal(together, np.stack(alone))


def test_every_product_is_exact_in_float32() -> None:
    space = trained()
    maps = (space.ideas, space.topics, space.asking[:, None])
    largest_column = max(np.linalg.norm(it.astype(np.float64), axis=0).max() for it in maps)
    longest = 8 * (UNIT + 512**0.5 / 2) + np.linalg.norm(space.mean)

    assert longest * largest_column < 2**24
    assert (UNIT + SIZE**0.5 / 2) ** 2 < 2**24


def test_no_texts_give_no_vectors() -> None:
    assert trained().vectors(np.empty((0, 512), np.int8), []).shape == (0, SIZE)


def test_words_alone_bring_texts_nearer() -> None:
    space = trained()
    embeddings = np.stack([an_embedding(1), an_embedding(2), an_embedding(3)])
    first, same, other = space.vectors(
        embeddings, ["파워포인트 내보내기", "파워포인트로 내보내기를", "배터리 절약"]
    ).astype(int)

    assert first @ same > first @ other


@given(st.lists(st.integers(-30_000, 30_000), min_size=4, max_size=4))
def test_scaling_keeps_the_direction_and_sets_the_length(row: list[int]) -> None:
    rows = np.array([row], np.int16)

    length = np.linalg.norm(scaled(rows, UNIT)[0].astype(float))

    assert length == 0 if not any(row) else abs(length - UNIT) <= 1
