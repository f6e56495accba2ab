from datetime import UTC, datetime
from pathlib import Path

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import documents, payloads
from maru_ingest.formats.parsed import ParsedPost, Unreadable


def answer(*items: dict[str, str]) -> dict[str, object]:
    return {
        "lastBuildDate": "Mon, 26 Sep 2026 10:39:37 +0900",
        "total": 1,
        "start": 1,
        "display": len(items),
        "items": list(items),
    }


def found(**fields: str) -> ParsedPost:
    stated = {
        "title": "<b>다크 모드</b> 후기",
        "link": "https://a.example/1",
        "description": "좋다",
    }
    (row,) = payloads.read(answer({**stated, **fields})).rows
    assert isinstance(row, ParsedPost)
    return row


def test_a_blogs_post() -> None:
    post = found(
        link="https://blog.naver.com/haneul/1",
        description="<b>다크 모드</b>가 &quot;드디어&quot; 나왔다...",
        bloggername="하늘 &amp; 바다",
        bloggerlink="blog.naver.com/haneul",
        postdate="20260926",
    )

    assert (post.title, post.text) == ("다크 모드 후기", '다크 모드가 "드디어" 나왔다...')
    assert post.truncated
    assert post.native_id == "https://blog.naver.com/haneul/1"
    assert post.author_name == "하늘 & 바다"
    assert post.channel is Channel.BLOG
    assert post.created_at == datetime(2026, 9, 25, 15, tzinfo=UTC)  # midnight in Seoul


@pytest.mark.parametrize(
    ("link", "name"),
    [
        ("http://blog.naver.com/haneul/22", "https://blog.naver.com/haneul/22"),
        ("https://m.blog.naver.com/haneul/22?x=1", "https://blog.naver.com/haneul/22"),
        (
            "https://blog.naver.com/haneul?Redirect=Log&logNo=22",
            "https://blog.naver.com/haneul/22",
        ),
        (
            "https://m.blog.naver.com/PostView.naver?blogId=haneul&logNo=22",
            "https://blog.naver.com/haneul/22",
        ),
        ("http://cafe.naver.com/apps/7?art=aW50ZXJu", "https://cafe.naver.com/apps/7"),
        ("https://m.cafe.naver.com/apps/7", "https://cafe.naver.com/apps/7"),
        (
            "https://cafe.naver.com/ca-fe/web/cafes/3/articles/7?q=x",
            "https://cafe.naver.com/ca-fe/cafes/3/articles/7",
        ),
        (
            "https://kin.naver.com/qna/detail.naver?d1id=1&docId=5&qb=7Jyg&enc=utf8",
            "https://kin.naver.com/qna/detail.naver?docId=5",
        ),
        ("https://a.example/1?id=2#top", "https://a.example/1?id=2"),
        ("https://[broken", "https://[broken"),
    ],
)
def test_a_post_has_one_id_whichever_search_finds_it(link: str, name: str) -> None:
    assert found(link=link).native_id == name


@pytest.mark.parametrize(
    ("fields", "channel"),
    [
        ({"cafename": "앱 모임", "cafeurl": "https://cafe.naver.com/apps"}, Channel.COMMUNITY),
        ({"originallink": "https://press.example/1", "pubDate": "x"}, Channel.PRESS),
        ({"link": "https://kin.naver.com/qna/detail.nhn?d1id=1"}, Channel.COMMUNITY),
        ({}, None),
    ],
)
def test_the_channel_is_told_by_what_was_searched(
    fields: dict[str, str], channel: Channel | None
) -> None:
    assert found(**fields).channel is channel


def test_news_go_by_the_papers_own_address() -> None:
    post = found(originallink="https://press.example/1", pubDate="Mon, 26 Sep 2026 07:50:00 +0900")

    assert post.native_id == "https://press.example/1"
    assert post.created_at == datetime(2026, 9, 25, 22, 50, tzinfo=UTC)


def test_trends_products_and_errors_say_what_they_are(shared: Path) -> None:
    trend = shared / "fixtures/naver-openapi/ko/service-apis/datalab/search/search.3.json"
    with pytest.raises(Unreadable, match="a Naver trend of searches holds no posts"):
        payloads.parse(trend.read_bytes())
    with pytest.raises(Unreadable, match="a Naver product holds no posts"):
        payloads.read(answer({"title": "x", "lprice": "1", "link": "x"}))
    with pytest.raises(Unreadable, match="Naver answers with an error: Authentication failed: 024"):
        payloads.read({"errorMessage": "Authentication failed", "errorCode": "024"})
    assert list(payloads.read(answer()).rows) == []


def test_an_answer_in_xml_is_a_feed() -> None:
    rss = """<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel>
    <title>Naver Open API - blog ::'x'</title><total>1</total><item>
    <title>&lt;b&gt;다크 모드&lt;/b&gt; 후기</title><link>https://blog.naver.com/haneul/1</link>
    <description>눈이 &lt;b&gt;편해요&lt;/b&gt;</description><bloggername>하늘</bloggername>
    <postdate>20260926</postdate></item></channel></rss>"""
    (post,) = documents.parse(rss.encode()).rows

    assert isinstance(post, ParsedPost)
    assert (post.title, post.text) == ("다크 모드 후기", "눈이 편해요")
    assert post.url == "https://blog.naver.com/haneul/1"
