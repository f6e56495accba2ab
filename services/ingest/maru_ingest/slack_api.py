"""Slack's Web API, as far as messages of channels go, and what its errors mean.

https://docs.slack.dev/apis/web-api
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from maru_ingest.connector import CredentialsRefused, SourceBroken, SourceBusy, Tools
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.parsed import Unreadable

TS = re.compile(r"\d{10}\.\d{6}", re.ASCII)
"""A time, which is a message's id in its channel; all are of one length, and so in order."""

_LIMIT = 200
_LATER = 60.0
_MAX_SHOWN = 100
_HOME = re.compile(r"https://[a-z0-9.-]{1,200}/", re.ASCII)
_NO_ENTRY = {
    "invalid_auth": "the token is not valid",
    "not_authed": "the token is not valid",
    "token_revoked": "the token was revoked; install the app again and give the new one",
    "token_expired": "the token has expired",
    "account_inactive": "the app was removed from the workspace",
    "access_denied": "the workspace does not let the app in",
    "org_login_required": "the workspace is moving to an organisation",
    "not_allowed_token_type": "the token must be a bot's (xoxb-…)",
}
_NOT_HERE = {
    "not_in_channel": "the app is not in the channel; write /invite @your-app there",
    "channel_not_found": "there is no such channel, or the app is not in it",
    "thread_not_found": "there is no such thread",
    "missing_scope": "the app lacks the scope {needed}; add it and install the app again",
}
_PATIENCE = {
    "ratelimited",
    "rate_limited",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "team_added_to_org",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of messages as Slack sends them, and where the next one begins."""

    messages: list[object]
    next: str

    @property
    def times(self) -> list[str]:
        """The times of its messages."""
        return [ts for one in self.messages if TS.fullmatch(ts := untyped.string(one, "ts"))]


class Refused(SourceBroken):
    """Slack's answer is an error, `code`, of no use to ask for again."""

    def __init__(self, detail: str, code: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Api:
    """Asks as an app. Everything raises SourceBusy and SourceBroken as `Tools.get` does."""

    tools: Tools
    address: str
    token: str

    async def home(self) -> str:
        """Return the address of the workspace, empty where Slack tells none."""
        found = untyped.string(await self._ask("auth.test", {}), "url")
        return found if _HOME.fullmatch(found) else ""

    async def name(self, person: str) -> str:
        """Return the name that somebody goes by, empty for none."""
        answer = await self._ask("users.info", {"user": person})
        profile = untyped.mapping(answer, "user", "profile")
        called = (untyped.string(profile, name) for name in ("display_name", "real_name"))
        return next(filter(None, called), "")

    async def history(
        self, channel: str, after: str = "", asked: Mapping[str, str] | None = None
    ) -> Answer:
        """Return a page of a channel; if Slack has forgotten where it was to go on, the newest."""
        wanted = {"channel": channel, **(asked or {})}
        try:
            answer = await self._messages("conversations.history", wanted, after)
        except Refused as error:
            if not after or error.code != "invalid_cursor":
                raise
            answer = await self._messages("conversations.history", wanted, "")
        if after and answer.next == after:
            raise SourceBroken("Slack leads in a circle.")
        return answer

    async def has(self, channel: str, ts: str) -> bool:
        """Whether a message is in a channel."""
        asked = {"channel": channel, "oldest": ts, "latest": ts, "inclusive": "true"}
        return ts in (await self._messages("conversations.history", asked, "")).times

    async def replies(
        self, channel: str, thread: str, since: str
    ) -> AsyncGenerator[tuple[list[object], str], None]:
        """Yield the answers of a thread, oldest first, and up to when they are known then."""
        asked = {"channel": channel, "ts": thread, "oldest": since}
        after = ""
        while True:
            try:
                answer = await self._messages("conversations.replies", asked, after)
            except Refused as error:
                if error.code != "thread_not_found":
                    raise
                return  # it was deleted meanwhile
            since = max([since, *answer.times])
            yield answer.messages, since
            if not answer.next:
                return
            if answer.next == after:
                raise SourceBroken("Slack leads in a circle.")
            after = answer.next

    async def _messages(self, method: str, asked: Mapping[str, str], after: str) -> Answer:
        place = {"cursor": after} if after else {}
        answer = await self._ask(method, {**asked, "limit": str(_LIMIT), **place})
        messages = untyped.at(answer, "messages")
        if not isinstance(messages, list):
            raise SourceBroken("Slack answers with what is no list of messages.")
        return Answer(messages, untyped.string(answer, "response_metadata", "next_cursor"))

    async def _ask(self, method: str, asked: Mapping[str, str]) -> object:
        """Call a method. Raises what Slack's own error means, which comes with the status 200."""
        fetched = await self.tools.get(
            f"{self.address}/{method}?{urlencode(asked)}",
            headers={"Authorization": f"Bearer {self.token}"},
        )
        try:
            answer = await asyncio.to_thread(payloads.loads, fetched.body)
        except Unreadable as error:
            raise SourceBroken(f"Slack answers with what can't be read: {error}.") from error
        if not untyped.is_true(answer, "ok"):
            raise _failed(answer, asked.get("channel", ""))
        return answer


def _failed(answer: object, channel: str) -> SourceBroken | SourceBusy:
    """Return what an error of Slack's means, in words for people."""
    error = untyped.string(answer, "error")[:_MAX_SHOWN]
    where = f"Slack, channel {channel}" if channel else "Slack"
    if error in _NO_ENTRY:
        return CredentialsRefused(f"Slack: {_NO_ENTRY[error]} ({error}).")
    if error in _NOT_HERE:
        needed = untyped.string(answer, "needed")[:_MAX_SHOWN]
        return Refused(f"{where}: {_NOT_HERE[error].format(needed=needed)} ({error}).", error)
    if error in _PATIENCE:
        return SourceBusy(f"{where} asks for patience ({error}).", retry_after=_LATER)
    return Refused(f"{where} answers with an error: {error or 'no reason given'}.", error)
