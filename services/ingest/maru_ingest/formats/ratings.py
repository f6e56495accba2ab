"""Ratings as people and platforms write them: stars, or a number of a scale."""

import math
import re
from collections.abc import Mapping

from maru_contracts.posts import MAX_BEST
from maru_ingest.formats.parsed import Rating

_USUAL = 5.0
_OF = re.compile(r"\s*(\d{1,4}(?:[.,]\d{1,4})?)\s*(?:/|of|out of)\s*(\d{1,4})\s*", re.IGNORECASE)
_STARS = re.compile(r"\s*([★⭐]*)(☆*)\s*")
_VALUES, _ENDS = ("value", "ratingValue"), ("best", "bestRating")
_MAX_STARS = 20
_SELECTOR = "\ufe0f"  # after a sign that is to be shown as a picture


def rating(value: object, best: object = None) -> Rating | None:
    """Return what `value` says (4, "4.5", "4/5", "★★★★☆"), None for anything else.

    An object says it as Maru does (`value`, `best`) or as https://schema.org/Rating does. `best`
    is the end of the scale: five where nobody says, as for stars. A value beyond its scale is none:
    whether 8 is of ten or of a hundred can't be known.
    """
    if isinstance(value, dict):
        given, end = (_either(value, *names) for names in (_VALUES, _ENDS))
        return None if isinstance(given, dict) else rating(given, best if end is None else end)
    written = value.replace(_SELECTOR, "") if isinstance(value, str) else value
    if isinstance(written, str) and (of := _OF.fullmatch(written)):
        return _on_scale(_number(of[1]), _number(of[2]))
    if isinstance(written, str) and (stars := _STARS.fullmatch(written)) and stars[0].strip():
        full, empty = len(stars[1]), len(stars[2])
        if full + empty > _MAX_STARS:
            return None
        return _on_scale(full, max(full + empty, _USUAL))
    return _on_scale(_number(written), _USUAL if best is None else _number(best))


def _either(stated: Mapping[str, object], ours: str, theirs: str) -> object:
    return stated.get(ours, stated.get(theirs))


def _on_scale(value: float | None, best: float | None) -> Rating | None:
    if value is None or best is None or not 0 < best <= MAX_BEST or not 0 <= value <= best:
        return None
    return Rating(value, best)


def _number(written: object) -> float | None:
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        return None
    try:
        number = float(written.replace(",", ".") if isinstance(written, str) else written)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
