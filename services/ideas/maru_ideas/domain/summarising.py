"""An idea's title and summary: sentences that people wrote, chosen, never invented.

Where none may be quoted they say what kind of post it is, and the names of its topics.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from maru_contracts.tags import IntentLabel, TaggedPost, ToxicPart

TITLE = 80
SUMMARY = 280
_SHORTEST = 8
_FIT = (15, 60)
_LOOKED_AT = 12
_EASED_AT = 25
_CENTRAL = 3.0
_HEADING = 1.0
_UNQUOTED = -100.0
"""What a post is worth of which no word may be quoted: less than any other."""
_KINDS: Mapping[IntentLabel, tuple[str, str]] = {
    "suggestion": ("Suggestion", "제안"),
    "problem": ("Problem", "문제"),
    "question": ("Question", "질문"),
    "praise": ("Praise", "칭찬"),
    "other": ("Post", "글"),
}
"""What such a post is called, in English and in Korean."""
_NOT_QUOTED = ("(not quoted)", "(인용하지 않음)")

_BREAK = re.compile(r"(?<=[.!?。！？…])[\s\"”’)]+|\s*\n+\s*|(?<=[.!?])(?=[A-Z가-힣])")
_SPACE = re.compile(r"\s+")
_LINK = re.compile(r"https?://\S+|www\.\S+")
_GREETING = re.compile(
    r"^(?:(?:hi|hello|hey|dear|greetings|good (?:morning|afternoon|evening)|bonjour|salut|"
    r"안녕하세요|안녕하십니까|안녕|수고하세요|수고하십니다)\b[^.!?,\n]{0,20}[.!?,~:\s]+)+",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"\b(?:please|pls|plz|add|allow|let (?:us|me)|wish|would (?:be|like|love)|could (?:you|we)|"
    r"should|need|needs|want|option|support|missing|lacks?|instead of|"
    r"manque|dommage|serait|pourrait|pourriez|ajouter|rajouter|souhaite\w*|aimerais|il faudrait|"
    r"besoin)\b|"
    r"주세요|주십시오|주시면|줬으면|바랍니다|바라요|부탁|좋겠|필요|원합니다|원해요|해달라|해주",
    re.IGNORECASE,
)
_PROBLEM = re.compile(
    r"\b(?:no|can'?t|cannot|unable|won'?t|doesn'?t|does not|don'?t|not|never|fails?|failed|"
    r"stopped|stops|broken|crash\w*|error|bug|issue|problem|"
    r"impossible|ne (?:\w+ )?(?:plus|pas)|plus de|problème|bogue|erreur|plante)\b|"
    r"안 ?(?:돼|되|됩)|않|못|오류|에러|불편|느려|느립|끊|실패|꺼져|꺼집",
    re.IGNORECASE,
)
_EMPTY = re.compile(
    r"^(?:thanks?(?: you)?|thx|merci|please(?: fix(?: it| this)?)?|fix (?:it|this)|help|update|"
    r"감사합니다|고맙습니다|제발|"
    r"(?:(?:꼭|제발|빨리|얼른|이 문제부터|이것 좀|좀)\s*)*"
    r"(?:고쳐|해결해?|확인해?|수정해?|개선해?|답변해?|의견을? 들려|도와)\s?"
    r"(?:주세요|줘요|주십시오|주시기 바랍니다|바랍니다|부탁드려요|부탁드립니다|부탁합니다)"
    r")?[\W\d_]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Quote:
    """The sentence of one post that stands for an idea, and how well it does (higher is better)."""

    post: UUID | None
    title: str
    summary: str
    worth: float


def _unknown(_sentence: str) -> float:
    return 0.0


def quote(tagged: TaggedPost, similarity: float, near: Callable[[str], float] = _unknown) -> Quote:
    """The best title that a post offers.

    Worth more: words that the idea's other posts use, too (`near`, -1 to 1, of a sentence); a
    request, then a complaint; 15 to 60 characters; a post near to the idea; the title of a post
    when it asks or complains, since its author meant it to say what the post is about. Toxic
    sentences are in neither title nor summary; a post without others is named by its topics.
    """
    post = tagged.post
    heading, text = civil(tagged)
    headed = [(it, _HEADING if _wants(it) else 0.0) for it in sentences(heading)[:1]]
    offered = [*headed, *((it, 0.0) for it in sentences(text))]
    asks = tagged.intent.probabilities.get("suggestion", 0.0)
    best, worth = max(
        (
            (sentence, _worth(sentence, place) + extra + _CENTRAL * near(sentence))
            for place, (sentence, extra) in enumerate(offered)
        ),
        key=lambda pair: pair[1],
        default=("", -1.0),
    )
    whole = shortened(_SPACE.sub(" ", text).strip() or heading.strip(), SUMMARY)
    if tagged.toxic and not whole:
        return _unquoted(tagged)
    title = shortened(best or whole, TITLE) or "…"
    return Quote(
        post=post.id,
        title=title,
        summary=whole or title,
        worth=round(worth + similarity + asks, 4),
    )


def _unquoted(tagged: TaggedPost) -> Quote:
    """Name a post by what its author wants and by its topics, whose names are the workspace's."""
    korean = tagged.language == "ko"
    kind, hidden = _KINDS[tagged.intent.label][korean], _NOT_QUOTED[korean]
    topics = ", ".join(topic.name for topic in tagged.topics)
    title = shortened(f"{kind}: {topics}", TITLE) if topics else f"{kind} {hidden}"
    summary = f"{title} {hidden}" if topics else title
    return Quote(post=tagged.post.id, title=title, summary=summary, worth=_UNQUOTED)


def civil(tagged: TaggedPost) -> tuple[str, str]:
    """A post's title and text without their toxic sentences."""
    post = tagged.post
    return (
        _without(post.title, [it for it in tagged.toxic if it.field == "title"]),
        _without(post.text, [it for it in tagged.toxic if it.field == "text"]),
    )


def _without(words: str, toxic: Sequence[ToxicPart]) -> str:
    """Leave the toxic parts out; what stood before one and behind it are sentences apart."""
    kept, end = [], 0
    for part in sorted(toxic, key=lambda it: it.start):
        kept.append(words[end : part.start])
        end = max(end, part.end)
    return "\n".join((*kept, words[end:]))


def sentences(text: str) -> list[str]:
    """The first sentences of a text, without greetings, links and empty phrases."""
    cleaned = _LINK.sub("", text[:4_000])
    parts = (_GREETING.sub("", part.strip()).strip(" -–—*•·,:;~") for part in _BREAK.split(cleaned))
    tidy = (_SPACE.sub(" ", part) for part in parts)
    return [part for part in tidy if not _EMPTY.match(part)][:_LOOKED_AT]


def shortened(text: str, limit: int) -> str:
    """The text if it fits; otherwise cut between words, with an ellipsis, at most `limit` long."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    at_word = cut.rsplit(" ", 1)[0]
    return (at_word if len(at_word) > limit // 2 else cut).rstrip(" ,;:.-") + "…"


def _wants(sentence: str) -> float:
    return 1.5 if _REQUEST.search(sentence) else 0.75 if _PROBLEM.search(sentence) else 0.0


def _worth(sentence: str, place: int) -> float:
    length = len(sentence)
    dense = any("가" <= letter <= "힣" for letter in sentence)
    low, high = (_SHORTEST, _EASED_AT * 2) if dense else _FIT
    fit = 0.2 if length < low else max(0.0, 1 - max(0, length - high) / 80)
    asks = _wants(sentence)
    shouting = 0.5 if sentence.isupper() else 0.0
    return fit + asks - shouting - 0.02 * place
