"""Finds what names or reaches a person in a text, and replaces it: `redact`. Pure, and linear.

Patterns propose, check digits and `phonenumbers` decide. No pattern uses a word boundary beside
Hangul, where a number is followed by a particle without a space ("010-1234-5678로").

What is looked for: e-mail addresses, phone numbers, Korean resident and foreigner registration
numbers, payment cards, IBANs, public IP addresses, handles, postal addresses with a house number
(Korean, English, French, German), passport numbers beside the word. Names of people are not found.
A Korean business number is not replaced: it names a company, and the law has it shown in public.

A resident number that was issued since October 2020 ends with random digits, and its date of issue
can't be read from it: so written with its hyphen the date and the century digit are enough, and
without a hyphen the check digit must hold (13 digits in a row are mostly something else).
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import phonenumbers
from stdnum import iban as ibans
from stdnum import luhn

from maru_contracts.tags import PiiKind


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters `start` up to `end` of a text, and what they are."""

    start: int
    end: int
    kind: PiiKind


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text with a placeholder such as `[email]` for each find, and where these stand in it."""

    text: str
    spans: tuple[Span, ...] = ()


Check = Callable[[re.Match[str]], tuple[int, int] | None]
"""Where the find begins and ends, if the candidate is one."""

_DASH = r"\-\u2010-\u2013\u2212"
_SEP = rf"[ .{_DASH}]"
_NOT_AFTER = r"(?<![0-9A-Za-z_.,/=#$€£₩+\-])"
_NOT_BEFORE = rf"(?![0-9A-Za-z_%]|[.,{_DASH}/:][0-9])"
_DIGIT = re.compile(r"[0-9０-９]")
_WIDE = re.compile(r"[０-９＠．－＋]")
_NARROW = {
    ord(wide): narrow
    for wide, narrow in zip("０１２３４５６７８９＠．－＋", "0123456789@.-+", strict=True)
}
_LONG = re.compile(rf"[0-9](?:[ ().{_DASH}/*●xX]{{0,3}}[0-9*●xX]){{6}}")

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+'\-])[A-Za-z0-9_][A-Za-z0-9._%+'\-]{0,63}"
    r"(?:@|%40| ?[\[(](?:at|AT)[\])] ?| ?골뱅이 ?)"
    r"(?:[^\W_][\w\-]{0,62}(?:\.| ?[\[(](?:dot|DOT)[\])] ?)){1,8}"
    r"([A-Za-z]{2,24}|한국)(?![A-Za-z0-9_]|\()"
)
_AT = ("@", "%40", "골뱅이", "(at)", "[at]", "(AT)", "[AT]")
_FILES = frozenset(
    """
    png jpg jpeg gif webp svg ico css scss js mjs ts tsx jsx json html py rb go rs java kt md
    pdf txt zip exe dll so yml yaml xml mp3 mp4
    """.split()  # noqa: SIM905 - shorter to read than a list
)
_HANDLE = re.compile(
    r"(?<![\w@./+%\-=:)\]&;])@([A-Za-z_가-힣][\w.\-]{1,49}|[0-9]{1,9}[A-Za-z_]\w{2,29})(?![\w/(@])"
)
_SQL = re.compile(r"(?:SELECT|DECLARE|SET|WHERE|AND|OR|INTO|EXEC|VALUES|FROM|LIMIT)[ (]+$|[=<>] ?$")
_ASSIGNED = re.compile(r" ?:?= ?[\w'\"(]| (?:INT|VARCHAR|NVARCHAR|BIT|DATE|TABLE)\b")
_CODE = frozenset(
    """
    Override Test Autowired Deprecated Nullable NotNull NonNull Component Service Controller
    RestController Repository Entity Inject Bean Before After BeforeEach AfterEach Data Getter
    Setter Slf4j Transactional Configuration SuppressWarnings FunctionalInterface SafeVarargs
    Table Id Column State Binding Published Environment Observable MainActor Composable
    Preview Injectable Module Input Output objc escaping available discardableResult main
    param return returns throws exception see since author version deprecated todo type
    typedef example link media import keyframes font-face charset supports layer apply
    tailwind include mixin extend property dataclass staticmethod classmethod abstractmethod
    override final cached cache lru_cache wraps contextmanager pytest.fixture everyone here
    channel all home work if else for foreach while switch using model section include_once Html
    Model Url ViewBag
    """.split()  # noqa: SIM905 - shorter to read than a list
)

_RESIDENT = re.compile(
    rf"(?<![0-9A-Za-z_.{_DASH}])([0-9]{{6}})( ?[{_DASH}] ?)?([0-9])([0-9]{{6}}|[*●xX]{{6}})"
    rf"(?![0-9A-Za-z_*]|[{_DASH}.][0-9])"
)
_CARD = re.compile(
    r"(?<![0-9A-Za-z_.,/=#+\-])[0-9]{4}([ \-]?)(?:[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}(?:\1["
    r"0-9]{1,3})?|[0-9]{6}\1[0-9]{4,5})"
    r"(?![0-9A-Za-z_]|[.\-][0-9])"
)
_BRANDS = re.compile(
    r"4(?:.{12}|.{15}|.{18})$"
    r"|(?:5[1-5]|222[1-9]|22[3-9].|2[3-6]..|27[01].|2720).*$(?<=^.{16})"
    r"|3[47].{13}$|(?:30[0-5]|3[689].).{11}$"
    r"|(?:6011|64[4-9].|65..|62..|352[89]|35[3-8].).{12,15}$|9.{15}$"
)
_IBAN = re.compile(
    r"(?<![A-Za-z0-9])(?<![A-Z][A-Z][0-9][0-9] )[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}"
    r"(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
)
_IPV4 = re.compile(r"(?<![0-9A-Za-z_.\-])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z_]|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![\w:])")
_VERSION = re.compile(
    r"(?:v|ver\.?|version|build|firmware|release|버전|빌드|펌웨어)[ :]*$", re.IGNORECASE
)
_SAYS_IP = re.compile(r"(?:ip|아이피)[^0-9]{0,12}$", re.IGNORECASE)

_REPRESENTATIVE = (
    "1522|1533|1544|1551|1555|1566|1577|1588|1599|1600|1611|1644|1661|1666|1668|1670|1688|1800|"
    "1811|1833|1855|1877|1899"
)
_KOREAN_PHONE = re.compile(
    rf"{_NOT_AFTER}(?:"
    rf"01[016789]{_SEP}?[0-9]{{3,4}}{_SEP}?[0-9]{{4}}"
    rf"|\(?0(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|80|50[0-9])(?:\) ?| ?[.{_DASH}] ?| )[0-"
    rf"9]{{3,4}} ?[ .{_DASH}] ?[0-9]{{4}}"
    rf"|(?P<one>{_REPRESENTATIVE})[ {_DASH}](?P<two>[0-9]{{4}})"
    rf"){_NOT_BEFORE}"
)
_WORLD_PHONE = re.compile(
    rf"(?<![0-9A-Za-z_+])(?:\+|00(?=[1-9]))[0-9](?:[ ().{_DASH}/]{{0,3}}[0-9]){{6,15}}"
    rf"(?![0-9A-Za-z_%])"
)
_NATIONAL_PHONE = re.compile(
    rf"{_NOT_AFTER}(?:\(?0[0-9]{{1,4}}\)?(?:[ .{_DASH}/][0-9]{{2,8}}){{1,4}}(?:-[0-9]{{1,3}})?"
    rf"|0[67][0-9]{{8}}){_NOT_BEFORE}"
)
_AMERICAN_PHONE = re.compile(
    rf"{_NOT_AFTER}(?:1[ .\-])?(?:\([2-9][0-9]{{2}}\) ?|[2-9][0-9]{{2}}[.\-])[2-9][0-9"
    rf"]{{2}}[.\- ][0-9]{{4}}{_NOT_BEFORE}"
)
_CHINESE_PHONE = re.compile(rf"{_NOT_AFTER}1[3-9][0-9]([ \-])[0-9]{{4}}\1[0-9]{{4}}{_NOT_BEFORE}")
_NATIONAL_REGIONS = ("KR", "FR", "GB", "JP", "DE")
_MIN_DIGITS, _MAX_DIGITS = 9, 12

_PROVINCE = (
    "(?:서울|부산|대구|인천|광주|대전|울산|세종)(?:특별자치시|특별시|광역시|시)?"
    "|(?:경기|강원|충청[남북]|전라[남북]|경상[남북]|제주|전북|강원특별자치|전북특별자치|제주특별자치)도?"
    "|충[남북]|전[남북]|경[남북]"
)
_DISTRICT = "[가-힣]{2,5}[시군구]|(?:중|동|서|남|북)구"
_COUNTED = (
    "(?![0-9]|[.:][0-9]| ?(?:개|번(?!지|길)|명|점|원"
    "|시간|시|분|년|월|일|주|배|만|천|위|대(?!로)|살|세|회|차|"
    "통|코스|구간"
    "|%|km|m|kg))"
)
_REST = (
    "(?:번지)?(?:,? ?(?:지하 ?|B)?[0-9]{1,4}(?:동|층|호)(?![가-힣]*[가-힣]{4})){0,3}"
    "(?:,? ?\\([가-힣0-9, ]{2,20}\\))?"
)
_KOREAN_ADDRESS = re.compile(
    rf"(?<![가-힣])(?:(?:{_PROVINCE}) (?:(?:{_DISTRICT}) ){{0,2}}|(?:(?:{_DISTRICT}) ){{1,2}})"
    rf"(?:[가-힣]{{1,6}}[읍면동] )?"
    rf"(?:[가-힣0-9]{{1,10}}(?<!으)(?:로|길)(?: ?[0-9]{{1,4}}(?:번|가)?길)?|[가-힣]{{1,6}}[0-9"
    rf"]{{0,2}}(?:동|읍|면|리|가))"
    rf" ?(?:산 ?)?(?:지하 ?)?[0-9]{{1,4}}(?:-[0-9]{{1,4}})?{_COUNTED}{_REST}"
)
_KOREAN_HOUSE = re.compile(r"[로길동읍면리가] ?(?:산 ?|지하 ?)?[0-9]")
_NOT_DISTRICTS = frozenset(
    """
    그리구 하구 친구 축구 야구 농구 배구 당구 요구 연구 도구 가구 출구 입구
    """.split()  # noqa: SIM905 - shorter to read than a list
)
_STREET_ADDRESS = re.compile(
    r"(?<![0-9A-Za-z_.,/$€£#\-])[0-9]{1,5}[A-Za-z]? "
    r"(?:[NSEW]\.? |(?:North|South|East|West) )?"
    r"(?:(?:[A-Z][A-Za-z'.]{0,20}|[0-9]{1,3}(?:st|nd|rd|th)) ){1,3}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Square|"
    r"Terrace|Parkway|Pkwy|Highway|Hwy|Crescent|Close)(?![A-Za-z0-9])\.?"
    r"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl)\.? ?#?[0-9A-Za-z]{1,5}|,? #[0-9A-Za-z]{1,5})?"
    r"(?:, [A-Z][A-Za-z]{1,20}(?: [A-Z][a-z]{1,20})?(?:,? [A-Z]{2} [0-9]{5}(?:-[0-9]{4})?)?"
    r"(?:,? [A-Z]{1,2}[0-9][0-9A-Z]? [0-9][A-Z]{2})?)?"
)
_NO_STREET = re.compile(
    r"[0-9]+ (?:Stars?|Steps?|Ways?|M[ae]n|Days?|Hours?|Minutes?|Points?|Pieces?|Doors?|Wheels?"
    r"|Years?|Best|Top|Big|Great|Angry|Times?|Person|People|Player) "
)
"""A number of things: "5 Star Drive is nice"."""
_STREET_OF = re.compile(
    r" (?:Theatre|Theater|View|Fighter|Food|Style|Journal|Art|Party|Band|Show)\b"
)
_FRENCH_ADDRESS = re.compile(
    r"(?<![0-9A-Za-z_.,/$€£#\-])[0-9]{1,4}(?: ?(?:bis|ter))?,? (?:rue|avenue|boulevard"
    r"|bd|place|chemin|allée|"
    r"impasse|quai|cours|route) (?:(?:de la|de l'|des|de|du|d'|l') ?){0,1}"
    r"[A-ZÀ-Ý][\w'\-]{1,30}(?:[ \-][A-ZÀ-Ý][\w'\-]{1,30}){0,3}(?:,? [0-9]{5} [A-ZÀ-Ý][\w\-]{1,30})?"
)
_FRENCH_STREET = re.compile(
    r"[0-9rs],? (?:rue|avenue|boulevard|bd|place|chemin|allée|impasse|quai|cours|route) "
)
_GERMAN_ADDRESS = re.compile(
    r"(?<![\w])[A-ZÄÖÜ][a-zäöüß]{1,25}(?:straße|strasse|str\.|weg|allee|platz) [0-9]{1"
    r",4}[a-z]?(?![0-9A-Za-z:%€]|\.[0-9])"
    r"(?:,? [0-9]{5} [A-ZÄÖÜ][a-zäöüß]{1,25})?"
)
_GERMAN_STREET = re.compile(r"(?:stra(?:ß|ss)e|str\.|weg|allee|platz) [0-9]")
_PASSPORT = re.compile(
    r"(?:여권|[Pp]assport|PASSPORT|[Pp]asseport|Reisepass)[^0-9\n]{0,25}?(?<![A-Za-z0-9])"
    r"([A-Z][0-9]{8}|[A-Z][0-9]{3}[A-Z][0-9]{4}|[A-Z]{2}[0-9]{6,7}|[0-9]{2}[A-Z]{2}[0-"
    r"9]{5}|[0-9]{9}|C[0-9A-Z]{8})"
    r"(?![0-9A-Za-z])"
)


def redact(text: str, only: frozenset[PiiKind] | None = None) -> Redacted:
    """Replace every find by `[kind]`, the same in every language; `only` names the kinds if given.

    Redacting what was redacted changes nothing: what a replaced neighbour hid is found as well.
    Takes any str.
    """
    spans: list[Span] = []
    while found := find(text, only):
        text, spans = _replaced(text, spans, found)
    return Redacted(text, tuple(spans))


def find(text: str, only: frozenset[PiiKind] | None = None) -> list[Span]:
    """Where personal data stands in a text: in order, never overlapping."""
    has_digit = _DIGIT.search(text) is not None
    has_at = "@" in text or "＠" in text
    if not (has_digit or has_at or any(sign in text for sign in _AT)):
        return []
    if not text.isascii() and _WIDE.search(text):
        text = text.translate(_NARROW)  # one character for one: places stay
    taken: list[Span] = []
    for kind, start, end in _proposed(text, has_digit=has_digit):
        if only is None or kind in only:
            taken.append(Span(start, end, kind))
    return _without_overlaps(taken)


def _proposed(text: str, *, has_digit: bool) -> Iterator[tuple[PiiKind, int, int]]:
    """Every find, the kinds that win an overlap first."""
    if any(sign in text for sign in _AT):
        yield from _matches("email", _EMAIL, text, _email)
    if has_digit:
        yield from _matches("iban", _IBAN, text, _iban)
        if "여권" in text or "ass" in text or "ASS" in text:
            yield from _matches("passport", _PASSPORT, text, lambda match: match.span(1))
        yield from _addresses(text)
        if text.count(":") > 2:  # noqa: PLR2004 - the shortest that is taken has three
            yield from _matches("ip", _IPV6, text, _ipv6)
        if text.count(".") > 2:  # noqa: PLR2004
            yield from _matches("ip", _IPV4, text, _ipv4)
        if _LONG.search(text):
            yield from _matches("resident", _RESIDENT, text, _resident)
            yield from _matches("card", _CARD, text, _card)
            yield from _phones(text)
    if "@" in text:
        yield from _matches("handle", _HANDLE, text, _handle)


def _addresses(text: str) -> Iterator[tuple[PiiKind, int, int]]:
    if not text.isascii() and _KOREAN_HOUSE.search(text):
        yield from _matches("address", _KOREAN_ADDRESS, text, _korean_address)
    yield from _matches("address", _STREET_ADDRESS, text, _street_address)
    if _FRENCH_STREET.search(text):
        yield from _matches("address", _FRENCH_ADDRESS, text, re.Match.span)
    if _GERMAN_STREET.search(text):
        yield from _matches("address", _GERMAN_ADDRESS, text, re.Match.span)


def _phones(text: str) -> Iterator[tuple[PiiKind, int, int]]:
    yield from _matches("phone", _WORLD_PHONE, text, _world_phone)
    yield from _matches("phone", _KOREAN_PHONE, text, _korean_phone)
    yield from _matches("phone", _NATIONAL_PHONE, text, _national_phone)
    yield from _matches("phone", _AMERICAN_PHONE, text, _american_phone)
    yield from _matches("phone", _CHINESE_PHONE, text, _chinese_phone)


def _matches(
    kind: PiiKind, pattern: re.Pattern[str], text: str, check: Check
) -> Iterator[tuple[PiiKind, int, int]]:
    for match in pattern.finditer(text):
        place = check(match)
        if place is not None:
            yield kind, *place


def _without_overlaps(proposed: list[Span]) -> list[Span]:
    """Keep of spans that overlap the one that was proposed first."""
    if len(proposed) < 2:  # noqa: PLR2004
        return proposed
    kept: list[Span] = []
    ranked = sorted(enumerate(proposed), key=lambda it: (it[1].start, it[0]))
    ranks: list[int] = []
    for rank, span in ranked:
        if kept and span.start < kept[-1].end:
            if rank >= ranks[-1]:
                continue
            kept.pop()
            ranks.pop()
        kept.append(span)
        ranks.append(rank)
    return kept


def _replaced(text: str, before: list[Span], found: list[Span]) -> tuple[str, list[Span]]:
    """Write placeholders, and move the places of those that stood there before."""
    parts: list[str] = []
    spans: list[Span] = []
    at = shift = 0
    older = iter(before)
    old = next(older, None)
    for span in found:
        while old is not None and old.end <= span.start:
            spans.append(Span(old.start + shift, old.end + shift, old.kind))
            old = next(older, None)
        placeholder = f"[{span.kind}]"
        start = span.start + shift
        parts += text[at : span.start], placeholder
        spans.append(Span(start, start + len(placeholder), span.kind))
        shift += len(placeholder) - (span.end - span.start)
        at = span.end
        while old is not None and old.start < span.end:
            old = next(older, None)
    if old is not None:
        spans += [Span(it.start + shift, it.end + shift, it.kind) for it in (old, *older)]
    return "".join((*parts, text[at:])), spans


def _digits(text: str) -> str:
    return "".join(one for one in text if one in "0123456789")


def _email(match: re.Match[str]) -> tuple[int, int] | None:
    is_remote = match[0].startswith("git@") and match.string[match.end() : match.end() + 1] in ":/"
    return None if is_remote or match[1].lower() in _FILES else match.span()


def _handle(match: re.Match[str]) -> tuple[int, int] | None:
    name = match[1].rstrip(".-")
    first = name.split(".")[0]
    code = (
        name in _CODE
        or first in {"app", "pytest", "router", "functools", "click", "Html", "Model", "Url"}
        or _SQL.search(match.string, 0, match.start()) is not None
        or _ASSIGNED.match(match.string, match.end()) is not None
    )
    return None if code or len(name) < 2 else (match.start(), match.start() + 1 + len(name))  # noqa: PLR2004


def _resident(match: re.Match[str]) -> tuple[int, int] | None:
    born, hyphen, century, rest = match.groups()
    if not _is_day(born, century):
        return None
    if hyphen:
        return match.span()
    return match.span() if rest.isdigit() and _checks(born + century + rest) else None


def _checks(number: str) -> bool:
    weighted = sum(int(digit) * (place % 8 + 2) for place, digit in enumerate(number[:12]))
    foreign = number[6] in "5678"
    wanted = (13 - weighted % 11) % 10 if foreign else (11 - weighted % 11) % 10
    return number[12] == str(wanted)


def _is_day(born: str, century: str) -> bool:
    year = int(born[:2]) + {"9": 1800, "0": 1800, "3": 2000, "4": 2000, "7": 2000, "8": 2000}.get(
        century, 1900
    )
    try:
        date(year, int(born[2:4]), int(born[4:]))
    except ValueError:
        return False
    return year < 2040  # noqa: PLR2004 - 880... is a Korean bar code, and nobody of 2088


def _card(match: re.Match[str]) -> tuple[int, int] | None:
    number = _digits(match[0])
    return match.span() if _BRANDS.match(number) and luhn.is_valid(number) else None


def _iban(match: re.Match[str]) -> tuple[int, int] | None:
    words = match[0]
    while words:
        if ibans.is_valid(words, check_country=False):  # banks come and go
            return match.start(), match.start() + len(words)
        words = words.rpartition(" ")[0]
    return None


def _ipv4(match: re.Match[str]) -> tuple[int, int] | None:
    parts = [int(part) for part in match[0].split(".")]
    if max(parts) > 255 or any(part != str(int(part)) for part in match[0].split(".")):  # noqa: PLR2004
        return None
    before = match.string[max(0, match.start() - 20) : match.start()]
    if _VERSION.search(before) or not _is_somebodys(match[0]):
        return None
    # Four small numbers are more often a version than an address.
    return match.span() if max(parts) >= 100 or _SAYS_IP.search(before) else None  # noqa: PLR2004


def _ipv6(match: re.Match[str]) -> tuple[int, int] | None:
    groups = [group for group in match[0].split(":") if group]
    if len(groups) < 3 or not _DIGIT.search(match[0]):  # noqa: PLR2004
        return None
    return match.span() if _is_somebodys(match[0]) else None


def _is_somebodys(address: str) -> bool:
    """Whether it leads to one line in the world: a house's own numbers are the same in many."""
    try:
        it = ipaddress.ip_address(address)
    except ValueError:
        return False
    if it.is_loopback or it.is_unspecified or it.is_multicast or it.is_link_local:
        return False
    return not any(it in network for network in _HOUSES if network.version == it.version)


_HOUSES = tuple(
    ipaddress.ip_network(block)
    for block in ("0.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "240.0.0.0/4")
)


def _korean_phone(match: re.Match[str]) -> tuple[int, int] | None:
    if match["one"] and int(match["one"]) <= int(match["two"]) <= 2100:  # noqa: PLR2004 - years
        return None
    return match.span()


def _world_phone(match: re.Match[str]) -> tuple[int, int] | None:
    """Shorten from the right until it is a number: another one may follow after a space."""
    words = match[0]
    for _ in range(6):
        number = "+" + _digits(words).removeprefix("00")
        if _is_phone(number, None):
            return match.start(), match.start() + len(words)
        words = re.sub(r"[ ().\-/\u2010-\u2013\u2212]+[0-9]+$", "", words)
    return None


def _national_phone(match: re.Match[str]) -> tuple[int, int] | None:
    number = _digits(match[0])
    if not _MIN_DIGITS <= len(number) <= _MAX_DIGITS:
        return None
    known = any(_is_phone(number, region) for region in _NATIONAL_REGIONS)
    return match.span() if known else None


def _american_phone(match: re.Match[str]) -> tuple[int, int] | None:
    return match.span() if _is_phone(_digits(match[0]), "US") else None


def _chinese_phone(match: re.Match[str]) -> tuple[int, int] | None:
    return match.span() if _is_phone(_digits(match[0]), "CN") else None


def _is_phone(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _street_address(match: re.Match[str]) -> tuple[int, int] | None:
    said = _NO_STREET.match(match[0]) or _STREET_OF.match(match.string, match.end())
    return None if said else match.span()


def _korean_address(match: re.Match[str]) -> tuple[int, int] | None:
    return None if match[0].split(" ", 1)[0] in _NOT_DISTRICTS else match.span()
