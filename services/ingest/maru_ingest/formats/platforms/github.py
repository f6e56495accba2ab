"""GitHub: issues, pull requests, discussions, reviews and comments, by REST, GraphQL and webhooks.

A post goes by its page's address, which a comment's own address begins with. A webhook about an
issue brings the issue as it is now, whatever was done to it; one that deletes or moves it away
brings no post (https://docs.github.com/webhooks).
"""

import re
from collections.abc import Iterator

from maru_contracts.posts import Channel
from maru_ingest.formats import markdown
from maru_ingest.formats.parsed import Document, ParsedPost
from maru_ingest.formats.platform import Platform, failed, no_posts, post, refuse_others, rows
from maru_ingest.formats.untyped import (
    Object,
    at,
    count,
    has,
    identifier,
    is_true,
    mapping,
    moment,
    sequence,
    string,
)

_ABOUT = ("comment", "review", "discussion", "issue", "pull_request")  # the nearest first
_GONE = {"deleted", "transferred"}
_OTHERS = {
    "user": ("login", "node_id", "type"),
    "repository": ("full_name", "node_id", "owner"),
    "label": ("color", "default", "node_id"),
    "milestone": ("open_issues", "closed_issues", "title"),
    "release": ("tag_name", "html_url", "assets"),
    "commit": ("sha", "commit", "html_url"),
    "reaction": ("content", "node_id", "user"),
}
_ISSUE_OF_API = re.compile(r"^https://api\.github\.com/repos/([^/]+/[^/]+/(?:issues|pulls)/\d+)$")


def _read(value: object, _: str) -> Document | None:
    if has(value, "message", "documentation_url"):
        raise failed("GitHub", string(value, "message"))
    if has(value, "repository", "sender") or has(value, "zen", "hook_id"):
        return _webhook(value)
    if has(value, "total_count", "incomplete_results", "items"):
        found = sequence(value, "items")
    elif has(value, "data"):
        found = list(_nodes(value))
        if not found:
            return None
    else:
        found = value if isinstance(value, list) else [value]
    if not any(map(_is_post, found)):
        refuse_others("GitHub", found, _OTHERS)
        empty = has(value, "incomplete_results") and not found
        return Document(rows=()) if empty else None
    return Document(rows=list(rows(found, lambda it: _post(it, public=True))))


def _webhook(value: object) -> Document:
    about = next((name for name in _ABOUT if mapping(value, name)), "")
    if not about:
        raise no_posts("GitHub", f"webhook about {_event(value)}")
    action = string(value, "action")
    if action in _GONE:
        gone = string(value, about, "html_url")
        moved = mapping(value, "changes", f"new_{about}") if action == "transferred" else {}
        public = not is_true(value, "changes", "new_repository", "private")
        made = [_post(moved, public=public)] if moved else []
        return Document(rows=[it for it in made if it is not None], deleted=(gone,) if gone else ())
    public = not is_true(value, "repository", "private")
    return Document(rows=list(rows([at(value, about)], lambda it: _post(it, public=public))))


def _event(value: object) -> str:
    known = ("action", "repository", "sender", "organization", "installation", "changes", "hook")
    names = [name for name in mapping(value) if name not in known]
    return "a ping" if "zen" in names else f"a {names[0]}"[:40] if names else "its repository"


def _is_post(value: object) -> bool:
    """Whether this is a post of the REST API, or of GraphQL with the fields that make one."""
    if has(value, "html_url", "body", "user"):
        return string(value, "html_url").startswith("http")
    return has(value, "url", "author", "createdAt") and (
        has(value, "body") or has(value, "bodyText")
    )


def _post(node: Object, *, public: bool) -> ParsedPost | None:
    if not _is_post(node):
        return None
    channel = Channel.COMMUNITY if public else Channel.OTHER
    return _by_rest(node, channel) if has(node, "html_url") else _by_graphql(node, channel)


def _by_rest(node: Object, channel: Channel) -> ParsedPost:
    page = string(node, "html_url")
    written = string(node, "body")
    return post(
        page,
        markdown.plain(written),
        title=string(node, "title"),
        url=page,
        author=string(node, "user", "login"),
        channel=channel,
        created_at=moment(node, "created_at") or moment(node, "submitted_at"),
        edited_at=moment(node, "updated_at"),
        in_reply_to=_above(node, page),
        media=markdown.pictures(written),
        likes=count(node, "reactions", "+1"),
        replies=_replies(node),
    )


def _above(node: Object, page: str) -> str:
    """Return the page that a comment is on, or the comment of a discussion that it answers."""
    above, _, comment = page.partition("#")
    if comment.startswith("discussioncomment-") and (parent := identifier(node, "parent_id")):
        return f"{above}#discussioncomment-{parent}"
    if comment:
        return above
    stated = _ISSUE_OF_API.match(string(node, "issue_url"))
    return f"https://github.com/{stated[1]}" if stated else ""


def _replies(node: Object) -> int | None:
    stated = count(node, "comments")
    return count(node, "child_comment_count") if stated is None else stated


def _by_graphql(node: Object, channel: Channel) -> ParsedPost:
    page = string(node, "url")
    written = string(node, "body") or string(node, "bodyText")
    above, _, comment = page.partition("#")
    return post(
        page,
        markdown.plain(written),
        title=string(node, "title"),
        url=page,
        author=_login(mapping(node, "author")),
        author_name=string(node, "author", "name"),
        channel=channel,
        created_at=moment(node, "createdAt"),
        edited_at=moment(node, "lastEditedAt") or moment(node, "updatedAt"),
        in_reply_to=string(node, "replyTo", "url") or (above if comment else ""),
        media=markdown.pictures(written),
        likes=count(node, "upvoteCount"),
        replies=count(node, "comments", "totalCount"),
    )


def _login(author: Object) -> str:
    """Return a name as REST writes it, too: a bot's says so."""
    login = string(author, "login")
    is_bot = string(author, "__typename") == "Bot" and not login.endswith("[bot]")
    return f"{login}[bot]" if is_bot else login


def _nodes(value: object) -> Iterator[object]:
    """Yield all posts in an answer of GraphQL, whose shape is as it was asked for."""
    waiting = [at(value, "data")]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if _is_post(one):
                yield one
            waiting += [each for each in one.values() if isinstance(each, dict | list)]
        elif isinstance(one, list):
            waiting += [each for each in reversed(one) if isinstance(each, dict | list)]


PLATFORM = Platform(name="github", title="GitHub", read=_read)
