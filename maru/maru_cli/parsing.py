"""`maru parse`: a file's posts, printed as Maru understands them; nothing else is touched."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO

from maru_cli.output import err, out, print_json, shown
from maru_ingest.formats import documents
from maru_ingest.formats.parsed import Attachment, BadRow, Deletion, ParsedPost, Unreadable
from maru_kit.errors import MaruError

_INNER = {"offset", "is_row"}
_FIELDS = tuple(field.name for field in fields(ParsedPost) if field.name not in _INNER)
_MEDIA = tuple(field.name for field in fields(Attachment))


def run(file: str, *, url: str, as_json: bool) -> int:
    """Print every post of a file and return the exit status: 1 when there were bad rows."""
    bad = posts = 0
    try:
        with _opened(file) as stream:
            for row in documents.read(stream, name=file, url=url):
                if isinstance(row, BadRow):
                    bad += 1
                    err.print(f"{file}:{row.line}: {row.reason}", markup=False)
                    continue
                if isinstance(row, Deletion):
                    err.print(
                        f"{file}:{row.line}: deletes {', '.join(row.native_ids)}", markup=False
                    )
                    continue
                posts += 1
                if as_json:
                    print_json(as_object(row))
                else:
                    _show(row)
    except Unreadable as error:
        raise MaruError(f"{file}: {error}") from error
    except BrokenPipeError:
        raise  # nobody reads on: `maru parse … | head`
    except OSError as error:
        raise MaruError(f"{file} can't be read: {error.strerror}") from error
    if not posts and not as_json:
        out.print("No posts in it.")
    return 1 if bad else 0


def as_object(post: ParsedPost) -> dict[str, Any]:
    """Return a post under the names of its fields, for JSON; what is not known is there, empty."""
    plain = {name: getattr(post, name) for name in _FIELDS}
    media = [{name: getattr(one, name) for name in _MEDIA} for one in post.media]
    rating = post.rating and asdict(post.rating)
    return {**plain, "media": media, "rating": rating}


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as stream:
        yield stream


def _show(post: ParsedPost) -> None:
    when = f"{post.created_at:%Y-%m-%d %H:%M}" if post.created_at else ""
    who = post.author_name or post.author
    given = f"{post.rating.value:g}/{post.rating.best:g}" if post.rating else ""
    facts = (who, when, given, post.lang, post.url)
    out.print(shown(post.title) or "(no title)", style="bold", markup=False)
    out.print(" · ".join(shown(fact) for fact in facts if fact), style="dim", markup=False)
    if post.text:
        out.print("\n".join(shown(line) for line in post.text.splitlines()), markup=False)
    for one in post.media:
        out.print(f"[{one.kind}] {shown(one.url)}", markup=False)
    out.print()
