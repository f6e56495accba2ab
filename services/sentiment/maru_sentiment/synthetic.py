"""Sentences that we wrote ourselves, to teach what no labelled data that we may use has.

The labelled reviews are in English and French and about three apps; these carry the moods of a
request and of a complaint over to Korean and to short texts. They are plainly synthetic: every
phrase with every thing, in an order fixed by a seed. Spam and toxic posts are learnt from ours
alone.
"""

import csv
import random
import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from maru_sentiment.dataset import Example
from maru_sentiment.pii import redact

SOURCE = "synthetic"
SPAM, TOXICITY = "own spam", "own toxicity"
MODERATED = (SPAM, TOXICITY)
"""The sources that alone know spam and toxic posts."""
_JUDGEMENTS = "own judgements"
_SUBJECT = re.compile(r"\{\}[이가](?= )")

_THINGS = {
    "en": (
        "a dark mode", "an offline mode", "a widget", "PDF export", "a search filter", "a timer",
        "calendar sync", "bigger fonts", "a family plan", "two-factor login", "keyboard shortcuts",
        "more languages", "voice control", "a Linux version", "a dashboard", "an API for webhooks",
        "a night theme", "drag and drop", "an undo button", "CSV import", "a room with a balcony",
        "a vegetarian menu", "faster wifi", "a late checkout", "syntax highlighting", "a plugin",
    ),
    "ko": (
        "다크 모드", "오프라인 모드", "위젯", "PDF 내보내기", "검색 필터", "타이머", "캘린더 연동",
        "글씨 크기 조절", "가족 요금제", "2단계 인증", "단축키", "영어 지원", "음성 인식", "PC 버전",
        "대시보드", "알림 끄기 기능", "야간 테마", "되돌리기 버튼", "엑셀 가져오기", "즐겨찾기", "태블릿 지원",
        "새벽 배송", "환불 버튼", "채식 메뉴", "공유 기능", "자동 백업", "애플워치 지원", "지문 로그인",
    ),
}  # fmt: skip
_SUGGESTIONS = {
    "en": (
        "please add {}", "Please support {}.", "it would be nice to have {}", "I wish there was {}",
        "would love {}", "can you add {}?", "could we get {} please", "{} would be great",
        "you should add {}", "I'd suggest {}", "needs {}", "we need {}", "how about {}?",
        "it should have {}", "my suggestion: {}", "{} please", "hope to see {} in the next update",
        "make sure you ask for {}", "if only it had {}", "the only thing missing is {}",
        "consider adding {}", "allow {}", "let us use {}", "it would be helpful to have {}",
        "I recommend {} for the next version", "Feature request: {}",
    ),
    "ko": (
        "{} 추가해 주세요", "{} 추가해주세요", "{} 만들어 주세요", "{} 넣어 주세요", "{} 지원해 주세요",
        "{} 있으면 좋겠어요", "{}도 있었으면 좋겠습니다", "{} 기능이 있으면 편할 것 같아요",
        "{} 추가 부탁드립니다", "{} 부탁드려요", "{} 좀 넣어줘요", "{} 해주시면 안 될까요?",
        "{} 가능하게 해 주세요", "{} 되게 해주세요 ㅠㅠ", "{} 필요합니다", "{} 도입을 건의합니다",
        "{} 개선해 주셨으면 합니다", "{}만 있으면 완벽할 텐데", "{} 추가되면 좋을 듯", "{} 추가좀",
        "다음 업데이트에 {} 넣어주세요~", "{} 있음 좋겠다", "{} 제안합니다", "{} 해 주면 안 되나요",
    ),
}  # fmt: skip
_PROBLEMS = {
    "en": (
        "{} does not work", "{} crashes", "{} is broken since the update", "{} keeps freezing",
        "I can't use {} anymore", "error when I open {}", "{} is too slow", "{} stopped working",
        "the app crashes on start", "it won't sync", "can't log in", "keeps logging me out",
        "it drains my battery", "the screen stays black", "my data disappeared after the update",
    ),
    "ko": (
        "{}이 안 돼요", "{} 안됨", "{} 오류 나요", "업데이트하고 {} 먹통이에요", "{}가 작동을 안 합니다",
        "{} 누르면 튕겨요", "{} 너무 느려요", "로그인이 안 돼요", "로그인이 자꾸 풀려요", "앱이 계속 꺼져요",
        "실행하면 바로 튕깁니다", "동기화가 안 됩니다", "배터리가 너무 빨리 닳아요", "화면이 하얗게 나와요",
        "결제가 안 됩니다", "업데이트 후 데이터가 다 사라졌어요", "알림이 안 와요",
    ),
}  # fmt: skip
_OTHERS = {
    "en": (
        "I love {}", "{} is great", "great app, I use {} every day", "{} works well",
        "thanks for {}",
        "installed it yesterday", "good morning everyone", "I bought {} last week", "best app ever",
        "when was {} released?", "here is how I use {}", "we enjoyed {} a lot", "nice", "awesome",
    ),
    "ko": (
        "{} 정말 좋아요", "{} 잘 쓰고 있어요", "{} 최고입니다 ㅎㅎ", "{} 덕분에 편해요", "감사합니다",
        "오늘 설치했어요", "추천합니다", "{} 언제 나왔나요?", "{} 이렇게 쓰시면 됩니다", "매일 쓰는 앱이에요",
        "좋네요 ㅋㅋ", "어제 {} 써 봤어요", "최고의 앱", "날씨가 좋네요", "친구한테 추천했어요",
    ),
}  # fmt: skip


def sentences() -> list[Example]:
    """Read the sentences that we wrote one by one, in English and Korean.

    Each file of `sentences/` is a source of its own: what people say of shops, apps and places, in
    forums, tweets and short messages; wishes, advice, complaints, and what only looks like them.
    An empty column is a question that the sentence leaves open.
    """
    folder = files("maru_sentiment") / "sentences"
    tables = sorted(folder.iterdir(), key=lambda file: file.name)
    return [
        example
        for table in tables
        for example in _written(table, f"own {table.name.removesuffix('.tsv')}")
    ]


def _written(table: Traversable, source: str) -> Iterator[Example]:
    answers = {"1": True, "0": False}
    for row in _rows(table):
        yield Example(
            row["text"],
            source,
            mood=row["mood"] or None,
            suggestion=answers.get(row["suggestion"]),
            problem=answers.get(row["problem"]),
            spam=False,
            toxicity=False,
        )


def moderated() -> list[Example]:
    """Read the posts that we wrote to teach spam and toxicity, and what only looks like them.

    Those with personal data come twice: as written, and as a tagger that redacts sees them.
    """
    spam = [(row["text"], row["label"] == "spam") for row in _table("spam")]
    toxic = [(row["text"], row["label"] == "toxic") for row in _table("toxicity")]
    return [
        *(Example(text, SPAM, spam=is_spam) for it, is_spam in spam for text in _as_read(it)),
        *(Example(text, TOXICITY, toxicity=is_so) for it, is_so in toxic for text in _as_read(it)),
    ]


def _as_read(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((text, redact(text).text)))


def _table(name: str) -> "csv.DictReader[str]":
    return _rows(files("maru_sentiment") / f"{name}.tsv")


def _rows(table: Traversable) -> "csv.DictReader[str]":
    lines = table.read_text("utf-8").splitlines()
    return csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)


def judgements() -> list[Example]:
    """Combine things that customers judge with what they say of them; none asks for anything.

    The labelled Korean posts with a mood are about films; these are about goods, apps and service.
    """
    return [
        Example(
            _filled(phrase, thing),
            _JUDGEMENTS,
            mood=row["mood"],
            suggestion=False,
            spam=False,
            toxicity=False,
        )
        for row in _table("judgements")
        for thing in row["things"].split(";")
        for phrase in row["phrases"].split(";")
    ]


def _filled(phrase: str, thing: str) -> str:
    """Put a thing into a phrase; the Korean particle behind it is 이 after a consonant, else 가."""
    if "가" <= thing[-1:] <= "힣":
        ends_in_consonant = (ord(thing[-1]) - ord("가")) % 28
        phrase = _SUBJECT.sub("{}이" if ends_in_consonant else "{}가", phrase)
    return phrase.replace("{}", thing)


def examples(seed: int) -> list[Example]:
    """Combine the phrases above; the same seed gives the same list."""
    kinds = ((_SUGGESTIONS, True, None), (_PROBLEMS, False, True), (_OTHERS, False, False))
    found = [
        Example(
            phrase.format(thing),
            SOURCE,
            suggestion=suggestion,
            problem=problem,
            spam=False,
            toxicity=False,
        )
        for phrases, suggestion, problem in kinds
        for language, patterns in phrases.items()
        for phrase in patterns
        for thing in (_THINGS[language] if "{}" in phrase else ("",))
    ]
    random.Random(seed).shuffle(found)
    return found
