"""How well posts are grouped into ideas, against groups that people made.

`maru eval clusters FILE.tsv` calls it: the real matching, one post after the other in the order of
the file, with no gate on intent; `maru eval duplicates FILE.tsv` compares pairs in the same space.
"""

import csv
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from math import log
from pathlib import Path
from typing import TypedDict
from uuid import UUID

import numpy as np
import numpy.typing as npt

from maru_ideas.domain import terms
from maru_ideas.domain.matching import Closeness, Shelf
from maru_ideas.domain.space import UNIT, Vectors, trained
from maru_kit.errors import ConfigError

Encode = Callable[[Sequence[str]], Vectors]
"""Texts to sentence vectors: 512 signed bytes each, as `TaggedPost.embedding` holds them."""

SAME = 0.29
"""The similarity from which on two texts count as alike: it parts the training pairs best."""

_GOLD = ("cluster", "gold", "gold cluster", "gold_cluster", "label")


class Scores(TypedDict):
    """What `maru eval clusters` prints."""

    n: int
    v_measure: float
    bcubed_f1: float
    pair_precision: float
    clusters_found: int
    clusters_gold: int


class PairScores(TypedDict):
    """What `maru eval duplicates` prints; precision, recall and F1 are those of pairs alike."""

    n: int
    accuracy: float
    precision: float
    recall: float
    f1: float


def evaluate_duplicates(file: Path, encode: Encode) -> PairScores:
    """Compare the pairs of a TSV file (columns a, b and duplicate, 1 or 0) in the matching space.

    Raises ConfigError when the file has no such columns or no rows, or another label.
    """
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
        if missing := {"a", "b", "duplicate"} - set(reader.fieldnames or ()):
            raise ConfigError(f"{file} lacks the columns {sorted(missing)}")
        rows = list(reader)
    if not rows:
        raise ConfigError(f"{file} has no rows under its header")
    for number, row in enumerate(rows, start=2):
        if row["duplicate"] not in {"0", "1"}:
            raise ConfigError(
                f"{file}, line {number}: duplicate is {row['duplicate']!r}, not 0 or 1"
            )
    pairs = [(row["a"], row["b"], row["duplicate"] == "1") for row in rows]
    return compare_pairs(pairs, encode)


def compare_pairs(pairs: Sequence[tuple[str, str, bool]], encode: Encode) -> PairScores:
    """Say of each pair whether it is alike (similarity of at least `SAME`), and compare."""
    alike = np.array([same for *_, same in pairs])
    found = similarities([pair[:2] for pair in pairs], encode) >= SAME
    hits = int((alike & found).sum())
    precision, recall = hits / max(1, int(found.sum())), hits / max(1, int(alike.sum()))
    return PairScores(
        n=len(pairs),
        accuracy=round(float((alike == found).mean()), 4),
        precision=round(precision, 4),
        recall=round(recall, 4),
        f1=round(_harmonic(precision, recall), 4),
    )


def similarities(pairs: Sequence[tuple[str, str]], encode: Encode) -> npt.NDArray[np.float32]:
    """Return the similarity of each pair in the space in which posts meet ideas, at most 1."""
    space = trained()
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    first, second = (space.vectors(encode(texts), texts).astype(np.float32) for texts in sides)
    return np.asarray(np.einsum("ij,ij->i", first, second) / UNIT**2, np.float32)


def evaluate_clusters(file: Path, encode: Encode, closeness: Closeness) -> Scores:
    """Group the texts of a TSV file (columns text and cluster) and compare with its groups.

    Raises ConfigError when the file has no such columns or no rows.
    """
    texts, gold = _read(file)
    embeddings = encode(texts)
    found = grouped(texts, embeddings, closeness)
    vectors = trained().vectors(embeddings, texts).astype(np.float32)
    return Scores(
        n=len(texts),
        v_measure=round(v_measure(gold, found), 4),
        bcubed_f1=round(bcubed_f1(gold, found), 4),
        pair_precision=round(pair_precision(gold, vectors @ vectors.T), 4),
        clusters_found=len(set(found)),
        clusters_gold=len(set(gold)),
    )


def grouped(texts: Sequence[str], embeddings: Vectors, closeness: Closeness) -> list[int]:
    """The place of the idea that each text joins or founds, taken in order."""
    space = trained()
    shelf = Shelf(space, closeness)
    places = []
    for number, vector in enumerate(space.vectors(embeddings, texts)):
        scripts = terms.scripts(texts[number])
        match = shelf.nearest(vector, scripts)
        if match is None:
            match = shelf.found(UUID(int=number), vector, scripts)
        else:
            shelf.join(match.place, vector, scripts)
        places.append(match.place)
    return places


def v_measure(gold: Sequence[Hashable], found: Sequence[Hashable]) -> float:
    """The harmonic mean of homogeneity and completeness (Rosenberg & Hirschberg, EMNLP 2007)."""
    together = _entropy(Counter(zip(gold, found, strict=True)))
    of_gold, of_found = _entropy(Counter(gold)), _entropy(Counter(found))
    homogeneity = 1 - (together - of_found) / of_gold if of_gold else 1.0
    completeness = 1 - (together - of_gold) / of_found if of_found else 1.0
    return _harmonic(homogeneity, completeness)


def bcubed_f1(gold: Sequence[Hashable], found: Sequence[Hashable]) -> float:
    """The harmonic mean of B-cubed precision and recall (Bagga & Baldwin, 1998).

    Each element counts once, and is compared with itself, too.
    """
    shared = Counter(zip(gold, found, strict=True))
    gold_sizes, found_sizes = Counter(gold), Counter(found)
    precision = sum(n * n / found_sizes[cluster] for (_, cluster), n in shared.items())
    recall = sum(n * n / gold_sizes[group] for (group, _), n in shared.items())
    return _harmonic(precision / len(gold), recall / len(gold))


def pair_precision(gold: Sequence[Hashable], similarities: npt.NDArray[np.float32]) -> float:
    """The average precision of calling pairs alike, the most similar first (n x n).

    It is the mean, over the pairs of one group, of the share of such pairs among all that are at
    least as similar (Manning, Raghavan and Schütze 2008, section 8.4).
    """
    first, second = np.triu_indices(len(gold), 1)
    groups = np.unique([str(group) for group in gold], return_inverse=True)[1]
    alike = groups[first] == groups[second]
    values = similarities[first, second]
    order = np.argsort(-values, kind="stable")
    hits = np.cumsum(alike[order])
    ends = np.searchsorted(-values[order], -values[order], side="right")
    precisions = hits[ends - 1] / ends
    return float(precisions[alike[order]].mean()) if alike.any() else 0.0


def _entropy(counts: Mapping[Hashable, int]) -> float:
    total = sum(counts.values())
    return -sum(count / total * log(count / total) for count in counts.values())


def _harmonic(first: float, second: float) -> float:
    return 2 * first * second / (first + second) if first + second else 0.0


def _read(file: Path) -> tuple[list[str], list[str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        columns = reader.fieldnames or []
        named = {column.strip().lower(): column for column in columns}
        gold = next((named[name] for name in _GOLD if name in named), None)
        if "text" not in named or gold is None:
            raise ConfigError(
                f"{file} needs a header with the columns text and cluster; it has {columns}"
            )
        rows = [(row[named["text"]] or "", row[gold] or "") for row in reader]
    if not rows:
        raise ConfigError(f"{file} has no rows under its header")
    return [text for text, _ in rows], [cluster for _, cluster in rows]
