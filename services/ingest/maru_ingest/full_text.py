"""The whole text of posts that a feed only announces, from the pages behind them.

The feed comes first: whatever its pages do, its posts come, with its own words if need be.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from http import HTTPStatus

from maru_ingest import domain
from maru_ingest.connector import SourceBroken, SourceBusy, Tools
from maru_ingest.extraction import NoArticle
from maru_ingest.formats import text
from maru_ingest.formats.parsed import Article, ParsedPost, Row
from maru_ingest.metrics import ARTICLES
from maru_kit.outbound import AskedToWait, Disallowed, OutboundError, TimedOut, Unreachable

_TRIES = 3
_MAX_PAGES = 20
_SECONDS = 8.0
"""After which a look asks for no more; somebody who tries a source out waits for fifteen."""
_DEADLINE = 5.0
_MAX_FAILURES = 2
"""In a row, after which a look asks for no more: after five, its host would be left alone."""
_NEWEST = 100
"""Posts of a feed whose pages are fetched; whoever shows more shows an archive."""
_MAX_MARKS = 2_000
_MAX_PAGE = 2 * 1024 * 1024
_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_HEADERS = {"Accept": "text/html, application/xhtml+xml"}


@dataclass(frozen=True, slots=True)
class Completed:
    """The posts of a feed, with whole texts where their pages gave them.

    Posts that were settled at an earlier look, and that the feed has not changed since, are left
    out. `tries` says of each post of the feed, by its mark, how often its page is to be tried yet.
    `is_wanting` says that pages are to be fetched at the next look, even if the feed is the same;
    those of a site that fails or asks for silence wait until the feed changes.
    """

    rows: Sequence[Row]
    tries: Mapping[str, int]
    is_wanting: bool = False


async def completed(
    rows: Sequence[Row], tries: Mapping[str, int], tools: Tools, *, feed: str
) -> Completed:
    """Return the posts of the feed at that address, oldest first as they are given.

    `tries` is what the look before said.
    """
    if not rows:
        return Completed((), tries)
    marks = await asyncio.to_thread(_marks, rows)
    newest = {mark for mark in marks[-_NEWEST:] if mark}
    left = {mark: tries.get(mark, _TRIES if mark in newest else 0) for mark in marks if mark}
    pages = _Pages(tools, feed)
    told: list[Row] = []
    for row, mark in reversed(list(zip(rows, marks, strict=True))):
        if tries.get(mark) == 0:
            continue
        if isinstance(row, ParsedPost) and left.get(mark) and pages.may_be_asked_for():
            post, left[mark] = await pages.behind(row, left[mark])
            told.append(post)
        else:
            told.append(row)
    kept = dict(list(left.items())[-_MAX_MARKS:])
    return Completed(told[::-1], kept, is_wanting=any(left.values()) and not pages.is_in_trouble)


@dataclass(slots=True)
class _Pages:
    """The pages of one look at a feed."""

    tools: Tools
    feed: str
    ends: float = field(default_factory=lambda: time.monotonic() + _SECONDS)
    asked: int = 0
    failed: int = 0
    is_over: bool = False

    @property
    def is_in_trouble(self) -> bool:
        """Whether the site is to be left alone for now."""
        return self.is_over or self.failed >= _MAX_FAILURES

    def may_be_asked_for(self) -> bool:
        """Whether this look may ask for one more."""
        has_room = self.asked < _MAX_PAGES and time.monotonic() < self.ends
        return has_room and not self.is_in_trouble

    async def behind(self, post: ParsedPost, tries: int) -> tuple[ParsedPost, int]:
        """Return a post, whole if its page is, and how often its page is to be tried yet."""
        try:
            article = await self._article(post.url)
        except (AskedToWait, SourceBusy):
            self.is_over = True
            return post, tries
        except Disallowed:  # its robots.txt may only have been out of reach
            left = tries - 1
        except (TimedOut, Unreachable, SourceBroken):
            self.failed += 1
            left = tries - 1
        except (OutboundError, NoArticle):
            left = 0
        else:
            whole = _whole(post, article)
            ARTICLES.labels("empty" if whole.text == post.text else "read").inc()
            return whole, 0
        ARTICLES.labels("failed").inc()
        return post, left

    async def _article(self, url: str) -> Article:
        outbound, extraction = self.tools.outbound, self.tools.extraction
        if extraction is None:
            raise NoArticle("No articles are read here.")
        if outbound.is_own(url) and not outbound.is_own(self.feed):
            raise NoArticle("A feed of strangers names a page of the own network.")
        if self.tools.budget is not None:
            self.tools.budget.spend()
        page = await outbound.page(
            url,
            headers=_HEADERS,
            max_bytes=_MAX_PAGE,
            deadline=_DEADLINE,
            delay=self.tools.page_delay,
        )
        self.asked += 1
        if page.status in _LATER or page.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise SourceBroken(f"The page answers {page.status}.")
        if page.status != HTTPStatus.OK:
            self.failed += 1
            raise NoArticle(f"The page answers {page.status}.")
        kind = page.headers.get("content-type", "")
        if kind and "html" not in kind.lower():
            raise NoArticle("The page is none that is read.")
        self.failed = 0
        return await extraction.article(page.body, url=page.url, content_type=kind)


def _marks(rows: Sequence[Row]) -> list[str]:
    """Return the mark of each post that a page stands behind, and nothing for other rows."""
    return [_mark(row) if isinstance(row, ParsedPost) and row.url else "" for row in rows]


def _whole(post: ParsedPost, article: Article) -> ParsedPost:
    """Return a post with the words of its article, if these are more than the feed's own."""
    words, is_cut = text.cut(article.text.removeprefix(post.title).lstrip())
    url = article.url or post.url
    if len(words) <= len(post.text):
        return replace(post, url=url)
    return replace(post, text=words, truncated=is_cut, url=url)


def _mark(post: ParsedPost) -> str:
    """Return what a post is known by as long as its feed says the same of it."""
    said = f"{post.native_id}\x1f{domain.fingerprint(post)}"
    return blake2b(said.encode("utf-8", "replace"), digest_size=8).hexdigest()
