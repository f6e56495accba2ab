"""All settings of all services, as `maru settings` and the documentation show them."""

import os

from pydantic_settings import BaseSettings

from maru_kit.settings import describe


def models() -> list[BaseSettings]:
    """Return the settings of every service, each read from the environment."""
    from maru_gateway.settings import Settings as Gateway
    from maru_ideas.settings import Settings as Ideas
    from maru_ingest.settings import Settings as Ingest
    from maru_sentiment.settings import Settings as Sentiment

    return [Ingest(), Sentiment(), Ideas(), Gateway()]


def rows() -> list[dict[str, str]]:
    """List each setting once, and whether the environment or the default decides it."""
    found = {row.env: row for model in models() for row in describe(model)}
    return [
        {
            "env": row.env,
            "value": row.value,
            "source": "environment" if row.env in os.environ else "default",
            "default": row.default,
            "description": row.description,
        }
        for row in found.values()
    ]
