"""Whether a post asks something, and whether it speaks well of the product: two pure functions.

Each adds the weights of what it finds and makes a probability of the sum; the weights were set by
hand on the tuning half of tests/sentiment/questions.tsv and praise.tsv.
"""

import math
import re
from typing import NamedTuple

from maru_sentiment.opinion_words import KOREAN_PRODUCT, PRODUCT, STEM, STEM_VALENCE, VALENCE

_READ = 1_000
"""Characters of a post that are read."""


class _Said(NamedTuple):
    """Patterns of what is said in either language; each finds letters of its own alone."""

    english: re.Pattern[str]
    korean: re.Pattern[str]

    def is_in(self, read: str) -> bool:
        """Tell whether one is found: most posts are of one language, and need one search."""
        if not read.isascii() and self.korean.search(read):
            return True
        return _LATIN.search(read) is not None and self.english.search(read) is not None


_LATIN = re.compile(r"[a-z]")

_SENTENCES = re.compile(r"[^.!?\n…]+[.!?…]*|[.!?…]+")
_MOST_SENTENCES = 12

_BIAS = -2.5
_MARK = re.compile(r"\?[^\w]*$")
_ASKS = re.compile(
    r"\b(?:what happened to|any(?:one| ?body) (?:know|got|tell|help|else)|can (?:any|some)one|any idea|"
    r"is there (?:a|any) way|wondering|does any|has any)"
)
_HOW = re.compile(
    r"\b(?:how (?:do|does|can|could|to|many|much|long)|where (?:can|do|is|are)|what(?:'s| is) the|"
    r"what (?:should|do|does)|who (?:do|can|should)|why (?:do|does|is|are|can|did|won))"
)
_OPENS = re.compile(
    r"(?:so |and |but |hi |hello |hey |also |, )*(?:how|where|when|what|which|who|whom|why|is|are|do|"
    r"does|did|can|could|will|would|has|have|should|any)\b"
)
_STATES = _Said(
    re.compile(
        r"\b(?:i (?:know|see|understand|learned|figured out) (?:how|where|why|what)|how to use it)"
    ),
    re.compile(r"알겠|알았|알게|모르겠지만|질리지"),
)
_KO_ENDS = re.compile(
    r"(?:나요|까요|[가-힣]가요|건가요|뭔가요|예요|에요|습니까|[가-힣]니까|어요|아요|려요|와요|돼요|"
    r"거죠|하죠|는지요|는 분|냐|나|죠)[\s?!.~ㅠㅜ]*$"
)
_KO_SURE_ENDS = re.compile(
    r"(?:나요|까요|[은는인던]가요|건가요|뭔가요|습니까|거죠|는지요|뭐예요)[\s?!.~ㅠㅜ]*$"
)
_KO_WORDS = re.compile(
    r"어떻게|언제(?!나)|어디(?!서나|나|든)|무엇|뭐|뭔가|뭘|(?:^|\s)왜|누가|누구(?!나|든)|얼마|어느|어떤|몇 ?[명개번일시]|혹시"
)
_KO_ASKS = re.compile(
    r"궁금|(?:알려|가르쳐|설명해|말씀해|답변) ?(?:주|부탁|좀)|아시는 ?분|아시나요|여쭤|문의 ?드|질문(?:이|드|있)|저만 그런"
)
_REQUESTS = _Said(
    re.compile(
        r"\b(?:(?:can|could|would|will) (?:you|u|we|i)(?: guys)?(?: please| pls)? (?:add|fix|make|support|"
        r"get|have|consider|mind|bring|include|improve|remove|change|give|allow|let|put|implement|stop)|"
        r"please|how about|what about|why not|any chance|why don't you|why can't we)\b"
    ),
    re.compile(
        r"(?:해|여|려|어|아|와|워|춰|꿔|쳐|켜|혀|려)\s?(?:주실|주시|줄|주세|주셨|주면|줬)|안 ?될까요|"
        r"으?면 (?:안|좋)|어떨까|부탁"
    ),
)
_RHETORIC = _Said(
    re.compile(
        r"\b(?:who cares|who needs|who knew|why bother|why would any|are you (?:kidding|serious|joking)|"
        r"seriously|what(?:'s| is) not to|what more|am i right|you know\?|right\?|guess what|"
        r"how (?:cool|great|awesome|nice|good|dumb|stupid|hard) (?:is|are|can)|what (?:the|a|an) |wtf|"
        r"is this a joke|another)"
    ),
    re.compile(
        r"누가 .{0,12}(?:사나|쓰나|사냐|쓰냐|알겠|할까)|어쩌라|말이 ?(?:되|됩|돼)|장난|제정신|실화|이게 뭐|뭐하자|최선입|"
        r"어이가|양심|지 않(?:나|습|아|은)|왜 이렇게 (?:좋|예쁘|이쁘)|알 게 뭐|무슨 소용"
    ),
)


def question(text: str) -> float:
    """Say how likely the author asks something that wants an answer; a request does not count."""
    read = text[:_READ].lower().replace("’", "'")
    if not _may_ask(read):
        return _chance(_BIAS)
    sentences = [found.group().strip() for found in _SENTENCES.finditer(read)]
    asking = [_asking(sentence) for sentence in sentences if _may_ask(sentence)]
    return _chance(max(asking[:_MOST_SENTENCES], default=_BIAS))


_HINTS = "? how where what when which who why wondering any".split()  # noqa: SIM905 - as shorter
_KO_HINTS = (
    "？ 나요 까 가요 거죠 하죠 언제 어떻 어디 왜 궁금 알려 문의 아시 질문 여쭤 가르쳐".split()  # noqa: SIM905 - as above
)


def _may_ask(read: str) -> bool:
    return any(map(read.__contains__, _HINTS)) or (
        not read.isascii() and any(map(read.__contains__, _KO_HINTS))
    )


def _asking(sentence: str) -> float:
    total = _BIAS + 2.5 * bool(_MARK.search(sentence))
    if _RHETORIC.is_in(sentence):
        total -= 4
    if _STATES.is_in(sentence):
        total -= 3
    opens = bool(_OPENS.match(sentence))
    total += 1.5 * opens + 3 * bool(_ASKS.search(sentence))
    if opens or total > 0:
        total += 2 * bool(_HOW.search(sentence))
    is_korean = not sentence.isascii()
    if is_korean and _KO_ASKS.search(sentence):
        return total + 4
    if _REQUESTS.is_in(sentence):
        total -= 4.5
    if not is_korean:
        return total
    total += 1.5 * bool(_KO_WORDS.search(sentence)) + 1.5 * bool(_KO_ENDS.search(sentence))
    return total + 2 * bool(_KO_SURE_ENDS.search(sentence))


_WORDS = re.compile(r"[a-z]+(?:'[a-z]+)*")
_PRAISES = _Said(
    re.compile(
        r"\b(?:recommend(?:ed)?|well done|good job|great job|kudos|five stars|5 stars|best [a-z]+(?: [a-z]+)? i|"
        r"works? (?:great|well|perfectly|flawlessly|like a charm)|saved me|rock|love (?:it|this|the)|"
        r"favou?rite|bravo|life ?saver|just works|game ?changer|hats off|must have|thank you (?:so much )?to|(?:couldn't|could not) be happier|does exactly)\b"
    ),
    re.compile(
        r"강추|강력 ?추천|추천합|추천해요|추천드|잘 ?(?:쓰고|샀|만들|사용하고)|재구매|별 ?다섯|칭찬|인생 ?[앱템]|번창|믿고 ?[쓰사]|쓸수록|빨라졌|좋아졌|편해졌|꿀템|꿀앱|갓앱|최애|개발자님|"
        r"대만족|굿굿|제일 좋|가장 좋|놀라"
    ),
)
_OF_PRODUCT = frozenset(("it", "this", "you", "your", "guys", "team", "developers", "devs", "buy"))
_KO_OF_PRODUCT = re.compile(
    r"쓰|사용|제품|업데이트|개발자|구매|편리|편하|편해|간편|유용|추천|만족|깔끔|"
    + "|".join(KOREAN_PRODUCT[:60])
)
_ELSEWHERE = _Said(
    re.compile(
        r"\b(?:birthday|weather|(?<!every )day|(?<!every )week|weekend|morning|night|holiday|vacation|wife|husband|kids|dinner|"
        r"lunch|sunset|friend|friends|graduation|congratulations|congrats|feel better|good luck|merry)\b"
    ),
    re.compile(
        r"날씨|생일|축하|주말|여행|아기|하늘|아침|하루 ?보내|이겼|점심|저녁|산책|친구|새해|건강하|행복했"
    ),
)
_WISHES = _Said(
    re.compile(
        r"\b(?:would (?:love|be|like)|i'd (?:love|like)|please|could you|can you|i wish|if (?:it|you|there)|used to|for nothing)\b"
    ),
    re.compile(
        r"으?면 ?(?:좋|감사|고맙|더)|주세요|주실|부탁|겠습니다|예전|다만|감사합니다만|빨리도"
    ),
)
_TURNS = _Said(re.compile(r"\b(?:but|however|although|until)\b"), re.compile(r"지만|는데|그런데"))
_NEGATED = _Said(
    re.compile(
        r"\b(?:not|never|isn't|wasn't|don't|doesn't|didn't|no)\b(?: \w+){0,2} (?:good|great|nice|worth|"
        r"recommend|happy|like|love|impressed|useful|helpful|work)"
    ),
    re.compile(r"[가-힣]지 ?(?:않|못)|(?:^|\s)안 |별로"),
)


def praise(text: str, positive: float) -> float:
    """Say how likely the post speaks well of the product; `positive` is its mood's probability.

    A good mood is needed and not enough: what is praised must be of the product, and no wish.
    """
    if positive < _GLAD:
        return _chance(_UNPRAISED)
    read = text[:_READ].lower().replace("’", "'")
    words = _WORDS.findall(read)
    judged = [VALENCE[word] for word in words if word in VALENCE]
    if not read.isascii():
        judged += [STEM_VALENCE[stem.replace(" ", "")] for stem in STEM.findall(read)]
    good, bad = judged.count(1), judged.count(-1)
    praises = _PRAISES.is_in(read)
    if not good and not praises:
        return _chance(_UNPRAISED)
    is_product = (
        praises
        or not PRODUCT.isdisjoint(words)
        or not _OF_PRODUCT.isdisjoint(words)
        or _KO_OF_PRODUCT.search(read) is not None
    )
    total = _UNPRAISED + min(good, 3) + 1.5 * praises + 2 * is_product + 3 * positive
    total -= 2.5 * min(bad, 2)
    if total <= 0:
        return _chance(total)
    total -= 1.5 * _TURNS.is_in(read)
    total -= 2.5 * _ELSEWHERE.is_in(read) * (1 if praises else 1.4)
    total -= 3.5 * _WISHES.is_in(read) + 3 * _NEGATED.is_in(read)
    return _chance(total)


_UNPRAISED = -4.0
_GLAD = 0.2
"""The probability of a good mood below which nobody praises."""


def _chance(total: float) -> float:
    return 1 / (1 + math.exp(-total))
