"""JSONPath (RFC 9535), as far as its cost is bounded by the size of what is looked through.

Regular expressions, functions, a second `..`, and lists of choices behind lists of choices are
refused when a path is read: each of them makes some answers take very long.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError
from jsonpath.filter import BaseExpression, FilterQuery, FunctionExtension, RelativeFilterQuery
from jsonpath.segments import JSONPathRecursiveDescentSegment
from jsonpath.selectors import Filter, IndexSelector, NameSelector

from maru_ingest.formats.parsed import Unreadable

MAX_PATH = 300
_MAX_CHOICES = 10
_READER = JSONPathEnvironment(strict=True)


class BadPath(ValueError):
    """What was written is no path, or one that may take too long; the text says why."""


@dataclass(frozen=True, slots=True)
class Path:
    """Leads from a JSON value to others."""

    written: str
    _compiled: JSONPath

    @classmethod
    def of(cls, written: str) -> "Path":
        """Read a path. Raises BadPath."""
        if not written.startswith("$"):
            raise BadPath("a JSONPath begins with $, such as $.reviews")
        if len(written) > MAX_PATH:
            raise BadPath(f"a JSONPath of more than {MAX_PATH} characters is not taken")
        try:
            compiled = _READER.compile(written)
        except (JSONPathError, ValueError, RecursionError) as error:
            raise BadPath(f"this is no JSONPath: {str(error).splitlines()[0]}") from error
        if not isinstance(compiled, JSONPath):
            raise BadPath("several JSONPaths in one are not taken")
        _check(compiled)
        return cls(written, compiled)

    def values(self, value: object, *, most: int) -> list[object]:
        """Return what the path leads to, at most `most` values, in their order.

        Raises Unreadable where `..` is to go deeper than anybody nests.
        """
        if not isinstance(value, dict | list):
            return [value] if self.written == "$" else []
        try:
            return [match.obj for match in islice(self._compiled.finditer(value), most)]
        except (JSONPathError, RecursionError) as error:
            raise Unreadable(f"nested too deep for {self.written}") from error

    def first(self, value: object) -> object:
        """Return the first value that is there and not null, else None."""
        found = self.values(value, most=_MAX_CHOICES)
        return next((one for one in found if one is not None), None)


def _check(path: JSONPath) -> None:
    deep = sum(isinstance(it, JSONPathRecursiveDescentSegment) for it in path.segments)
    several = [len(it.selectors) for it in path.segments if len(it.selectors) > 1]
    if deep > 1:
        raise BadPath("a JSONPath may have one .. only")
    if len(several) > 1 or max(several, default=0) > _MAX_CHOICES:
        raise BadPath(f"a JSONPath may choose between at most {_MAX_CHOICES} names, and once only")
    for segment in path.segments:
        for selector in segment.selectors:
            if isinstance(selector, Filter):
                for part in _parts(selector.expression):
                    _check_part(part)


def _parts(expression: BaseExpression) -> Iterator[BaseExpression]:
    yield expression
    for child in expression.children():
        yield from _parts(child)


def _check_part(part: BaseExpression) -> None:
    if isinstance(part, FunctionExtension):
        raise BadPath(f"the function {part.name} is not taken in a JSONPath")
    if isinstance(part, FilterQuery):
        plain = isinstance(part, RelativeFilterQuery) and all(
            len(segment.selectors) == 1
            and isinstance(segment.selectors[0], NameSelector | IndexSelector)
            and not isinstance(segment, JSONPathRecursiveDescentSegment)
            for segment in part.path.segments
        )
        if not plain:
            raise BadPath("a filter of a JSONPath may look at plain fields of @ only")
