"""All settings of all services, as `maru settings` and the documentation show them."""

import os
import re
from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from maru_kit.settings import Common, describe

_FIELD = re.compile(r'field "(\w+)"')


def kinds() -> list[type[BaseSettings]]:
    """Return the settings model of every service."""
    from maru_gateway.settings import Settings as Gateway
    from maru_ideas.settings import Settings as Ideas
    from maru_ingest.settings import Settings as Ingest
    from maru_sentiment.settings import Settings as Sentiment

    return [Ingest, Sentiment, Ideas, Gateway]


def models() -> list[BaseSettings]:
    """Return the settings of every service, each read from the environment."""
    return [kind() for kind in kinds()]


def refused() -> list[str]:
    """Say what is wrong with the environment: one sentence for each value that cannot be.

    The values themselves are left out, for they may be secrets.
    """
    every: list[type[BaseSettings]] = [Common, *kinds()]
    return list(dict.fromkeys(text for kind in every for text in _refused(kind)))


def _refused(kind: type[BaseSettings]) -> Iterator[str]:
    try:
        kind()
    except SettingsError as error:  # a value of many parts that is no JSON
        if field := _FIELD.search(str(error)):
            env = f"{kind.model_config['env_prefix']}{field[1]}".upper()
            yield f'{env}: not JSON; a list is written ["one", "two"]'
    except ValidationError as error:
        # A service's model fails with the error of the Common within it, which is told already.
        prefix = (Common if error.title == Common.__name__ else kind).model_config["env_prefix"]
        for problem in error.errors(include_input=False, include_url=False):
            name = str(problem["loc"][0]) if problem["loc"] else ""
            env = name if name.isupper() else f"{prefix}{name}".upper()
            yield f"{env}: {problem['msg']}"


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
