"""Writes the JSON Schema of every topic's message into `schemas/`: `make schemas`.

The files are committed, so that a review shows what a change does to the messages.
"""

import json
from pathlib import Path

from maru_contracts.topics import TOPICS

FOLDER = Path(__file__).parent / "schemas"
EXAMPLES = Path(__file__).parent / "examples"


def rendered() -> dict[str, str]:
    """Return the schema file of each topic: name to text."""
    return {
        f"{topic.name}.json": json.dumps(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$id": topic.name,
                **topic.message.model_json_schema(),
            },
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
        for topic in TOPICS
    }


def main() -> None:
    """Write the files."""
    for name, text in rendered().items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
