"""First inputs of our own: a small one of each kind, so that fuzzing needs no fixtures to begin."""

import io
import json
import zlib
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
"likes": "1,024", "media": [{"url": "https://a.example/1.png"}]}""".replace(b"\n", b" ")
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

_MAIL = b"""From: =?utf-8?b?6rmA?= <k@a.example>\nTo: h@a.example\nMessage-ID: <1@a.example>
In-Reply-To: <0@a.example>\nDate: Wed, 25 Nov 2026 08:00:00 +0900\nSubject: =?euc-kr?q?=B4=D9?=
Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=euc-kr
Content-Transfer-Encoding: base64\n\n7J6Q\n--b\nContent-Type: text/html\n\n<p>Dark mode!\n--b--\n
On Monday Kim wrote:\n> Which?\n-- \nKim\n"""
_POST = b"From k@a.example Wed Nov 25 08:00:00 2026\n"
MAILS = (_MAIL, _POST + _MAIL + b"\n" + _POST + _MAIL)
SUBTITLES = (
    b"1\n00:00:01,000 --> 00:00:02,500\n<i>Dark</i>\n\n2\n00:00:03,500 --> 00:00:04,000\n- No\n",
    b"WEBVTT\n\nNOTE x\n\na\n00:01.000 --> 00:02.000 align:start\n<v.x Kim>Dark &amp; mode\n",
    b"Kim: Dark mode!\n\nLee: [laughs]\nWhy?\n",
)
ENVELOPES = (
    b'{"schema": {}, "payload": {"op": "u", "before": null, "after": {"id": 1, "text": "Dark"}}}',
    b'{"op": "d", "before": {"id": 1, "text": "Dark"}, "after": null}',
    b'{"specversion": "1.0", "source": "/s", "id": "1", "data_base64": "eyJ0ZXh0IjogImEifQ=="}',
)
DISCUSSIONS = (
    b"""link: <https://api.github.com/x?page=2&per_page=5>; rel="next"\n\n{"data": {"repository":
{"discussions": {"pageInfo": {"hasNextPage": true, "endCursor": "c"}, "nodes": [{"id": "D", "url":
"https://github.com/o/n/discussions/1", "updatedAt": "2026-11-25T08:00:00Z", "comments": {
"pageInfo": {"hasPreviousPage": true, "startCursor": "b"},
"nodes": [{"id": "C", "comments": {}}]}}]}}}}""",
)
MAPPED = (
    b"""$..title\n{"all": [{"id": 1, "text": "a", "at": 1764057600, "stars": "4/5", "title": "t"}],
"next": "https://example.com/blog/2"}""".replace(b",\n", b", "),
    b'$.a[?@.b > 1][0,1]\n{"all": [{"id": "x", "text": ["a", "b"]}], "a": [{"b": 2}]}',
)


def workbooks() -> tuple[bytes, ...]:
    """A workbook of two sheets."""
    book, whole = Workbook(), io.BytesIO()
    for sheet in (book.create_sheet("a", 0), book.create_sheet("b", 1)):
        sheet.append(["id", "text", "date"])
        sheet.append([1, "Dark mode!", "2026-11-25"])
    book.save(whole)
    return (whole.getvalue(),)
