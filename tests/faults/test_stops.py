"""A service is told to stop under load (row 30), or freezes and wakes up (row 33)."""

import signal
import time
from collections import Counter

import pytest

from faults.processes import free_port
from faults.simulator import write_ndjson, written
from faults.world import World

_BATCH = {"ingest": 0, "sentiment": 128, "ideas": 0, "gateway": 0}
"""How many posts may be tagged twice because of a stop: one batch."""


@pytest.mark.parametrize("service", ["ingest", "sentiment", "ideas", "gateway"])
def test_a_stop_under_load_ends_in_time_and_in_good_order(
    world: World, service: str, rounds: int
) -> None:
    for number in range(rounds):
        world.up()
        _stop_under_load(world, service, f"stop-{service}-{number}")


def _stop_under_load(world: World, service: str, product: str) -> None:
    truth = written(seed=product, count=400)
    file = world.home / f"{product}.ndjson"
    write_ndjson(file, truth)
    importing = world.start_import(file, product)
    if service != "ingest":
        world.resumes(product, within=30, arrived=0)

    begun = time.monotonic()
    status = world.stack.kill(service, signal.SIGTERM)

    assert time.monotonic() - begun <= 10
    assert status in {0, -signal.SIGTERM}
    assert importing.wait(60) == 0
    world.up(service)
    world.drain(product, len(truth))
    found = world.snapshot(product)
    tagged = Counter(name for part in found.streams["posts.tagged.v1"] for name in part)
    assert tagged.total() - len(truth) <= _BATCH[service]
    assert world.judge(product, truth).faults() == {}


def test_a_frozen_writer_is_replaced_and_fenced_when_it_wakes(world: World, rounds: int) -> None:
    done = 0
    for number in range(2 * rounds + 1):
        done += done < rounds and _freeze(world, f"zombie-{number}")
    assert done == rounds


def _freeze(world: World, product: str) -> bool:
    """Freeze a writer over its batch; false if it happened to hold SQLite's write lock just then.

    Nobody can take over from that: the lock of a file goes with its process.
    """
    truth = written(seed=product, count=400)
    file = world.home / f"{product}.ndjson"
    write_ndjson(file, truth)
    world.stack.kill("ideas")
    world.stack.start("ideas", MARU_CRASH_AT="after_fetch_before_handler:1:SIGSTOP")
    world.stack.wait_ready("ideas")
    fenced = world.stack.output("ideas").count("stream.fenced")
    world.import_file(file, product)
    world.waits_for(lambda: world.stack.is_frozen("ideas"))
    if world.is_locked():
        world.stack.signal("ideas", signal.SIGCONT)
        world.drain(product, len(truth))
        return False

    with world.second("ideas", free_port()) as second:
        world.drain(product, len(truth), seconds=30)
        world.stack.signal("ideas", signal.SIGCONT)
        world.waits_for(lambda: world.stack.output("ideas").count("stream.fenced") > fenced)
        assert world.stack.alive("ideas")
        second.terminate()
        assert second.wait(15) in {0, -signal.SIGTERM}

    world.drain(product, len(truth))
    assert world.judge(product, truth).faults() == {}
    return True
