"""From bytes of an unknown encoding to text; never an exception."""

import codecs
from contextlib import suppress
from functools import lru_cache

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
EBCDIC = b"\x4c\x6f\xa7\x94"
"""How `<?xm` begins a document from a mainframe."""

_WIDER = {
    "euc-kr": "cp949", "euc_kr": "cp949", "euckr": "cp949", "ks_c_5601-1987": "cp949",
    "ksc5601": "cp949", "windows-949": "cp949", "x-windows-949": "cp949",
    "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932", "x-sjis": "cp932",
    "windows-31j": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs",
}  # fmt: skip
"""What is meant by names that say less than what is written, or that only others know."""

_PRINTABLE = bytes(range(0x20, 0x7F))
_HANGUL = range(0xAC00, 0xD7A4)
_KANA = range(0x3041, 0x30FF)
_WIDE_PROBE = 400
_MIN_UTF32 = 16


def marked(head: bytes) -> tuple[str, int]:
    """Return the encoding that the byte order mark at the start names, and the mark's length.

    The encoding is empty where there is no mark.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    return "", 0


def guess(head: bytes, *, whole: bool = True) -> str:
    """Return the likely encoding of bytes without a mark.

    UTF-8 where it fits but for a few bytes; UTF-16 and UTF-32 by their zero bytes; CP949 (what
    Korean spreadsheets write) where it reads as mostly Hangul; Shift JIS where a third is kana;
    else CP1252. With `whole` false the
    last character may be cut in two.
    """
    if head.startswith(EBCDIC):
        return "cp037"
    if wide := _wide(head):
        return wide
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
    except UnicodeDecodeError:
        if _mostly_utf8(head):
            return "utf-8"
        if _reads_as_japanese(head):
            return "cp932"
        return "cp949" if _reads_as_korean(head) else "cp1252"
    return "utf-8"


@lru_cache(maxsize=64)
def extends_ascii(name: str) -> bool:
    """Whether ASCII bytes mean in an encoding what they mean in ASCII; true for unknown names.

    In UTF-7 and EBCDIC, for two, a tag may stand where no byte is a `<`.
    """
    try:
        return _PRINTABLE.decode(name) == _PRINTABLE.decode("ascii")
    except LookupError:
        return True
    except ValueError:
        return False


def mistaken(data: bytes, declared: str) -> str:
    """Return the encoding of bytes that are not what they are declared to be, empty if they may be.

    Only what the bytes leave no doubt about is returned: UTF-8 with a few broken bytes, Korean, or
    an encoding that holds more than the declared one and all of `data`. Without a declaration
    UTF-8 is declared.
    """
    try:
        data.decode(declared or "utf-8")
    except (LookupError, ValueError):
        pass
    else:
        return ""
    if wider := _WIDER.get(declared.lower()):
        with suppress(ValueError):
            data.decode(wider)
            return wider
    guessed = guess(data)
    return "" if guessed == "cp1252" else guessed


def decode(data: bytes, declared: str = "") -> str:
    """Return `data` as text: by its mark, else as declared, else guessed."""
    encoding, length = marked(data)
    if encoding:
        return data[length:].decode(encoding, "replace")
    if declared:
        try:
            return data.decode(declared)
        except (LookupError, ValueError):
            pass  # declarations are often wrong: the bytes decide
    return data.decode(guess(data), "replace")


def as_declared(data: bytes, declared: str) -> str:
    """Return `data` as text, as browsers do: what is declared counts, broken bytes are replaced.

    By the mark first; the bytes decide where nothing is declared, or what can't be meant: a
    narrower encoding than that of the letters, or one that nobody knows.
    """
    encoding, length = marked(data)
    name = encoding or mistaken(data, declared) or _WIDER.get(declared.lower(), declared)
    try:
        return data[length:].decode(name or guess(data), "replace")
    except (LookupError, UnicodeError):
        return data[length:].decode(guess(data), "replace")


def _wide(head: bytes) -> str:
    if len(head) >= _MIN_UTF32:
        zeros = [head[place:_WIDE_PROBE:4].count(0) for place in range(4)]
        quarter = len(head[:_WIDE_PROBE]) // 4
        if zeros[0] == zeros[1] == quarter and zeros[3] < 0.1 * quarter:
            return "utf-32-be"
        if zeros[3] == zeros[2] == quarter and zeros[0] < 0.1 * quarter:
            return "utf-32-le"
    even, odd = head[0:_WIDE_PROBE:2].count(0), head[1:_WIDE_PROBE:2].count(0)
    pairs = len(head[:_WIDE_PROBE]) // 2
    if pairs and odd > 0.4 * pairs and even < 0.1 * pairs:
        return "utf-16-le"
    if pairs and even > 0.4 * pairs and odd < 0.1 * pairs:
        return "utf-16-be"
    return ""


def _mostly_utf8(head: bytes) -> bool:
    text = head.decode("utf-8", "replace")
    foreign = sum(not letter.isascii() for letter in text)
    return text.count("\ufffd") < 0.2 * foreign


def _reads_as_korean(head: bytes) -> bool:
    text = head.decode("cp949", "replace")
    foreign = [letter for letter in text if not letter.isascii()]
    hangul = sum(ord(letter) in _HANGUL for letter in foreign)
    return bool(foreign) and hangul > 0.7 * len(foreign)


def _reads_as_japanese(head: bytes) -> bool:
    text = head.decode("cp932", "replace")
    foreign = [letter for letter in text if not letter.isascii()]
    kana = sum(ord(letter) in _KANA for letter in foreign)
    return bool(foreign) and kana > 0.3 * len(foreign)
