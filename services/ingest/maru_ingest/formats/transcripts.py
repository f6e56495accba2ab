"""What was said on TV, on the radio or on the phone: SRT and WebVTT subtitles, and plain text.

A post is what one person says in one go: subtitles are cut where the screen is full, so they are
joined until somebody else speaks, nobody speaks for a while, or a sentence ends after a good deal.
WebVTT: https://www.w3.org/TR/webvtt1/
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from maru_ingest.formats import text
from maru_ingest.formats.ids import content_hash
from maru_ingest.formats.parsed import ParsedPost

_TIME = r"(?:(\d{1,3}):)?([0-5]?\d):([0-5]?\d)[.,](\d{1,3})"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_NUMBER = re.compile(r"\s*\d{1,9}\s*")
_VOICE = re.compile(r"<v(?:\.[^\s>]{0,80})?\s+([^>]{1,200})>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:[ibuvc]|ruby|rt|lang|font|\d{1,2}:)[^<>]{0,200}>|\{\\[^{}]{0,80}\}", re.IGNORECASE
)
_SPEAKER = re.compile(r"(?:-\s*|>>\s*)?((?:\w|[ .'&()-]){1,40}?)\s?[:：]\s+(?=\S)")
_NEW_SPEAKER = re.compile(r"(?:-|>>)\s*(?=\S)")
_SENTENCE_ENDS = re.compile(r"[.!?。？！…][\"'”’)\]]*$")
_NOT_SPOKEN = re.compile(r"[\s♪#*]*(?:[\[(（][^\[\]()（）]{0,80}[\])）])?[\s♪#*]*")
_PAUSE = 2_000
_ENOUGH = 400
_MOST = 4_000
_NAME_WORDS = 4


@dataclass(slots=True)
class _Said:
    """A piece: who says it ("" for the same as before), what, and from when to when in ms."""

    speaker: str
    words: str
    begin: int
    end: int
    line: int
    is_turn: bool


def is_subtitles(start: str) -> bool:
    """Tell by its beginning whether a text is SRT or WebVTT."""
    if re.match(r"WEBVTT(?:[ \t\n\r]|$)", start):
        return True
    rows = [row for row in start.splitlines()[:10] if row.strip()][:2]
    return len(rows) > 1 and bool(_NUMBER.fullmatch(rows[0]) and _TIMING.fullmatch(rows[1]))


def subtitles(rows: Iterable[str], *, mark: str) -> Iterator[ParsedPost]:
    """Yield what was said by the lines of an SRT or WebVTT file.

    `mark` names the recording: the customer of one call is not the customer of the next.
    """
    yield from _joined(_cues(rows), mark)


def plain(rows: Iterable[str], *, mark: str) -> Iterator[ParsedPost]:
    """Yield what was said by the lines of a transcript: `NAME: words`, or paragraphs."""
    yield from _joined(_paragraphs(rows), mark)


def _cues(rows: Iterable[str]) -> Iterator[_Said]:
    """Yield the lines of all cues; what stands outside of one (names, notes, styles) is none."""
    span: tuple[int, int] | None = None
    waiting: _Said | None = None
    for number, row in enumerate(rows, 1):
        if found := _TIMING.fullmatch(row):
            # The number before a cue's time is its name, which some files hang on the last cue.
            if waiting is not None and _NUMBER.fullmatch(waiting.words):
                waiting = None
            span = (_milliseconds(found.groups()[:4]), _milliseconds(found.groups()[4:]))
        elif not row.strip():
            span = None
        elif span is not None:
            if waiting is not None:
                yield waiting
            waiting = _said(row, number, *span)
    if waiting is not None:
        yield waiting


def _milliseconds(written: tuple[str, ...]) -> int:
    hours, minutes, seconds, fraction = written
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    return whole * 1000 + int(fraction.ljust(3, "0"))


def _paragraphs(rows: Iterable[str]) -> Iterator[_Said]:
    is_after_blank = False
    for number, row in enumerate(rows, 1):
        if row.strip():
            said = _said(row, number, 0, 0)
            said.is_turn |= is_after_blank
            yield said
        is_after_blank = not row.strip()


def _said(row: str, line: int, begin: int, end: int) -> _Said:
    row = row[:_MOST]
    voice = _VOICE.search(row)
    words = text.clean_line(html.unescape(_TAG.sub("", row)))
    speaker = voice[1].strip() if voice else ""
    if not speaker and (named := _SPEAKER.match(words)) and len(named[1].split()) <= _NAME_WORDS:
        speaker, words = named[1].strip(), words[named.end() :]
    dash = _NEW_SPEAKER.match(words)
    words = words[dash.end() :] if dash else words
    return _Said(speaker, words, begin, end, line, is_turn=bool(speaker or dash))


def _joined(pieces: Iterable[_Said], mark: str) -> Iterator[ParsedPost]:
    """Join pieces into what one person says in one go."""
    speaker, turn = "", list[_Said]()
    length = 0
    for piece in pieces:
        if not piece.words or _NOT_SPOKEN.fullmatch(piece.words):
            continue
        if turn and _ends(turn[-1], length, piece, speaker):
            yield _post(turn, speaker, mark)
            turn, length = [], 0
            speaker = "" if piece.is_turn else speaker
        if turn and turn[-1].words == piece.words:  # rolling captions repeat the line above
            turn[-1].end = piece.end
            continue
        speaker = piece.speaker or speaker
        turn.append(piece)
        length += len(piece.words)
    if turn:
        yield _post(turn, speaker, mark)


def _ends(last: _Said, length: int, following: _Said, speaker: str) -> bool:
    """Whether a turn is over before the piece that follows."""
    if following.is_turn and following.speaker != speaker:
        return True
    if following.is_turn and not following.speaker:
        return True
    if following.begin - last.end > _PAUSE or length + len(following.words) > _MOST:
        return True
    return length > _ENOUGH and bool(_SENTENCE_ENDS.search(last.words))


def _post(turn: list[_Said], speaker: str, mark: str) -> ParsedPost:
    words = text.clean_line(" ".join(piece.words for piece in turn), 2 * _MOST)
    name = text.clean_line(speaker)
    post = ParsedPost(native_id="", text=words, line=turn[0].line)
    post.author, post.author_name = (f"{name}@{mark}", name) if name else ("", "")
    post.native_id = f"{content_hash(post)}@{turn[0].begin or turn[0].line}"
    return post
