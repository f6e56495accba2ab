"""The moods of posts that have terms whose mood their workspace has corrected."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from maru_contracts.tags import Mood, Sentiment
from maru_sentiment.analyser import Tags
from maru_sentiment.domain import Choice, Subject
from maru_sentiment.inference import Inference
from maru_sentiment.learning import LearntHead
from maru_sentiment.terms import Finder, Found, Term

_PLACEHOLDER = "__"
"""What the sentiment head reads instead of a corrected term: no letters, so no mood."""


async def tag(
    inference: Inference,
    texts: Sequence[str],
    subjects: tuple[Subject, ...],
    hints: Sequence[str | None],
    *,
    finder: Finder | None,
    choices: tuple[Choice, ...] = (),
    learnt: Sequence[LearntHead] = (),
) -> list[Tags]:
    """Tag texts of a workspace that chose the models of `choices`; `hints` are as in `Batch`.

    `learnt` are its heads that learnt from corrected tags.

    `finder` finds its corrected terms. A text with corrected terms goes through the models twice:
    with the terms for all heads but one, and without them for the mood.
    """
    found = [finder.find(text)[1] if finder else [] for text in texts]
    masked = {at: without(texts[at], terms) for at, terms in enumerate(found) if terms}
    all_tags = await inference.tag(
        [*texts, *masked.values()], subjects, [*hints, *([None] * len(masked))], choices, learnt
    )
    tags = all_tags[: len(texts)]
    for (at, rest), of_rest in zip(masked.items(), all_tags[len(texts) :], strict=True):
        terms = [it.term for it in found[at]]
        tags[at] = replace(tags[at], sentiment=corrected(of_rest.sentiment, rest, terms))
    return tags


def corrected(rest: Sentiment, masked: str, terms: Sequence[Term]) -> Sentiment:
    """The mood of a post that has corrected terms; `rest` is the mood of `masked`.

    The rest of the post speaks for itself. Where it says nothing (its neutral probability), the
    corrections speak: they take from neutral what the majority of them is ahead by. Neutral
    corrections say nothing; they only keep the model from reading the term. A post of nothing else
    has the mood of its corrections.
    """
    shares = dict(rest.probabilities)
    if not any(character.isalnum() for character in masked):
        shares = {"negative": 0.0, "neutral": 1.0, "positive": 0.0}
    up = sum(it.meaning == "positive" for it in terms)
    down = sum(it.meaning == "negative" for it in terms)
    if up != down:
        mood: Mood = "positive" if up > down else "negative"
        moved = shares["neutral"] * abs(up - down) / (up + down)
        shares["neutral"] -= moved
        shares[mood] += moved
    rounded = {mood: round(share, 4) for mood, share in shares.items()}
    return Sentiment(
        label=max(rounded, key=lambda mood: rounded[mood]),
        score=round(rounded["positive"] - rounded["negative"], 4),
        probabilities=rounded,
        corrections=tuple(dict.fromkeys(it.name for it in terms)),
    )


def without(text: str, found: Collection[Found]) -> str:
    """Put a placeholder where the terms stand that were found."""
    parts: list[str] = []
    end = 0
    for it in found:
        parts += (text[end : it.start], _PLACEHOLDER)
        end = it.end
    return "".join((*parts, text[end:]))
