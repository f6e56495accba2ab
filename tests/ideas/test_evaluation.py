from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, v_measure_score

from ideas.factories import an_embedding
from maru_ideas.domain.matching import Closeness
from maru_ideas.evaluation import (
    bcubed_f1,
    evaluate_clusters,
    evaluate_duplicates,
    pair_precision,
    v_measure,
)
from maru_kit.errors import ConfigError

GOLD = ["a", "a", "a", "b", "b", "c"]
FOUND = [1, 1, 2, 2, 2, 3]


def test_v_measure_equals_the_value_computed_by_hand() -> None:
    of_gold = -(1 / 2 * log(1 / 2) + 1 / 3 * log(1 / 3) + 1 / 6 * log(1 / 6))
    gold_given_found = -(3 / 6 * (1 / 3 * log(1 / 3) + 2 / 3 * log(2 / 3)))
    found_given_gold = -(3 / 6 * (1 / 3 * log(1 / 3) + 2 / 3 * log(2 / 3)))
    homogeneity = 1 - gold_given_found / of_gold
    completeness = 1 - found_given_gold / of_gold

    expected = 2 * homogeneity * completeness / (homogeneity + completeness)
    assert v_measure(GOLD, FOUND) == pytest.approx(expected)


def test_bcubed_equals_the_value_computed_by_hand() -> None:
    precision = (1 + 1 + 1 / 3 + 2 / 3 + 2 / 3 + 1) / 6
    recall = (2 / 3 + 2 / 3 + 1 / 3 + 1 + 1 + 1) / 6

    assert bcubed_f1(GOLD, FOUND) == pytest.approx(2 * precision * recall / (precision + recall))


@given(st.lists(st.integers(0, 4), min_size=3, max_size=30), st.integers(0, 1_000))
def test_the_precision_of_pairs_is_scikit_learns(gold: list[int], seed: int) -> None:
    # Few values, so that many pairs are equally similar.
    similar = np.random.default_rng(seed).integers(0, 6, (len(gold), len(gold))).astype(np.float32)
    pairs = np.triu_indices(len(gold), 1)
    alike = np.array(gold)[pairs[0]] == np.array(gold)[pairs[1]]

    expected = average_precision_score(alike, similar[pairs]) if alike.any() else 0
    assert pair_precision(gold, similar) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60))
def test_v_measure_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    gold, found = zip(*pairs, strict=True)

    assert v_measure(gold, found) == pytest.approx(v_measure_score(gold, found), abs=1e-9)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_the_right_grouping_scores_one(gold: list[int]) -> None:
    assert v_measure(gold, gold) == pytest.approx(1)
    assert bcubed_f1(gold, gold) == pytest.approx(1)


def test_a_file_of_clear_groups_is_grouped_rightly(tmp_path: Path) -> None:
    file = tmp_path / "clusters.tsv"
    rows = [("dark mode", 1), ("night theme", 1), ("battery drains", 2), ("dark theme", 1)]
    file.write_text("text\tcluster\n" + "".join(f"{text}\tg{n}\n" for text, n in rows))
    vectors = np.stack([an_embedding(n, seed=seed) for seed, (_, n) in enumerate(rows)])

    scores = evaluate_clusters(
        file, lambda _: vectors, Closeness(threshold=0.3, across=0.3, growth=0.015)
    )

    assert scores == {
        "n": 4,
        "v_measure": 1.0,
        "bcubed_f1": 1.0,
        "pair_precision": 1.0,
        "clusters_found": 2,
        "clusters_gold": 2,
    }


@pytest.mark.parametrize("content", ["", "text\tcluster\n", "words\tgroup\na\tb\n"])
def test_a_file_that_cannot_be_judged_says_why(tmp_path: Path, content: str) -> None:
    file = tmp_path / "clusters.tsv"
    file.write_text(content)

    with pytest.raises(ConfigError, match="clusters"):
        evaluate_clusters(
            file,
            lambda _: np.zeros((0, 512), np.int8),
            Closeness(threshold=0.3, across=0.3, growth=0.0),
        )


def test_pairs_are_compared(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text("a\tb\tduplicate\none\tone\t1\none\ttwo\t0\none\tthree\t1\n")
    vectors = {"one": 1, "two": 2, "three": 3}

    scores = evaluate_duplicates(
        file, lambda texts: np.stack([an_embedding(vectors[text], noise=0) for text in texts])
    )

    assert scores["n"] == 3
    assert (scores["precision"], scores["recall"]) == (1.0, 0.5)
    assert scores["accuracy"] == 0.6667


@pytest.mark.parametrize(
    ("content", "said"),
    [("a\tb\nx\ty\n", "duplicate"), ("a\tb\tduplicate\n", "no rows"),
     ("a\tb\tduplicate\nx\ty\tmaybe\n", "line 2.*maybe")],
)  # fmt: skip
def test_a_wrong_file_of_pairs_is_explained(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text(content)

    with pytest.raises(ConfigError, match=said):
        evaluate_duplicates(file, lambda texts: np.stack([an_embedding(1) for _ in texts]))
