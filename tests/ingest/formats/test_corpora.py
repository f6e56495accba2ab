"""Feeds that nobody here wrote: every one parses, and says what its own expectation says."""

import ast
import calendar
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maru_ingest.formats import dates, feed, json_feed, links, text
from maru_ingest.formats.parsed import ParsedPost, Unreadable

_URL = "http://127.0.0.1:8097/feed.xml"
_EXPECT = re.compile(
    r"Expect:\s*(?:not bozo and )?entries\[0\]((?:\['\w+'\]|\[\d\])+) == (.+?)\s*$", re.MULTILINE
)
_ENTRY = re.compile(rb"(<(?:\w+:)?(?:item|entry)(?:\s[^>]*)?>)")
_TEXT = {"['description']", "['summary']", "['content'][0]['value']", "['summary_detail']['value']"}


def parsed(body: bytes) -> list[ParsedPost]:
    rows = feed.parse(body, url=_URL).rows
    return [row for row in reversed(rows) if isinstance(row, ParsedPost)]


def agrees(path: str, post: ParsedPost, expected: object) -> bool | None:
    """Whether our post says what feedparser's test expects; None for what a post has not."""
    said: str | None = None
    if path in ("['title']", "['title_detail']['value']"):
        said = post.title
    elif path in _TEXT:
        said = post.text
    if said is not None:
        return plain(said) in (plain(text.from_html(str(expected))), plain(str(expected)))
    if path == "['link']":
        return post.url == links.absolute(str(expected), _URL)
    if path in ("['id']", "['guid']"):
        return post.native_id == str(expected)
    if path in ("['author']", "['author_detail']['name']"):
        return post.author in str(expected)
    if path in ("['published_parsed']", "['created_parsed']", "['updated_parsed']"):
        moment = datetime.fromtimestamp(calendar.timegm(expected), UTC)  # type: ignore[arg-type]
        return moment in (post.created_at, post.edited_at)
    return None


def plain(shown: str) -> str:
    return " ".join(re.sub(r"^- ", "", shown, flags=re.MULTILINE).split())


def expectations(root: Path) -> Iterator[tuple[Path, str, object]]:
    for path in sorted(root.rglob("*.xml")):
        match = _EXPECT.search(path.read_text("utf-8", "replace"))
        if match is not None:
            try:
                yield path, match[1], ast.literal_eval(match[2])
            except (ValueError, SyntaxError):
                continue  # more than a literal stands there: not comparable without running it


def test_every_well_formed_feed_parses(shared: Path) -> None:
    refused: dict[str, str] = {}
    files = sorted((shared / "fixtures/feedparser/tests/wellformed").rglob("*.xml"))
    for path in files:
        try:
            parsed(path.read_bytes())
        except Unreadable as error:
            refused[str(path.relative_to(shared))] = str(error)

    # CDF (1997, Microsoft's Channel Definition Format) is none of our formats.
    assert {name for name in refused if "/cdf/" not in name} == set()
    assert len(files) > 900


def test_feeds_say_what_their_expectations_say(shared: Path) -> None:
    compared, wrong = 0, []
    for path, key, expected in expectations(shared / "fixtures/feedparser/tests/wellformed"):
        body = path.read_bytes()
        posts = parsed(body)
        verdict = agrees(key, posts[0], expected) if posts else False
        if verdict is not None:
            compared += 1
            if not verdict:
                wrong.append((path.name, key, expected, posts[:1]))

    print(f"{compared - len(wrong)} of {compared} agree")  # noqa: T201 - shown by pytest -rP
    assert compared > 400
    assert len(wrong) <= 0.02 * compared, wrong


def test_no_feed_is_an_exception(shared: Path) -> None:
    for path in sorted((shared / "fixtures").rglob("*.xml")):
        with suppress(Unreadable):
            parsed(path.read_bytes())


def test_gofeeds_translations_agree(shared: Path) -> None:
    compared, wrong = 0, []
    for path in sorted((shared / "fixtures/gofeed/testdata/translator").rglob("*.xml")):
        expected = json.loads(path.with_suffix(".json").read_text("utf-8"))
        for post, item in zip(parsed(path.read_bytes()), expected.get("items") or [], strict=False):
            for said, wanted in said_and_wanted(post, item):
                compared += 1
                if said != wanted:
                    wrong.append((path.name, said, wanted))

    print(f"{compared - len(wrong)} of {compared} agree")  # noqa: T201 - shown by pytest -rP
    assert compared >= 30
    assert wrong == []


def said_and_wanted(post: ParsedPost, item: dict[str, object]) -> Iterator[tuple[object, object]]:
    if title := item.get("title"):
        yield plain(post.title), plain(text.from_html(str(title)))
    if link := item.get("link"):
        yield post.url, links.absolute(str(link), _URL)
    if published := item.get("publishedParsed"):
        yield post.created_at, dates.parse(str(published))
    body = item.get("content") or item.get("description")
    if body:
        yield plain(post.text), plain(text.from_html(str(body)))


@pytest.mark.parametrize("folder", ["parser/json", "parser/universal", "translator/json"])
def test_json_feeds_parse(shared: Path, folder: str) -> None:
    for path in sorted((shared / "fixtures/gofeed/testdata" / folder).glob("json1*.json")):
        if path.name.endswith("_expected.json"):
            continue
        body = path.read_bytes()
        written = json.loads(body)
        posts = [row for row in json_feed.parse(body).rows if isinstance(row, ParsedPost)]

        assert len(posts) == len(written["items"])
        assert posts[-1].title == written["items"][0].get("title", "")
        assert posts[-1].url == written["items"][0].get("url", "")


def test_feedparsers_json_feed_keeps_its_authors(shared: Path) -> None:
    body = (shared / "fixtures/feedparser/tests/json/example.json").read_bytes()

    first, second = json_feed.parse(body).rows

    assert isinstance(first, ParsedPost)
    assert isinstance(second, ParsedPost)
    assert (first.author, second.author) == ("you", "me")
    assert first.text == "Hello, world!"
    assert second.media[0].kind == "video"
