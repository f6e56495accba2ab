"""Every parser bears what nobody would send: the short form of `make fuzz`."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz import bounds
from fuzz.bounds import MEGABYTES, tried
from fuzz.corpus import seeds
from fuzz.found import FOUND, Found
from fuzz.mutation import MAX_INPUT, mutated
from fuzz.targets import TARGETS, Target

EXAMPLES = 60
SEEDS = 40


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_parser_reads_or_refuses_whatever_comes(target: Target) -> None:
    first = seeds(target, most=SEEDS)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(first), st.randoms(use_true_random=False))
    def bears(data: bytes, dice: Random) -> None:
        found = tried(target, mutated(data, dice))
        assert not found.fault, f"{found.fault} at {found.where}"

    for data in first:
        assert tried(target, data).fault == ""
    bears()


@pytest.mark.parametrize("found", FOUND, ids=lambda found: f"{found.target}: {found.what}")
def test_what_fuzzing_has_found_stays_mended(found: Found) -> None:
    target = next(one for one in TARGETS if one.name == found.target)

    assert tried(target, found.data).fault == ""


def _turn_forever(_: bytes) -> None:
    while True:
        pass


def test_what_nobody_foresaw_is_noticed() -> None:
    found = tried(Target("t", {}.__getitem__), b"a")

    assert found.fault == "KeyError: b'a'"


def test_what_takes_too_long_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SECONDS", 0.001)

    assert tried(Target("t", lambda _: sum(range(1_000_000))), b"a").where == "slow"


def test_what_has_no_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "HANGS", 0.05)

    assert tried(Target("t", _turn_forever), b"a").fault.startswith("Hangs")


def test_what_needs_too_much_memory_is_noticed() -> None:
    large = Target("t", lambda _: b"a" * int(2 * MEGABYTES * 2**20))

    assert tried(large, b"a").where == "large"


@given(st.binary(max_size=200), st.randoms(use_true_random=False))
def test_a_mutated_input_has_its_bound(data: bytes, dice: Random) -> None:
    assert len(mutated(data, dice)) <= MAX_INPUT
