"""Inputs made of others: bytes and tokens moved about, and JSON with values that nobody expects."""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random

MAX_INPUT = 16 * 1024
"""Bytes of an input. What is larger is looked at where a bound speaks of it, one test each."""

TOKENS: Sequence[bytes] = (
    # Markup
    b"<", b">", b"</", b"/>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?xml ", b"?>", b"&#x0;",
    b"&#55296;", b"&#99999999999;", b"&amp;", b"&lt;", b"&nbsp;", b"&a;", b"<!DOCTYPE a [",
    b"<!ENTITY a 'b'>", b"<rss version='2.0'>", b"<feed xmlns='http://www.w3.org/2005/Atom'>",
    b"<rdf:RDF>", b"<channel>", b"</channel>", b"<item>", b"</item>", b"<entry>", b"</entry>",
    b"<title type='xhtml'>", b"<content type='", b"xml:base='http://['", b"xmlns:a=''", b"<div>",
    b"<p>", b"<pre>", b"</pre>", b"<br>", b"<script>", b"<svg>", b"<outline xmlUrl='",
    b"<link rel='", b"<base href='", b" type='application/rss+xml'", b"encoding='utf-7'",
    b"encoding='undefined'",
    # JSON, rows, text
    b"{", b"}", b"[", b"]", b'"', b"'", b":", b",", b";", b"\t", b"|", b"\n", b"\r\n", b"\r",
    b"\n\n", b"null", b"true", b"-1", b"1e999", b"NaN", b"1" * 30, b'"\\ud800"', b'"\\u0000"',
    b"\\", b'"id":', b'"text":', b'"data":', b'"items":[', b'"entry":[', b'"created_at":', b"{}",
    b"[]", b'""', b"](http://", b"![", b"`", b"#", b"@",
    # Headers, addresses, dates
    b"sha256=", b"v1,", b"retry-after:", b"ratelimit:", b";r=0;t=", b"reset=",
    b"Wed, 25 Nov 2026", b"2026-11-25T08:00:00Z", b"+99:99", b"-0000",
    b"\xec\x98\xa4\xed\x9b\x84 3", b"0001-01-01", b"GMT", b"9999-12-31T23:59:60", b"http://[",
    b"https://", b"//", b"..", b"%", b"%zz", b"%00", b"?a=", b"::1", b"User-agent: *",
    b"Disallow: /", b"*", b"$", b"data: ", b"id: ", b"retry: 9", b"utf-16", b"idna",
    # Bytes that are no text, and text that is odd
    b"\x00", b"\x1f\x8b\x08", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\x4c\x6f\xa7\x94",
    b"\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xae", b"\xef\xbf\xbe",
    b"\xe2\x80\xa8", b"\x85", b"\xb4\xd9", b"\x83_", b"\xcc\x81", b"\xe1\x84\x80\xe1\x85\xa1",
    b"\xf0\x9f\x91\xa9\xe2\x80\x8d",
)  # fmt: skip

_ODD: Sequence[object] = (
    None, True, False, 0, -1, 1, 0.5, -0.0, 2**31, 2**53, 2**63, 2**64, 10**40, 1e308,
    float("inf"), float("nan"), "", " ", "0", "1", "-1", "1e999", "\ud800", "\x00", "\ufffe",
    "\u202e", "a" * 3000, "<p>a", "<b>&#55296;", "&amp;lt;", "2026-11-25", "2026-11-25T08:00:00Z",
    "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "1764057600", "http://[",
    "https://example.com/", "//", "javascript:a", [], [None], [[]], [{}], {}, {"id": None},
    {"data": []}, {"id": "1", "text": "a"}, ["a"] * 50,
)  # fmt: skip
_LOOKS_LIKE_JSON = (b"{", b"[")

Edit = Callable[[bytearray, int, int, Random], None]


def mutated(data: bytes, dice: Random, limit: int = MAX_INPUT) -> bytes:
    """Return an input like `data` with a few changes, at most `limit` bytes of it."""
    head, divider, body = data.partition(b"\n\n")
    for kept, inner in ((b"", data), (head + divider, body)):
        if inner.lstrip().startswith(_LOOKS_LIKE_JSON) and dice.random() < 0.6:
            try:
                value = json.loads(inner)
            except (ValueError, RecursionError):
                continue
            for _ in range(dice.randint(1, 4)):
                value = _changed(value, dice)
            written = json.dumps(value, ensure_ascii=dice.random() < 0.5)
            return (kept + written.encode("utf-8", "surrogatepass"))[:limit]
    edited = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3, 8))):
        start = dice.randint(0, len(edited))
        dice.choice(_EDITS)(edited, start, min(len(edited), start + dice.choice(_LENGTHS)), dice)
    return bytes(edited[:limit])


_LENGTHS = (1, 1, 2, 4, 16, 64, 512)


def _insert(edited: bytearray, start: int, _: int, dice: Random) -> None:
    edited[start:start] = dice.choice(TOKENS)


def _replace(edited: bytearray, start: int, end: int, dice: Random) -> None:
    edited[start:end] = dice.choice(TOKENS)


def _delete(edited: bytearray, start: int, end: int, _: Random) -> None:
    del edited[start:end]


def _move(edited: bytearray, start: int, end: int, dice: Random) -> None:
    place = dice.randint(0, len(edited))
    edited[place:place] = edited[start:end]


def _repeat(edited: bytearray, start: int, end: int, dice: Random) -> None:
    edited[start:end] = edited[start:end] * dice.choice((2, 10, 100, 1000))


def _repeat_token(edited: bytearray, start: int, _: int, dice: Random) -> None:
    edited[start:start] = dice.choice(TOKENS) * dice.choice((2, 10, 300))


def _flip(edited: bytearray, start: int, _: int, dice: Random) -> None:
    edited[start : start + 1] = bytes([dice.randrange(256)])


def _cut(edited: bytearray, start: int, _: int, dice: Random) -> None:
    if dice.random() < 0.3:
        del edited[start:]


_EDITS: Sequence[Edit] = (
    _insert, _insert, _replace, _replace, _delete, _move, _repeat, _repeat_token, _flip, _cut,
)  # fmt: skip


def _changed(value: object, dice: Random) -> object:
    """Return JSON with one value in it replaced, left out, doubled or renamed."""
    here = value
    while isinstance(here, dict | list) and here:
        key = dice.choice(list(here) if isinstance(here, dict) else range(len(here)))
        inner = here[key]
        if not isinstance(inner, dict | list) or not inner or dice.random() < 0.15:
            _change(here, key, dice)
            return value
        here = inner
    return deepcopy(dice.choice(_ODD))


def _change(owner: dict | list, key: object, dice: Random) -> None:
    chance = dice.random()
    if chance < 0.7:
        owner[key] = deepcopy(dice.choice(_ODD))
    elif chance < 0.8:
        del owner[key]
    elif isinstance(owner, list):
        owner.append(owner[key])
    elif chance < 0.9:
        owner[dice.choice(list(owner))] = owner[key]
    else:
        owner[key] = [owner[key]]
