"""Which of the posts that arrive say something new: the first of its id, an edit, other tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from maru_contracts.tags import TaggedPost

Version = tuple[int, str]
"""A post's revision, and the models that tagged it (see `models_of`)."""


@dataclass(frozen=True)
class Arrival:
    """A post that says something new; `before` is what it replaces, None if it is the first."""

    tagged: TaggedPost
    before: TaggedPost | None


def models_of(tagged: TaggedPost) -> str:
    """Names and versions of the models behind a post's tags, comparable."""
    return " ".join(sorted(f"{it.head}={it.name}@{it.version}" for it in tagged.models))


def says_news(tagged: TaggedPost, known: Version | None) -> bool:
    """Whether a post replaces what is known of it.

    The newest revision wins; of one revision the tags of other models, which come when the log is
    read again after the models were changed.
    """
    if known is None:
        return True
    revision, models = known
    if tagged.post.revision == revision:
        return models_of(tagged) != models
    return tagged.post.revision > revision


def news(messages: Sequence[TaggedPost], known: Mapping[UUID, Version]) -> list[TaggedPost]:
    """The posts that say something new, in order."""
    versions = dict(known)
    new = []
    for tagged in messages:
        post = tagged.post
        if says_news(tagged, versions.get(post.id)):
            versions[post.id] = (post.revision, models_of(tagged))
            new.append(tagged)
    return new


def arrivals(new: Sequence[TaggedPost], stored: Mapping[UUID, TaggedPost]) -> list[Arrival]:
    """Each new post beside the one that it replaces."""
    latest = dict(stored)
    found = []
    for one in new:
        before = latest.get(one.post.id)
        tagged = one if before is None else in_place(one, before)
        found.append(Arrival(tagged=tagged, before=before))
        latest[one.post.id] = tagged
    return found


def in_place(tagged: TaggedPost, before: TaggedPost) -> TaggedPost:
    """A post that was edited, in the product, the source and the channel that it first came in.

    It is counted there, whoever brings its edits.
    """
    first, post = before.post, tagged.post
    place = (first.product, first.source_id, first.channel)
    if (post.product, post.source_id, post.channel) == place:
        return tagged
    update = dict(zip(("product", "source_id", "channel"), place, strict=True))
    return tagged.model_copy(update={"post": post.model_copy(update=update)})
