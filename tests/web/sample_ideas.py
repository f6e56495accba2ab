"""Bilingual ideas and posts that the fake gateway serves, friendly and hostile."""

from math import log2
from typing import Any
from uuid import NAMESPACE_URL, uuid5

Json = dict[str, Any]

HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>'

DARK_MODE_WISH = (
    "밤에 쓰면 화면이 너무 밝아서 눈이 아픕니다. "
    "시스템 설정을 따라가는 다크 모드가 있으면 좋겠어요."
)


def ident(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


def an_idea(title: str, summary: str, **other: Any) -> Json:
    """A valid idea by default; keywords replace what matters."""
    idea = {
        "id": ident(title),
        "version": 3,
        "workspace": "default",
        "product": "",
        "title": title,
        "summary": summary,
        "status": "new",
        "voices": 23,
        "evidence_count": 31,
        "mood": {"negative": 11, "neutral": 14, "positive": 6},
        "topics": ["design"],
        "channels": ["community", "review"],
        "languages": ["ko", "en"],
        "spread": 3,
        "is_public": True,
        "first_seen": "2026-08-14T08:12:00Z",
        "last_seen": "2026-11-22T21:40:00Z",
    } | other
    terms = some_terms(idea)
    return idea | {"terms": terms, "score": round(sum(terms.values()), 2)}


def some_terms(idea: Json) -> dict[str, float]:
    return {
        "voices": round(2 * log2(1 + idea["voices"]), 2),
        "momentum": round(log2(1 + idea["evidence_count"]), 2),
        "severity": round(2 * idea["mood"]["negative"] / (idea["evidence_count"] + 2), 2),
        "spread": 1.58,
        "languages": round(log2(len(idea["languages"])), 2),
        "recency": 13.77,
    }


def a_post(text: str, **other: Any) -> Json:
    return {
        "post_id": ident(text),
        "idea_id": "",
        "url": "https://community.example.org/t/4182",
        "channel": "community",
        "source_id": "forum",
        "title": "",
        "text": text,
        "author": {"handle": "mina", "name": "Mina Park"},
        "language": "en",
        "sentiment": "neutral",
        "intent": "suggestion",
        "topics": ["design"],
        "rating": {"value": 4.0, "best": 5.0} if other.get("channel") == "review" else None,
        "created_at": "2026-11-20T09:30:00Z",
        "similarity": 0.83,
    } | other


IDEAS = [
    an_idea(
        "다크 모드를 지원해 주세요",
        DARK_MODE_WISH,
        status="planned",
        topics=["design", "accessibility"],
        voices=48,
        evidence_count=63,
        mood={"negative": 29, "neutral": 24, "positive": 10},
    ),
    an_idea(
        "Let me export the report as a spreadsheet",
        "Every Monday I copy the numbers by hand into a sheet for my team. A plain CSV or Excel "
        "export would save me an hour, and I would make far fewer mistakes.",
        status="in_progress",
        topics=["reports", "export"],
        voices=35,
        evidence_count=41,
        mood={"negative": 12, "neutral": 25, "positive": 4},
        languages=["en", "ko", "fr"],
        channels=["community", "review", "blog"],
    ),
    an_idea(
        "알림을 시간대별로 끌 수 있게 해 주세요",
        "회의 중이나 밤에는 알림이 오지 않으면 좋겠습니다. 요일별로 조용한 시간을 정하고 싶어요.",
        status="under_review",
        topics=["notifications"],
        first_seen="2026-10-02T11:05:00Z",
        last_seen="2026-11-21T06:10:00Z",
    ),
    an_idea(
        "The app should work offline on the train",
        "I lose my draft whenever the connection drops in the tunnel.",
        topics=["offline", "reliability"],
        first_seen="2026-06-18T11:05:00Z",
        last_seen="2026-11-17T06:10:00Z",
        languages=["en"],
        voices=17,
        evidence_count=19,
        mood={"negative": 15, "neutral": 4, "positive": 0},
        channels=["review"],
    ),
    an_idea(
        "검색에서 오타를 너그럽게 봐 주세요",
        "한 글자만 틀려도 아무것도 나오지 않습니다.",
        topics=["search"],
        first_seen="2026-11-03T11:05:00Z",
        last_seen="2026-11-20T06:10:00Z",
        languages=["ko"],
        voices=9,
        evidence_count=12,
        mood={"negative": 6, "neutral": 6, "positive": 0},
        channels=["review", "microblog"],
    ),
    an_idea(
        "Love the widgets, please add one for the lock screen",
        "The home screen widget is the best thing you made. The same on the lock screen, please!",
        status="shipped",
        topics=["widgets"],
        languages=["en"],
        voices=8,
        evidence_count=9,
        mood={"negative": 0, "neutral": 2, "positive": 7},
        channels=["microblog"],
    ),
    an_idea(
        f"Hostile {HOSTILE}",
        f"A summary {HOSTILE}",
        topics=["<b>bold</b>"],
        languages=["en"],
        voices=1,
        evidence_count=2,
        mood={"negative": 0, "neutral": 2, "positive": 0},
        channels=["blog"],
    ),
]

MORE_IDEAS = [
    an_idea(
        f"A smaller wish, number {n}",
        f"What somebody wrote about wish {n}.",
        voices=2,
        evidence_count=2,
        mood={"negative": 0, "neutral": 1, "positive": 1},
    )
    for n in range(1, 26)
]

POSTS = [
    a_post(
        DARK_MODE_WISH,
        language="ko",
        sentiment="negative",
        author={"handle": "haneul", "name": "김하늘"},
    ),
    a_post(
        "A dark theme, please. I read in bed and the white background wakes up my partner. "
        "Following the system setting would be perfect.",
        channel="review",
        url="https://apps.example.com/reviews/99",
        topics=["design", "accessibility"],
    ),
    a_post(
        "다크 모드만 나오면 완벽한 앱입니다. 늘 고맙게 쓰고 있어요!",
        language="ko",
        channel="review",
        sentiment="positive",
        author={"handle": "j.lee", "name": ""},
        url="https://apps.example.com/reviews/104",
    ),
    a_post(
        f"{HOSTILE} javascript",
        url="javascript:window.pwned=3",
        title=f"Title {HOSTILE}",
        author={"handle": "<i>eve</i>", "name": HOSTILE},
        topics=[HOSTILE],
    ),
    a_post(
        "Long story. " + "It goes on and on about contrast. " * 60,
        url="data:text/html,<script>window.pwned=4</script>",
        channel="blog",
    ),
]


def a_topic(name: str, posts: int, **other: Any) -> Json:
    """A valid discovered topic by default; keywords replace what matters."""
    topic = {
        "id": ident(name),
        "product": "",
        "name": name,
        "words": [*name.replace(" · ", ", ").split(", "), "update"],
        "posts": posts,
        "share": 0.125,
        "before": 4,
        "growth": None,
        "rising": False,
        "first_seen": "2026-03-02",
        "days": [{"day": "2026-03-02", "posts": 1}, {"day": "2026-03-30", "posts": posts - 1}],
        "mood": {"negative": posts - 1, "neutral": 1, "positive": 0},
        "languages": {"ko": posts - 1, "en": 1},
        "samples": [
            {"id": ident(f"{name} ko"), "title": "", "text": HOSTILE, "language": "en"},
            {
                "id": ident(f"{name} en"),
                "title": "",
                "text": "배터리가 너무 빨리 닳아요",
                "language": "ko",
            },
        ],
        "retired": False,
        "dismissed": False,
        "adopted_as": None,
    }
    return topic | other


TOPICS = [
    a_topic("battery · 배터리", 12, product="Maru Notes"),
    a_topic("배송 · delivery", 5, rising=True),
]

DEFINED = [
    {"name": "battery", "description": "", "examples": ["drains the battery"], "formerly": []},
    {"name": "delivery", "description": HOSTILE, "examples": [], "formerly": []},
    {"name": "looks", "description": "", "examples": ["dark mode"], "formerly": ["design"]},
]

LEARNT = [
    {
        "head": "sentiment",
        "state": "too_few",
        "corrections": 3,
        "base_accuracy": None,
        "accuracy": None,
    },
    {"head": "topics", "state": "used", "corrections": 120, "base_accuracy": 0.6, "accuracy": 0.85},
]
