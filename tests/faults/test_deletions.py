"""Posts that are edited and deleted while processes die: what is left is the truth (row 18)."""

import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace

from faults.processes import Killer
from faults.simulator import rows, written
from faults.world import World


def test_kills_bring_no_deleted_post_back_and_lose_no_edit(world: World) -> None:
    said = written(seed=8, count=300)
    edited = [replace(post, text=f"{post.text} Edited.") for post in said[::3]]
    left = {post.native_id: post for post in [*said, *edited]}
    gone = [left.pop(post.native_id) for post in said[::4]]
    ends = [{"id": post.native_id, "deleted": True} for post in gone]

    with Killer(world.stack, ("sentiment", "ideas"), kills=4, pause=(1.0, 2.0), seed=9) as killer:
        for step in (rows(said), rows(edited), ends, rows(gone)):
            _import(world, step)
        while not killer.finished():
            world.count("gone")
    world.up()
    world.drain("gone", len(left))

    assert world.judge("gone", list(left.values())).faults() == {}


def _import(world: World, step: Sequence[Mapping[str, object]]) -> None:
    """Import rows that replace those of before; the first try dies before it has noted them."""
    file = world.home / "gone.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in step), "utf-8")
    crashed = world.start_import(file, "gone", MARU_CRASH_AT="after_produce_before_cursor")
    assert crashed.wait(60) == -signal.SIGKILL
    world.import_file(file, "gone")
