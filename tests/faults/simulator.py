"""A seeded world of customers: what they wrote is known, so that what arrived can be judged.

`written` makes the truth; `Site` publishes it over HTTP as JSON Feeds that grow while a test
runs, the way a real blog or community does.
"""

import json
import random
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

NEEDS = (
    ("a dark mode", "다크 모드"),
    ("offline maps", "오프라인 지도"),
    ("export to PDF", "PDF 내보내기"),
    ("a home screen widget", "홈 화면 위젯"),
    ("two-factor login", "2단계 인증 로그인"),
    ("bigger fonts", "더 큰 글꼴"),
    ("a family plan", "가족 요금제"),
    ("calendar integration", "캘린더 연동"),
    ("voice notes", "음성 메모"),
    ("keyboard shortcuts", "키보드 단축키"),
    ("a Linux client", "리눅스 클라이언트"),
    ("shared folders", "공유 폴더"),
)
ASKS = (
    "Please add {en}.",
    "It would be great to have {en}, honestly.",
    "I wish there was {en} in this app",
    "Can you add {en}? I need it every day.",
    "{ko} 추가해 주세요.",
    "{ko} 기능이 있으면 좋겠어요.",
    "{ko} 꼭 넣어 주세요 ㅠㅠ",
    "혹시 {ko} 지원해 주실 수 있나요?",
)
_NOISE = (
    "Love it, works every morning.",
    "정말 잘 쓰고 있습니다. 감사합니다!",
    "Installed it yesterday, will see.",
    "오늘 처음 설치했어요 ㅋㅋ",
)
_START = datetime(2026, 10, 1, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Written:
    """One post of the ground truth. `number` is its place in the order of writing."""

    number: int
    native_id: str
    author: str
    text: str
    created_at: datetime


def written(seed: int | str, count: int) -> list[Written]:
    """What `count` posts the customers of world `seed` wrote, in order; no other world has them."""
    rng = random.Random(seed)
    posts = []
    for number in range(count):
        english, korean = rng.choice(NEEDS)
        pattern = rng.choice(ASKS if rng.random() < 0.7 else _NOISE)
        posts.append(
            Written(
                number=number,
                native_id=f"w{seed}-{number}",
                author=f"customer-{rng.randrange(count // 3 + 1)}",
                text=f"{pattern.format(en=english, ko=korean)} #{number}",
                created_at=_START + timedelta(minutes=7 * number),
            )
        )
    return posts


def rows(posts: Iterable[Written]) -> list[dict[str, str]]:
    """The posts as the rows of an import file."""
    return [
        {
            "id": post.native_id,
            "author": post.author,
            "text": post.text,
            "created_at": post.created_at.isoformat(),
        }
        for post in posts
    ]


def write_ndjson(
    path: Path, posts: Sequence[Written], *, repeat: float = 0.0, seed: int = 1
) -> None:
    """Write an import file; a share `repeat` of the rows stands a second time further down."""
    rng = random.Random(seed)
    placed = [(float(place), row) for place, row in enumerate(rows(posts))]
    again = [(place + rng.uniform(0.5, 50), row) for place, row in placed if rng.random() < repeat]
    lines = (
        json.dumps(row, ensure_ascii=False)
        for _, row in sorted(placed + again, key=lambda placed_row: placed_row[0])
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Site:
    """A web site with one growing JSON Feed (https://www.jsonfeed.org/version/1.1/) per source.

    Each feed holds the newest `window` posts that are out by now, newest first, and answers
    conditional requests. All of them are out `seconds` after the first request. `requests`
    counts what was asked.
    """

    def __init__(self, feeds: Sequence[Sequence[Written]], *, seconds: float, window: int) -> None:
        self._feeds = feeds
        self._seconds = seconds
        self._window = window
        self._opened: float | None = None
        self.requests = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests += 1
                body = site.feed(int(self.path.strip("/").split(".")[0]))
                tag = f'"{len(body)}"'
                if self.headers.get("If-None-Match") == tag:
                    self.send_response(HTTPStatus.NOT_MODIFIED)
                    self.end_headers()
                    return
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", "application/feed+json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", tag)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def feeds(self) -> int:
        """How many there are."""
        return len(self._feeds)

    @property
    def host(self) -> str:
        """Its address, as `host:port`."""
        return f"127.0.0.1:{self._server.server_port}"

    def url(self, feed: int) -> str:
        """Where the feed with that number stands."""
        return f"http://{self.host}/{feed}.json"

    def feed(self, number: int) -> bytes:
        """The feed as it is by now."""
        posts = self._feeds[number]
        self._opened = self._opened or time.monotonic()
        share = min(1.0, (time.monotonic() - self._opened + 0.01) / (self._seconds + 0.01))
        out = posts[: int(len(posts) * share)]
        items = [
            {
                "id": post.native_id,
                "url": f"http://{self.host}/posts/{post.native_id}",
                "content_text": post.text,
                "date_published": post.created_at.isoformat(),
                "authors": [{"name": post.author}],
            }
            for post in reversed(out[-self._window :])
        ]
        feed = {
            "version": "https://jsonfeed.org/version/1.1",
            "title": f"Simulated community {number}",
            "items": items,
        }
        return json.dumps(feed, ensure_ascii=False).encode()
