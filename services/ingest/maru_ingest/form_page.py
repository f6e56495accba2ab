"""The page of a form as HTML: without scripts, in English and Korean, for eyes and for ears."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from urllib.parse import urlencode

MAX_TEXT = 5_000
"""Characters of a message."""

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "text": "Your message",
        "email": "E-mail (optional)",
        "email_hint": "Only to answer you. It is never shown in public.",
        "send": "Send",
        "trap": "Leave this field empty",
        "thanks": "Thank you!",
        "next": "Your message has arrived. Our team reads it beside everybody else's; what many "
        "people ask for becomes an idea on our board.",
        "again": "Write another message",
        "other": "한국어",
        "wrong": "This was not sent yet:",
        "closed": "This form is closed at the moment.",
        "missing": "There is no form at this address.",
        "elsewhere": "This was sent from another site, which may not do that.",
        "empty": "Please write something.",
        "too_long": "Please write at most 5,000 characters.",
        "no_email": "This is no e-mail address. You can also leave it empty.",
        "not_agreed": "Please agree, or we may not keep what you wrote.",
        "too_quick": "That was very fast. Please press “Send” once more.",
        "stale": "This page was open for a long time. Please press “Send” once more.",
        "too_many": "Many messages came from here. Please try again in a minute.",
        "unavailable": "We can't keep it right now. Please try again in a moment.",
    },
    "ko": {
        "text": "남기실 말씀",
        "email": "이메일 (선택)",
        "email_hint": "답변을 드릴 때만 쓰며, 공개되지 않습니다.",
        "send": "보내기",
        "trap": "이 칸은 비워 두세요",
        "thanks": "고맙습니다!",
        "next": "보내신 의견이 잘 도착했습니다. 담당자가 다른 분들의 의견과 함께 읽고, 많은 분이 "
        "바라시는 것은 아이디어 게시판에 올립니다.",
        "again": "의견 더 보내기",
        "other": "English",
        "wrong": "아직 보내지 않았습니다:",
        "closed": "지금은 의견을 받지 않습니다.",
        "missing": "이 주소에는 양식이 없습니다.",
        "elsewhere": "허용되지 않은 다른 사이트에서 보냈습니다.",
        "empty": "내용을 적어 주세요.",
        "too_long": "5,000자 이내로 적어 주세요.",
        "no_email": "이메일 주소가 아닙니다. 비워 두셔도 됩니다.",
        "not_agreed": "동의해 주셔야 의견을 보관할 수 있습니다.",
        "too_quick": "너무 빨리 보내셨습니다. ‘보내기’를 한 번 더 눌러 주세요.",
        "stale": "페이지를 연 지 오래되었습니다. ‘보내기’를 한 번 더 눌러 주세요.",
        "too_many": "이곳에서 의견이 많이 왔습니다. 1분 뒤에 다시 보내 주세요.",
        "unavailable": "지금은 저장할 수 없습니다. 잠시 뒤에 다시 보내 주세요.",
    },
}
LANGUAGES = tuple(_WORDS)

_STYLE = (Path(__file__).parent / "assets" / "form.css").read_text("utf-8")
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


@dataclass(frozen=True, slots=True)
class Shown:
    """A form as it is shown: its texts in one language, what was written, and what is wrong.

    `faults` names what is wrong by field; that of the whole is the empty one.
    """

    address: str
    language: str
    title: str
    question: str = ""
    consent: str = ""
    thanks: str = ""
    asks_email: bool = True
    languages: Sequence[str] = LANGUAGES
    embedded: bool = False
    ticket: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)

    def link(self, more: str = "", *, language: str = "") -> str:
        """Return an address of this form that keeps how it is shown."""
        wishes = {"lang": language or self.language} | ({"embedded": "1"} if self.embedded else {})
        return f"{self.address}{more}?{urlencode(wishes)}"


def policy(ancestors: Sequence[str]) -> str:
    """Return the Content-Security-Policy of these pages; `ancestors` may frame them."""
    framing = " ".join(ancestors) or "'none'"
    return (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; "
        f"frame-ancestors {framing}"
    )


def form(shown: Shown) -> str:
    """Return the page that asks; focus goes to what is wrong first."""
    words = _WORDS[shown.language]
    fields = [_text(shown, words)]
    if shown.asks_email:
        fields.append(_email(shown, words))
    if shown.consent:
        fields.append(_consent(shown, words))
    lead = f'<p class="lead">{escape(shown.question)}</p>' if shown.question else ""
    return _page(
        shown,
        f"""<h1>{escape(shown.title)}</h1>{lead}{_alert(shown, words)}
<form method="post" action="{escape(shown.link())}">
{"".join(fields)}
<div class="trap" aria-hidden="true"><label for="website">{words["trap"]}</label>
<input id="website" name="website" tabindex="-1" autocomplete="off"></div>
<input type="hidden" name="ticket" value="{escape(shown.ticket)}">
<button>{words["send"]}</button>
</form>""",
        _others(shown),
    )


def thanks(shown: Shown) -> str:
    """Return the page that says what happens next."""
    words = _WORDS[shown.language]
    return _page(
        shown,
        f"""<h1>{words["thanks"]}</h1><p class="lead">{escape(shown.thanks or words["next"])}</p>
<p><a href="{escape(shown.link())}">{words["again"]}</a></p>""",
    )


def notice(language: str, what: str) -> str:
    """Return a page that says one thing: closed, missing or elsewhere."""
    said = _WORDS[language][what]
    return _page(Shown("", language, said), f"<h1>{said}</h1>")


def _page(shown: Shown, body: str, below: str = "") -> str:
    kind = ' class="embedded"' if shown.embedded else ""
    return f"""<!doctype html>
<html lang="{shown.language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(shown.title)}</title><style>{_STYLE}</style></head>
<body{kind}><main><div class="card">{body}</div>{below}</main></body></html>
"""


def _others(shown: Shown) -> str:
    others = [one for one in shown.languages if one != shown.language]
    name = _WORDS[shown.language]["other"]
    links = [
        f'<a lang="{one}" hreflang="{one}" href="{escape(shown.link(language=one))}">{name}</a>'
        for one in others
    ]
    return f"<nav>{''.join(links)}</nav>" if links else ""


def _alert(shown: Shown, words: Mapping[str, str]) -> str:
    if not shown.faults:
        return ""
    said = [
        f'<li><a href="#{name}">{words[fault]}</a></li>' if name else f"<li>{words[fault]}</li>"
        for name, fault in shown.faults.items()
    ]
    return f'<div class="alert" role="alert"><p>{words["wrong"]}</p><ul>{"".join(said)}</ul></div>'


def _text(shown: Shown, words: Mapping[str, str]) -> str:
    return f"""<div class="field"><label for="text">{words["text"]}</label>
<textarea id="text" name="text" required maxlength="{MAX_TEXT}" rows="6"{_state(shown, "text")}>
{escape(shown.values.get("text", ""))}</textarea>{_fault(shown, words, "text")}</div>"""


def _email(shown: Shown, words: Mapping[str, str]) -> str:
    return f"""<div class="field"><label for="email">{words["email"]}</label>
<span class="hint" id="email-hint">{words["email_hint"]}</span>
<input type="email" id="email" name="email" maxlength="254" autocomplete="email"
 value="{escape(shown.values.get("email", ""))}"{_state(shown, "email", "email-hint")}>
{_fault(shown, words, "email")}</div>"""


def _consent(shown: Shown, words: Mapping[str, str]) -> str:
    ticked = " checked" if shown.values.get("consent") else ""
    return f"""<div class="field"><label class="tick" for="consent">
<input type="checkbox" id="consent" name="consent" value="yes" required{ticked}\
{_state(shown, "consent")}><span>{escape(shown.consent)}</span></label>
{_fault(shown, words, "consent")}</div>"""


def _state(shown: Shown, name: str, hint: str = "") -> str:
    """Return the attributes that say what is wrong with a field, and focus the first of these."""
    wrong = [one for one in shown.faults if one]
    is_wrong = name in wrong
    about = " ".join(one for one in (hint, f"{name}-fault" * is_wrong) if one)
    return "".join(
        (
            f' aria-describedby="{about}"' if about else "",
            ' aria-invalid="true"' if is_wrong else "",
            " autofocus" if wrong[:1] == [name] else "",
        )
    )


def _fault(shown: Shown, words: Mapping[str, str], name: str) -> str:
    fault = shown.faults.get(name)
    return f'<p class="fault" id="{name}-fault">{words[fault]}</p>' if fault else ""
