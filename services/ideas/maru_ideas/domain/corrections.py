"""What people say of a post's tags, which stands in place of what the models say."""

from dataclasses import dataclass
from typing import Any

from maru_contracts.message import Message, Moment
from maru_contracts.tags import (
    MAX_CORRECTED,
    Intent,
    IntentLabel,
    Mood,
    Sentiment,
    TaggedPost,
    TagsCorrected,
    TopicTag,
)

_MOODS: dict[Mood, float] = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}
_INTENTS: tuple[IntentLabel, ...] = ("suggestion", "problem", "question", "praise", "other")


@dataclass(frozen=True)
class Word:
    """What a person says of a post's tags; None is left to the models."""

    mood: Mood | None = None
    intent: IntentLabel | None = None
    topics: tuple[str, ...] | None = None


class OwnTags(Message):
    """What the models say, beneath a correction."""

    sentiment: Sentiment
    intent: Intent
    topics: tuple[TopicTag, ...] = ()


class Correction(Message):
    """A person's word, and the models' own beneath it; null is what nobody has corrected."""

    mood: Mood | None = None
    intent: IntentLabel | None = None
    topics: tuple[str, ...] | None = None
    by: str
    at: Moment
    own: OwnTags

    @property
    def word(self) -> Word:
        """What was said, whoever said it."""
        return Word(self.mood, self.intent, self.topics)


class KeptPost(TaggedPost):
    """A post as it is stored and shown: its tags are those that a person gave it, if one did."""

    correction: Correction | None = None


def corrected(tagged: TaggedPost, word: Word, *, by: str, at: Moment) -> KeptPost:
    """A post with a person's tags; what it had of another correction is gone."""
    own = own_tags(tagged)
    said: dict[str, Any] = {}
    if word.mood is not None:
        said["sentiment"] = Sentiment(
            label=word.mood,
            score=_MOODS[word.mood],
            probabilities={mood: float(mood == word.mood) for mood in _MOODS},
            corrections=own.sentiment.corrections,
        )
    if word.intent is not None:
        shares = {intent: float(intent == word.intent) for intent in _INTENTS}
        said["intent"] = Intent(label=word.intent, probabilities=shares)
    if word.topics is not None:
        said["topics"] = tuple(TopicTag(name=name, score=1.0) for name in word.topics)
    correction = Correction(
        mood=word.mood, intent=word.intent, topics=word.topics, by=by, at=at, own=own
    )
    return _kept(tagged, said | {"correction": correction})


def uncorrected(kept: KeptPost) -> KeptPost:
    """A post with the models' own tags again."""
    own = own_tags(kept)
    said = {"sentiment": own.sentiment, "intent": own.intent, "topics": own.topics}
    return _kept(kept, said | {"correction": None})


def still_corrected(tagged: TaggedPost, correction: Correction | None) -> TaggedPost:
    """A post that was edited or tagged anew: what a person said of it stands."""
    if correction is None:
        return tagged
    return corrected(tagged, correction.word, by=correction.by, at=correction.at)


def own_tags(tagged: TaggedPost) -> OwnTags:
    """What the models say of a post."""
    if isinstance(tagged, KeptPost) and tagged.correction is not None:
        return tagged.correction.own
    return OwnTags(sentiment=tagged.sentiment, intent=tagged.intent, topics=tagged.topics)


def told(kept: KeptPost, *, by: str, at: Moment) -> TagsCorrected:
    """The message that tells what is said of a post now; without a correction that none is left."""
    post, correction = kept.post, kept.correction
    if correction is None:
        return ended(kept, by=by, at=at)
    return TagsCorrected(
        workspace=post.workspace,
        post_id=post.id,
        title=post.title[:MAX_CORRECTED],
        text=post.text[:MAX_CORRECTED],
        mood=correction.mood,
        intent=correction.intent,
        topics=correction.topics,
        by=by,
        at=at,
    )


def ended(kept: KeptPost, *, by: str, at: Moment) -> TagsCorrected:
    """The message that nobody's correction of a post is left."""
    post = kept.post
    return TagsCorrected(workspace=post.workspace, post_id=post.id, removed=True, by=by, at=at)


def _kept(tagged: TaggedPost, changed: dict[str, Any]) -> KeptPost:
    fields = {name: getattr(tagged, name) for name in TaggedPost.model_fields}
    return KeptPost(**fields | changed)
