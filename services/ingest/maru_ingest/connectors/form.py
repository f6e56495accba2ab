"""A form that anybody can fill in, on a page of its own or in a dialog on your site.

**What to set up.** Nothing elsewhere: Maru serves the page at `/forms/{id}`. To have it in a dialog
on your own pages, name their origins (`https://www.example.com`) and put one tag there. Both are
shown when the source is added, and in [pushing posts in](../pushing-in.md).

**What comes.** What people write is a post of the channel `survey`, which is never quoted on the
public board. An address of mail, if one is asked for and given, is not in the post: it is stored
sealed, owners see it at `/api/v1/contacts/{post's id}`, and after half a year it is forgotten. The
post's author is a pseudonym, the same for all that one person sends by this form. The page needs no
script, sets no cookie, and asks nothing of anybody else.

**Against spam.** A field that people do not see, the least time that writing takes, eight messages
a minute from one address, a few thousand characters, and what the analysers say of spam. What was
sent twice, by a double click or by going back, is one post; what was changed meanwhile is its next
revision.
"""

import re
from typing import Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from maru_contracts.posts import Channel
from maru_ingest.connector import Capability, ConnectorKind, SourceSettings

Language = Literal["en", "ko"]
_LINES: dict[str, JsonValue] = {"format": "multiline"}
"""Tells the board that a text has several lines."""
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?", re.ASCII)


class FormSettings(SourceSettings):
    """What is asked, in which languages, and where it may be embedded."""

    title: str = Field(min_length=1, max_length=200, description="Heading of the page")
    question: str = Field(
        default="",
        max_length=1_000,
        json_schema_extra=_LINES,
        description="What to ask, below the title",
    )
    consent: str = Field(
        default="",
        max_length=2_000,
        json_schema_extra=_LINES,
        description="What people must agree to; empty: nothing",
    )
    thanks: str = Field(
        default="",
        max_length=1_000,
        json_schema_extra=_LINES,
        description="What happens next; a plain thank-you if empty",
    )
    asks_email: bool = Field(default=True, description="Whether to ask for an address, optional")
    languages: tuple[Language, ...] = Field(
        default=("en", "ko"),
        min_length=1,
        max_length=2,
        description="Languages of the page (en, ko), the usual one first",
    )
    title_ko: str = Field(default="", max_length=200, description="The title in Korean")
    question_ko: str = Field(
        default="", max_length=1_000, json_schema_extra=_LINES, description="The question in Korean"
    )
    consent_ko: str = Field(
        default="", max_length=2_000, json_schema_extra=_LINES, description="The consent in Korean"
    )
    thanks_ko: str = Field(
        default="",
        max_length=1_000,
        json_schema_extra=_LINES,
        description="The thank-you in Korean",
    )
    origins: tuple[str, ...] = Field(
        default=(),
        max_length=20,
        description="Origins of the sites that may embed the form, such as https://www.example.com",
    )

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        plain = tuple(one.strip().lower().rstrip("/") for one in origins)
        if not all(_ORIGIN.fullmatch(one) for one in plain):
            raise ValueError("an origin is a scheme and a host, such as https://www.example.com")
        return plain

    @model_validator(mode="after")
    def _consents_alike(self) -> "FormSettings":
        if self.consent_ko and not self.consent:
            raise ValueError("a consent in Korean needs one in the other language")
        return self

    def text(self, name: Literal["title", "question", "consent", "thanks"], language: str) -> str:
        """Return one of the texts in a language, or as it is where there is none."""
        plain: str = getattr(self, name)
        return (getattr(self, f"{name}_ko") or plain) if language == "ko" else plain


CONNECTOR = ConnectorKind(
    kind="form",
    title="Feedback form",
    summary="Asks anybody, on a page of its own or in a dialog on your site",
    settings=FormSettings,
    channel=Channel.SURVEY,
    open=None,
    is_form=True,
    capabilities=frozenset({Capability.LIVE}),
)
