"""How well posts are grouped into ideas, against groups that people made.

`maru eval clusters FILE.tsv` calls it: the real matching, one post after the other in the order of
the file, with no gate on intent; `maru eval duplicates FILE.tsv` compares pairs in the same space.
`maru eval discovery FILE.tsv` streams posts through the discovery of topics.
"""

import csv
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import log
from pathlib import Path
from random import Random
from typing import IO, TypedDict
from uuid import UUID

import numpy as np
import numpy.typing as npt

from maru_ideas.domain import naming, terms
from maru_ideas.domain.discovered import Said
from maru_ideas.domain.discovery import Discovery, Grain
from maru_ideas.domain.matching import Closeness, Shelf
from maru_ideas.domain.space import UNIT, Vectors, trained
from maru_kit.errors import ConfigError

Encode = Callable[[Sequence[str]], Vectors]
"""Texts to sentence vectors: 512 signed bytes each, as `TaggedPost.embedding` holds them."""

SAME = 0.3
"""The similarity from which on two texts count as alike: it parts the training pairs best."""

_GOLD = ("cluster", "gold", "gold cluster", "gold_cluster", "topic", "label")
DAYS = 10
"""Equal parts that a stream is cut into, to see what a topic is called from day to day."""


class Scores(TypedDict):
    """What `maru eval clusters` prints."""

    n: int
    v_measure: float
    bcubed_f1: float
    pair_precision: float
    clusters_found: int
    clusters_gold: int


class DiscoveryScores(TypedDict):
    """What `maru eval discovery` prints.

    `purity`, `v_measure` (which is normalised mutual information, with the arithmetic mean) and
    `bcubed_f1` look at the posts that were assigned; `bcubed_f1_of_all` takes each other post for a
    topic of its own. `other_order_bcubed_f1` compares the topics with those of the same posts in
    another order. `ids_kept` and `names_kept` are the share of topics that a day later are there,
    and are called the same, when the stream is cut into ten days. `halves_alike` is the Jaccard
    index of the labels that are the main one of a topic, found in every other post alone.
    """

    n: int
    topics_gold: int
    topics_found: int
    assigned: float
    purity: float
    v_measure: float
    bcubed_f1: float
    bcubed_f1_of_all: float
    other_order_bcubed_f1: float
    ids_kept: float
    names_kept: float
    halves_alike: float


@dataclass(frozen=True)
class Discovered:
    """The topic of each post, None where it is in none, and all names at the end of each day."""

    topics: list[UUID | None]
    days: list[dict[UUID, str]]


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
    with _lines(file) as lines:
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


def evaluate_discovery(
    file: Path, encode: Encode, grain: Grain, shuffle: int | None = None
) -> DiscoveryScores:
    """Discover topics in the texts of a TSV file (columns text and topic), and compare with these.

    They come in the file's order, or in a random one that the number `shuffle` names. Each has a
    voice of its own. Raises ConfigError when the file has no such columns or no rows.
    """
    texts, gold = _read(file)
    order = list(range(len(texts)))
    if shuffle is not None:
        Random(shuffle).shuffle(order)
    texts, gold = [texts[at] for at in order], [gold[at] for at in order]
    vectors = trained().meaning(encode(texts), UNIT)
    whole = discovered(texts, vectors, grain)
    other = list(range(len(texts)))
    Random(shuffle or 0).shuffle(other)
    again = discovered([texts[at] for at in other], vectors[other], grain).topics
    assigned = [(label, topic) for label, topic in zip(gold, whole.topics, strict=True) if topic]
    apart = [topic or at for at, topic in enumerate(whole.topics)]
    both = [
        (topic, twin)
        for topic, twin in zip((whole.topics[at] for at in other), again, strict=True)
        if topic and twin
    ]
    halves = [
        _main_labels(gold[part], discovered(texts[part], vectors[part], grain).topics)
        for part in (slice(0, None, 2), slice(1, None, 2))
    ]
    ids, names = _kept(whole.days)
    return DiscoveryScores(
        n=len(texts),
        topics_gold=len(set(gold)),
        topics_found=len({topic for _, topic in assigned}),
        assigned=round(len(assigned) / len(texts), 4),
        purity=round(purity(*_columns(assigned)), 4),
        v_measure=round(v_measure(*_columns(assigned)), 4),
        bcubed_f1=round(bcubed_f1(*_columns(assigned)), 4),
        bcubed_f1_of_all=round(bcubed_f1(gold, apart), 4),
        other_order_bcubed_f1=round(bcubed_f1(*_columns(both)), 4),
        ids_kept=round(ids, 4),
        names_kept=round(names, 4),
        halves_alike=round(len(halves[0] & halves[1]) / max(1, len(halves[0] | halves[1])), 4),
    )


def discovered(texts: Sequence[str], vectors: Vectors, grain: Grain) -> Discovered:
    """Stream texts of one product, each of another voice; `vectors` are their meanings."""
    discovery = Discovery(grain)
    topics: dict[int, UUID] = {}
    days = []
    ends = [len(texts) * day // DAYS for day in range(DAYS + 1)]
    for start, end in pairwise(ends):
        said = [
            Said(UUID(int=at + 1), str(at), "und", naming.words(texts[at]))
            for at in range(start, end)
        ]
        turn = discovery.take(said, vectors[start:end])
        topics = {at: turn.merged.get(topic, topic) for at, topic in topics.items()}
        topics |= {post.int - 1: placed.topic for post, placed in turn.placed.items()}
        days.append({topic.id: topic.name for topic in discovery.topics})
    return Discovered([topics.get(at) for at in range(len(texts))], days)


def purity(gold: Sequence[Hashable], found: Sequence[Hashable]) -> float:
    """The share of elements that have the most frequent label of their cluster."""
    most: Counter[Hashable] = Counter()
    for (_, cluster), count in Counter(zip(gold, found, strict=True)).items():
        most[cluster] = max(most[cluster], count)
    return most.total() / max(1, len(gold))


def _kept(days: Sequence[Mapping[UUID, str]]) -> tuple[float, float]:
    """Of all topics of a day, the share that a day later is there, and is called the same."""
    topics = sum(len(day) for day in days[:-1])
    there = [(day[it], after[it]) for day, after in pairwise(days) for it in day if it in after]
    same = sum(before == after for before, after in there)
    return len(there) / max(1, topics), same / max(1, topics)


def _main_labels(gold: Sequence[str], topics: Sequence[UUID | None]) -> set[str]:
    labels: dict[UUID, Counter[str]] = {}
    for label, topic in zip(gold, topics, strict=True):
        if topic:
            labels.setdefault(topic, Counter())[label] += 1
    return {max(sorted(counts), key=counts.__getitem__) for counts in labels.values()}


def _columns(
    pairs: Sequence[tuple[Hashable, Hashable]],
) -> tuple[Sequence[Hashable], Sequence[Hashable]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


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
    return _harmonic(precision / max(1, len(gold)), recall / max(1, len(gold)))


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


@contextmanager
def _lines(file: Path) -> Iterator[IO[str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            yield lines
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{file} is no TSV file in UTF-8: {error}") from error


def _read(file: Path) -> tuple[list[str], list[str]]:
    with _lines(file) as lines:
        reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        columns = reader.fieldnames or []
        named = {column.strip().lower(): column for column in columns}
        gold = next((named[name] for name in _GOLD if name in named), None)
        if "text" not in named or gold is None:
            raise ConfigError(
                f"{file} needs a header with the columns text and cluster (or topic); "
                f"it has {columns}"
            )
        rows = [(row[named["text"]] or "", row[gold] or "") for row in reader]
    if not rows:
        raise ConfigError(f"{file} has no rows under its header")
    return [text for text, _ in rows], [cluster for _, cluster in rows]
