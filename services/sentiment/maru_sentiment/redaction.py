"""Redacts a post: every field that a person filled is kept without personal data.

Title, text, name, and the words of media lose all kinds. Addresses of pages lose e-mail addresses
alone: their numbers are ids. A handle or a native id that is itself an e-mail address (or a handle
that is a phone number) becomes a digest, the same each time, so that one person stays one voice and
a reply still names what it answers. A digest is a pseudonym and no secret: who knows the address
can make it again.
"""

from hashlib import blake2b

from maru_contracts.posts import MAX_TEXT, Author, Media, Post
from maru_contracts.tags import Pii, PiiKind
from maru_sentiment.pii import Redacted, Span, find, redact

_EMAIL: frozenset[PiiKind] = frozenset({"email"})
_REACHES: frozenset[PiiKind] = frozenset({"email", "phone"})
_SHORT, _URL = 2_000, 8_000


def redacted(post: Post) -> tuple[Post, tuple[Pii, ...]]:
    """Return the post without personal data, and where placeholders stand in title and text.

    A field that placeholders made longer than its limit is cut; a cut text is marked `truncated`.
    """
    title, text = _cut(redact(post.title), _SHORT), redact(post.text)
    kept = _cut(text, MAX_TEXT)
    clean = post.model_copy(
        update={
            "title": title.text,
            "text": kept.text,
            "truncated": post.truncated or kept is not text,
            "url": _url(post.url) if post.url else post.url,
            "native_id": _named(post.native_id, post.workspace, _EMAIL),
            "in_reply_to": _named(post.in_reply_to, post.workspace, _EMAIL),
            "reshared_from": _named(post.reshared_from, post.workspace, _EMAIL),
            "author": post.author and _author(post.author, post.workspace),
            "media": tuple(map(_media, post.media)),
        }
    )
    spans = [Pii(field="title", kind=it.kind, start=it.start, end=it.end) for it in title.spans]
    spans += [Pii(field="text", kind=it.kind, start=it.start, end=it.end) for it in kept.spans]
    return clean, tuple(spans)


def _author(author: Author, workspace: str) -> Author:
    handle = _named(author.handle, workspace, _REACHES)
    return author.model_copy(
        update={"handle": handle, "name": _cut(redact(author.name), _SHORT).text}
    )


def _media(media: Media) -> Media:
    alt, transcript = redact(media.alt), redact(media.transcript)
    return media.model_copy(
        update={
            "url": _url(media.url),
            "alt": _cut(alt, _SHORT).text,
            "transcript": _cut(transcript, MAX_TEXT).text,
        }
    )


def _url(url: str) -> str:
    return _cut(redact(url, _EMAIL), _URL).text


def _named(name: str | None, workspace: str, kinds: frozenset[PiiKind]) -> str | None:
    if name is None or not find(name, kinds):
        return name
    said = f"{workspace}\x1f{name}".encode("utf-8", "replace")
    return f"[{blake2b(said, digest_size=12).hexdigest()}]"


def _cut(it: Redacted, limit: int) -> Redacted:
    if len(it.text) <= limit:
        return it
    spans = tuple(Span(s.start, s.end, s.kind) for s in it.spans if s.end <= limit)
    end = min((s.start for s in it.spans if s.start < limit < s.end), default=limit)
    return Redacted(it.text[:end], spans)
