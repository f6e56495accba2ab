"""The broker or the database goes away and comes back (rows 6, 7 and 10)."""

import signal

import pytest

from faults.conftest import PRODUCTION
from faults.simulator import Site, written
from faults.world import World

_ROWS = [("broker", signal.SIGTERM, 10.0), ("broker", signal.SIGKILL, 20.0)]
_ROWS += [("postgres", signal.SIGINT, 2.0), ("postgres", signal.SIGQUIT, 2.0)]


@pytest.mark.parametrize("running_world", [PRODUCTION], indirect=True)
@pytest.mark.parametrize(("server", "how", "seconds"), _ROWS)
def test_flow_resumes_after_a_server_was_restarted(
    world: World, server: str, how: signal.Signals, seconds: float
) -> None:
    product = f"{server}-{how.name}"
    truth = written(seed=product, count=300)
    restarted = world.broker if server == "broker" else world.postgres
    assert restarted is not None
    with Site([truth], seconds=15, window=300) as site:
        world.follow(site, product)
        world.resumes(product, within=20)

        restarted.stop(how)
        arrived = world.count(product) if server == "broker" else None
        restarted.start()

        assert world.resumes(product, within=40, arrived=arrived) <= seconds
        world.drain(product, len(truth))
    assert world.judge(product, truth).faults() == {}
    assert all(world.stack.alive(service) for service in ("ingest", "sentiment", "ideas"))
