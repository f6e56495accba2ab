"""First inputs of our own: a small one of each kind, so that fuzzing needs no fixtures to begin."""

import json
import zipfile
import zlib
from datetime import date
from io import BytesIO
from pathlib import Path

from openpyxl import Workbook

_ANSWERS = Path(__file__).parents[1] / "ingest" / "formats" / "answers.json"
_EXAMPLES = Path(__file__).parents[2] / "libs" / "contracts" / "maru_contracts" / "examples"

ANSWERS = tuple(json.dumps(one).encode() for one in json.loads(_ANSWERS.read_bytes()).values())
RSS = b"""<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>t</title>
<ttl>60</ttl><item><title>a &amp; b</title><guid>1</guid><link>https://a.example/1</link>
<pubDate>Wed, 25 Nov 2026 08:00:00 GMT</pubDate><description>&lt;p&gt;Dark mode!</description>
<enclosure url="https://a.example/1.png" type="image/png"/></item></channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="ko"><id>f</id><title>t</title>
<link rel="hub" href="https://hub.example/"/><link rel="self" href="https://a.example/f"/>
<entry><id>1</id><title type="html">&lt;b&gt;t</title><updated>2026-11-25T08:00:00Z</updated>
<author><name>n</name></author><content type="xhtml"><div>c</div></content></entry></feed>"""
JSON_FEED = b"""{"version": "https://jsonfeed.org/version/1.1", "title": "t", "items": [{"id":
"1", "content_html": "<p>c", "url": "/1", "date_published": "2026-11-25T08:00:00Z", "authors":
[{"name": "n"}], "attachments": [{"url": "https://a.example/1.png", "mime_type": "image/png"}]}],
"hubs": [{"type": "WebSub", "url": "https://hub.example/"}]}"""
OPML = b"""<?xml version="1.0"?><opml version="2.0"><head><title>t</title></head><body><outline
text="News"><outline type="rss" text="a" title="a" xmlUrl="https://a.example/f"/></outline></body>
</opml>"""
_ROW = b"""{"id": 1, "text": "Dark mode!", "created_at": "2026-11-25", "author": {"name": "n"},
"likes": "1,024", "rating": "4/5", "media": [{"url": "https://a.example/1.png"}]}""".replace(
    b"\n", b" "
)
_GONE = b'{"id": "2", "deleted": true}'
ROWS = b"\n".join((_ROW, _GONE))
_TABLE = '번호;내용;작성일;이름\n1;"다크\n모드";2026. 11. 25. 오후 3:05;지민\n'
JETSTREAM = b"""{"did": "did:plc:abcdefghijklmnopqrstuvwx", "time_us": 1764057600000000, "kind":
"commit", "commit": {"operation": "create", "collection": "app.bsky.feed.post", "rkey": "3l", "cid":
"bafyreibabcdefghij", "record": {"$type": "app.bsky.feed.post", "text": "Dark mode!", "createdAt":
"2026-11-25T08:00:00Z", "embed": {"images": [{"alt": "a", "image": {"ref": {"$link":
"bafkreiabcdefghij"}}}]}}}}"""
TWEET = b"""{"data": {"id": "1", "text": "Dark mode!", "author_id": "2", "created_at":
"2026-11-25T08:00:00Z"}, "includes": {"users": [{"id": "2", "username": "n", "name": "N"}]},
"matching_rules": [{"id": "1"}]}""".replace(b"\n", b" ")
META = b"""sha256=0\n\n{"object": "page", "entry": [{"id": "1", "time": 1764057600, "changes":
[{"field": "feed", "value": {"item": "comment", "verb": "add", "comment_id": "1_2", "message":
"Dark mode!", "from": {"id": "3", "name": "n"}, "created_time": 1764057600}}]}]}"""

MESSAGES = tuple(file.read_bytes() for file in sorted(_EXAMPLES.rglob("*.json")))
TABLES = tuple(_TABLE.encode(name) for name in ("utf-8", "cp949", "utf-16"))
HOOKS = (
    b"webhook-id: m\nwebhook-timestamp: 1\nwebhook-signature: v1,AA==\n\n" + _ROW,
    b"\n\n[" + b", ".join((_ROW, _GONE)) + b"]",
)
PUSH = b"sha256=0\n864000\n\n" + RSS
EVENTS = b"\x05\xef\xbb\xbfevent: update\ndata: {}\nid: 1\nretry: 10\r\n\r: hi\n\n"
PACKED = (zlib.compress(RSS), zlib.compress(b"0" * 65536, wbits=31))
ROBOTS = b"feed?a=1\nUser-agent: maru\nDisallow: /*?a$\nAllow: /feed\nCrawl-delay: 1\n"
LIMITS = (
    b"""retry-after: 10
ratelimit-remaining: 0
ratelimit-reset: 30
date: Wed, 25 Nov 2026 08:00:00 GMT
ratelimit: "default";r=50;t=30
x-app-usage: {"call_count": 99}""",
    b"ratelimit: limit=100, remaining=50, reset=30\nretry-after: Wed, 25 Nov 2026 08:00 Z",
)
ADDRESSES = (
    "https://example.com:8080/공지?a=b#c\n/feed%20s".encode(),
    b"http://[::1]:80/\n//b",
)
LINKS = (
    b"""/a?utm_source=x
<https://hub.example/>; rel="hub self"; anchor="#a", </?max_id=3>; rel=next""",
    b"https://example.com/a b\nhttps://example.com/b/",
)
DATES = (
    b"2026-11-25T08:00:00.5+09:00",
    b"Wed, 25 Nov 2026 08:00:00 PST",
    b"1764057600000",
    "2026년 11월 25일 오후 3시 5분 7초".encode(),
    b"25 November 2026 8pm GMT+9",
)
ENCODED = (
    b"euc-kr\n" + "다크 모드".encode("cp949"),
    b"shift_jis\n" + "ダーク".encode("cp932"),
)
HTML = b"<p>a<br>b<pre>c\n d</pre><ul><li>e</ul>&lt;p&gt;f&amp;nbsp;<script>g</script>"
MARKDOWN = b"""<!-- c -->![a](https://a.example/1.png "t") [b](https://a.example/)
<img src="https://a.example/2.png" alt="d"> <https://a.example/>"""
PAGE = b"""<base href="/a/">
<link rel="alternate" type="application/rss+xml" href="f" title="t">"""
SEARCH = '"dark mode" #다크모드 app\nDARK  mode #App'.encode()

_MAIL = b"""From: =?utf-8?B?7KeA66+8?= <j@a.example>
Subject: =?euc-kr?Q?=B4=D9?= mode
Date: Wed, 25 Nov 2026 08:00:00 +0900
Message-ID: <1@a.example>
In-Reply-To: <0@a.example>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="b"

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Dark mode=21

On Mon, 23 Nov 2026 at 08:00, Kim wrote:
> When?
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PHA+RGFyayBtb2RlITwvcD4=
--b--
"""
MAILS = (
    _MAIL,
    b"From a@a.example Wed Nov 25 08:00:00 2026\n" + _MAIL + b"\nFrom b@a.example ...\n",
)
SUBTITLES = (
    b"WEBVTT\n\n1\n00:01.000 --> 00:02.500\n<v Kim>Dark &amp;\n\n00:05.000 --> 00:06.000\n- Yes.\n",
    b"1\n00:00:01,000 --> 00:00:02,500\nKim: Dark mode!\n\n2\n00:00:09,0 --> 00:00:10,0\n(sighs)\n",
    "지민: 다크 모드!\n\n상담원: 네.\n".encode("cp949"),
)
ARTICLE = b"""<html><head><meta charset="euc-kr"><link rel="canonical" href="/1"></head><body>
<article><h1>t</h1><p>Dark mode is what readers of this page ask for.</p></article></body></html>"""
MAPPED = (
    b"""$.reviews[?@.id]

{"reviews": [{"id": 1, "text": "<p>Dark mode!", "rating": 4, "created_at": "2026-11-25", "url":
"/1", "author": "n", "media": ["https://a.example/1.png"]}], "next": "/feed.xml?page=2"}""",
    b"""$..next

{"next": "https://example.com/blog?page=2&key=k"}""",
)
DISCUSSIONS = b"""<https://api.github.com/repositories/1/issues?page=2&per_page=100>; rel="next"

{"data": {"repository": {"discussions": {"pageInfo": {"hasNextPage": true, "endCursor": "c"},
"nodes": [{"id": "D_1", "updatedAt": "2026-11-25T08:00:00Z", "comments": {"pageInfo": {
"hasPreviousPage": true, "startCursor": "s"},
"nodes": [{"id": "DC_1", "comments": {"pageInfo": {}, "nodes": []}}]}}]}}}}"""


def workbook(sheet: bytes = b"") -> bytes:
    """Return a workbook whose only sheet is as given, or a good one."""
    made, filled = BytesIO(), BytesIO()
    book = Workbook()
    book.active.append(["id", "text", "date"])
    book.active.append([1, "Dark mode!", date(2026, 11, 25)])
    book.save(filled)
    with zipfile.ZipFile(filled) as good, zipfile.ZipFile(made, "w") as packed:
        for name in good.namelist():
            packed.writestr(name, sheet if sheet and name == SHEET else good.read(name))
    return made.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
WORKBOOKS = (zipfile.ZipFile(BytesIO(workbook())).read(SHEET), workbook())

ENVELOPES = (
    b'{"schema": {}, "payload": {"op": "u", "before": null, "after": {"id": 1, "text": "Dark"}}}',
    b'{"op": "d", "before": {"id": 1, "text": "Dark"}, "after": null}',
    b'{"specversion": "1.0", "source": "/s", "id": "1", "data_base64": "eyJ0ZXh0IjogImEifQ=="}',
)
