"""GitHub: issues, pull requests and discussions of repositories, and the comments below them.

**What to set up.** Public repositories can be followed without anything, by 60 requests an hour.
For more, for discussions and for private repositories make a fine-grained token at
https://github.com/settings/personal-access-tokens for those repositories, with the permissions
*Issues: read*, *Pull requests: read* and *Discussions: read*, as far as these are followed. It has
an expiry date of your choice; after that the source says so. It is sent in a header. For GitHub
Enterprise Server give `https://your-host/api/v3` as the address.

**Webhooks.** With them everything comes within seconds, and so do deletions, which GitHub tells
nobody who asks. Give this source some webhook secret of your own; in the repository (or the
organisation) under *Settings*, *Webhooks*, add `https://your-maru/hooks/{id of this source}` with
the content type `application/json`, the same secret, and the events *Issues*, *Issue comments*,
*Pull requests*, *Discussions* and *Discussion comments*. What it says of other repositories than
this source's is left out. What a webhook could not deliver comes with the next look.

**How it works.** Issues, pull requests and their comments are asked for by when they were changed,
oldest change first (https://docs.github.com/rest/issues), a hundred at a time, so that edits come,
too; each further part begins where the last one ended. A look that finds nothing new costs one
request for issues and one for comments, which GitHub does not count where there is a token
(`304 Not Modified`). Discussions come by GraphQL (https://docs.github.com/graphql), those changed
last first, with all that is said below those that were changed. The first look brings what was
changed last: a hundred issues, a hundred comments, ten discussions. A comment names the page that
it is on, an answer in a discussion the comment above it. Likes are the thumbs up, and the votes of
discussions. What is without words, and what bots write, is left out. Posts are in the channel that
you give to the source: choose another than *community* for a private repository.

**Limits.** A token may ask 5,000 times an hour; when that is used up, or GitHub asks for patience,
the source waits for as long as GitHub says
(https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api). A look back reads
everything that was changed since its beginning. Remarks on lines of code are not read. A repository
that was renamed is still found, but its webhooks speak of the new name, so change it here. A token
that ends warns seven days before.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import orjson
from pydantic import Field, SecretStr, model_validator

from maru_contracts.posts import Channel
from maru_ingest.connector import (
    Capability,
    ConnectorKind,
    CredentialsRefused,
    Cursor,
    Forged,
    Hook,
    Interval,
    Page,
    SourceBroken,
    SourceBusy,
    SourceGone,
    SourceSettings,
    Tools,
    check_status,
    is_signed,
    translated,
    within,
)
from maru_ingest.formats import dates, github_api, payloads, text, untyped
from maru_ingest.formats.parsed import BadRow, Document, ParsedPost, Row, Unreadable
from maru_ingest.formats.untyped import Object
from maru_kit.outbound import Fetched, TooLarge

_ADDRESS = "https://api.github.com"
_ENTERPRISE = "/api/v3"
_MANY, _FEW = 100, 10
"""Issues of one answer: fewer where a hundred are larger than what may be fetched at once."""
_OVERLAP = timedelta(seconds=30)
"""How late a change may show in lists."""
_SECOND = timedelta(seconds=1)
_BEGINNING = "1970-01-01T00:00:00Z"
_LATER = 60.0
"""Seconds to wait where GitHub asks for patience and does not say how long."""
_MAX_TOLD = 200
_EVENTS = {"issues", "issue_comment", "pull_request", "discussion", "discussion_comment"}

Followed = Literal["issues", "pull_requests", "discussions"]
_Stream = Literal["issues", "issues/comments", "discussions"]
_Place = Mapping[str, Any]
"""How far a stream is known: `mark`, the time of the last change, and what helps to go on."""


class GitHubSettings(SourceSettings):
    """What to follow of which repositories, and the token to ask with."""

    repositories: tuple[
        Annotated[
            str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}/\.{0,2}[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}$")
        ],
        ...,
    ] = Field(min_length=1, max_length=50, description="Repositories, each as owner/name")
    what: tuple[Followed, ...] = Field(
        default=("issues",),
        min_length=1,
        description="What to follow with its comments: issues, pull_requests, discussions",
    )
    access_token: SecretStr | None = Field(
        default=None, description="Token, needed for discussions and for private repositories"
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="Any words of yours that you also give to GitHub's webhook"
    )
    bots: bool = Field(default=False, description="Whether what bots write comes, too")
    interval_seconds: Interval = 900.0
    address: str = Field(
        default=_ADDRESS,
        pattern=r"^https?://[^\s?#]+[^\s?#/]$",
        max_length=1_000,
        description="Address of the API: for GitHub Enterprise Server https://your-host/api/v3",
    )

    @model_validator(mode="after")
    def _may_ask(self) -> "GitHubSettings":
        if "discussions" in self.what and not _in_clear(self.access_token):
            raise ValueError("GitHub shows discussions only to who has a token")
        return self


class _TokenRefused(CredentialsRefused):
    """The token is not good for anything, so nothing else is asked with it."""


class _TooMuch(SourceBroken):
    """An answer is larger than what may be fetched at once."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a list, the tag that it is known by, and how to ask for the next part, if any."""

    items: list[object]
    etag: str
    next: Mapping[str, str]

    @property
    def newest(self) -> str:
        """When the last of the changes was made."""
        return max((github_api.stamp(it, "updated_at") for it in self.items), default="")


@dataclass(frozen=True, slots=True)
class GitHubConnector:
    """Follows repositories. The cursor holds a place for each stream of each of them."""

    settings: GitHubSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what was changed in each repository; one that can't be read stops no other."""
        places: Mapping[str, _Place] = cursor.get("places", {})
        failed: SourceBroken | None = None
        for repository, stream in self._targets():
            name = f"{repository}/{stream}"
            try:
                async for rows, place in self._walk(repository, stream, places.get(name, {})):
                    places = {**places, name: place}
                    yield Page(rows, {"places": places})
            except _TokenRefused:
                raise
            except SourceBroken as error:
                failed = failed or type(error)(f"{repository}: {error}")
        if failed is not None:
            raise failed

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield what was written in a range: all that was changed since, as far as it is of it."""
        begun = int(cursor.get("target", 0))
        for number, (repository, stream) in list(enumerate(self._targets()))[begun:]:
            start = cursor.get("place") if number == begun else None
            beginning = {"mark": github_api.written(since)}
            async for rows, place in self._walk(repository, stream, start or beginning):
                found = within(rows, since, until)
                yield Page(found, {"target": number, "place": place})

    def _targets(self) -> list[tuple[str, _Stream]]:
        """Return what is asked for: each repository's streams."""
        what = self.settings.what
        lists: tuple[_Stream, ...] = ("issues", "issues/comments")
        queries: tuple[_Stream, ...] = ("discussions",)
        asked = (
            *(lists if "issues" in what or "pull_requests" in what else ()),
            *(queries if "discussions" in what else ()),
        )
        return [(name, stream) for name in self.settings.repositories for stream in asked]

    async def _walk(
        self, repository: str, stream: _Stream, place: _Place
    ) -> AsyncGenerator[tuple[list[Row], _Place], None]:
        """Yield the rows of what was changed since a place, and the place after them."""
        if stream == "discussions":
            async for nodes, there in self._discussions(repository, place):
                answer = {"data": {"nodes": nodes}}
                yield await asyncio.to_thread(self._rows, answer, nodes), there
        else:
            async for items, there in self._changed(f"repos/{repository}/{stream}", place):
                yield await asyncio.to_thread(self._rows, items, items), there

    async def _changed(
        self, path: str, place: _Place
    ) -> AsyncGenerator[tuple[list[object], _Place], None]:
        """Yield what a list holds since a place, oldest change first.

        Each part is asked for by the time of the last change, a second earlier, since GitHub does
        not say whether a change of that very second is among them. By its number or cursor it would
        miss one for each that is changed meanwhile and so moves to the end; only where a whole part
        was changed within a second does it go on as GitHub says.
        """
        mark = str(place.get("mark", ""))
        if not mark:
            part = await self._part(path, {"direction": "desc"})
            if part is not None:
                yield part.items[::-1], {"mark": part.newest or _BEGINNING}
            return
        since = _earlier(mark)
        etag = str(place.get("etag", ""))
        asked: Mapping[str, str] = {"direction": "asc", "since": since}
        known: list[object] = []
        while (part := await self._part(path, asked, etag)) is not None:
            mark, etag = max(mark, part.newest), ""
            is_asked_again = not part.next and since == _earlier(mark)
            there = {"mark": mark, **({"etag": part.etag} if is_asked_again else {})}
            yield [it for it in part.items if it not in known], there
            if not part.next:
                return
            known = part.items  # the next part begins with the last of them
            before, asked = asked, part.next
            if (following := _earlier(part.newest, _SECOND)) > since:
                since = following
                asked = {"direction": "asc", "since": since}
            if asked == before:
                raise SourceBroken("GitHub leads in a circle.")

    async def _discussions(
        self, repository: str, place: _Place
    ) -> AsyncGenerator[tuple[list[Object], _Place], None]:
        """Yield the discussions that were changed since a place, last change first.

        A page of them is followed by what stands below them and did not come with them. A place in
        the middle says `after` what that page comes, and which change was the `newest` at the
        beginning.
        """
        owner, _, name = repository.partition("/")
        mark, after, newest = (str(place.get(part, "")) for part in ("mark", "after", "newest"))
        back_to = _earlier(mark) if mark else ""
        is_resumed = bool(after)
        while True:
            asked = {"owner": owner, "name": name, "after": after or None}
            try:
                found = await self._query(
                    github_api.DISCUSSIONS, asked, "repository", "discussions"
                )
            except SourceBroken:
                if not is_resumed:
                    raise
                after, newest, is_resumed = "", "", False  # GitHub may have forgotten the place
                continue
            is_resumed = False
            nodes = untyped.mappings(found, "nodes")
            newest = newest or max((github_api.stamp(it, "updatedAt") for it in nodes), default="")
            here = {"mark": mark, "after": after, "newest": newest}
            yield nodes, here
            changed = [it for it in nodes if mark and github_api.stamp(it, "updatedAt") >= back_to]
            async for comments in self._below(changed):
                yield comments, here
            following = github_api.goes_on(found)
            if not following or following == after or len(changed) < len(nodes) or not mark:
                break
            after = following
        yield [], {"mark": max(newest, mark) or _BEGINNING}

    async def _below(self, nodes: Sequence[Object]) -> AsyncGenerator[list[Object], None]:
        """Yield the comments and answers that stand before those that came with discussions."""
        waiting = list(github_api.cut_off(nodes))
        while waiting:
            above, before = waiting.pop()
            try:
                found = await self._query(
                    github_api.EARLIER, {"id": above, "before": before}, "node", "comments"
                )
            except SourceGone:  # it was deleted meanwhile
                continue
            comments = untyped.mappings(found, "nodes")
            yield comments
            waiting += github_api.cut_off(comments)
            if (earlier := github_api.begins(found)) and earlier != before:
                waiting.append((above, earlier))

    def _rows(self, answer: object, items: Sequence[object]) -> list[Row]:
        """Return the wanted rows of an answer. `items` are what it holds."""
        if not items:
            return []
        try:
            found = payloads.read(answer, platform="github").rows
        except Unreadable as error:
            return [
                BadRow(number, str(error), untyped.original(it))
                for number, it in enumerate(items, start=1)
            ]
        return _wanted(self.settings, found)

    async def _part(self, path: str, asked: Mapping[str, str], etag: str = "") -> _Part | None:
        """Return a part of a list, None when it is what is known by `etag`."""
        wanted = {"state": "all", "sort": "updated", "per_page": _MANY, **asked}
        try:
            fetched = await self._ask(f"{path}?{urlencode(wanted)}", etag=etag)
        except _TooMuch:
            fetched = await self._ask(f"{path}?{urlencode({**wanted, 'per_page': _FEW})}")
        if fetched.status == HTTPStatus.NOT_MODIFIED:
            return None
        value = await self._value(fetched)
        if not isinstance(value, list):
            raise SourceBroken("GitHub answers with what is no list.")
        part = _Part(
            value,
            fetched.headers.get("etag", "")[:_MAX_TOLD],
            github_api.next_part(fetched.headers),
        )
        if value and not part.newest:
            raise SourceBroken("GitHub answers with a list of what has no time.")
        return part

    async def _query(self, query: str, variables: Mapping[str, object], *path: str) -> Object:
        """Return what stands at the end of `path` in the answer to a query."""
        body = orjson.dumps({"query": query, "variables": variables})
        fetched = await self._ask("graphql", body=body)
        value = await self._value(fetched)
        found = untyped.mapping(value, "data", *path)
        if untyped.has(found, "nodes"):
            return found
        _refuse_query(untyped.mappings(value, "errors"), fetched.retry_after)
        data = untyped.mapping(value, "data")
        if path[0] in data and not data[path[0]]:
            raise SourceGone("GitHub knows no such repository, or does not show it.")
        raise SourceBroken("GitHub answers with what are no discussions.")

    async def _ask(self, path: str, *, etag: str = "", body: bytes = b"") -> Fetched:
        if self.tools.budget is not None:
            self.tools.budget.spend()
        token = _in_clear(self.settings.access_token)
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            **({"Authorization": f"Bearer {token}"} if token else {}),
            **({"If-None-Match": etag} if etag else {}),
            **({"Content-Type": "application/json"} if body else {}),
        }
        address = self.settings.address
        if path == "graphql" and address.endswith(_ENTERPRISE):
            address = address.removesuffix("/v3")
        with translated():
            try:
                fetched = await self.tools.outbound.request(
                    "POST" if body else "GET",
                    f"{address}/{path}",
                    headers=headers,
                    body=body,
                    max_bytes=self.tools.max_bytes,
                    deadline=self.tools.deadline,
                )
            except TooLarge as error:
                raise _TooMuch(f"{error}.") from error
        _check(fetched)
        self._note_end(fetched)
        return fetched

    def _note_end(self, fetched: Fetched) -> None:
        """Note when the token ends, which every answer to one that does says."""
        told = fetched.headers.get("github-authentication-token-expiration")
        if told and self.tools.credentials is not None:
            with suppress(dates.UnreadableDate):
                self.tools.credentials.end(dates.parse(told), now=datetime.now(UTC))

    async def _value(self, fetched: Fetched) -> object:
        try:
            return await asyncio.to_thread(payloads.loads, fetched.body)
        except Unreadable as error:
            raise SourceBroken(f"GitHub answers with what can't be read: {error}.") from error


def _check(fetched: Fetched) -> None:
    """Return for a good answer, and raise what another means.

    Where a limit is reached GitHub answers 403 as well as 429, with or without saying for how long
    (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
    """
    try:
        check_status(fetched)
    except CredentialsRefused as error:
        if fetched.status == HTTPStatus.UNAUTHORIZED:
            raise _TokenRefused(str(error)) from error
        if fetched.retry_after is None and "rate limit" not in str(error).lower():
            raise
        raise SourceBusy(str(error), retry_after=fetched.retry_after or _LATER) from error
    except SourceBusy as error:
        if fetched.status == HTTPStatus.TOO_MANY_REQUESTS and not error.retry_after:
            raise SourceBusy(str(error), retry_after=_LATER) from error
        raise


def _refuse_query(errors: Sequence[Object], retry_after: float | None) -> None:
    """Raise what the errors of a query mean; they come with the status of a good answer."""
    if not errors:
        return
    kinds = {untyped.string(error, "type") for error in errors}
    told = text.clean_line(untyped.string(errors[0], "message"), _MAX_TOLD) or "no reason given"
    if "RATE_LIMITED" in kinds:
        raise SourceBusy(f"GitHub asks for patience: {told}", retry_after=retry_after or _LATER)
    if "NOT_FOUND" in kinds:
        raise SourceGone(f"GitHub knows no such thing: {told}")
    if kinds & {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        raise CredentialsRefused(f"The token lacks a permission: {told}")
    raise SourceBroken(f"GitHub refuses what was asked: {told}")


def _greet(_: GitHubSettings, __: Mapping[str, str]) -> str:
    raise Forged("GitHub asks nothing at this address.")


def _pushed(settings: GitHubSettings, headers: Mapping[str, str], body: bytes) -> Document:
    """Return what a webhook says of this source's repositories. Raises Forged, Unreadable.

    https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    """
    secret = _in_clear(settings.webhook_secret)
    if not secret:
        raise Forged("This source has no webhook secret, so webhooks can't be known as GitHub's.")
    if not is_signed(body, secret, headers.get("x-hub-signature-256", "")):
        raise Forged("The webhook's signature is not good.")
    if headers.get("x-github-event") not in _EVENTS:
        return Document(rows=())
    if body.startswith(b"payload="):
        raise Unreadable("a form; choose application/json as the content type of the webhook")
    found = payloads.read(payloads.loads(body), platform="github")
    own = {name.lower() for name in settings.repositories}
    rows = [
        row
        for row in _wanted(settings, found.rows)
        if not isinstance(row, ParsedPost) or github_api.where(row.native_id)[0] in own
    ]
    gone = [(name, *github_api.where(name)) for name in found.deleted]
    return Document(
        rows,
        deleted=tuple(name for name, of, kind in gone if of in own and kind in settings.what),
    )


def _wanted(settings: GitHubSettings, rows: Sequence[Row]) -> list[Row]:
    """Return rows without posts that are not followed, say nothing, or are a bot's.

    Posts are in the channel of their source.
    """
    found: list[Row] = []
    for row in rows:
        if not isinstance(row, ParsedPost):
            found.append(row)
        elif (
            github_api.where(row.native_id)[1] in settings.what
            and (row.text or row.title)
            and (settings.bots or not row.author.endswith("[bot]"))
        ):
            found.append(replace(row, channel=None))
    return found


def _earlier(mark: str, by: timedelta = _OVERLAP) -> str:
    return github_api.written(datetime.fromisoformat(mark) - by)


def _in_clear(secret: SecretStr | None) -> str:
    return secret.get_secret_value().strip() if secret else ""


CONNECTOR = ConnectorKind(
    kind="github",
    title="GitHub",
    summary="Follows issues, pull requests and discussions of repositories, and the comments below",
    settings=GitHubSettings,
    channel=Channel.COMMUNITY,
    open=GitHubConnector,
    capabilities=frozenset(
        {
            Capability.BACKFILL,
            Capability.LIVE,
            Capability.REPLIES,
            Capability.MEDIA,
            Capability.METRICS,
        }
    ),
    hook=Hook(_greet, _pushed),
)
