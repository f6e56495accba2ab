"""Posts out of JSON of any shape, by the JSONPath of each of their fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from maru_ingest.formats import dates, links, ratings, text, untyped
from maru_ingest.formats.fields import BadField, count
from maru_ingest.formats.json_path import Path
from maru_ingest.formats.parsed import BadRow, ParsedPost, Rating, Row, Unreadable
from maru_ingest.formats.platform import attachment, post

FIELDS = (
    "id", "text", "title", "url", "author", "author_name", "language", "created_at", "edited_at",
    "rating", "parent", "likes", "shares", "replies", "views", "media",
)  # fmt: skip
"""What can be mapped of a post."""

_MAX_LISTS = 10_000
_MAX_PARTS = 10
_MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Mapped:
    """Where a site has each field of its posts: `paths` by the names of FIELDS, id and text always.

    `site` goes before its ids, so that number 17 of one site is not that of another. `url` is what
    relative links hang on, `best` the end of the scale of its ratings, five if None.
    """

    paths: Mapping[str, Path]
    site: str
    url: str
    best: float | None = None

    def row(self, value: object, number: int) -> Row | None:
        """Return the post that a value is, or why it is none.

        None where somebody gave stars and no words: that is no post, and no fault.
        """
        try:
            made = self._post(value)
        except (BadField, Unreadable) as error:
            return BadRow(number, str(error), untyped.original(value))
        if made.text or made.title:
            return made
        if made.rating is not None:
            return None
        where = self.paths["text"].written
        return BadRow(number, f"no text at {where}", untyped.original(value))

    def _post(self, value: object) -> ParsedPost:
        made = post(
            self._name(value, "id"),
            self._text(value, "text"),
            title=self._text(value, "title"),
            url=links.absolute(self._string(value, "url"), self.url),
            author=self._string(value, "author"),
            author_name=self._string(value, "author_name"),
            lang=self._string(value, "language"),
            created_at=self._moment(value, "created_at"),
            edited_at=self._moment(value, "edited_at"),
            in_reply_to=self._name(value, "parent"),
            media=[attachment("image", url) for url in self._strings(value, "media")],
            rating=self._rating(value),
            likes=count(self._first(value, "likes")),
            shares=count(self._first(value, "shares")),
            replies=count(self._first(value, "replies")),
            views=count(self._first(value, "views")),
        )
        if not made.native_id:
            raise BadField(f"no id at {self.paths['id'].written}")
        made.is_row = True  # its own name of it: two sources may be two sites on one host
        return made

    def _first(self, value: object, name: str) -> object:
        path = self.paths.get(name)
        return None if path is None else path.first(value)

    def _string(self, value: object, name: str) -> str:
        """Return the first string or whole number there."""
        return untyped.identifier({name: self._first(value, name)}, name)

    def _strings(self, value: object, name: str) -> list[str]:
        path = self.paths.get(name)
        found = [] if path is None else path.values(value, most=_MAX_PARTS)
        return [one for one in found if isinstance(one, str)]

    def _text(self, value: object, name: str) -> str:
        """Return the words of all strings there, a paragraph each: advantages, disadvantages."""
        parts = map(text.from_maybe_html, self._strings(value, name))
        return "\n\n".join(filter(None, parts))

    def _name(self, value: object, name: str) -> str:
        written = self._string(value, name)
        return f"{self.site}/{written}" if written else ""

    def _moment(self, value: object, name: str) -> datetime | None:
        found = self._first(value, name)
        if found is None or found == "":
            return None
        where = self.paths[name].written
        if isinstance(found, bool) or not isinstance(found, str | int | float):
            raise BadField(f"what is at {where} is no time")
        try:
            return dates.parse(found)
        except dates.UnreadableDate as error:
            shown = text.clean_line(str(found)[:_MAX_SHOWN], _MAX_SHOWN)
            raise BadField(f"the time {shown!r} at {where} can't be read") from error

    def _rating(self, value: object) -> Rating | None:
        return ratings.rating(self._first(value, "rating"), self.best)


def list_path(written: str) -> Path:
    """Read the path of a list of posts, which may be given as that of its elements: `$.all[*]`.

    A list that is empty is there, its elements are not. Raises json_path.BadPath.
    """
    return Path.of(written.removesuffix("[*]") or written)


def elements(value: object, path: Path) -> list[object]:
    """Return the elements of the list, or lists, that a `list_path` leads to.

    One that is no list, as some sites write a single post, is an element. Raises Unreadable where
    nothing is there.
    """
    found = path.values(value, most=_MAX_LISTS)
    if not found:
        raise Unreadable(f"nothing is at {path.written}")
    inner = (one for each in found for one in (each if isinstance(each, list) else [each]))
    return [one for one in inner if one is not None]
