"""Every platform says in its own way how much may be asked; none of it is overlooked."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from kit.hostile import Hostile, open_hostile
from maru_kit.outbound import AskedToWait, Outbound, open_outbound
from maru_kit.outbound.limits import MAX_WAIT, Allowance, allowance, retry_after

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
IN_A_MINUTE = NOW + timedelta(seconds=60)
EPOCH = str(int(IN_A_MINUTE.timestamp()))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2026-11-25T12:01:00.000Z"}, (0, 60)),
        ({"x-ratelimit-remaining": "7", "x-ratelimit-reset": "2026-11-25T21:01:00+09:00"}, (7, 60)),
        ({"x-rate-limit-remaining": "3", "x-rate-limit-reset": EPOCH}, (3, 60)),
        ({"x-ratelimit-remaining": "4999", "x-ratelimit-reset": EPOCH}, (4999, 60)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": EPOCH + "000"}, (0, 60)),
        ({"x-ratelimit-remaining": "96.0", "x-ratelimit-reset": "60"}, (96, 60)),
        ({"ratelimit-remaining": "2999", "ratelimit-reset": EPOCH}, (2999, 60)),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "60"}, (0, 60)),
        (
            {
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": EPOCH + ".470",
                "x-ratelimit-reset-after": "0.5",
            },
            (0, 0.5),
        ),
        ({"ratelimit": '"default";r=50;t=60'}, (50, 60)),
        ({"ratelimit": '"burst";r=9;t=1, "day";r=0;t=3000, "hour";r=0;t=60'}, (0, 3000)),
        ({"ratelimit": '"a,b;r=0;t=9";r=4;t=60'}, (4, 60)),
        ({"ratelimit": '"default";r=5'}, (5, 0)),
        ({"ratelimit": "limit=100, remaining=50, reset=60"}, (50, 60)),
        ({"x-ratelimit-remaining": "0"}, (0, 0)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, (0, 0)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1000000001"}, (0, 0)),
        (
            {
                "x-ratelimit-remaining": "9",
                "x-ratelimit-reset": "5",
                "ratelimit-remaining": "0",
                "ratelimit-reset": "60",
            },
            (0, 60),
        ),
    ],
)
def test_each_platforms_form_is_understood(
    headers: dict[str, str], expected: tuple[float, float]
) -> None:
    found = allowance(headers, NOW)

    assert found is not None
    assert (found.remaining, found.reset) == pytest.approx(expected)
    assert found.exhausted == (expected[0] == 0)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-remaining": "many"},
        {"ratelimit": '"r=0"'},
        {"x-ratelimit-remaining": "nan"},
    ],
)
def test_what_says_nothing_is_no_allowance(headers: dict[str, str]) -> None:
    assert allowance(headers, NOW) is None


@pytest.mark.parametrize("behind", [-600, 600])
def test_a_host_whose_clock_is_wrong_is_understood_by_its_own_clock(behind: int) -> None:
    theirs = NOW - timedelta(seconds=behind)
    headers = {
        "date": format_datetime(theirs, usegmt=True),
        "retry-after": format_datetime(theirs + timedelta(seconds=30), usegmt=True),
        "x-rate-limit-remaining": "0",
        "x-rate-limit-reset": str(int(theirs.timestamp()) + 60),
    }

    assert allowance(headers, NOW) == Allowance(0, 60)
    assert retry_after(headers, NOW) == 30


FIELDS = st.sampled_from(
    [
        *("date", "retry-after", "ratelimit", "ratelimit-remaining", "ratelimit-reset"),
        *("x-ratelimit-remaining", "x-ratelimit-reset", "x-ratelimit-reset-after"),
        *("x-rate-limit-remaining", "x-rate-limit-reset"),
    ]
)
VALUES = st.one_of(
    st.binary(max_size=40).map(lambda value: value.decode("latin-1")),
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,3})?", fullmatch=True),
    st.datetimes().map(datetime.isoformat),
    st.datetimes(timezones=st.just(UTC)).map(lambda when: format_datetime(when, usegmt=True)),
    st.sampled_from(["inf", "-inf", "nan", "1e999", '"', '"a";r=0;t=1', "remaining=0,reset=1"]),
)


@given(st.dictionaries(FIELDS, VALUES))
def test_whatever_stands_there_is_bounded_and_no_error(headers: dict[str, str]) -> None:
    wait, found = retry_after(headers, NOW), allowance(headers, NOW)

    assert wait is None or 0 <= wait <= MAX_WAIT
    assert found is None or (found.reset >= 0 and found.remaining == found.remaining)


@pytest_asyncio.fixture
async def hostile() -> AsyncIterator[Hostile]:
    async with open_hostile() as server:
        yield server


@pytest_asyncio.fixture
async def outbound(hostile: Hostile) -> AsyncIterator[Outbound]:
    async with open_outbound(allow=[hostile.host]) as client:
        yield client


def exhausted_until(seconds: int) -> list[tuple[str, ...]]:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    epoch = int(moment.timestamp())
    return [
        ("X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {moment.isoformat()}"),
        ("x-rate-limit-remaining: 0", f"x-rate-limit-reset: {epoch}"),
        ("X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {epoch}"),
        ("RateLimit-Remaining: 0", f"RateLimit-Reset: {epoch}"),
        ("x-ratelimit-remaining: 0.0", f"x-ratelimit-reset: {seconds}"),
        (f'RateLimit: "default";r=0;t={seconds}',),
        (f"RateLimit: limit=10, remaining=0, reset={seconds}",),
    ]


@pytest.mark.parametrize("form", range(7))
@pytest.mark.parametrize("status", [200, 403, 429])
async def test_no_request_is_sent_before_the_limit_is_reset(
    hostile: Hostile, outbound: Outbound, form: int, status: int
) -> None:
    hostile.say("/busy", status, *exhausted_until(60)[form])

    fetched = await outbound.get(hostile.url("/busy"))
    with pytest.raises(AskedToWait) as told:
        await outbound.post(hostile.url("/else"), b"x")
    with pytest.raises(AskedToWait):
        async with outbound.lines(hostile.url("/lines")):
            pass
    with pytest.raises(AskedToWait):
        async with outbound.websocket(hostile.url("/socket").replace("http", "ws")):
            pass

    assert fetched.retry_after == pytest.approx(60, abs=2)
    assert told.value.retry_after == pytest.approx(60, abs=2)
    assert len(hostile.seen) == 1


async def test_requests_are_sent_again_after_the_reset(
    hostile: Hostile, outbound: Outbound
) -> None:
    hostile.say("/busy", 200, "RateLimit-Remaining: 0", "RateLimit-Reset: 0.3")
    await outbound.get(hostile.url("/busy"))
    with pytest.raises(AskedToWait) as told:
        await outbound.get(hostile.url("/"))

    await asyncio.sleep(told.value.retry_after)
    assert (await outbound.get(hostile.url("/"))).body == b"ok"


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("says_when", [True, False])
async def test_the_limit_of_one_token_silences_no_other(
    hostile: Hostile, outbound: Outbound, *, status: int, says_when: bool
) -> None:
    headers = exhausted_until(60)[3] if says_when else ("Retry-After: 60",)
    hostile.say("/busy", status, *headers)
    await outbound.get(hostile.url("/busy"), headers={"Authorization": "Bearer one"})

    with pytest.raises(AskedToWait):
        await outbound.get(hostile.url("/"), headers={"authorization": "Bearer one"})
    for others in ({"Authorization": "Bearer two"}, {}):
        assert (await outbound.get(hostile.url("/"), headers=others)).body == b"ok"


async def test_a_server_that_is_overloaded_is_left_alone_with_any_token(
    hostile: Hostile, outbound: Outbound
) -> None:
    hostile.say("/busy", 503, "Retry-After: 60")
    await outbound.get(hostile.url("/busy"), headers={"Authorization": "Bearer one"})

    for headers in ({"Authorization": "Bearer one"}, {"Authorization": "Bearer two"}, {}):
        with pytest.raises(AskedToWait):
            await outbound.get(hostile.url("/"), headers=headers)
    assert len(hostile.seen) == 1


async def test_who_waited_for_a_place_does_not_ask_within_the_silence(hostile: Hostile) -> None:
    hostile.say("/busy", 429, "Retry-After: 60")
    async with open_outbound(allow=[hostile.host]) as outbound:
        asked = [outbound.get(hostile.url("/busy")) for _ in range(10)]
        results = await asyncio.gather(*asked, return_exceptions=True)

    assert len(hostile.seen) <= 2
    assert sum(isinstance(result, AskedToWait) for result in results) >= 8


async def test_no_token_is_kept_in_memory(hostile: Hostile, outbound: Outbound) -> None:
    hostile.say("/busy", 429, "Retry-After: 60")
    await outbound.get(hostile.url("/busy"), headers={"Authorization": "Bearer canary"})

    assert outbound._manners._silent_until
    assert "canary" not in repr(outbound._manners)
    assert "canary" not in repr(outbound._manners._silent_until)
