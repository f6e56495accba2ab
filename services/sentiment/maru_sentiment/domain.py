"""The subjects that every workspace begins with, and which subjects it has: pure values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from maru_contracts.tags import TopicDefined


@dataclass(frozen=True)
class Subject:
    """Something that posts speak of: a name, and phrases that speak of it in any language."""

    name: str
    examples: tuple[str, ...]


DEFAULT_SUBJECTS: tuple[Subject, ...] = (
    Subject(
        "performance",
        (
            "the app is slow",
            "takes forever to load",
            "it lags and freezes",
            "앱이 너무 느려요",
            "로딩이 오래 걸려요",
            "버벅거리고 멈춰요",
        ),
    ),
    Subject(
        "crashes",
        (
            "the app crashes",
            "it closes by itself",
            "I get an error message",
            "앱이 자꾸 튕겨요",
            "갑자기 꺼져요",
            "오류가 나요",
        ),
    ),
    Subject(
        "price",
        (
            "it is too expensive",
            "the subscription price",
            "a discount or a free plan",
            "가격이 너무 비싸요",
            "구독료가 부담돼요",
            "할인이나 무료 요금제",
        ),
    ),
    Subject(
        "payment",
        (
            "the payment failed",
            "I was charged twice",
            "I want a refund",
            "결제가 안 돼요",
            "두 번 청구됐어요",
            "환불해 주세요",
        ),
    ),
    Subject(
        "login and account",
        (
            "I can't log in",
            "reset my password",
            "my account is locked",
            "로그인이 안 돼요",
            "비밀번호를 재설정하고 싶어요",
            "계정이 잠겼어요",
        ),
    ),
    Subject(
        "design",
        (
            "the design of the screen",
            "a dark mode, a theme, colours",
            "the font is too small",
            "화면 디자인",
            "다크 모드나 테마, 색상",
            "글씨가 너무 작아요",
        ),
    ),
    Subject(
        "notifications",
        (
            "notifications do not arrive",
            "too many push notifications",
            "remind me with an alarm",
            "알림이 오지 않아요",
            "푸시 알림이 너무 많아요",
            "알람으로 알려 주세요",
        ),
    ),
    Subject(
        "sync and backup",
        (
            "it does not sync between my devices",
            "my data is gone",
            "back up to the cloud",
            "기기 간 동기화가 안 돼요",
            "데이터가 사라졌어요",
            "클라우드에 백업",
        ),
    ),
    Subject(
        "offline",
        (
            "use it without internet",
            "an offline mode",
            "인터넷 없이 사용하고 싶어요",
            "오프라인 모드",
        ),
    ),
    Subject(
        "battery",
        (
            "it drains the battery",
            "the battery life is short",
            "배터리가 너무 빨리 닳아요",
            "배터리 수명",
        ),
    ),
    Subject(
        "search",
        (
            "the search finds nothing",
            "a better search with filters",
            "검색이 안 돼요",
            "검색 기능과 필터를 개선해 주세요",
        ),
    ),
    Subject(
        "privacy and security",
        (
            "why does it need access to my contacts",
            "two-factor authentication and encryption",
            "my personal data",
            "개인정보가 걱정돼요",
            "왜 이런 권한이 필요한가요",
            "2단계 인증과 보안",
        ),
    ),
    Subject(
        "sharing and export",
        (
            "share it with my family or team",
            "export to PDF or a file",
            "가족이나 팀과 공유하고 싶어요",
            "PDF나 파일로 내보내기",
        ),
    ),
    Subject(
        "integrations",
        (
            "connect it with other apps and services",
            "works with my smart watch or calendar",
            "다른 앱과 연동해 주세요",
            "스마트 워치나 캘린더와 연동",
        ),
    ),
    Subject(
        "delivery",
        (
            "my order arrived late",
            "the parcel was damaged",
            "배송이 너무 늦어요",
            "택배가 파손됐어요",
        ),
    ),
    Subject(
        "customer service",
        (
            "the support does not answer",
            "the staff was friendly and helpful",
            "고객센터가 답이 없어요",
            "상담원이 친절했어요",
        ),
    ),
    Subject(
        "language",
        (
            "translate it into my language",
            "support the Korean language",
            "제 언어로 번역해 주세요",
            "한국어를 지원해 주세요",
        ),
    ),
)


def subjects_of(definitions: Iterable[TopicDefined]) -> Mapping[str, Sequence[Subject]]:
    """Work out each workspace's subjects from all definitions, oldest first.

    A later definition of a name replaces an earlier one; a default subject can be replaced or
    removed in the same way.
    """
    spaces: dict[str, dict[str, Subject]] = {}
    for definition in definitions:
        own = spaces.setdefault(
            definition.workspace, {subject.name: subject for subject in DEFAULT_SUBJECTS}
        )
        own.pop(definition.name, None)
        if not definition.removed:
            own[definition.name] = Subject(definition.name, definition.examples)
    return {workspace: tuple(own.values()) for workspace, own in spaces.items()}
