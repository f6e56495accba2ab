"""The life of an idea: which status may follow which."""

from collections.abc import Mapping
from typing import Final

from maru_contracts.ideas import Status
from maru_kit.errors import Conflict

MOVES: Final[Mapping[Status, frozenset[Status]]] = {
    "new": frozenset({"under_review", "planned", "declined"}),
    "under_review": frozenset({"new", "planned", "in_progress", "declined"}),
    "planned": frozenset({"under_review", "in_progress", "declined"}),
    "in_progress": frozenset({"planned", "shipped", "declined"}),
    "shipped": frozenset({"under_review"}),
    "declined": frozenset({"under_review"}),
}
"""`shipped` and `declined` end an idea; only a new review opens it again."""


class MoveNotAllowed(Conflict):
    """The idea cannot go from its status to the wanted one."""


def moved(current: Status, wanted: Status) -> Status:
    """The status after the move. Raises MoveNotAllowed; staying is no move."""
    if wanted not in MOVES[current]:
        allowed = ", ".join(sorted(MOVES[current]))
        raise MoveNotAllowed(
            f"An idea that is {current} cannot become {wanted}; it can become {allowed}.",
            extra={"status": current, "allowed": sorted(MOVES[current])},
        )
    return wanted
