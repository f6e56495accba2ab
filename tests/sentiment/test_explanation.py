"""Why a post has its tags: the words that moved them."""

from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_kit.settings import Common
from maru_sentiment.app import create_app
from maru_sentiment.explanation import MAX_PARTS, explain, parts_of, without_each
from maru_sentiment.settings import Settings
from maru_sentiment.tagger import Tagger

CALLER = {"X-Maru-Workspace": "default", "X-Maru-Actor": "test", "X-Maru-Role": "reader"}


@pytest.mark.parametrize(
    ("text", "tag", "word"),
    [
        ("The camera is terrible and the box was blue", ("sentiment", "negative"), "terrible"),
        ("화면은 크고 배송이 정말 최고예요", ("sentiment", "positive"), "최고예요"),
        ("Since Monday the app crashes on my tablet", ("intent", "problem"), "crashes"),
        ("The red one came today. I wish it had a clock", ("intent", "suggestion"), "wish"),
    ],
)
def test_the_word_that_says_it_moves_the_tag_most(
    tagger: Tagger, text: str, tag: tuple[str, str], word: str
) -> None:
    parts = parts_of(text)
    tags, *without = tagger.tag([text, *without_each(text, parts)], ())

    (found,) = [it for it in explain(tags, parts, without) if it.tag == tag]

    strongest = found.parts[0]
    assert text[strongest.part.start : strongest.part.end].strip(",") == word
    assert 0 < strongest.weight <= found.probability


@given(st.text(max_size=2_000))
def test_parts_are_the_words_of_the_text_in_few_enough_pieces(text: str) -> None:
    parts = parts_of(text)

    assert len(parts) <= MAX_PARTS
    assert " ".join(text[part.start : part.end] for part in parts).split() == text.split()
    for part, rest in zip(parts, without_each(text, parts), strict=True):
        assert len(rest) == len(text) - (part.end - part.start)


async def test_a_text_is_explained_over_http(tmp_path: Path) -> None:
    settings = Settings(common=Common(home=tmp_path, bus_url="", instance="one"))
    app = create_app(settings, work=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://sentiment", headers=CALLER
        ) as client,
    ):
        answer = await client.post("/api/v1/explanations", json={"text": "it is awful, fix it"})
        empty = await client.post("/api/v1/explanations", json={"text": ""})
        long = await client.post("/api/v1/explanations", json={"text": "x" * 10_001})

    found = answer.json()
    mood = next(tag for tag in found["tags"] if tag["head"] == "sentiment")
    assert (found["language"], mood["label"]) == ("en", "negative")
    assert "awful," in [word["words"] for word in mood["words"]]
    assert [tag["words"] for tag in empty.json()["tags"]] == [[]] * len(empty.json()["tags"])
    assert long.status_code == 422
    assert long.headers["content-type"] == "application/problem+json"
