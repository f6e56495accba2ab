"""What is special to GitHub; what every connector must do is in `test_conformance.py`."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from maru_ingest import domain
from maru_ingest.connector import (
    Budget,
    CredentialsRefused,
    Cursor,
    Forged,
    SourceBroken,
    SourceBusy,
    SourceGone,
    Tools,
)
from maru_ingest.connectors.github import CONNECTOR, GitHubConnector, GitHubSettings
from maru_ingest.formats.parsed import Document, ParsedPost, Unreadable
from maru_kit.outbound import Manners, open_outbound
from upstreams.github import REPOSITORY, SECRET, TOKEN, GitHubUpstream, limits
from upstreams.upstream import Written

_ALL = ["issues", "pull_requests", "discussions"]
_NAMES = [
    "data", "repository", "discussions", "nodes", "pageInfo", "hasNextPage", "endCursor", "node",
    "hasPreviousPage", "startCursor", "comments", "errors", "type", "message", "url", "html_url",
    "body", "user", "author", "createdAt", "updated_at", "updatedAt", "id",
]  # fmt: skip
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["2026-01-01T00:00:00Z", "0001-01-01", "RATE_LIMITED"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5)
        | inner.map(lambda it: {"data": {"repository": {"discussions": {"nodes": [it]}}}})
    ),
    max_leaves=20,
)


@pytest.fixture
async def upstream() -> AsyncIterator[GitHubUpstream]:
    async with GitHubUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: GitHubUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def connector(upstream: GitHubUpstream, tools: Tools, **changes: Any) -> GitHubConnector:
    values = {**upstream.settings(), **changes}
    return GitHubConnector(GitHubSettings.model_validate(values), tools)


async def looked(
    connector: GitHubConnector, cursor: Cursor | None = None
) -> tuple[list[ParsedPost], Cursor]:
    posts, cursor = [], cursor or {}
    async for page in connector.pages(cursor):
        posts += [row for row in page.rows if isinstance(row, ParsedPost)]
        cursor = page.cursor
    return posts, cursor


def pushed(headers: Mapping[str, str], body: bytes, **changes: Any) -> Document:
    values = {**GitHubUpstream().settings(), **changes}
    assert CONNECTOR.hook is not None
    low = {name.lower(): value for name, value in headers.items()}
    return CONNECTOR.hook.read(GitHubSettings.model_validate(values), low, body)


async def test_a_look_that_finds_nothing_new_costs_what_github_does_not_count(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    issue = upstream.write("dark mode")
    upstream.write("Yes!", parent=issue.native_id)
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    _, cursor = await looked(follow, cursor)

    quiet, same = await looked(follow, cursor)
    upstream.edit(issue, "dark mode, please")
    edited, _ = await looked(follow, same)

    assert (quiet, same, upstream.not_modified) == ([], cursor, 3)
    assert [post.text for post in edited] == ["dark mode, please"]


@pytest.mark.parametrize("written", ["2026-12-24 09:30:00 UTC", "2026-12-24 18:30:00 +0900"])
async def test_when_the_token_ends_is_noted(
    upstream: GitHubUpstream, tools: Tools, written: str
) -> None:
    credentials = domain.Credentials()
    follow = connector(upstream, replace(tools, credentials=credentials))
    await looked(follow)
    assert credentials.expire_at is None

    upstream.tells = {"github-authentication-token-expiration": written}
    await looked(follow)

    assert credentials.expire_at == datetime(2026, 12, 24, 9, 30, tzinfo=UTC)


async def test_what_was_changed_within_one_second_is_read_to_its_end(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    at = datetime.now(UTC).replace(microsecond=0)
    for number in range(90):
        upstream.write(f"at once {number}", at=at + timedelta(microseconds=number))
    upstream.write("later", at=at + timedelta(seconds=2))

    posts, _ = await looked(follow, cursor)

    assert len({post.text for post in posts} - {"dark mode"}) == 91
    assert {request.host for request in upstream.requests} == {upstream.host}


async def test_what_is_changed_while_it_is_read_hides_nothing(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    begun = datetime.now(UTC) - timedelta(hours=1)
    upstream.write("the first", at=begun)
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    many = [
        upstream.write(f"issue {n}", at=begun + timedelta(minutes=1, seconds=n)) for n in range(50)
    ]

    found = []
    async for page in follow.pages(cursor):
        if not found:  # each of these moves to the end of the list
            for issue in many[:10]:
                upstream.edit(issue, f"{issue.text}, please")
        found += [row.text for row in page.rows if isinstance(row, ParsedPost)]

    assert {issue.text for issue in many} <= set(found)


@pytest.mark.parametrize("is_inclusive", [True, False])
async def test_what_shows_late_or_shares_its_second_is_not_missed(
    upstream: GitHubUpstream, tools: Tools, *, is_inclusive: bool
) -> None:
    upstream.is_inclusive = is_inclusive
    now = datetime.now(UTC).replace(microsecond=0)
    upstream.write("dark mode", at=now)
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.write("late", at=now - timedelta(seconds=10))
    for number in range(60):
        at = now + timedelta(seconds=number // 7, microseconds=number)
        upstream.write(f"issue {number}", at=at)

    posts, _ = await looked(follow, cursor)

    expected = {"dark mode", "late", *(f"issue {number}" for number in range(60))}
    assert {post.text for post in posts} == expected


async def test_pull_requests_come_if_asked_for_and_so_do_their_comments(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    pull = upstream.write("Adds a dark mode", kind="pull")
    upstream.write("Nice!", parent=pull.native_id)
    issue = upstream.write("dark mode")
    upstream.write("Yes!", parent=issue.native_id)

    issues, _ = await looked(connector(upstream, tools))
    pulls, _ = await looked(connector(upstream, tools, what="pull_requests"))

    assert [post.text for post in issues] == ["dark mode", "Yes!"]
    assert [post.text for post in pulls] == ["Adds a dark mode", "Nice!"]
    assert pulls[0].title == "Number 1"
    assert issues[0].metrics == {"likes": 3, "replies": 1}


async def test_what_bots_write_and_what_says_nothing_is_left_out(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    upstream.write("dark mode").extra["author"] = "kim"
    upstream.write("Bump a from 1 to 2").extra["author"] = "dependabot[bot]"
    upstream.write("This is stale", kind="discussions").extra["author"] = "stale[bot]"
    upstream.write("<img src='https://a.example/x.png'>", parent=upstream.posts[0].native_id)

    posts, _ = await looked(connector(upstream, tools, what=_ALL))
    with_bots, _ = await looked(connector(upstream, tools, what=_ALL, bots=True))

    assert [post.author for post in posts] == ["kim"]
    assert {post.author for post in with_bots} == {"kim", "dependabot[bot]", "stale[bot]"}


def a_long_discussion(upstream: GitHubUpstream) -> tuple[Written, Written]:
    """Return a discussion with 50 comments, and the first of them, which has 30 answers."""
    top = upstream.write("dark mode", kind="discussions")
    comments = [upstream.write(f"comment {n}", parent=top.native_id) for n in range(50)]
    for number in range(30):
        upstream.write(f"answer {number}", parent=comments[0].native_id)
    return top, comments[0]


async def test_all_that_is_said_below_a_discussion_that_was_changed_is_read(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    old = datetime.now(UTC) - timedelta(days=3)
    for number in range(25):
        upstream.write(f"old {number}", kind="discussions", at=old - timedelta(hours=number))
    follow = connector(upstream, tools, what="discussions")
    _, begun = await looked(follow)
    top, comment = a_long_discussion(upstream)

    posts, cursor = await looked(follow, begun)
    asked = len(upstream.queries)
    upstream.write("one more", parent=comment.native_id, at=datetime.now(UTC) + timedelta(hours=1))
    last, _ = await looked(follow, cursor)

    named = {post.text: post for post in posts}
    assert len(named) == 90
    assert named["dark mode"].metrics == {"likes": 5, "replies": 50}
    assert {named[f"comment {n}"].in_reply_to for n in range(50)} == {top.native_id}
    assert {named[f"answer {n}"].in_reply_to for n in range(30)} == {comment.native_id}
    assert "one more" in {post.text for post in last}
    assert asked == 1 + 6  # the first look; three parts of comments, two of answers, no page of old


@pytest.mark.parametrize("is_forgotten", [True, False])
async def test_a_look_at_discussions_goes_on_where_it_was_cut_off(
    upstream: GitHubUpstream, tools: Tools, *, is_forgotten: bool
) -> None:
    begun = datetime.now(UTC) - timedelta(hours=1)
    upstream.write("the first", kind="discussions", at=begun)
    follow = connector(upstream, tools, what="discussions")
    _, cursor = await looked(follow)
    for number in range(35):
        at = begun + timedelta(minutes=1 + number)
        upstream.write(f"while nobody looked {number}", kind="discussions", at=at)

    found: set[str] = set()
    async with aclosing(follow.pages(cursor)) as pages:
        for _ in range(3):
            page = await anext(pages)
            found |= {row.text for row in page.rows if isinstance(row, ParsedPost)}
    upstream.forgets = is_forgotten
    upstream.write("meanwhile", kind="discussions")
    asked = len(upstream.queries)
    rest, cursor = await looked(follow, page.cursor)
    asked = len(upstream.queries) - asked
    last, _ = await looked(follow, cursor)

    found |= {post.text for post in (*rest, *last)}
    many = {f"while nobody looked {number}" for number in range(35)}
    assert found >= {"meanwhile", *many}
    assert asked == (5 if is_forgotten else 2)


async def test_a_look_back_at_discussions_can_be_cut_off(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    since = datetime.now(UTC).replace(microsecond=0) - timedelta(days=5)
    until = since + timedelta(days=2)
    upstream.write("too early", kind="discussions", at=since - timedelta(days=1))
    for number in range(25):
        at = since + timedelta(minutes=number)
        upstream.write(f"then {number}", kind="discussions", at=at)
    late = upstream.write("too late", kind="discussions", at=until)
    upstream.write("answer", parent=late.native_id)
    upstream.write("late answer", parent=upstream.posts[5].native_id)
    follow = connector(upstream, tools, what=["discussions"])

    pages = [page async for page in follow.history(since, until, {})]
    texts = [{row.text for row in page.rows if isinstance(row, ParsedPost)} for page in pages]

    wanted = {f"then {number}" for number in range(25)}
    assert set().union(*texts) == wanted
    for number, page in enumerate(pages):
        rest = [again async for again in follow.history(since, until, page.cursor)]
        after = {row.text for again in rest for row in again.rows if isinstance(row, ParsedPost)}
        assert set().union(*texts[: number + 1]) | after == wanted


async def test_what_is_too_large_at_once_comes_in_smaller_parts(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    for number in range(30):
        upstream.write(f"issue {number}")
    upstream.most = 10
    follow = connector(upstream, tools)

    _, cursor = await looked(follow)
    for number in range(30, 60):
        upstream.write(f"issue {number}")
    posts, _ = await looked(follow, cursor)

    assert {f"issue {number}" for number in range(30, 60)} <= {post.text for post in posts}


_SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes."


@pytest.mark.parametrize(
    ("status", "headers", "message", "expected", "wait"),
    [
        (403, None, "API rate limit exceeded for user ID 1.", SourceBusy, 1_800),
        (403, {"Retry-After": "90"}, _SECONDARY, SourceBusy, 90),
        (403, limits(), _SECONDARY, SourceBusy, 60),
        (429, limits(), "Too many requests.", SourceBusy, 60),
        (403, limits(), "Resource not accessible by personal access token", CredentialsRefused, 0),
        (401, {}, "Bad credentials", CredentialsRefused, 0),
        (404, limits(), "Not Found", SourceGone, 0),
        (410, limits(), "Issues has been disabled in this repository.", SourceGone, 0),
        (422, limits(), "Validation Failed", SourceBroken, 0),
        (502, {}, "Server Error", SourceBusy, 0),
    ],
)
async def test_githubs_refusals_are_understood(
    upstream: GitHubUpstream,
    tools: Tools,
    *,
    status: int,
    headers: Mapping[str, str] | None,
    message: str,
    expected: type[Exception],
    wait: float,
) -> None:
    # What is left until a moment is made here, for tests are collected long before they run.
    upstream.error = status, limits(0) if headers is None else headers, message

    with pytest.raises(expected, match=message) as told:
        await looked(connector(upstream, tools))

    assert getattr(told.value, "retry_after", 0) == pytest.approx(wait, abs=30 if wait > 99 else 0)
    assert TOKEN not in str(told.value)


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        ("RATE_LIMITED", "API rate limit already exceeded", SourceBusy),
        ("NOT_FOUND", "Could not resolve to a Repository", SourceGone),
        ("INSUFFICIENT_SCOPES", "Your token has not been granted", CredentialsRefused),
        ("FORBIDDEN", "Resource not accessible by integration", CredentialsRefused),
        ("", "Something went wrong while executing your query", SourceBroken),
    ],
)
async def test_a_querys_errors_are_understood(
    upstream: GitHubUpstream, tools: Tools, kind: str, message: str, expected: type[Exception]
) -> None:
    upstream.errors = [{"type": kind, "message": message}]

    with pytest.raises(expected, match=message):
        await looked(connector(upstream, tools, what="discussions"))


async def test_a_repository_that_is_not_there_stops_no_other(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    upstream.write("offline mode", kind="discussions")
    follow = connector(upstream, tools, repositories=f"a/gone,{REPOSITORY}", what=_ALL)
    found = []

    async def take() -> None:
        async for page in follow.pages({}):
            found.extend(row.text for row in page.rows if isinstance(row, ParsedPost))

    with pytest.raises(SourceGone, match="a/gone"):
        await take()

    assert found == ["dark mode", "offline mode"]


async def test_a_token_that_is_refused_is_tried_once(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    follow = connector(upstream, tools, access_token="another", repositories=["a/b", REPOSITORY])

    with pytest.raises(CredentialsRefused, match="Bad credentials"):
        await looked(follow)

    assert len(upstream.requests) == 1


async def test_public_repositories_need_no_token(upstream: GitHubUpstream, tools: Tools) -> None:
    upstream.write("dark mode")

    posts, _ = await looked(connector(upstream, tools, access_token=None))

    assert [post.text for post in posts] == ["dark mode"]
    assert all("Authorization" not in request.headers for request in upstream.requests)


async def test_each_request_is_one_of_the_sources_quota(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    upstream.write("dark mode", kind="discussions")
    budget = Budget(3)
    follow = connector(upstream, replace(tools, budget=budget), what=_ALL)

    _, cursor = await looked(follow)
    with pytest.raises(SourceBusy, match="used up"):
        await looked(follow, cursor)

    assert len(upstream.requests) == budget.used == 3


async def test_an_enterprise_servers_queries_have_an_address_of_their_own(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    address = f"{upstream.url}/api/v3"
    follow = connector(upstream, tools, what=_ALL, address=address)

    with pytest.raises(SourceBroken):
        await looked(follow)

    assert {request.path for request in upstream.requests} == {
        f"/api/v3/repos/{REPOSITORY}/issues",
        f"/api/v3/repos/{REPOSITORY}/issues/comments",
        "/api/graphql",
    }


async def test_a_post_of_a_discussion_is_the_same_pushed_and_polled(
    upstream: GitHubUpstream, tools: Tools
) -> None:
    _, comment = a_long_discussion(upstream)
    polled, _ = await looked(connector(upstream, tools, what="discussions"))
    named = {post.native_id: post for post in polled}
    answer = next(one for one in upstream.posts[::-1] if one.parent == comment.native_id)

    for written in (upstream.posts[0], upstream.posts[50], answer):
        (post,) = pushed(*upstream.pushed(written, "written"), what=_ALL).rows
        assert isinstance(post, ParsedPost)
        again = named.get(post.native_id, post)
        assert domain.fingerprint(post) == domain.fingerprint(again)
        assert (post.in_reply_to, post.channel) == (written.parent, None)
        assert again.in_reply_to == written.parent


DATA = "fixtures/octokit-webhooks/payload-examples/api.github.com"
OF_FIXTURES = {"repositories": ["Codertocat/Hello-World"], "what": _ALL}


def signed(body: bytes, event: str) -> Mapping[str, str]:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": f"sha256={signature}", "x-github-event": event}


@pytest.mark.parametrize("event", ["issues", "issue_comment", "discussion", "discussion_comment"])
def test_webhooks_of_real_repositories_are_posts_or_deletions(shared: Path, event: str) -> None:
    files = sorted((shared / DATA / event).glob("*.json"))
    assert files
    for file in files:
        body = file.read_bytes()
        told = json.loads(body)
        page = told.get("comment", told.get("issue", told.get("discussion")))["html_url"]
        own = {**OF_FIXTURES, "repositories": ["/".join(page.split("/")[3:5])]}

        found = pushed(signed(body, event), body, **own)

        is_gone = told["action"] in {"deleted", "transferred"}
        assert bool(found.deleted) == is_gone, file
        is_said = any(isinstance(row, ParsedPost) for row in found.rows)
        by_bot = told.get("comment", told.get("issue", {})).get("user", {}).get("type") == "Bot"
        assert is_said or is_gone or by_bot, file


def test_what_a_webhook_says_of_others_is_left_out(shared: Path) -> None:
    body = (shared / DATA / "issues/opened.payload.json").read_bytes()
    gone = (shared / DATA / "issues/deleted.payload.json").read_bytes()
    head, tail = signed(body, "issues"), signed(gone, "issues")

    assert pushed(head, body, **OF_FIXTURES).rows
    assert pushed(tail, gone, **OF_FIXTURES).deleted
    for changes in ({}, {**OF_FIXTURES, "what": ["discussions"]}):
        assert pushed(head, body, **changes) == Document([])
        assert pushed(tail, gone, **changes) == Document([])


@pytest.mark.parametrize("event", ["ping", "label", "star"])
def test_webhooks_about_something_else_are_nothing(event: str) -> None:
    body = b'{"zen": "Keep it logically awesome.", "hook_id": 1}'

    assert pushed(signed(body, event), body) == Document(())


def test_a_webhook_that_is_sent_as_a_form_says_what_to_choose() -> None:
    body = b"payload=%7B%7D"

    with pytest.raises(Unreadable, match="application/json"):
        pushed(signed(body, "issues"), body)


def test_without_a_secret_no_webhook_is_taken(upstream_settings: dict[str, Any]) -> None:
    headers, body = GitHubUpstream().signed("ping", {}, secret="")

    with pytest.raises(Forged, match="no webhook secret"):
        pushed(headers, body, webhook_secret=None)
    with pytest.raises(Forged, match="no webhook secret"):
        pushed(headers, body, webhook_secret="")
    assert CONNECTOR.hook is not None
    with pytest.raises(Forged, match="asks nothing"):
        CONNECTOR.hook.greet(GitHubSettings.model_validate(upstream_settings), {})


@pytest.fixture
def upstream_settings() -> dict[str, Any]:
    return GitHubUpstream().settings()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=_JSON)
async def test_no_answer_breaks_the_connector(
    upstream: GitHubUpstream, tools: Tools, answer: Any
) -> None:
    upstream.answer = answer
    follow = connector(upstream, replace(tools, budget=Budget(20)), what=_ALL)

    for mark in ({}, {"mark": "2026-01-01T00:00:00Z"}):
        places = {f"{REPOSITORY}/{it}": mark for it in ("issues", "issues/comments", "discussions")}
        with suppress(SourceBroken, SourceBusy):
            await looked(follow, {"places": places})


@given(answer=_JSON, event=st.sampled_from(["issues", "discussion_comment"]))
def test_no_webhook_breaks_the_connector(answer: Any, event: str) -> None:
    body = json.dumps(answer).encode()

    with suppress(Unreadable):
        pushed(signed(body, event), body)


@pytest.mark.parametrize(
    "changes",
    [
        {"repositories": []},
        {"repositories": ["maker"]},
        {"repositories": ["maker/.."]},
        {"repositories": ["maker/app/issues"]},
        {"repositories": ["maker/a?b"]},
        {"what": ["stars"]},
        {"what": []},
        {"what": ["discussions"], "access_token": None},
        {"address": "https://api.github.com/"},
    ],
)
def test_settings_that_follow_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        GitHubSettings.model_validate({**GitHubUpstream().settings(), **changes})

    assert TOKEN not in str(refused.value)


def test_a_repository_may_begin_with_a_dot() -> None:
    values = {**GitHubUpstream().settings(), "repositories": "maker/.github, maker/a.b"}

    assert GitHubSettings.model_validate(values).repositories == ("maker/.github", "maker/a.b")
