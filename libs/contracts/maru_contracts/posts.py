"""What somebody wrote, in the words of no platform."""

from enum import StrEnum
from hashlib import sha1
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from maru_contracts.message import Message, Moment

_POSTS = UUID("8f0c6c0e-6a52-5c0b-9d55-6d6172750001")

MAX_TEXT = 100_000
"""Characters of a post's text that are kept; a longer one is cut and marked `truncated`."""

MAX_BEST = 1_000
"""The longest scale that a rating is given on."""

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Short = Annotated[str, Field(max_length=2_000)]
Url = Annotated[str, Field(max_length=8_000)]


class Channel(StrEnum):
    """The medium a post came through: the rows of the media portfolio."""

    BLOG = "blog"
    MICROBLOG = "microblog"
    VIDEO = "video"
    COMMUNITY = "community"
    REVIEW = "review"
    SURVEY = "survey"
    CALL = "call"
    MAIL = "mail"
    PRESS = "press"
    BROADCAST = "broadcast"
    VISIT = "visit"
    OTHER = "other"


PUBLIC_CHANNELS = frozenset(
    {
        Channel.BLOG,
        Channel.MICROBLOG,
        Channel.VIDEO,
        Channel.COMMUNITY,
        Channel.REVIEW,
        Channel.PRESS,
        Channel.BROADCAST,
    }
)
"""Channels whose posts anybody can already read; only these are quoted on the public board."""


class Author(Message):
    """Who wrote a post. `handle` names the person within the source's platform."""

    handle: Short
    name: Short = ""
    followers: Annotated[int, Field(ge=0)] | None = None


class Media(Message):
    """A picture, sound or film that came with a post."""

    kind: Literal["image", "audio", "video", "file"]
    url: Url
    alt: Short = ""
    transcript: Text = ""


class Metrics(Message):
    """How far a post travelled, as its platform counts it; None where it does not say."""

    likes: Annotated[int, Field(ge=0)] | None = None
    shares: Annotated[int, Field(ge=0)] | None = None
    replies: Annotated[int, Field(ge=0)] | None = None
    views: Annotated[int, Field(ge=0)] | None = None


class Rating(Message):
    """What its author gives what a post is about: `value` of at most `best`, such as stars."""

    value: Annotated[float, Field(ge=0)]
    best: Annotated[float, Field(gt=0, le=MAX_BEST)] = 5.0

    @model_validator(mode="after")
    def _is_on_its_scale(self) -> Self:
        if self.value > self.best:
            raise ValueError("a rating is at most the best of its scale")
        return self


class Post(Message):
    """One thing that one person wrote, said or filmed.

    `id` is `post_id(workspace, kind, native_id)`, so the same post always has the same id.
    `revision` starts at 0 and grows by one with each edit that Maru has seen. `created_at` is the
    author's time as the source states it (the time of collection where it states none).

    `deleted` says that the source took the post away at `collected_at`: the post is a tombstone,
    without words and author, and nothing else under its id counts, whenever it comes.
    """

    id: UUID
    revision: Annotated[int, Field(ge=0)] = 0
    workspace: Annotated[str, Field(min_length=1, max_length=100)]
    product: Annotated[str, Field(max_length=100)] = ""
    source_id: Annotated[str, Field(min_length=1, max_length=100)]
    channel: Channel
    native_id: Short
    url: Url | None = None
    author: Author | None = None
    title: Short = ""
    text: Text
    truncated: bool = False
    lang_hint: Annotated[str, Field(max_length=35)] | None = None
    media: tuple[Media, ...] = ()
    created_at: Moment
    collected_at: Moment
    in_reply_to: Short | None = None
    reshared_from: Short | None = None
    metrics: Metrics = Metrics()
    rating: Rating | None = None
    deleted: bool = False


def post_id(workspace: str, kind: str, native_id: str) -> UUID:
    """The id of a post: UUID version 5 (RFC 9562) of its workspace, source kind and native id."""
    return UUID(post_name(workspace, kind, native_id))


def post_name(workspace: str, kind: str, native_id: str) -> str:
    """The id of a post as text, written in a fifth of the time that `uuid.uuid5` takes."""
    name = f"{workspace}\x1f{kind}\x1f{native_id}".encode()
    digest = sha1(_POSTS.bytes + name, usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"
