"""Servers and other things that tests of every area share; they live in `servers/`."""

import pytest

from servers.kafka import kafka_url, own_broker
from servers.logs import bus, bus_url
from servers.postgres import database_url, own_postgres, postgres_database, postgres_url

__all__ = [
    "bus",
    "bus_url",
    "database_url",
    "kafka_url",
    "own_broker",
    "own_postgres",
    "postgres_database",
    "postgres_url",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let fault tests run longer than they do each day."""
    parser.addoption("--rounds", type=int, default=1, help="how often a fault is made")


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a fault test makes its fault."""
    return int(request.config.getoption("rounds"))
