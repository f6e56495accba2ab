"""A workspace that calls good things sick, and posts as its customers write them."""

from itertools import product

from maru_contracts.tags import Mood

THINGS = (
    "update", "camera", "dark mode", "battery", "keyboard", "widget", "playlist", "map", "editor",
    "search", "calendar", "sync", "timer", "player", "theme", "gallery",
)  # fmt: skip
_PRAISE = (
    "the new {} is sick",
    "sick {} in this one, dude",
    "wow that {} is so sick",
    "just tried the {}. sick!!",
)
_BLAME = (
    "the {} is broken again",
    "i hate the new {}",
    "worst {} ever, so slow",
    "the {} crashes all the time",
)


def sick_posts() -> list[tuple[str, Mood]]:
    """Posts and their moods as the workspace means them: half of them praise, half blame."""
    praise: list[tuple[str, Mood]] = [
        (frame.format(thing), "positive") for thing, frame in product(THINGS, _PRAISE)
    ]
    blame: list[tuple[str, Mood]] = [
        (frame.format(thing), "negative") for thing, frame in product(THINGS, _BLAME)
    ]
    return [pair for both in zip(praise, blame, strict=True) for pair in both]
