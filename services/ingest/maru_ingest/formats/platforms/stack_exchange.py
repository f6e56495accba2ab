"""Stack Exchange: questions, answers and comments of Stack Overflow and its sisters.

Numbers count within one site, so a post goes by its short address there. Titles come escaped, and
bodies as HTML or Markdown if they were asked for (https://api.stackexchange.com/docs).
"""

import html
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from maru_contracts.posts import Channel
from maru_ingest.formats import markdown, text
from maru_ingest.formats.parsed import Document, ParsedPost, Unreadable
from maru_ingest.formats.platform import Platform, failed, post, rows
from maru_ingest.formats.untyped import (
    Object,
    count,
    has,
    identifier,
    mapping,
    mappings,
    moment,
    sequence,
    string,
)

_SITE = "the site that it came from"
_LINK_OF_COMMENT = re.compile(r"^https?://([^/]+)/(?:[qa]|questions)/(\d+)")


def _read(value: object, _: str) -> Document | None:
    if has(value, "error_id", "error_message"):
        raise failed("Stack Exchange", string(value, "error_name"), string(value, "error_message"))
    if not has(value, "items", "has_more") and not has(value, "items", "quota_remaining"):
        return None
    found = sequence(value, "items")
    if found and not any(map(_is_post, found)):
        raise Unreadable("an answer of Stack Exchange without questions, answers or comments")
    return Document(rows=list(rows(_with_answers(found), _post)))


def _with_answers(found: list[object]) -> Iterator[object]:
    """Yield what was asked for, and after each the answers and comments that came within it.

    These need not say what site they are of: it is that of what they came with.
    """
    waiting = found[::-1]
    while waiting:
        said = waiting.pop()
        yield said
        site = _site(string(said, "link")) or string(said, _SITE)
        within = [*mappings(said, "comments"), *mappings(said, "answers")]
        waiting += (_placed(one, said, site) for one in reversed(within))


def _placed(said: Object, above: object, site: str) -> Object:
    of = "answer" if has(above, "answer_id") else "question"
    return {"post_type": of, _SITE: site, **said}


def _is_post(value: object) -> bool:
    return any(has(value, name) for name in ("question_id", "answer_id", "comment_id"))


def _post(said: Object) -> ParsedPost | None:
    if not _is_post(said):
        return None
    name, above = _names(said)
    owner = mapping(said, "owner")
    markup = string(said, "body_markdown")
    words = markdown.plain(html.unescape(markup)) if markup else _plain(said)
    return post(
        name,
        words,
        title=html.unescape(string(said, "title")) if not has(said, "answer_id") else "",
        url=string(said, "link"),
        author=identifier(owner, "user_id"),
        author_name=html.unescape(string(owner, "display_name")),
        channel=Channel.COMMUNITY,
        created_at=moment(said, "creation_date"),
        edited_at=moment(said, "last_edit_date"),
        in_reply_to=above,
        likes=count(said, "score"),
        replies=count(said, "answer_count"),
        views=count(said, "view_count"),
    )


def _plain(said: Object) -> str:
    return text.from_html(string(said, "body") or string(said, "excerpt"))


def _names(said: Object) -> tuple[str, str]:
    """Return the short address of a post and of what it answers."""
    site = _site(string(said, "link")) or string(said, _SITE)
    if has(said, "comment_id"):
        return (
            _address(site, "c", identifier(said, "comment_id")),
            _address(site, _above(said), identifier(said, "post_id")),
        )
    question = _address(site, "q", identifier(said, "question_id"))
    if has(said, "answer_id"):
        return _address(site, "a", identifier(said, "answer_id")), question
    return question, ""


def _above(comment: Object) -> str:
    """Return whether a comment is on a question or an answer."""
    stated = {"question": "q", "answer": "a"}.get(string(comment, "post_type"))
    link = _LINK_OF_COMMENT.match(string(comment, "link"))
    on_question = link is not None and link[2] == identifier(comment, "post_id")
    return stated or ("q" if on_question else "a")


def _site(link: str) -> str:
    try:
        return urlsplit(link).hostname or ""
    except ValueError:
        return ""


def _address(site: str, kind: str, number: str) -> str:
    return f"{site or 'stackexchange'}/{kind}/{number}" if number else ""


PLATFORM = Platform(name="stack_exchange", title="Stack Exchange", read=_read)
