"""The text of an article, out of the web page that shows it to readers.

It may take long, and far longer for a page that is made so: `maru_ingest.extraction` bounds that.
"""

import re
from urllib.parse import urlsplit

import trafilatura

from maru_ingest.formats import encodings, links, text
from maru_ingest.formats.parsed import Article

_DECLARED = re.compile(rb"<meta\s[^>]*?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_HEAD = 16 * 1024
_FOR_PAYERS = re.compile(
    r'"isAccessibleForFree"\s*:\s*"?(?:https?://schema\.org/)?false', re.IGNORECASE
)
"""How publishers mark an article of which a page shows the beginning only
(https://developers.google.com/search/docs/appearance/structured-data/paywalled-content)."""


def read(body: bytes, *, url: str, content_type: str = "") -> Article:
    """Return the article of a page at `url`, without what stands around it."""
    page = encodings.as_declared(body, _charset(body, content_type))
    tree = trafilatura.load_html(page)
    if tree is None:
        return Article("")
    related = (link for link in tree.iter("link") if _is_canonical(link.get("rel")))
    named = next((link.get("href") or "" for link in related), "")
    address = _own_address(links.absolute(named, url), url)
    if _FOR_PAYERS.search(page):
        return Article("", address)
    found = trafilatura.extract(tree, include_comments=False)
    return Article(text.clean(found or ""), address)


def _charset(body: bytes, content_type: str) -> str:
    """Return the encoding that the answer's header names, else the page itself."""
    if named := _HEADER.search(content_type):
        return named[1]
    found = _DECLARED.search(body[:_HEAD])
    return found[1].decode("ascii", "replace") if found else ""


def _is_canonical(relations: str | None) -> bool:
    return "canonical" in (relations or "").lower().split()


def _own_address(named: str, url: str) -> str:
    """Return the address that a page names, unless it is its site's front page by mistake."""
    is_front = named and urlsplit(named).path in {"", "/"}
    return "" if is_front and urlsplit(url).path not in {"", "/"} else named
