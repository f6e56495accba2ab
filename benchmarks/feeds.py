"""Feeds: bytes to posts, beside feedparser alone on the same bytes in the same run."""

import io
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path

import feedparser

from benchmarks import material
from benchmarks.figures import Figure, at_least, in_turns, median, ratio
from benchmarks.stage import Stage
from maru_ingest.formats import feed, quick_feed
from maru_ingest.formats.parsed import Unreadable

_POSTS = 25
_BESIDE = "feedparser.parse on the same bytes"
_NAMES = (
    'xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:content="http://purl.org/rss/1.0/modules/content/" '
    'xmlns:slash="http://purl.org/rss/1.0/modules/slash/"'
)


@dataclass(frozen=True)
class _Corpus:
    """Feeds, and how many posts they hold together."""

    name: str
    feeds: Sequence[bytes]
    posts: int
    is_common: bool = True


async def figures(_: Stage, *, quick: bool) -> list[Figure]:
    """Feeds and posts a second, of feeds as blogs write them and of the corpora's."""
    found: list[Figure] = []
    rounds = 3 if quick else 7
    for corpus in (_blogs(5 if quick else 20), *_fixtures()):
        found += await _compared(corpus, rounds)
    return found


async def _compared(corpus: _Corpus, rounds: int) -> list[Figure]:
    async def ours() -> float:
        return _seconds(corpus.feeds, feed.parse)

    async def theirs() -> float:
        return _seconds(corpus.feeds, lambda body: feedparser.parse(io.BytesIO(body)))

    seconds = await in_turns(rounds, {"ours": ours, "theirs": theirs})
    aim = at_least(5) if corpus.is_common else None
    lines = []
    for count, unit in ((len(corpus.feeds), "feeds/s"), (corpus.posts, "posts/s")):
        mine = [count / taken for taken in seconds["ours"]]
        beside = [count / taken for taken in seconds["theirs"]]
        times = ratio(mine, beside)
        lines.append(
            Figure(f"Parse {corpus.name}", median(mine), unit, _BESIDE, median(beside), times, aim)
        )
    return lines


def _seconds(feeds: Sequence[bytes], parse: Callable[[bytes], object]) -> float:
    begun = time.perf_counter()
    for body in feeds:
        parse(body)
    return time.perf_counter() - begun


def _blogs(count: int) -> _Corpus:
    """Feeds of 25 posts with HTML bodies, in turns as WordPress and as Blogger shape them."""
    texts = material.texts(count * _POSTS)
    feeds = []
    for number in range(count):
        bodies = texts[number * _POSTS : (number + 1) * _POSTS]
        feeds.append((_rss if number % 2 else _atom)(bodies, number).encode())
    return _Corpus("feeds of 25 posts (RSS 2.0, Atom)", feeds, count * _POSTS)


def _rss(texts: Sequence[str], blog: int) -> str:
    items = "".join(
        f"<item><title>{escape(text[:60])}</title><link>https://blog.example/{blog}/{number}</link>"
        f"<dc:creator><![CDATA[reader{number}]]></dc:creator>"
        f"<pubDate>Mon, 23 Nov 2026 10:{number:02}:00 +0900</pubDate><category>App</category>"
        f'<guid isPermaLink="false">https://blog.example/?p={blog}-{number}</guid>'
        f"<description>{escape(text[:200])}</description>"
        f"<content:encoded>{escape(_html(text))}</content:encoded>"
        f"<slash:comments>{number}</slash:comments></item>"
        for number, text in enumerate(texts)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" {_NAMES}><channel>'
        f"<title>Blog</title><link>https://blog.example/</link>{items}</channel></rss>"
    )


def _atom(texts: Sequence[str], blog: int) -> str:
    entries = "".join(
        f"<entry><id>tag:blog.example,2026:{blog}/{number}</id><title>{escape(text[:60])}</title>"
        f'<link rel="alternate" type="text/html" href="https://blog.example/{blog}/{number}"/>'
        f"<author><name>reader{number}</name></author><updated>2026-11-23T10:{number:02}:00Z</updated>"
        f'<published>2026-11-23T10:{number:02}:00Z</published><content type="html">'
        f"{escape(_html(text))}</content></entry>"
        for number, text in enumerate(texts)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom">'
        f'<title>Blog</title><link href="https://blog.example/"/>{entries}</feed>'
    )


def _html(text: str) -> str:
    linked = f'<p>{escape(text)}</p><p><a href="https://blog.example/">more</a></p>'
    return f"{linked}<ul><li>{escape(text[:80])}</li></ul>"


def _fixtures() -> list[_Corpus]:
    """The feeds of the corpora, by whether the quick reader takes them."""
    common, odd = [], []
    for file in _files():
        body = file.read_bytes()
        with suppress(Unreadable):
            feed.parse(body)
            (odd if quick_feed.read(body, "") is None else common).append(body)
    return [
        _Corpus("the corpora's common feeds, tiny ones", common, _posts(common)),
        _Corpus("the corpora's odd feeds, left to feedparser", odd, _posts(odd), is_common=False),
    ]


def _files() -> list[Path]:
    fixtures = material.DATA.parent / "fixtures"
    folders = (fixtures / "feedparser/tests/wellformed", fixtures / "gofeed/testdata")
    return [file for folder in folders for file in sorted(folder.rglob("*.xml"))]


def _posts(feeds: Sequence[bytes]) -> int:
    return sum(len(feedparser.parse(io.BytesIO(body)).entries) for body in feeds)
