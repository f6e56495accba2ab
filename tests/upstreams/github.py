"""GitHub: the lists of issues and of comments, discussions by GraphQL, and webhooks.

Pages, tags, limits, errors and fields are those of https://docs.github.com/rest and
https://docs.github.com/graphql: times in whole seconds, lists by the last change, a Link header to
the next part, 304 for who has it already.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from upstreams.upstream import Happened, Upstream, Written

REPOSITORY = "maker/app"
TOKEN = "github_pat_s3cret"
SECRET = "s3cret-of-the-hook"
_HOME = f"https://github.com/{REPOSITORY}"
_SHOWN = 2


class GitHubUpstream(Upstream):
    """A repository. What has a parent is a comment; what is no issue says so in `extra["kind"]`.

    `error` (status, headers, message) and `answer` are what everything is answered with, `errors`
    what every query; `most` is how many issues may be asked for before the answer is very large;
    `is_inclusive` whether `since` means the same second, too; `not_modified` counts answers of 304.
    `forgets` says that the next place in discussions is known no more.
    """

    edits = True
    secret = TOKEN

    def __init__(self) -> None:
        super().__init__()
        self.error: tuple[int, Mapping[str, str], str] | None = None
        self.errors: Sequence[Mapping[str, Any]] = ()
        self.tells: dict[str, str] = {}
        self.answer: Any = None
        self.private = False
        self.is_inclusive = True
        self.forgets = False
        self.most = 100
        self.not_modified = 0
        self.queries: list[Mapping[str, Any]] = []

    def settings(self) -> dict[str, Any]:
        return {
            "repositories": [REPOSITORY],
            "access_token": TOKEN,
            "webhook_secret": SECRET,
            "interval_seconds": 1,
            "address": self.url,
        }

    def routes(self) -> Iterable[web.RouteDef]:
        at = f"/repos/{REPOSITORY}"
        return [
            web.get(at, self._repository),
            web.get(f"{at}/issues", self._issues),
            web.get(f"{at}/issues/comments", self._comments),
            web.post("/graphql", self._graphql),
            web.get("/{other:.*}", self._nothing),
        ]

    def name(self, number: int) -> str:
        return f"{_HOME}/issues/{number}"

    def write(
        self, text: str, *, at: datetime | None = None, parent: str = "", kind: str = "issues"
    ) -> Written:
        written = super().write(text, at=at, parent=parent)
        number = len(self.posts)
        page, _, _ = parent.partition("#")
        said = "discussioncomment" if "/discussions/" in page else "issuecomment"
        written.native_id = f"{page}#{said}-{number}" if parent else f"{_HOME}/{kind}/{number}"
        return written

    def pushed(self, written: Written, happened: Happened) -> tuple[Mapping[str, str], bytes]:
        action = {"written": "opened", "edited": "edited", "deleted": "deleted"}[happened]
        event, about = ("issue_comment", "comment") if written.parent else ("issues", "issue")
        if "/discussions/" in written.native_id:
            event = "discussion_comment" if written.parent else "discussion"
            about = "comment" if written.parent else "discussion"
        told = {"action": action, about: self.rest(written)}
        return self.signed(event, told)

    def signed(
        self, event: str, told: Mapping[str, Any], *, secret: str = SECRET
    ) -> tuple[Mapping[str, str], bytes]:
        """Return the headers and the body of a webhook."""
        repository = {"full_name": REPOSITORY, "private": self.private}
        whole = {**told, "repository": repository, "sender": {"login": "kim"}}
        body = json.dumps(whole).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": event}, body

    def rest(self, one: Written) -> dict[str, Any]:
        """Return an issue, a pull request, a discussion or a comment as REST writes it."""
        titled = {} if one.parent else {"title": title(one)}
        is_pull = "/pull/" in one.native_id and not one.parent
        return {
            "html_url": one.native_id,
            "body": one.text,
            "user": {"login": one.extra.get("author", "kim"), "type": "User"},
            "created_at": stamp(one.at),
            "updated_at": stamp(changed(one)),
            "comments": len([it for it in self.shown() if it.parent == one.native_id]),
            "reactions": {"total_count": 4, "+1": 3, "heart": 1},
            **titled,
            **({"pull_request": {"html_url": one.native_id}} if is_pull else {}),
            **({"parent_id": int(one.parent.rpartition("-")[2])} if "#" in one.parent else {}),
        }

    async def _repository(self, request: web.Request) -> web.Response:
        return self._refused(request) or self._json(
            {"full_name": REPOSITORY, "private": self.private, "has_issues": True}
        )

    async def _issues(self, request: web.Request) -> web.Response:
        found = [it for it in self.shown() if not it.parent and "/discussions/" not in it.native_id]
        return self._list(request, found)

    async def _comments(self, request: web.Request) -> web.Response:
        found = [it for it in self.shown() if it.parent and "/discussions/" not in it.native_id]
        return self._list(request, found)

    async def _nothing(self, request: web.Request) -> web.Response:
        return self._refused(request) or error(404, "Not Found")

    def _list(self, request: web.Request, found: Sequence[Written]) -> web.Response:
        if refused := self._refused(request):
            return refused
        asked = request.query
        assert (asked["sort"], asked["state"]) == ("updated", "all")
        limit, page = min(int(asked["per_page"]), self.page), int(asked.get("page", 1))
        if int(asked["per_page"]) > self.most:
            return web.Response(body=b" " * 6_000_000)
        since = asked.get("since", "")
        whole = [it for it in found if stamp(changed(it)) > since]
        if self.is_inclusive:
            whole += [it for it in found if stamp(changed(it)) == since]
        whole.sort(key=changed)
        if asked["direction"] == "desc":
            whole.reverse()
        part = [self.rest(it) for it in whole[(page - 1) * limit : page * limit]]
        headers = {}
        if len(whole) > page * limit:
            following = request.url.update_query(page=str(page + 1))
            elsewhere = str(following).replace(self.url, "https://elsewhere.invalid")
            headers = {"Link": f'<{elsewhere}>; rel="next", <{elsewhere}>; rel="last"'}
        tag = f'W/"{hashlib.sha256(json.dumps(part).encode()).hexdigest()}"'
        if request.headers.get("If-None-Match") == tag:
            self.not_modified += 1
            return web.Response(status=304, headers=limits())
        return self._json(part, {"ETag": tag, **headers})

    async def _graphql(self, request: web.Request) -> web.Response:
        if refused := self._refused(request, needs_token=True):
            return refused
        asked = await request.json()
        self.queries.append(asked)
        given = asked["variables"]
        if self.errors:
            return self._json({"data": None, "errors": self.errors})
        if "id" in given:
            below = self._part_below(given["id"], 100, given["before"], depth=1)
            return self._json({"data": {"node": {"comments": below} if below else None}})
        if f"{given['owner']}/{given['name']}" != REPOSITORY:
            return self._json({"data": {"repository": None}})
        if self.forgets and given["after"]:
            told = f"`{given['after']}` does not appear to be a valid cursor."
            kind = {"type": "INVALID_CURSOR_ARGUMENTS", "message": told}
            self.forgets = False
            return self._json({"data": {"repository": None}, "errors": [kind]})
        whole = [it for it in self.shown() if "/discussions/" in it.native_id and not it.parent]
        whole.sort(key=self._touched, reverse=True)
        start = int(given["after"] or 0)
        part = whole[start : start + min(10, self.page)]
        end = start + len(part)
        found = {
            "pageInfo": {"hasNextPage": end < len(whole), "endCursor": str(end)},
            "nodes": [self._node(it, depth=0) for it in part],
        }
        return self._json({"data": {"repository": {"discussions": found}}})

    def _node(self, one: Written, *, depth: int) -> dict[str, Any]:
        """Return a discussion, or a comment of one, as GraphQL writes it."""
        author = one.extra.get("author", "kim")
        is_bot = author.endswith("[bot]")
        node = {
            "id": one.native_id,
            "url": one.native_id,
            "body": one.text,
            "author": {
                "__typename": "Bot" if is_bot else "User",
                "login": author.removesuffix("[bot]"),
            },
            "createdAt": stamp(one.at),
            "lastEditedAt": stamp(one.edited_at) if one.edited_at else None,
            "updatedAt": stamp(self._touched(one)),
            "upvoteCount": 5,
            **({"replyTo": {"url": one.parent} if "#" in one.parent else None} if one.parent else
               {"title": title(one)}),
        }  # fmt: skip
        below = self._part_below(one.native_id, _SHOWN, None, depth=depth + 1)
        return {**node, **({"comments": below} if depth < 2 else {})}

    def _part_below(
        self, above: str, limit: int, before: str | None, *, depth: int
    ) -> dict[str, Any] | None:
        if above not in {it.native_id for it in self.shown()}:
            return None
        whole = [it for it in self.shown() if it.parent == above]
        end = int(before) if before else len(whole)
        start = max(end - min(limit, self.page), 0)
        return {
            "totalCount": len(whole),
            "pageInfo": {"hasPreviousPage": start > 0, "startCursor": str(start)},
            "nodes": [self._node(it, depth=depth) for it in whole[start:end]],
        }

    def _touched(self, one: Written) -> datetime:
        """When a discussion was changed last: also by what is said below."""
        below = [it for it in self.shown() if it.parent == one.native_id]
        return max([changed(one), *(self._touched(it) for it in below)])

    def _refused(self, request: web.Request, *, needs_token: bool = False) -> web.Response | None:
        given = request.headers.get("Authorization")
        if given not in ({f"Bearer {TOKEN}"} if needs_token else {None, f"Bearer {TOKEN}"}):
            return error(401, "Bad credentials")
        assert TOKEN not in request.path_qs
        assert request.headers["X-GitHub-Api-Version"] == "2022-11-28"
        if self.error is not None:
            status, headers, message = self.error
            return error(status, message, headers)
        return None if self.answer is None else web.json_response(self.answer)

    def _json(self, answer: Any, headers: Mapping[str, str] | None = None) -> web.Response:
        return web.json_response(answer, headers={**limits(), **self.tells, **(headers or {})})


def title(one: Written) -> str:
    return f"Number {one.native_id.rpartition('/')[2]}"


def changed(one: Written) -> datetime:
    return one.edited_at or one.at


def limits(left: int = 4_999) -> dict[str, str]:
    """What every answer says of the limit."""
    return {
        "X-RateLimit-Limit": "5000",
        "X-RateLimit-Remaining": str(left),
        "X-RateLimit-Reset": str(int(time.time()) + 1_800),
        "X-RateLimit-Resource": "core",
    }


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    told = {"message": message, "documentation_url": "https://docs.github.com/rest"}
    return web.json_response({**told, "status": str(status)}, status=status, headers=headers)


UPSTREAM = GitHubUpstream
