"""What a benchmark has to say, and how figures are put together and shown."""

import statistics
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Measured = Callable[[], Awaitable[float]]
"""Does the work once and returns its figure."""


@dataclass(frozen=True)
class Aim:
    """What a figure should be; `of` says what is compared: the figure, or its ratio."""

    text: str
    holds: Callable[[float], bool]


@dataclass(frozen=True)
class Figure:
    """One line of the table. `value` and `reference` are in `unit`."""

    what: str
    value: float
    unit: str
    beside: str = ""
    reference: float | None = None
    ratio: float | None = None
    aim: Aim | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the aim is reached; None without one."""
        if self.aim is None:
            return None
        return self.aim.holds(self.value if self.ratio is None else self.ratio)


def at_least(share: float) -> Aim:
    """Aim at a share of the reference."""
    return Aim(f"≥ {share:g} of it", lambda ratio: ratio >= share)


def below(limit: float, unit: str) -> Aim:
    """Aim at less than a limit."""
    return Aim(f"< {limit:g} {unit}", lambda value: value < limit)


async def in_turns(rounds: int, measured: Mapping[str, Measured]) -> dict[str, list[float]]:
    """Run everything once a round, in an order that turns, after a round that does not count."""
    found: dict[str, list[float]] = {name: [] for name in measured}
    names = list(measured)
    for number in range(rounds + 1):
        for name in names:
            value = await measured[name]()
            if number:
                found[name].append(value)
        names = names[1:] + names[:1]
    return found


def median(values: Iterable[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def ratio(ours: Sequence[float], reference: Sequence[float]) -> float:
    """The median of the ratios of the rounds."""
    return median(mine / theirs for mine, theirs in zip(ours, reference, strict=True))


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| figure | Maru | beside it | there | ratio | aim | |",
        "| --- | ---: | --- | ---: | ---: | --- | --- |",
    ]
    for one in figures:
        cells = [
            one.what,
            f"{_short(one.value)} {one.unit}",
            one.beside,
            "" if one.reference is None else f"{_short(one.reference)} {one.unit}",
            "" if one.ratio is None else f"{one.ratio:.2f}",
            "" if one.aim is None else one.aim.text,
            {None: "", True: "reached", False: "**missed**"}[one.reached],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
