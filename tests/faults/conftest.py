"""One world for each mode and session; every test has its own product in it."""

from collections.abc import Iterator

import pytest

from faults.world import World, make_world

PRODUCTION = pytest.param("production", marks=[pytest.mark.kafka, pytest.mark.postgres])


@pytest.fixture(scope="session", params=["embedded", PRODUCTION])
def running_world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """The system of a mode."""
    with make_world(request.param, tmp_path_factory.mktemp(request.param)) as world:
        yield world


@pytest.fixture
def world(running_world: World) -> World:
    """The system with all services up and as they should be."""
    running_world.up()
    return running_world
