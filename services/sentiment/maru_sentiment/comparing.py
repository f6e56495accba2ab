"""Sentences that set a competitor against one's own product, by rules for English and Korean.

Precision comes first: a sentence that no rule understands is no comparison, and a question or a
sentence that fits two winners has none. Rules read a sentence in which the competitor is written
[competitor] and own products [own]; "this", "here", "이 앱" and "여기" count as one's own too.
docs/watching.md lists what is understood.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maru_contracts.tags import Comparison, Side
from maru_sentiment.terms import Found

_MOST = 20
"""Comparisons that are kept of one field, the first ones."""
_LONGEST = 400
"""Characters of a sentence around the competitor's name that are read."""
_LONGEST_CUE = 100

_C, _O = "\ue000", "\ue001"


@dataclass(frozen=True)
class _Rule:
    winner: Side | None
    pattern: re.Pattern[str]


def comparisons(text: str, mentions: Sequence[Found]) -> list[Comparison]:
    """What a text says about competitors against one's own; `mentions` are its watched products."""
    found: dict[Comparison, None] = {}
    for at, mention in enumerate(mentions):
        if mention.term.meaning != "competitor":
            continue
        sentence = _sentence(text, mentions, at)
        compared = _compared(sentence)
        if compared is not None:
            winner, cue = compared
            found[Comparison(name=mention.term.name, winner=winner, cue=cue)] = None
            if len(found) == _MOST:
                break
    return list(found)


def _compared(sentence: str) -> tuple[Side | None, str] | None:
    hits = [(rule.winner, match) for rule in _RULES if (match := rule.pattern.search(sentence))]
    if not hits:
        return None
    winners = {winner for winner, _ in hits if winner is not None}
    sure = len(winners) == 1 and not sentence.rstrip().endswith("?")
    winner = winners.pop() if sure else None
    cue = next((match[0] for by, match in hits if by == winner), hits[0][1][0])
    shown = cue.strip().replace(_C, "[competitor]").replace(_O, "[own]")
    return winner, shown[:_LONGEST_CUE]


# The sentence around a mention.

_END = re.compile(r"(?<=[.!?。！？…])\s|\n")
_VERSUS = re.compile(r"\bvs\.")
_PRIVATE = re.compile("[\ue000\ue001]")


def _sentence(text: str, mentions: Sequence[Found], at: int) -> str:
    """The sentence of one mention, folded; other competitors in it stand as they are written."""
    middle = mentions[at]
    low, high = max(0, middle.start - _LONGEST // 2), middle.end + _LONGEST // 2
    parts: list[str] = []
    end = low
    for it in _near(mentions, at, low, high):
        parts.append(_folded(text[end : it.start]))
        parts.append(_C if it.term is middle.term else _own(it, text))
        end = it.end
    parts.append(_folded(text[end:high]))
    whole = "".join(parts)
    here = len("".join(parts[: 2 * _place(mentions, at, low) + 1]))
    begin = max((it.end() for it in _END.finditer(whole, 0, here)), default=0)
    stop = _END.search(whole, here + 1)
    return whole[begin : stop.start() if stop else len(whole)]


def _near(mentions: Sequence[Found], at: int, low: int, high: int) -> Iterator[Found]:
    first = at - _place(mentions, at, low)
    for it in mentions[first:]:
        if it.end > high:
            return
        yield it


def _place(mentions: Sequence[Found], at: int, low: int) -> int:
    """How many mentions between `low` and the one at `at`."""
    before = 0
    while at - before > 0 and mentions[at - before - 1].start >= low:
        before += 1
    return before


def _own(it: Found, text: str) -> str:
    return _O if it.term.meaning == "own" else _folded(text[it.start : it.end])


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKC", _PRIVATE.sub(" ", text)).casefold()
    return _VERSUS.sub("vs", folded.replace("’", "'"))


# English.

_OURS = rf"(?:{_O}|this(?: app| one| thing)?|yours|your app|you guys|here|it)"
_GAP = r"[^.;\n]{0,40}?"
_BETTER_EN = (
    r"(?:better|faster|easier|nicer|simpler|smoother|cleaner|smarter|cheaper|quicker|safer"
    r"|superior|more (?:reliable|stable|accurate|intuitive|comfortable|useful|polished|secure))"
)
_WORSE_EN = (
    r"(?:worse|slower|clunkier|buggier|uglier|harder|inferior"
    r"|less (?:reliable|stable|accurate|intuitive|comfortable|useful|polished|secure)"
    r"|more (?:expensive|confusing|complicated|annoying)|pricier)"
)
_NO_EN = r"(?:don't|do not|doesn't|does not|can't|cannot|can not|won't|lacks?|isn't|is not)"
_NOT_BEFORE = r"(?<!not )(?<!n't )(?<!never )"
_MOVE = r"(?:switch|mov|chang|migrat|convert)(?:e|ed|ing|es|s)?"
_BEFORE_NOT = r"(?<!not )(?<!n't )(?<!no )(?<!never )(?<!any )"

_ENGLISH: tuple[tuple[Side | None, str], ...] = (
    # better than X; with X as the subject it is X that is better.
    (
        "own",
        (
            rf"^(?!.*{_C}[^,;]{{0,20}}\b(?:is|are|was|works|feels|looks)\b{_GAP}\bthan\b)"
            rf".*?\b{_BEFORE_NOT}{_BETTER_EN} (?:\w+ )?(?:than|to) (?:the |my |an? |any )?{_C}"
        ),
    ),
    ("competitor", rf"\b{_BEFORE_NOT}{_WORSE_EN} (?:\w+ )?(?:than|to) (?:the |my |an? )?{_C}"),
    ("competitor", rf"\b(?:not|n't|never)\b {_GAP}(?:better|as good|as \w+) (?:than|as) {_C}"),
    (
        "competitor",
        (
            rf"{_C}(?:'s)? (?:\w+ )?(?:is|are|was|works|feels|looks) "
            rf"(?:so |way |far |a lot |much |still )?{_BETTER_EN}\b"
        ),
    ),
    (
        "own",
        (
            rf"{_C} (?:is|are|was|works|feels|looks) "
            rf"(?:so |way |far |a lot |much |still )?{_WORSE_EN} than {_OURS}"
        ),
    ),
    # X has this, you don't.
    (
        "competitor",
        (
            rf"{_C} (?:already )?(?:has|have|had|does|do|can|lets|offers|supports|includes)\b"
            rf"[^.;]{{0,60}}?(?:,|\bbut\b|\bwhile\b|\band\b|;)\s*(?:why )?"
            rf"(?:you|{_OURS}) (?:still |just |simply )?{_NO_EN}"
        ),
    ),
    (
        "own",
        (
            rf"{_C} (?:still |just )?(?:doesn't|does not|can't|cannot|lacks)\b"
            rf"[^.;]{{0,60}}?(?:,|\bbut\b|\bwhile\b)\s*(?:you|{_OURS}) (?:do|does|can|has|have)\b"
        ),
    ),
    (
        "competitor",
        rf"\b(?:like|as|the way|what) (?:the )?{_C} (?:already )?(?:does|do|did|has|have|can)\b",
    ),
    (
        "competitor",
        rf"\bwhy (?:can't|don't|doesn't|isn't) {_GAP}(?:like|as) (?:in |on |with )?{_C}",
    ),
    # Changing sides.
    (
        "competitor",
        (
            rf"{_NOT_BEFORE}\b(?:{_MOVE}(?: (?:over|back))?|(?:go|going|went|gone) back)"
            rf"(?: from {_OURS})? to {_C}"
        ),
    ),
    ("competitor", rf"{_NOT_BEFORE}\b(?:left|leaving|ditched|dropped) {_OURS} for {_C}"),
    (
        "own",
        rf"{_NOT_BEFORE}\b(?:switch|mov|chang|migrat|convert)(?:ed|ing) (?:over |here )?from {_C}",
    ),
    ("own", rf"\b(?:came|coming|left) (?:over |here )?(?:from )?{_C} (?:for|to) {_OURS}"),
    ("own", rf"\bprefer {_OURS} (?:over|to) {_C}"),
    ("competitor", rf"{_NOT_BEFORE}\bprefer {_C} (?:over|to) {_OURS}"),
    # Set side by side, without a winner.
    (None, rf"\bunlike (?:the |my |in |with )?{_C}"),
    (None, rf"\b(?:compared (?:to|with)|in comparison (?:to|with)|next to|than) {_C}"),
    (None, rf"{_C} (?:vs|versus) {_OURS}|{_OURS} (?:vs|versus) {_C}"),
)

# Korean.

_HERE = rf"(?:{_O}|여기|이건|이거|이 ?앱|이 ?어플|이 ?게임|이 ?제품|얘)"
_KO_GAP = r"[^.!?\n]{0,20}?"
_GOOD_KO = (
    r"(?<!안 )(?<!안)(?<!덜 )(?:낫|나은|나아|나음|좋(?:아|은|네|다|습|고|더|음)|편하|편해|편함"
    r"|편리|빠르|빨라|빨랐|저렴|훌륭|뛰어나|우수|예쁘|예뻐)(?!지 ?(?:않|못|는|도))(?!진 ?않)"
)
_BAD_KO = (
    r"(?:못하(?:네|다|고|지만|는)|못한|못해|못함|느리|느려|느림|불편|별로|나쁘|나빠|떨어지|떨어져|비싸|비쌈"
    r"|안 ?좋|구리|구려|구림|후지|후져)"
)
_WISH_KO = (
    r"(?:주세요|주셈|주시|해 ?줘|줬으면|했으면|됐으면|되었으면|있었으면"
    r"|좋겠|바랍|바라|부탁|만들어|추가|필요)"
)
_CAN_KO = (
    r"(?<!안 )(?<!안)(?<!못 )(?:되|있|가능하?|가능한|지원하|지원되|해주|해 주|보이|나오)"
    r"(?:는|던|한)?데"
)
_CANNOT_KO = r"(?:안 ?되|안 ?돼|없|못 ?하|불가능한?|지원 ?안 ?하|안 ?해)(?:는|던)?데"
_OVER_KO = r"(?:갈아|옮|넘어|바꿨|바꾸|바꿀|이동|돌아갔|돌아가|돌아갑|환승|이사)"
_NOT_OVER_KO = r"(?!\w{0,4}지 ?(?:않|마|말|못))"

_KOREAN: tuple[tuple[Side | None, str], ...] = (
    # X보다: behind it stands who is better.
    ("own", rf"{_C}보다(?:는|도)?{_KO_GAP}{_GOOD_KO}"),
    ("competitor", rf"{_C}보다(?:는|도)?{_KO_GAP}{_BAD_KO}"),
    ("competitor", rf"{_HERE}보다(?:는|도)?{_KO_GAP}{_C}{_KO_GAP}{_GOOD_KO}"),
    ("competitor", rf"{_C}(?:가|이|은|는) {_HERE}보다{_KO_GAP}{_GOOD_KO}"),
    ("own", rf"{_HERE}보다(?:는|도)?{_KO_GAP}{_C}{_KO_GAP}{_BAD_KO}"),
    ("competitor", rf"{_C}(?:가|이) (?:더|훨씬|훨씬 더|차라리) {_GOOD_KO}"),
    ("competitor", rf"{_C}만(?:도|큼도)? ?못"),
    # X는 되는데.
    (
        "competitor",
        rf"{_C}(?:은|는|에는|에선|에서는) {_KO_GAP}{_CAN_KO}(?=.{{0,40}}(?:안|없|못|왜|불가))",
    ),
    ("own", rf"{_C}(?:은|는|에는|에선|에서는) {_KO_GAP}{_CANNOT_KO}"),
    # X처럼 해 주세요.
    ("competitor", rf"{_C}처럼{_KO_GAP}{_WISH_KO}"),
    # X로 갈아탔어요.
    ("competitor", rf"{_C}(?:으로|로) (?!안 ){_KO_GAP}(?<!안 ){_OVER_KO}{_NOT_OVER_KO}"),
    ("own", rf"{_C}(?:에서|쓰다가| 쓰다가| 쓰다) {_KO_GAP}(?<!안 ){_OVER_KO}{_NOT_OVER_KO}"),
    # Set side by side, without a winner.
    (
        None,
        rf"{_C}(?:처럼|보다|에 비해|에 비하면|와 비교|과 비교|랑 비교|이랑 비교|하고 비교| 대비)",
    ),
    (None, rf"{_C} ?(?:vs|대) ?{_O}|{_O} ?(?:vs|대) ?{_C}"),
)

_RULES = tuple(_Rule(winner, re.compile(pattern)) for winner, pattern in (*_ENGLISH, *_KOREAN))
