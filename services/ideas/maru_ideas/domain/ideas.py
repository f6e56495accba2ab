"""An idea as a value: what happens to it when evidence comes, and how the world sees it."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from maru_contracts.ideas import ChangeKind, Idea, IdeaChanged, Status, event_id
from maru_contracts.posts import Channel
from maru_contracts.tags import SPAM_FROM, TaggedPost
from maru_ideas.domain import lifecycle
from maru_ideas.domain.scoring import Weights, score, terms
from maru_ideas.domain.summarising import Quote, quote
from maru_ideas.domain.tally import MOODS, Heard, Span, Spread, Tally, is_public, ranked

_NOTHING = Tally()
NO_QUOTE = Quote(post=None, title="…", summary="…", worth=-1_000.0)
"""The words of an idea that has none."""
MATCHER = "maru"
"""The actor of changes that no person made."""


@dataclass(frozen=True)
class Face:
    """One side of an idea: its counts and its words."""

    tally: Tally = _NOTHING
    quote: Quote = NO_QUOTE


_NOBODY = Face()


@dataclass(frozen=True)
class Backed:
    """An idea with its evidence counted twice: all of it, and what came through public channels.

    The board that everybody may read shows only the second face.
    """

    id: UUID
    workspace: str
    product: str
    version: int = 0
    status: Status = "new"
    whole: Face = _NOBODY
    public: Face = _NOBODY

    @property
    def is_public(self) -> bool:
        """Whether anything behind the idea came through a public channel."""
        return self.public.tally.posts > 0


@dataclass(frozen=True)
class NewVoices:
    """Whether a post's author had not spoken for the idea yet: at all, and in public."""

    whole: bool
    public: bool


def heard(
    idea: Backed, tagged: TaggedPost, offer: Quote, voices: NewVoices, half_life: float
) -> Backed:
    """The idea with one post more behind it; `offer` is the title that the post offers."""
    said = Heard.of(tagged)
    whole = _with(idea.whole, said, offer, new_voice=voices.whole, half_life=half_life)
    public = idea.public
    if is_public(said.channel):
        public = _with(public, said, offer, new_voice=voices.public, half_life=half_life)
    return replace(idea, version=idea.version + 1, whole=whole, public=public)


def corrected(idea: Backed, before: Heard, tagged: TaggedPost, similarity: float) -> Backed:
    """The idea when a post behind it was edited or tagged anew.

    A post stays in the channel and the source that it was first heard in.
    """
    after = replace(Heard.of(tagged), channel=before.channel, source=before.source)
    whole = _corrected(idea.whole, before, after, tagged, similarity)
    public = idea.public
    if is_public(before.channel):
        public = _corrected(public, before, after, tagged, similarity)
    return replace(idea, version=idea.version + 1, whole=whole, public=public)


def carried(idea: Backed, spread: Spread, step: int, *, public: bool) -> Backed:
    """The idea when copies and reposts of its evidence come (`step` 1) or go (-1)."""
    whole, shown = (
        replace(face, tally=face.tally.carried(spread, step)) for face in (idea.whole, idea.public)
    )
    return replace(
        idea, version=idea.version + 1, whole=whole, public=shown if public else idea.public
    )


@dataclass(frozen=True)
class Rest:
    """What is left of a face when a post is taken away.

    `span` is when the other posts were written, None if there are none; `quote` the best that they
    offer, None if the idea's words were not those of the post.
    """

    lost_voice: bool
    span: Span | None
    quote: Quote | None


def unheard(
    idea: Backed, before: Heard, whole: Rest, public: Rest | None, half_life: float
) -> Backed:
    """The idea without a post that was behind it; `public` is None if the post was not public.

    An idea that has no other stays, with nothing behind it, and keeps its words until the next
    post brings better ones, which any does.
    """
    return replace(
        idea,
        version=idea.version + 1,
        whole=_without(idea.whole, before, whole, half_life),
        public=_without(idea.public, before, public, half_life) if public else idea.public,
    )


def _without(face: Face, before: Heard, rest: Rest, half_life: float) -> Face:
    tally = face.tally.minus(
        before, lost_voice=rest.lost_voice, span=rest.span, half_life=half_life
    )
    said = rest.quote or face.quote
    return Face(tally=tally, quote=said if tally.posts else replace(said, worth=NO_QUOTE.worth))


def moved(idea: Backed, wanted: Status) -> Backed:
    """The idea with another status. Raises lifecycle.MoveNotAllowed."""
    status = lifecycle.moved(idea.status, wanted)
    return replace(idea, version=idea.version + 1, status=status)


def unquoted(idea: Backed, post: UUID) -> Backed:
    """The idea without the words of a post that is gone."""
    faces = (
        replace(face, quote=NO_QUOTE) if face.quote.post == post else face
        for face in (idea.whole, idea.public)
    )
    whole, public = faces
    return replace(idea, whole=whole, public=public)


def words(idea: Backed) -> Quote:
    """What signed-in readers see; quoted from public posts if there are any."""
    return idea.public.quote if idea.is_public else idea.whole.quote


def seen(idea: Backed, weights: Weights) -> Idea:
    """The idea as signed-in readers see it."""
    return _face(idea, idea.whole.tally, words(idea), weights)


def seen_in_public(idea: Backed, weights: Weights) -> Idea | None:
    """The idea as everybody may see it, counted over public posts alone; None if there are none."""
    if not idea.is_public:
        return None
    return _face(idea, idea.public.tally, idea.public.quote, weights)


def change(
    idea: Idea, kind: ChangeKind, *, at: datetime, actor: str = MATCHER, post: UUID | None = None
) -> IdeaChanged:
    """The event that made this version of the idea."""
    return IdeaChanged(
        id=event_id(idea.id, idea.version), kind=kind, actor=actor, at=at, idea=idea, post_id=post
    )


def _with(face: Face, said: Heard, offer: Quote, *, new_voice: bool, half_life: float) -> Face:
    tally = face.tally.plus(said, new_voice=new_voice, half_life=half_life)
    return Face(tally=tally, quote=offer if offer.worth > face.quote.worth else face.quote)


def _corrected(
    face: Face, before: Heard, after: Heard, tagged: TaggedPost, similarity: float
) -> Face:
    quoted = face.quote.post == tagged.post.id
    return Face(
        tally=face.tally.changed(before, after),
        quote=quote(tagged, similarity) if quoted else face.quote,
    )


def _face(idea: Backed, tally: Tally, said: Quote, weights: Weights) -> Idea:
    if tally.first_seen is None or tally.last_seen is None:
        raise ValueError(f"idea {idea.id} has no evidence")
    parts = terms(tally, weights)
    return Idea(
        id=idea.id,
        version=idea.version,
        workspace=idea.workspace,
        product=idea.product,
        title=said.title,
        summary=said.summary,
        status=idea.status,
        score=score(parts),
        terms=parts,
        voices=tally.voices,
        evidence_count=tally.posts,
        mood={mood: tally.mood.get(mood, 0) for mood in MOODS},
        topics=ranked(tally.topics),
        channels=tuple(Channel(name) for name in ranked(tally.channels)),
        languages=ranked(tally.languages),
        spread=len(tally.places),
        copies=tally.copies,
        reposts=tally.reposts,
        is_public=idea.is_public,
        first_seen=tally.first_seen,
        last_seen=tally.last_seen,
    )


def is_spam(tagged: TaggedPost) -> bool:
    """Whether a post is spam, surely enough; of one without that tag nobody says so."""
    return tagged.spam is not None and tagged.spam >= SPAM_FROM


def asks(tagged: TaggedPost, *, suggestion: float, problem: float) -> bool:
    """Whether a post wants something: it suggests or reports a problem, surely, and is no spam."""
    if is_spam(tagged):
        return False
    share = tagged.intent.probabilities
    return share.get("suggestion", 0.0) >= suggestion or share.get("problem", 0.0) >= problem
