"""The network's files, and what it does with odd texts."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maru_kit.errors import ConfigError
from maru_sentiment.features import bags, normalise
from maru_sentiment.network import LABELS, Floats, Network, load


@pytest.fixture(scope="module")
def network() -> Network:
    return load(files("maru_sentiment") / "weights")


def logits(network: Network, texts: list[str]) -> Floats:
    normalised = [normalise(text) for text in texts]
    vectors = np.zeros((len(texts), 512), np.int8)
    return network.logits(normalised, bags(normalised), vectors)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=80), min_size=1, max_size=50), st.data())
def test_a_row_is_a_function_of_its_text_alone(
    network: Network, texts: list[str], data: st.DataObject
) -> None:
    together = logits(network, texts)
    place = data.draw(st.integers(0, len(texts) - 1))

    assert np.isfinite(together).all()
    np.testing.assert_array_equal(together[place], logits(network, [texts[place]])[0])


@pytest.mark.parametrize("words", range(1, 24))
def test_batches_of_every_size_are_read(network: Network, words: int) -> None:
    # Some of these fill the rows of their last matrix product to the brim.
    texts = [" ".join(["good"] * words)] * 64

    found = logits(network, texts)

    np.testing.assert_array_equal(found, np.repeat(logits(network, texts[:1]), 64, axis=0))


def test_no_texts_have_no_logits(network: Network) -> None:
    empty = network.logits([], bags(["x"]), np.zeros((0, 512), np.int8))

    assert empty.shape == (0, len(LABELS))


def test_the_end_of_a_long_text_is_not_read_for_ever(network: Network) -> None:
    long = "so good " * 50_000

    np.testing.assert_array_equal(logits(network, [long]), logits(network, [long + "bad"]))


@pytest.mark.parametrize("name", ["network.npz", "network.model"])
def test_weights_that_are_not_those_described_are_refused(tmp_path: Path, name: str) -> None:
    with as_file(files("maru_sentiment") / "weights") as folder:
        for file in folder.glob("network.*"):
            shutil.copy(file, tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"x")

    with pytest.raises(ConfigError, match="maru train heads"):
        load(tmp_path)
