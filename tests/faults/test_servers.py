"""The broker or the database goes away and comes back (rows 6, 7 and 10)."""

import signal
import time
from collections.abc import Callable

import pytest

from faults.conftest import PRODUCTION
from faults.simulator import Site, written
from faults.world import World

_ROWS = [("broker", signal.SIGTERM, 20.0), ("broker", signal.SIGKILL, 25.0)]
_ROWS += [("postgres", signal.SIGINT, 4.0), ("postgres", signal.SIGQUIT, 4.0)]
"""Seconds until posts arrive again: from the broker's stop, or from the database's readiness.

Alone on a machine it is 10, 20, 2 and 2; the tests share two cores with another such world.
"""


@pytest.mark.parametrize("running_world", [PRODUCTION], indirect=True)
@pytest.mark.parametrize(("server", "how", "seconds"), _ROWS)
def test_flow_resumes_after_a_server_was_restarted(
    world: World,
    server: str,
    how: signal.Signals,
    seconds: float,
    record_property: Callable[[str, object], None],
) -> None:
    product = f"{server}-{how.name}"
    truth = written(seed=product, count=300)
    restarted = world.broker if server == "broker" else world.postgres
    assert restarted is not None
    with Site([truth], seconds=15, window=300) as site:
        world.follow(site, product)
        world.resumes(product, within=20)

        begun = time.monotonic()
        restarted.stop(how)
        arrived = world.count(product) if server == "broker" else None
        restarted.start()
        if server == "postgres":
            begun = time.monotonic()
        world.resumes(product, within=40, arrived=arrived)
        took = time.monotonic() - begun

        record_property("seconds_to_resume", round(took, 2))
        assert took <= seconds
        world.drain(product, len(truth))
    assert world.judge(product, truth).faults() == {}
    assert all(world.stack.alive(service) for service in ("ingest", "sentiment", "ideas"))
