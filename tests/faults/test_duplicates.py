"""The same post comes many times: in one file, in two imports, through two sources (row 17)."""

from faults.simulator import Site, write_ndjson, written
from faults.world import World


def test_a_post_counts_once_however_often_it_comes(world: World) -> None:
    truth = written(seed=6, count=500)
    file = world.home / "duplicates.ndjson"
    write_ndjson(file, truth[:300], repeat=0.2)
    feed = truth[300:]

    with Site([feed, feed], seconds=3, window=len(feed)) as site:
        world.follow(site, "duplicates")
        world.import_file(file, "duplicates")
        world.import_file(file.rename(world.home / "again.ndjson"), "duplicates")
        world.drain("duplicates", len(truth))

    assert world.judge("duplicates", truth).faults() == {}
