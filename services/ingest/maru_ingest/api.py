"""The HTTP interface for sources and connectors."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from maru_contracts.posts import Channel, Rating
from maru_ingest.connector import Capability, ConnectorKind
from maru_ingest.domain import Health, State, health, overdue, utc_now
from maru_ingest.formats.parsed import ParsedPost
from maru_ingest.service.discovery import Discovery
from maru_ingest.service.lists import Lists
from maru_ingest.service.sources import NewSource, Sources, Standing, Wanted, shown_settings
from maru_ingest.service.trying import Trying
from maru_ingest.store.backfills import BackfillState
from maru_ingest.store.sources import Source as Stored
from maru_ingest.store.subscriptions import SubscriptionState
from maru_ingest.tables import micros
from maru_kit.http import Caller, Page, caller, decode_cursor, encode_cursor, requires

router = APIRouter(prefix="/api/v1", tags=["sources"])

_OPML = "text/x-opml"
_KNOWN = "It is followed already."
_SAMPLE = 10
_ADDED = {"settings", "health", "lag_seconds", "days", "backfill", "push"}
"""Fields of a source that are no columns of its own."""
DailyRequests = Annotated[
    int | None, Field(ge=1, description="Requests a day (UTC) at most; any number if null")
]


class SourceWanted(BaseModel):
    """A source that is to be followed."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(max_length=50, description="One of the kinds of GET /api/v1/connectors")
    name: str = Field(min_length=1, max_length=200, description="Unique among sources of a kind")
    product: str = Field(default="", max_length=100, description="The product its posts speak of")
    channel: Channel | None = Field(default=None, description="Its medium; the kind's own if null")
    settings: dict[str, Any] = Field(default_factory=dict, description="As the kind's schema says")
    daily_requests: DailyRequests = None


class SourceChange(BaseModel):
    """What is to change of a source; what is not named stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=200)
    product: str | None = Field(default=None, max_length=100)
    channel: Channel | None = None
    settings: dict[str, Any] | None = Field(
        default=None, description="Settings to change; a secret that is given as stars stays"
    )
    daily_requests: DailyRequests = None


class BackfillWanted(BaseModel):
    """A range of time whose posts are to be fetched."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime = Field(description="Inclusive")
    until: AwareDatetime | None = Field(default=None, description="Exclusive; now if null")


class Backfill(BaseModel):
    """How far a look back has come."""

    since: datetime
    until: datetime
    state: BackfillState
    reason: str = Field(description="Why the last attempt failed, in words")
    pages: int
    posts: int = Field(description="Posts that were new")
    next_at: datetime = Field(description="When it goes on")


class SourceDay(BaseModel):
    """What a source brought on one day (UTC)."""

    date: date
    posts: int
    rejected: int
    requests: int = Field(description="How often it was asked")


class Push(BaseModel):
    """What a hub of a feed (WebSub) was asked to push, and how that stands."""

    state: SubscriptionState = Field(
        description="pending until the hub confirms, active while it pushes, denied if it does not"
    )
    hub: str
    topic: str = Field(description="By what address the hub knows the feed")
    reason: str = Field(description="Why the hub does not push, in words")
    lease_until: datetime | None = Field(description="Until when it pushes unless asked again")
    next_at: datetime = Field(description="When it is asked again")
    last_push_at: datetime | None


class Source(BaseModel):
    """A source, with what became of it."""

    id: str
    workspace: str
    product: str
    name: str
    kind: str
    channel: Channel
    settings: dict[str, Any] = Field(description="Secrets are hidden")
    state: State
    health: Health = Field(
        description="Its state, whether it is late, and whether its credentials end in seven days"
    )
    reason: str = Field(description="Why it is broken or throttled, or what of it can't be read")
    lag_seconds: float = Field(description="How long it has waited for its poll beyond its time")
    posts: int = Field(description="Posts published, each revision counted")
    duplicates: int = Field(description="Posts that were known already")
    rejected: int = Field(description="Rows that are in the dead letters or a rejects file")
    created_at: datetime
    last_polled_at: datetime | None
    last_success_at: datetime | None
    last_post_at: datetime | None
    next_poll_at: datetime | None
    credentials_expire_at: datetime | None = Field(
        description="When its credentials end by themselves; null if they do not, or nobody says"
    )
    daily_requests: int | None = Field(description="Requests a day (UTC) at most; null for any")
    days: list[SourceDay] = Field(description="The last seven days, oldest first")
    backfill: Backfill | None = Field(description="The last look back")
    push: Push | None = Field(description="Who pushes it; null for sources that are only polled")


class SourceAdded(Source):
    """A new source; the only time that its signing secret is shown."""

    secret: str | None = Field(description="Signs webhooks to /hooks/{id}; null for other kinds")


class ListWanted(BaseModel):
    """A list of feeds that are to be followed."""

    model_config = ConfigDict(extra="forbid")

    opml: str = Field(min_length=1, max_length=4_000_000, description="OPML 1 or 2, as exported")
    product: str = Field(default="", max_length=100, description="The product that all speak of")
    channel: Channel | None = Field(default=None, description="Their medium; blog if null")
    folders_as_products: bool = Field(
        default=False, description="Whether a feed's outermost folder names its product"
    )


class ListedFeed(BaseModel):
    """A feed of a list that was not added."""

    name: str
    url: str
    reason: str = Field(description="Why not, in words")


class ListAdded(BaseModel):
    """What became of a list, feed by feed."""

    added: list[Source]
    known: list[ListedFeed] = Field(description="Feeds that were followed already")
    failed: list[ListedFeed]


class PageAsked(BaseModel):
    """An address whose feeds are looked for."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=1, max_length=8_000, description="Of a feed or of a web page")


class OfferedFeed(BaseModel):
    """A feed that a page offers."""

    url: str
    title: str = Field(description="What the page calls it; often empty")


class Discovered(BaseModel):
    """What lies behind an address."""

    is_feed: bool = Field(description="Whether the address itself is that of a feed")
    feeds: list[OfferedFeed]


class Connector(BaseModel):
    """A kind of source, and what can be set for it."""

    kind: str
    title: str
    summary: str
    channel: Channel
    capabilities: list[Capability] = Field(description="What it can do beside what is new")
    pushed: bool = Field(description="Whether posts are sent to us rather than fetched")
    form: bool = Field(description="Whether people fill its posts in, at /forms/{id}")
    settings: dict[str, Any] = Field(description="JSON Schema of a source's settings")


class TrialWanted(BaseModel):
    """Settings that are to be tried out."""

    model_config = ConfigDict(extra="forbid")

    settings: dict[str, Any] = Field(default_factory=dict, description="As the kind's schema says")


class SampleMedia(BaseModel):
    """A picture, sound or film of a post."""

    kind: str
    url: str
    alt: str


class SamplePost(BaseModel):
    """A post as its source states it; what it does not state is empty."""

    native_id: str
    title: str
    text: str
    url: str
    author: str
    author_name: str
    lang: str
    channel: Channel | None = Field(description="Null for that of the source")
    created_at: datetime | None
    edited_at: datetime | None
    in_reply_to: str
    reshared_from: str
    media: list[SampleMedia]
    metrics: dict[str, int]
    rating: Rating | None


class RejectedRow(BaseModel):
    """A row that can't become a post."""

    line: int = Field(description="From 1; 0 where there are no lines")
    reason: str


class Trial(BaseModel):
    """What a source would bring first. Nothing of it was stored."""

    posts: int = Field(description="Posts that its first pages held in all")
    sample: list[SamplePost] = Field(description="The newest of them, newest first")
    rejected: list[RejectedRow]
    waiting: bool = Field(description="Whether it was still being listened to when time was up")


def sources(request: Request) -> Sources:
    """Return the use cases that `app.create_app` made."""
    found: Sources = request.app.state.sources
    return found


def lists(request: Request) -> Lists:
    """Return the use cases around lists that `app.create_app` made."""
    found: Lists = request.app.state.lists
    return found


def discovery(request: Request) -> Discovery:
    """Return the use case that `app.create_app` made."""
    found: Discovery = request.app.state.discovery
    return found


def trying(request: Request) -> Trying:
    """Return the use case that `app.create_app` made."""
    found: Trying = request.app.state.trying
    return found


By = Annotated[Caller, Depends(caller)]
Use = Annotated[Sources, Depends(sources)]


@router.get("/sources", openapi_extra=requires("reader"))
async def list_sources(
    by: By,
    use: Use,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: str | None = None,
) -> Page[Source]:
    """List the workspace's sources, oldest first."""
    after = None if cursor is None else decode_cursor(cursor, int, str)
    found = await use.page(by.workspace, after=after, limit=limit + 1)
    shown, more = found[:limit], len(found) > limit
    last = shown[-1] if more else None
    return Page(
        items=await _shown(shown, use),
        next=encode_cursor(micros(last.created_at), last.id) if last else None,
    )


@router.post("/sources", status_code=201, openapi_extra=requires("owner"))
async def add_source(wanted: SourceWanted, by: By, use: Use) -> SourceAdded:
    """Follow a source from now on. For a webhook, the answer holds the signing secret."""
    added = await use.add(
        NewSource(
            workspace=by.workspace,
            product=wanted.product,
            name=wanted.name,
            kind=wanted.kind,
            channel=wanted.channel,
            settings=wanted.settings,
            daily_requests=wanted.daily_requests,
        )
    )
    (shown,) = await _shown([added], use)
    secret = added.secret if use.kinds[added.kind].is_sent else None
    return SourceAdded(**shown.model_dump(), secret=secret)


@router.post("/sources/opml", openapi_extra=requires("owner"))
async def add_list(
    wanted: ListWanted, by: By, use: Use, lists: Annotated[Lists, Depends(lists)]
) -> ListAdded:
    """Follow every feed of an OPML list that is new; one that can't be followed stops no other."""
    told = await lists.add(
        by.workspace,
        wanted.opml.encode("utf-8", "replace"),
        product=wanted.product,
        channel=wanted.channel,
        folders_as_products=wanted.folders_as_products,
    )
    known = [ListedFeed(name=one.title, url=one.url, reason=_KNOWN) for one in told.known]
    failed = [ListedFeed(name=one.title, url=one.url, reason=why) for one, why in told.failed]
    return ListAdded(added=await _shown(told.added, use), known=known, failed=failed)


@router.get(
    "/sources/opml",
    openapi_extra=requires("reader"),
    response_class=Response,
    responses={200: {"content": {_OPML: {"schema": {"type": "string"}}}}},
)
async def show_list(by: By, lists: Annotated[Lists, Depends(lists)]) -> Response:
    """Return the feeds that are followed as OPML 2.0, in a folder for each product."""
    return Response(await lists.written(by.workspace), media_type=_OPML)


@router.post("/sources/discover", openapi_extra=requires("owner"))
async def discover_feeds(
    asked: PageAsked, discovery: Annotated[Discovery, Depends(discovery)]
) -> Discovered:
    """Look for the feeds behind an address: itself, those that its page names, or common ones."""
    found = await discovery.look(asked.url)
    feeds = [OfferedFeed(url=one.url, title=one.title) for one in found.feeds]
    return Discovered(is_feed=found.is_feed, feeds=feeds)


@router.get("/sources/{source_id}", openapi_extra=requires("reader"))
async def show_source(source_id: str, by: By, use: Use) -> Source:
    """Show one source."""
    return await _one(await use.find(by.workspace, source_id), use)


@router.patch("/sources/{source_id}", openapi_extra=requires("owner"))
async def change_source(source_id: str, wanted: SourceChange, by: By, use: Use) -> Source:
    """Change a source. One that is to follow something else begins anew there."""
    limit = wanted.daily_requests
    changed = await use.change(
        by.workspace,
        source_id,
        Wanted(
            name=wanted.name,
            product=wanted.product,
            channel=wanted.channel,
            settings=wanted.settings,
            daily_requests=limit,
            no_limit="daily_requests" in wanted.model_fields_set and limit is None,
        ),
    )
    return await _one(changed, use)


@router.post("/sources/{source_id}/reset", openapi_extra=requires("owner"))
async def reset_source(source_id: str, by: By, use: Use) -> Source:
    """Have a source begin anew; posts that it brings again are known."""
    return await _one(await use.reset(by.workspace, source_id), use)


@router.post("/sources/{source_id}/backfill", status_code=202, openapi_extra=requires("owner"))
async def look_back(source_id: str, wanted: BackfillWanted, by: By, use: Use) -> Source:
    """Fetch older posts, beside the polls, for kinds that can `backfill`."""
    until = wanted.until or utc_now()
    return await _one(await use.look_back(by.workspace, source_id, wanted.since, until), use)


@router.delete("/sources/{source_id}/backfill", status_code=204, openapi_extra=requires("owner"))
async def stop_looking_back(source_id: str, by: By, use: Use) -> None:
    """Give a look back up; the posts that it brought stay."""
    await use.stop_looking_back(by.workspace, source_id)


@router.delete("/sources/{source_id}", status_code=204, openapi_extra=requires("owner"))
async def remove_source(source_id: str, by: By, use: Use) -> None:
    """Stop following a source; the posts that it brought stay."""
    await use.remove(by.workspace, source_id)


@router.post("/sources/{source_id}/pause", openapi_extra=requires("owner"))
async def pause_source(source_id: str, by: By, use: Use) -> Source:
    """Leave a source alone until it is resumed."""
    return await _one(await use.pause(by.workspace, source_id), use)


@router.post("/sources/{source_id}/resume", openapi_extra=requires("owner"))
async def resume_source(source_id: str, by: By, use: Use) -> Source:
    """Follow a paused source again, or try a broken one at once."""
    return await _one(await use.resume(by.workspace, source_id), use)


@router.get("/connectors", openapi_extra=requires("reader"))
async def list_connectors(use: Use) -> list[Connector]:
    """List the kinds of sources there can be."""
    return [
        Connector(
            kind=kind.kind,
            title=kind.title,
            summary=kind.summary,
            channel=kind.channel,
            capabilities=sorted(kind.capabilities),
            pushed=kind.open is None,
            form=kind.is_form,
            settings=kind.settings.model_json_schema(),
        )
        for kind in use.kinds.values()
    ]


@router.post("/connectors/{kind}/test", openapi_extra=requires("owner"))
async def try_connector(
    kind: str, wanted: TrialWanted, trying: Annotated[Trying, Depends(trying)]
) -> Trial:
    """Show the first posts that a source with these settings would bring; nothing is stored."""
    tried = await trying.try_out(kind, wanted.settings, most=_SAMPLE)
    return Trial(
        posts=tried.posts,
        sample=[_sample(post) for post in tried.newest],
        rejected=[RejectedRow(line=row.line, reason=row.reason) for row in tried.rejected],
        waiting=tried.is_waiting,
    )


def _sample(post: ParsedPost) -> SamplePost:
    plain = SamplePost.model_fields.keys() - {"media", "rating"}
    fields = {name: getattr(post, name) for name in plain}
    rating = post.rating and Rating(value=post.rating.value, best=post.rating.best)
    media = [SampleMedia(kind=one.kind, url=one.url, alt=one.alt) for one in post.media]
    return SamplePost(media=media, rating=rating, **fields)


async def _one(source: Stored, use: Sources) -> Source:
    (shown,) = await _shown([source], use)
    return shown


async def _shown(found: Sequence[Stored], use: Sources) -> list[Source]:
    standing = await use.standing([source.id for source in found])
    now = utc_now()
    return [_described(source, use.kinds.get(source.kind), standing, now) for source in found]


def _described(
    source: Stored, kind: ConnectorKind | None, standing: Standing, now: datetime
) -> Source:
    late = overdue(source.next_poll_at, source.leased_until, now=now)
    interval = kind.interval(kind.settings.model_validate(source.settings)) if kind else timedelta()
    ends = source.credentials_expire_at
    left = ends - now if ends else None
    look = standing.backfills.get(source.id)
    pushed = standing.subscriptions.get(source.id)
    days = standing.days.get(source.id, ())
    stored = {name: getattr(source, name) for name in Source.model_fields.keys() - _ADDED}
    return Source(
        settings=shown_settings(kind, source.settings),
        health=health(source.state, overdue=late, interval=interval, left=left),
        lag_seconds=late.total_seconds(),
        days=[SourceDay(**asdict(day)) for day in days],
        backfill=Backfill.model_validate(look, from_attributes=True) if look else None,
        push=Push.model_validate(pushed, from_attributes=True) if pushed else None,
        **stored,
    )
