"""kill -9 of every service, at random moments and at each named place (rows 1 to 4)."""

import signal
import time
from collections.abc import Callable

import pytest

from faults.processes import Killer
from faults.simulator import Site, write_ndjson, written
from faults.world import SERVICES, World

_RESUMES = {"ingest": 9.0, "sentiment": 15.0, "ideas": 9.0}
"""Seconds from the start of the process that replaces a killed one to the next post in ideas.

Alone on a machine the first and the last take less than 3; the tests share two cores with
another such world.
"""


def test_random_kills_lose_nothing_and_count_nothing_twice(world: World) -> None:
    truth = written(seed=1, count=1_200)
    file = world.home / "kills.ndjson"
    write_ndjson(file, truth[:600], repeat=0.2)

    with Site([truth[600:900], truth[900:]], seconds=12, window=300) as site:
        world.follow(site, "kills")
        killer = Killer(world.stack, SERVICES, kills=6, pause=(1.0, 3.0), seed=7)
        with killer:
            world.import_file(file, "kills")
            while not killer.finished():
                world.count("kills")
        world.up()
        world.drain("kills", len(truth))

    assert killer.done == 6
    assert world.judge("kills", truth).faults() == {}


_ROUNDS = (
    {"ingest": "after_produce_before_cursor", "sentiment": "after_publish"},
    {"sentiment": "after_handler_before_commit", "ideas": "after_db_before_kafka_commit"},
    # Sentiment publishes nothing twice here, so nothing makes good what ideas may lose.
    {"sentiment": "after_fetch_before_handler", "ideas": "before_commit"},
    {"ingest": "after_cursor", "ideas": "after_publish"},
)


def test_a_crash_at_each_named_place_is_made_good(world: World) -> None:
    truth = written(seed=2, count=100 * len(_ROUNDS))
    parts = [truth[start : start + 100] for start in range(0, len(truth), 100)]
    for number, (points, part) in enumerate(zip(_ROUNDS, parts, strict=True)):
        for service in points:
            world.stack.kill(service)
        for service, point in points.items():
            world.stack.start(service, MARU_CRASH_AT=point)
        with Site([part], seconds=0, window=len(part)) as site:
            if "ingest" in points:
                world.stack.wait_ready("ingest")
            world.follow(site, "crashes", name=f"round-{number}")
            for service in points:
                assert world.stack.wait_dead(service) == -signal.SIGKILL
                world.stack.start(service)
            world.up()
            world.drain("crashes", 100 * (number + 1))

    assert world.judge("crashes", truth).faults() == {}


def test_an_import_that_is_killed_goes_on_where_it_was(world: World) -> None:
    truth = written(seed=3, count=400)
    file = world.home / "import.ndjson"
    write_ndjson(file, truth, repeat=0.2)

    crashed = world.start_import(file, "import", MARU_CRASH_AT="after_produce_before_cursor")
    assert crashed.wait(60) == -signal.SIGKILL
    for _ in range(2):
        world.import_file(file, "import")
    world.drain("import", len(truth))

    assert world.judge("import", truth).faults() == {}


@pytest.mark.parametrize("service", ["ingest", "sentiment", "ideas"])
def test_a_killed_service_goes_on_as_soon_as_it_is_back(
    world: World, service: str, record_property: Callable[[str, object], None]
) -> None:
    product = f"back-{service}"
    truth = written(seed=product, count=400)
    with Site([truth], seconds=20, window=400) as site:
        world.follow(site, product)
        world.resumes(product, within=20)

        world.stack.kill(service)
        arrived = world.settles(product)
        begun = time.monotonic()
        world.stack.start(service)
        world.resumes(product, within=30, arrived=arrived)
        took = time.monotonic() - begun

        record_property("seconds_to_resume", round(took, 2))
        assert took <= _RESUMES[service]
        world.drain(product, len(truth))
    assert world.judge(product, truth).faults() == {}
