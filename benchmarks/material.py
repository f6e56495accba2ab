"""The posts that everything is measured with: real reviews and comments of the shared data."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson

from maru_cli.labelled_data import labelled_data
from maru_contracts.posts import Author, Channel, Post, post_id

ROOT = Path(__file__).parents[1]
DATA = labelled_data()

_WISHES = ("train/suggestion-enfr-minibar-garmin-huawei", "visible/suggestion-enfr-minibar-samsung")
_KOREAN = ("visible/sentiment-ko-nsmc3-dev",)
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def wishes() -> list[str]:
    """Texts of people who want something (English and French reviews, the labels say so)."""
    return [row["text"] for row in rows(_WISHES) if row["suggestion"] == 1]


def texts(count: int) -> list[str]:
    """English and French reviews and Korean comments in turns."""
    reviews = [row["text"] for row in rows(_WISHES)]
    korean = [row["text"] for row in rows(_KOREAN)]
    mixed = [text for pair in zip(reviews, cycle(korean), strict=False) for text in pair]
    return list(islice(cycle(mixed), count))


def posts(texts_: Iterable[str], *, prefix: str = "wish") -> list[Post]:
    """Make collected posts of texts, all of one product."""
    now = datetime.now(UTC)
    return [
        Post(
            id=post_id("default", "bench", f"{prefix}-{number}"),
            workspace="default",
            product="app",
            source_id="bench",
            channel=Channel.REVIEW,
            native_id=f"{prefix}-{number}",
            author=Author(handle=f"reader{number % 5000}"),
            text=text,
            created_at=now,
            collected_at=now,
        )
        for number, text in enumerate(texts_)
    ]


def import_file(path: Path, count: int) -> Path:
    """Write `count` posts as NDJSON, as an export of a shop's reviews looks."""
    with path.open("wb") as file:
        for number, text in enumerate(texts(count)):
            row = {
                "id": f"review-{number:08}",
                "text": text,
                "author": f"reader{number % 5000}",
                "url": f"https://shop.example/reviews/{number:08}",
                "created_at": (_BEGIN + timedelta(seconds=37 * number)).isoformat(),
                "likes": number % 13,
            }
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    return path


def rows(names: Iterable[str]) -> list[dict[str, Any]]:  # Any: as JSON has it
    """Read the rows of files of the shared data. Raises SystemExit when one is not there."""
    found = []
    for name in names:
        path = DATA / f"{name}.jsonl"
        if not path.is_file():
            raise SystemExit(f"The benchmarks read {path}; set MARU_SHARED to the folder `shared`.")
        found += [orjson.loads(line) for line in path.read_bytes().splitlines()]
    return found
