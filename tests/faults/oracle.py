"""Judges what arrived against the truth, in the words of Jepsen's Kafka workload.

The verdict names every post that was lost, counted twice, came from nowhere, or arrived changed,
and every idea whose counts do not follow from its evidence.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True)
class Arrived:
    """A post as the ideas service stored it. `native_id` is its id in the truth."""

    id: UUID
    native_id: str
    text: str


@dataclass(frozen=True)
class Counted:
    """An idea as it is shown: its own counts, and the evidence rows behind it."""

    id: UUID
    evidence_count: int
    voices: int
    evidence: Sequence[UUID]


@dataclass
class Verdict:
    """What went wrong; every list is empty when nothing did."""

    lost: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    duplicate: list[str] = field(default_factory=list)
    miscounted: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)

    def faults(self) -> dict[str, list[str]]:
        """The kinds of fault that were seen, each with up to ten examples."""
        return {kind: examples[:10] for kind, examples in vars(self).items() if examples}


def judge(
    truth: Mapping[str, tuple[str, str]],
    arrived: Iterable[Arrived],
    ideas: Iterable[Counted],
    streams: Mapping[str, Sequence[Sequence[str]]],
) -> Verdict:
    """Compare the truth (native id to author and text) with posts, ideas and streams.

    `streams` maps a topic to the native ids in each of its partitions, in the log's order; within
    a partition the first copies must stand in the same order in every topic.
    """
    verdict = Verdict()
    posts = list(arrived)
    seen = Counter(post.native_id for post in posts)
    verdict.lost = sorted(truth.keys() - seen.keys())
    verdict.phantom = sorted(seen.keys() - truth.keys())
    verdict.duplicate = sorted(native_id for native_id, times in seen.items() if times > 1)
    verdict.corrupt = sorted(
        post.native_id
        for post in posts
        if post.native_id in truth and truth[post.native_id][1] != post.text
    )
    _judge_counts(verdict, truth, {post.id: post.native_id for post in posts}, ideas)
    verdict.out_of_order = _disorder(streams)
    return verdict


def _judge_counts(
    verdict: Verdict,
    truth: Mapping[str, tuple[str, str]],
    native: Mapping[UUID, str],
    ideas: Iterable[Counted],
) -> None:
    places: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for idea in ideas:
        for post in idea.evidence:
            places[post].append(idea.id)
        authors = {
            truth[native[post]][0] or native[post]
            for post in idea.evidence
            if native.get(post) in truth
        }
        if len(idea.evidence) != idea.evidence_count or len(authors) != idea.voices:
            verdict.miscounted.append(
                f"idea {idea.id} shows {idea.evidence_count} posts of {idea.voices} voices, "
                f"its evidence has {len(idea.evidence)} of {len(authors)}"
            )
    verdict.duplicate += [
        f"post {post} is evidence {len(owners)} times"
        for post, owners in places.items()
        if len(owners) > 1
    ]
    verdict.phantom += [f"evidence {post} is no post" for post in places if post not in native]


def _disorder(streams: Mapping[str, Sequence[Sequence[str]]]) -> list[str]:
    firsts = {
        topic: [list(dict.fromkeys(partition)) for partition in partitions]
        for topic, partitions in streams.items()
    }
    if not firsts:
        return []
    (reference, expected), *others = firsts.items()
    return [
        f"partition {number} of {topic} is not in the order of {reference}"
        for topic, partitions in others
        for number, (wanted, got) in enumerate(zip(expected, partitions, strict=True))
        if wanted != got
    ]
