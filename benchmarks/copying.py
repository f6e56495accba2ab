"""Copying: how many copies of real posts are known as such, and how many others are taken for some.

The set is made anew each time: from petitions, reviews and the posts of feeds and platforms that
the shared fixtures have, each long enough to be a copy, each in variants by rule. What a person
wrote alike by themselves is left out first, by a measure of its own: the words they share. What
decides was chosen on other petitions and reviews (those of `visible/`).
"""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import UUID, uuid5

from benchmarks import material
from benchmarks.figures import Aim, Figure
from benchmarks.stage import Stage
from maru_ideas.domain.sketches import Sketches
from maru_ideas.domain.wordings import Wording, Words
from maru_ingest.formats import documents
from maru_ingest.formats.parsed import ParsedPost, Unreadable

_IDS = UUID("8f0c6c0e-6a52-5c0b-9d55-6d6172750009")
_PETITIONS = ("train/ideas-topics-ko-petitions",)
_REVIEWS = ("train/suggestion-enfr-minibar-garmin-huawei",)
_TYPES = {".xml", ".json", ".rss", ".atom"}
_ORIGINAL, _SUMMARY = "as it is", "summary of 300 letters"
_COPIES = (
    "other case, spacing and links",
    "every 25th word another",
    "every 12th word another",
    "header and footer",
    "last fifth left out",
)
_LONG, _CUT = 450, 300
_MOST = Aim("≥ 0.95", lambda share: share >= 0.95)  # noqa: PLR2004 - said beside it
_ALIKE = 0.4
"""The share of their words that two posts have in common, from which neither is used."""
_FORM = (
    "Dear team of the product, thank you for reading this report. What were you doing when it "
    "happened, and what did you expect to see? {} Which device and which version do you use? The "
    "newest one. Has it happened before? Yes, more than once. May we write to you about it? Yes."
)


@dataclass(frozen=True)
class Sample:
    """A post, and the kind of copy that a rule made of it; posts of one `group` are copies."""

    kind: str
    group: str
    wording: Wording


async def figures(stage: Stage, *, quick: bool) -> list[Figure]:  # noqa: ARG001 - needs no server
    """Recall of each kind of copy, precision over all pairs, and what looking costs."""
    texts = _apart(_texts())
    texts = texts[: 200 if quick else len(texts)]
    samples = list(_samples(texts, Random(9)))
    pairs = list(_pairs(samples))
    known = Counter(
        other.kind for one, other in pairs if one.kind == _ORIGINAL and one.group == other.group
    )
    kinds = Counter(it.kind for it in samples if it.kind in _COPIES or it.kind == _SUMMARY)
    wrong = Counter(
        " and ".join(sorted({one.kind, other.kind}))
        for one, other in pairs
        if one.group != other.group
    )
    for kind, count in wrong.items():
        print(f"taken for copies: {kind}: {count}", file=sys.stderr)
    right = len(pairs) - sum(wrong.values())
    long, brief = (_microseconds(some) for some in (texts, [it[:60] for it in texts]))
    return [
        *(
            Figure(f"Copies known: {kind} ({count:,})", known[kind] / count, "of them")
            for kind, count in kinds.items()
        ),
        Figure(
            f"Copies known, of all ({sum(kinds.values()):,})",
            sum(known[it] for it in kinds) / sum(kinds.values()),
            "of them",
            aim=_MOST,
        ),
        Figure(
            f"Copies among what is taken for one ({len(pairs):,} pairs of {len(samples):,} posts)",
            right / len(pairs),
            "of them",
            aim=_MOST,
        ),
        Figure("Looking at a long post for copies", long, "µs"),
        Figure("Looking at a short post for copies", brief, "µs"),
    ]


def _texts() -> list[str]:
    rows = [it["text"] for it in material.rows((*_PETITIONS, *_REVIEWS))]
    return list(dict.fromkeys(it for it in (*_of_feeds(), *rows) if Words.of(it)))


def _of_feeds() -> Iterable[str]:
    for path in sorted((material.DATA.parent / "fixtures").rglob("*")):
        if path.suffix in _TYPES and path.is_file():
            yield from _of_file(path)


def _of_file(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            rows = documents.read(file, name=path.name, url="https://example.com/")
            return [row.text for row in rows if isinstance(row, ParsedPost)]
    except (Unreadable, ValueError):
        return []  # a file that shall not be read, or is no post


def _apart(texts: Sequence[str]) -> list[str]:
    """The texts that share few words with any other."""
    words = [frozenset(it.lower().split()) for it in texts]
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for at, its in enumerate(words):
        for word in its:
            holders[word].append(at)
    alike: set[int] = set()
    for at, its in enumerate(words):
        shared: defaultdict[int, int] = defaultdict(int)
        for word in its:
            for other in holders[word]:
                shared[other] += 1
        for other, count in shared.items():
            if other != at and count >= _ALIKE * min(len(its), len(words[other])):
                alike.add(at)
    return [it for at, it in enumerate(texts) if at not in alike]


def _samples(texts: Sequence[str], random: Random) -> Iterable[Sample]:
    """Each text with its copies, and with what is like it and no copy."""
    for number, text in enumerate(texts):
        other = texts[(number + len(texts) // 2) % len(texts)]
        group, title = f"{number}", text[:60]
        yield _sample(_ORIGINAL, group, title, text)
        for kind, made in _copies(text, other, random).items():
            yield _sample(kind, group, title, made)
        if len(text) > _LONG and Words.of(text[:_CUT]):
            yield _sample(_SUMMARY, group, title, text[:_CUT] + "…")
        if len(other) > len(text):
            answer = f"{text}\n\n{other[: len(text)]}"
            yield _sample("quoted, and gone on", f"{number} quoted", f"Re: {title}", answer)
        form = _FORM.format(text[:200])
        yield _sample("the same form", f"{number} form", "A report of a problem", form)
        for person in ("kim", "lee"):
            yield _sample("the same few words", f"{number} {person}", "", text[:60])


def _copies(text: str, other: str, random: Random) -> Mapping[str, str]:
    return {
        _COPIES[0]: _respaced(text),
        _COPIES[1]: _reworded(text, other, 25, random),
        _COPIES[2]: _reworded(text, other, 12, random),
        _COPIES[3]: f"(Northern News) {text}\n\nNorthern News, all rights reserved",
        _COPIES[4]: text[: len(text) * 4 // 5],
    }


def _sample(kind: str, group: str, title: str, text: str) -> Sample:
    post = uuid5(_IDS, f"{group}/{kind}")
    letters = "".join(title.lower().split())
    return Sample(
        kind,
        group,
        Wording(post, "w", "p", post, True, False, 0, letters, text),  # noqa: FBT003
    )


def _pairs(samples: Sequence[Sample]) -> Iterable[tuple[Sample, Sample]]:
    """Pairs of which one is taken for a copy of the other, as the posts come one by one."""
    sketches, by_post = Sketches({}, 0), {it.wording.post: it for it in samples}
    for sample in samples:
        wording = sample.wording
        for post in sketches.near(wording):
            if by_post[post].wording.has_words_of(wording):
                yield by_post[post], sample
        sketches.add(wording, sketches.prints(wording))


def _microseconds(texts: Sequence[str]) -> float:
    wordings = [_sample("", f"{number}", "", it).wording for number, it in enumerate(texts)]
    begun = time.perf_counter()
    sketches = Sketches({}, 0)
    for wording in wordings:
        sketches.near(wording)
        sketches.add(wording, sketches.prints(wording))
    return (time.perf_counter() - begun) / len(wordings) * 1e6


def _respaced(text: str) -> str:
    words = text.upper().split()
    return "https://example.com/?from=feed \n " + " \n".join(words) + " …"


def _reworded(text: str, other: str, every: int, random: Random) -> str:
    words, others = text.split(), other.split()
    for place in range(random.randrange(every), len(words), every):
        words[place] = random.choice(others)
    return " ".join(words)
