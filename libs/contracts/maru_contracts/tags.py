"""What the analysers say about a post, and what a workspace tells them to look for."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from maru_contracts.message import Message, Moment
from maru_contracts.posts import Post

Share = Annotated[float, Field(ge=0, le=1)]
"""A probability or a similarity."""

Mood = Literal["negative", "neutral", "positive"]
Emotion = Literal["joy", "trust", "fear", "surprise", "sadness", "disgust", "anger", "anticipation"]
"""Plutchik's eight basic emotions (1980, "A general psychoevolutionary theory of emotion")."""
IntentLabel = Literal["suggestion", "problem", "question", "praise", "other"]


class Sentiment(Message):
    """The mood of a post: `score` is positive minus negative probability.

    `corrections` names the terms of the workspace's dictionary that the model was kept from reading
    (see `TermDefined`), each once.
    """

    label: Mood
    score: Annotated[float, Field(ge=-1, le=1)]
    probabilities: dict[Mood, Share]
    corrections: tuple[str, ...] = ()


class Intent(Message):
    """What the author wants; `probabilities` need not sum to 1 (a post can ask and complain)."""

    label: IntentLabel
    probabilities: dict[IntentLabel, Share]


class EmotionTag(Message):
    """An emotion that the post shows, and how surely."""

    name: Emotion
    score: Share


class TopicTag(Message):
    """A subject that the post speaks of, and how surely."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    score: Share


class Aspect(Message):
    """Something that a post judges, as its author calls it, and how: `score` is from -1 to 1.

    `start` and `end` count the characters of the field. What is spoken of and not judged is no
    aspect for Maru's own model; a model of the workspace's choice may call some neutral.
    """

    term: Annotated[str, Field(min_length=1, max_length=100)]
    label: Mood
    score: Annotated[float, Field(ge=-1, le=1)]
    field: Literal["title", "text"] = "text"
    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=0)]


class ModelVersion(Message):
    """Which model made which tag."""

    head: str
    name: str
    version: str


PiiKind = Literal[
    "email", "phone", "resident", "card", "iban", "ip", "handle", "address", "passport"
]
"""Personal data that is replaced in posts; `resident` is a Korean resident or foreigner number."""


class Pii(Message):
    """Where `[kind]` stands in a field of the post instead of what its author wrote there.

    `start` and `end` count the characters of the redacted field; what was replaced is not kept.
    """

    field: Literal["title", "text"]
    kind: PiiKind
    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=0)]


SPAM_FROM = 0.7
"""The probability of spam from which on a post is neither evidence of an idea nor counted."""
TOXIC_FROM = 0.4
"""The probability from which on a post, or a sentence of it, is taken for toxic."""


class ToxicPart(Message):
    """A sentence that insults, threatens or debases somebody; it is never quoted for an idea.

    `start` and `end` count the characters of the field.
    """

    field: Literal["title", "text"] = "text"
    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=0)]


Side = Literal["own", "competitor"]
"""Whose a watched product is."""

MAX_ENTITIES = 100
"""Mentions that are kept of one post, the first ones."""


class Entity(Message):
    """A mention of a watched product; `name` is as the workspace defined it, whatever was written.

    `start` and `end` count the characters of the field, without a particle behind the name.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    kind: Side
    field: Literal["title", "text"]
    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=0)]


class Comparison(Message):
    """A sentence that sets the competitor `name` against the workspace's own.

    `winner` is who comes off better, None where the sentence does not say or Maru is not sure.
    `cue` is the words that show it; a product among them is written [own] or [competitor].
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    winner: Side | None
    cue: Annotated[str, Field(min_length=1, max_length=200)]


class TaggedPost(Message):
    """A post with all its tags.

    The post is redacted: personal data in it was replaced before any model saw it, unless that is
    turned off; `pii` says where in title and text.

    `language` is an ISO 639-1 code, or `und`. `embedding` is base64 of 512 signed bytes: the
    unit-length sentence vector times 127, rounded. Dot products of such vectors are exact in
    float32 (512 * 127 * 127 < 2**24), so matching gives the same answer on every machine and in
    every batch; the cosine is the dot product over both vectors' lengths.

    `spam` and `toxicity` are probabilities, None from taggers that did not know them; `toxic` says
    which sentences of a toxic post are.

    A deleted post passes with the tags of nothing, and its embedding is all zeros.
    """

    post: Post
    language: Annotated[str, Field(min_length=2, max_length=35)]
    sentiment: Sentiment
    intent: Intent
    emotions: tuple[EmotionTag, ...] = ()
    topics: tuple[TopicTag, ...] = ()
    aspects: Annotated[tuple[Aspect, ...], Field(max_length=5)] = ()
    pii: tuple[Pii, ...] = ()
    entities: Annotated[tuple[Entity, ...], Field(max_length=MAX_ENTITIES)] = ()
    comparisons: tuple[Comparison, ...] = ()
    spam: Share | None = None
    toxicity: Share | None = None
    toxic: tuple[ToxicPart, ...] = ()
    embedding: Annotated[str, Field(min_length=684, max_length=684)]
    models: tuple[ModelVersion, ...]
    tagged_at: Moment


MAX_DESCRIPTION = 500
"""Characters of the description of a topic."""
MAX_FORMERLY = 20
"""Former names of a topic that are remembered, the last ones."""


class TopicDefined(Message):
    """A workspace's own subject: a name, what it is, and a few phrases that speak of it.

    `formerly` are the names that it had before, `since` is when the workspace defined it first:
    what people said of a post's topics before then says nothing of this one (None: `at`).
    `removed` ends it.
    """

    workspace: Annotated[str, Field(min_length=1, max_length=100)]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)] = ""
    examples: Annotated[tuple[str, ...], Field(max_length=50)] = ()
    formerly: Annotated[tuple[str, ...], Field(max_length=MAX_FORMERLY)] = ()
    since: Moment | None = None
    removed: bool = False
    at: Moment


ChosenHead = Literal["sentiment", "intent", "aspects", "topics"]
"""What a workspace decides about: which model tags it, and whether it learns from corrections.

Topics have no model but Maru's own, and aspects do not learn.
"""


class ChosenModel(Message):
    """A model in the folder of models; `labels` says what its labels mean, where that is not clear.

    Each means one of the head's own labels, or `none`.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    labels: Annotated[dict[str, str], Field(max_length=1_000, default_factory=dict)]


class ModelSelected(Message):
    """Which model makes a head's tags in a workspace, and which one runs beside it, in the shadow.

    None is Maru's own model, or no shadow. What the shadow says is compared and goes no further.
    `learns` is whether the head may learn from the tags that the workspace's people corrected.
    """

    workspace: Annotated[str, Field(min_length=1, max_length=100)]
    head: ChosenHead
    model: ChosenModel | None = None
    shadow: ChosenModel | None = None
    learns: bool = True
    at: Moment


MAX_CORRECTED = 2_000
"""Characters of a corrected post's text that are told of: no head reads more."""


class TagsCorrected(Message):
    """What a person says of a post's tags; None is what nobody has corrected.

    Title and text are those that the person saw, redacted like the post, and cut. A later one for
    the same post replaces it; `removed` takes it back, and then it has no words.
    """

    workspace: Annotated[str, Field(min_length=1, max_length=100)]
    post_id: UUID
    title: Annotated[str, Field(max_length=MAX_CORRECTED)] = ""
    text: Annotated[str, Field(max_length=MAX_CORRECTED)] = ""
    mood: Mood | None = None
    intent: IntentLabel | None = None
    topics: Annotated[tuple[str, ...], Field(max_length=20)] | None = None
    removed: bool = False
    by: Annotated[str, Field(max_length=200)]
    at: Moment


Section = Literal["watch", "corrections"]


def section_of(meaning: Side | Mood) -> Section:
    """Where a term of this meaning belongs."""
    return "watch" if meaning in {"own", "competitor"} else "corrections"


class TermDefined(Message):
    """Words that a workspace wants found in its posts, and what they mean there.

    `own` and `competitor` name a watched product; a mood is a correction: what the word says,
    whatever the sentiment model takes it for. One name can be watched and corrected. `removed`
    ends what was defined.
    """

    workspace: Annotated[str, Field(min_length=1, max_length=100)]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    meaning: Side | Mood
    aliases: Annotated[tuple[str, ...], Field(max_length=50)] = ()
    removed: bool = False
    at: Moment

    @property
    def section(self) -> Section:
        """Where the term belongs: within a workspace a name is in each section once."""
        return section_of(self.meaning)
