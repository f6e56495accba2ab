"""Clean text: no markup, no control characters, NFC, bounded."""

import html
import re
import unicodedata

import nh3

from maru_contracts.posts import MAX_TEXT

_MAX_MARKUP = 20 * MAX_TEXT  # markup beyond this can't add to a text that is cut at MAX_TEXT

_BLOCKS = (
    "address article aside blockquote br caption dd details div dl dt fieldset figcaption figure"
    " footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section summary table tbody td"
    " tfoot th thead tr ul"
)
_CLEANER = nh3.Cleaner(
    tags=set(_BLOCKS.split()),
    clean_content_tags={"script", "style", "template", "svg", "math"},
    attributes={},
    link_rel=None,
)
_MAX_DEPTH = 100
_NESTING = re.compile(
    "<(/?)(?:address|article|aside|blockquote|center|details|dialog|dir|div|dl|fieldset|figcaption"
    "|figure|footer|form|h[1-6]|header|hgroup|listing|main|menu|nav|ol|pre|search|section|summary"
    r"|table|ul)(?=[\s/>])",
    re.IGNORECASE,
)
"""Blocks that may stand within themselves; the parser looks through all of them at each."""
_TAG_LIKE = re.compile("<[a-zA-Z/!?]")
_PRE = re.compile(r"(</?pre\b[^<>]*>)", re.IGNORECASE)
# Stand for what is to pass through the parser untouched; as noncharacters they are in no text.
_AND, _LINE = "\ufffe", "\uffff"
_BREAK = re.compile(r"<(/?)([a-z0-9]+)>")
_NAMES = (
    "a abbr area article aside audio b blockquote br button canvas caption center cite code col"
    " colgroup command datalist dd del details dfn dir div dl dt em embed fieldset figcaption"
    " figure font footer form h1 h2 h3 h4 h5 h6 header hr i iframe img input ins kbd keygen label"
    " legend li link main map mark math menu meta meter nav noscript object ol option output p"
    " param picture pre progress q rp rt ruby s samp script section select small source span"
    " strike strong style sub summary sup svg table tbody td template textarea tfoot th thead"
    " time title tr track tt u ul var video wbr"
).replace(" ", "|")
_MARKUP = re.compile(
    rf"</?(?:{_NAMES})(?:\s+[\w:-]+(?:\s*=[^<>]*)?)?\s*/?>"
    r"|&(?:[a-zA-Z]{2,8}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});",
    re.IGNORECASE,
)
_ESCAPED_TWICE = re.compile(
    r"&lt;/(?:p|div|a|span|li|ul|ol|b|i|em|strong|blockquote|h[1-6])&gt;|&lt;(?:br|img)\b(?:(?!&lt;).){0,500}?&gt;",
    re.IGNORECASE,
)

# Controls but tab and newline, lone surrogates, directional overrides (they only deceive),
# the byte order mark, noncharacters.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
_SPACES = re.compile(r"[ \t\u00a0\u3000]+")
_AROUND_BREAK = re.compile(r" ?\n ?")
_LOOSE_BREAKS = re.compile(r" \n|\n |\n\n\n")
_MANY_BREAKS = re.compile(r"\n{3,}")
_ROUGH = re.compile(f"{_UNWANTED.pattern}|[\t\r\u00a0\u3000]")


def clean(text: str) -> str:
    """Return plain `text` without what no reader sees, in Unicode's composed form (NFC).

    Runs of spaces become one, runs of empty lines one empty line.
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    text = unicodedata.normalize("NFC", text)  # returns at once what is composed already
    if not (_ROUGH.search(text) or _has_rough_runs(text)):
        return text.strip()
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = unicodedata.normalize("NFC", _UNWANTED.sub("", text))  # what stood apart may meet
    text = _AROUND_BREAK.sub("\n", _SPACES.sub(" ", text))
    return _MANY_BREAKS.sub("\n\n", text).strip()


def clean_line(text: str, limit: int = 2_000) -> str:
    """Return `text` on one line, cut to `limit` characters."""
    if not text:
        return text
    cleaned = clean(text[: 4 * limit])
    if "\n" in cleaned or "\t" in cleaned:
        cleaned = " ".join(cleaned.split())
    return cleaned[:limit].rstrip() if len(cleaned) > limit else cleaned


def from_html(markup: str) -> str:
    """Return what a reader of the page would see: blocks on lines of their own, no scripts.

    Markup that was escaped once too often counts as markup where no other stands beside it. Where
    there are no tags at all, and in preformatted text, lines stay as they were written.
    """
    markup = markup[:_MAX_MARKUP]
    if "<" not in markup:
        if "&" not in markup:
            return clean(markup)
        if _ESCAPED_TWICE.search(markup):
            markup = html.unescape(markup)
    markup = _UNWANTED.sub("", markup.replace("\r\n", "\n"))
    if not _TAG_LIKE.search(markup):
        return clean(html.unescape(markup))
    flat = _shallow(" ".join(_with_lines(markup).split())).replace("&", _AND)
    shown = _BREAK.sub(_break, _CLEANER.clean(flat)).replace(_LINE, "\n").replace(_AND, "&")
    return clean(html.unescape(shown))


def _shallow(markup: str) -> str:
    """Return markup whose blocks are nested no deeper than anybody nests them."""
    if markup.count("<") <= _MAX_DEPTH:
        return markup
    depth = 0

    def bounded(tag: re.Match[str]) -> str:
        nonlocal depth
        inner = depth if tag[1] else depth + 1
        depth = max(0, depth - 1) if tag[1] else inner
        return tag[0] if inner <= _MAX_DEPTH else f"<{tag[1]}br"

    return _NESTING.sub(bounded, markup)


def _with_lines(markup: str) -> str:
    """Return markup in which the lines of preformatted text are kept apart."""
    pieces = _PRE.split(markup)
    is_inside = False
    for number, piece in enumerate(pieces):
        if number % 2:
            is_inside = not piece.startswith("</")
        elif is_inside:
            pieces[number] = piece.replace("\n", _LINE)
    return "".join(pieces)


def from_maybe_html(text: str) -> str:
    """Return clean text of a field that may hold markup: only known tags or entities count.

    `I <3 this & that` is left as it stands.
    """
    if ("<" in text or "&" in text) and _MARKUP.search(text):
        return from_html(text)
    return clean(text)


def cut(text: str) -> tuple[str, bool]:
    """Return at most MAX_TEXT characters of `text`, and whether something was cut off."""
    if len(text) <= MAX_TEXT:
        return text, False
    return text[:MAX_TEXT].rstrip(), True


def _has_rough_runs(text: str) -> bool:
    return "  " in text or ("\n" in text and bool(_LOOSE_BREAKS.search(text)))


def _break(tag: re.Match[str]) -> str:
    closing, name = tag.groups()
    if name in {"td", "th"}:
        return "" if closing else " "
    if name == "p":  # the first one of a list's item stands beside the dash
        return "" if tag.string.endswith(("<li>", "<li> "), 0, tag.start()) else "\n\n"
    if name == "li":
        return "" if closing else "\n- "
    return "\n"
