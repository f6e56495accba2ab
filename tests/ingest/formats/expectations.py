"""What feeds that nobody here wrote are expected to say, off their own comments and neighbours.

feedparser's fixtures state a Python expression over its result (`Expect:`), gofeed's have a JSON
file beside them. Here both become (path, literal): the path is taken from the syntax tree, the
literal by `ast.literal_eval`; nothing is run.
"""

import ast
import calendar
import codecs
import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from maru_ingest.formats import dates, links, text
from maru_ingest.formats.parsed import ParsedPost

URL = "http://127.0.0.1:8097/feed.xml"
"""Where feedparser's fixtures are served from, as their expectations have it."""

Step = str | int
_EXPECT = re.compile(r"Expect:\s*(.+?)\s*(?:-->|$)", re.MULTILINE)
_HEADER = re.compile(r"Header:\s*([\w-]+)\s*:\s*(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Expectation:
    """That `path` within the feed (`("entries", 0, "title")`) is `value`."""

    file: Path
    path: tuple[Step, ...]
    value: object


def headers(document: bytes) -> Mapping[str, str]:
    """Return the HTTP headers that a fixture of feedparser's wants to be served with."""
    return {name.lower(): value for name, value in _HEADER.findall(_shown(document))}


def expectations(root: Path) -> Iterator[Expectation]:
    """Yield what feedparser's fixtures below `root` expect of entries, as far as it is literal."""
    for file in sorted(root.rglob("*.xml")):
        found = _EXPECT.search(_shown(file.read_bytes()))
        if found is None:
            continue
        with suppress(SyntaxError):
            for path, value in _compared(ast.parse(found[1], mode="eval").body):
                if path[:1] == ("entries",):
                    yield Expectation(file, path, value)


def _shown(document: bytes) -> str:
    for mark, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if document.startswith(mark):
            return document.decode(encoding, "replace")
    return document.decode("utf-8", "replace")


def _compared(node: ast.expr) -> Iterator[tuple[tuple[Step, ...], object]]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for value in node.values:
            yield from _compared(value)
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq):
        with suppress(ValueError):
            yield _path(node.left), ast.literal_eval(node.comparators[0])


def _path(node: ast.expr) -> tuple[Step, ...]:
    match node:
        case ast.Name(id=name):
            return (name,)
        case ast.Attribute(value=owner, attr=name):
            return (*_path(owner), name)
        case ast.Subscript(value=owner, slice=ast.Constant(value=str() | int() as step)):
            return (*_path(owner), step)
        case _:
            raise ValueError("more than a path stands there")


def plain(shown: str) -> str:
    """Return text without what only lays it out."""
    return " ".join(re.sub(r"^- ", "", shown, flags=re.MULTILINE).split())


def _is_said(said: str, expected: object) -> bool:
    written = str(expected)
    readings = (written, html.unescape(written), text.from_html(written))
    return plain(said) in map(plain, readings)


def _is_body(post: ParsedPost, expected: object) -> bool:
    return _is_said(post.text, expected)


def _is_title(post: ParsedPost, expected: object) -> bool:
    return _is_said(post.title, expected)


def _is_link(post: ParsedPost, expected: object) -> bool:
    return post.url == links.absolute(str(expected), URL)


def _is_id(post: ParsedPost, expected: object) -> bool:
    return post.native_id == expected


def _is_author(post: ParsedPost, expected: object) -> bool:
    return bool(post.author) and post.author in str(expected)


def _is_moment(post: ParsedPost, expected: object) -> bool:
    if isinstance(expected, tuple):
        moment = datetime.fromtimestamp(calendar.timegm(expected), UTC)
    else:
        moment = dates.parse(str(expected))
    return moment in (post.created_at, post.edited_at)


def _has_media(post: ParsedPost, expected: object) -> bool:
    return links.absolute(str(expected), URL) in [one.url for one in post.media]


def _is_language(post: ParsedPost, expected: object) -> bool:
    return post.lang == (expected or "")


TABLE: Mapping[tuple[str, ...], Callable[[ParsedPost, object], bool]] = {
    ("title",): _is_title,
    ("title_detail", "value"): _is_title,
    ("description",): _is_body,
    ("summary",): _is_body,
    ("summary_detail", "value"): _is_body,
    ("content", "value"): _is_body,
    ("link",): _is_link,
    ("links", "href"): _is_link,
    ("id",): _is_id,
    ("guid",): _is_id,
    ("author",): _is_author,
    ("author_detail", "name"): _is_author,
    ("authors", "name"): _is_author,
    ("published",): _is_moment,
    ("published_parsed",): _is_moment,
    ("created",): _is_moment,
    ("created_parsed",): _is_moment,
    ("updated",): _is_moment,
    ("updated_parsed",): _is_moment,
    ("enclosures", "href"): _has_media,
    ("language",): _is_language,
    ("content", "language"): _is_language,
    ("summary_detail", "language"): _is_language,
    ("title_detail", "language"): _is_language,
}
"""How a field of feedparser's entries shows in a post, by its path without numbers.

What a post has no place for (rights, contributors, tags, chapters …) is not in it.
"""


def check_of(expectation: Expectation) -> Callable[[ParsedPost, object], bool] | None:
    """Return how an expectation is compared, or None when it is about nothing that a post has.

    A post has one author and one link: what is expected of the second of them is not its own.
    """
    within = expectation.path[2:]
    names = tuple(step for step in within if isinstance(step, str))
    if any(isinstance(step, int) and step > 0 for step in within) and names[0] != "enclosures":
        return None
    return TABLE.get(names)


def gofeed(root: Path) -> Iterator[tuple[Path, list[Mapping[str, object]]]]:
    """Yield gofeed's feeds with the items or entries that the JSON beside them states."""
    for file in sorted(root.rglob("*.xml")):
        beside = file.with_suffix(".json")
        if beside.exists():
            stated = json.loads(beside.read_text("utf-8"))
            yield file, stated.get("items") or stated.get("entries") or []


def stated(item: Mapping[str, object]) -> Iterator[tuple[str, Callable[[ParsedPost], bool]]]:
    """Yield what an item of gofeed's states of a post, and whether a post says it."""
    body = _value(item.get("content")) or item.get("description") or item.get("summary")
    found: Mapping[str, tuple[Callable[[ParsedPost, object], bool], object]] = {
        "title": (_is_title, item.get("title")),
        "text": (_is_body, body),
        "link": (_is_link, item.get("link") or _alternate(item.get("links"))),
        "id": (_is_id, _value(item.get("guid")) or item.get("id")),
        "author": (_is_author, _first_author(item)),
        **{name: (_is_moment, item.get(name)) for name in _MOMENTS},
    }
    for name, (check, expected) in found.items():
        if expected:
            yield name, partial(_holds, check, expected)
    for enclosure in _listed(item, "enclosures") or _listed(item, "enclosure"):
        if url := enclosure.get("url"):
            yield "enclosure", partial(_holds, _has_media, url)


_MOMENTS = ("pubDateParsed", "publishedParsed", "updatedParsed")


def _value(stated: object) -> object:
    return stated.get("value") if isinstance(stated, dict) else stated


def _first_author(item: Mapping[str, object]) -> object:
    authors = item.get("authors")
    author = authors[0] if isinstance(authors, list) else item.get("author")
    return author.get("name") or author.get("email") if isinstance(author, dict) else author


def _holds(check: Callable[[ParsedPost, object], bool], expected: object, post: ParsedPost) -> bool:
    return check(post, expected)


def _alternate(found: object) -> str:
    """The link of an Atom entry that leads to what it speaks of."""
    for link in found if isinstance(found, list) else []:
        if isinstance(link, dict) and link.get("rel", "alternate") == "alternate":
            return str(link.get("href") or "")
    return ""


def _listed(item: Mapping[str, object], name: str) -> list[dict[str, str]]:
    value = item.get(name)
    if isinstance(value, dict):
        return [value]
    return value if isinstance(value, list) else []
