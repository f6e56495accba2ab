"""Follows a folder of a mailbox over IMAP, and marks nothing as read.

For support addresses and newsletters' answers: what customers write by mail. What counts is what
the author of a mail newly wrote; quoted mails, signatures, attachments, answers of machines and
reports of mail servers are left out (see [files](../files.md)). The folder is opened for reading
only (`EXAMINE`), so mails stay unread, and a mail that is moved or deleted in the mailbox stays a
post: tidying up takes nobody's words back.

## Setting it up

1. Make a mailbox, or a folder that a rule of your mail server fills, for what Maru should read.
2. Take the account's password, or better a password for this app alone: Google Workspace
   (https://support.google.com/accounts/answer/185833), iCloud, Fastmail, Naver and Daum give out
   such ones once IMAP is switched on in their settings.
3. `maru sources add imap "Support" --set host=imap.example.com --set username=help@example.com
   --set password=…`

Microsoft 365 takes no passwords over IMAP any more: export such a mailbox, or have a rule forward
its mails to one that does.

## How it reads

A first poll brings the newest 50 mails. From then on it goes on after the highest UID that it has
seen (RFC 9051); when a server numbers its mails anew (UIDVALIDITY), it reads those since the day of
the last one again, and skips what it knows by the Message-ID. Of a mail the first megabyte is read.
"""

import asyncio
import imaplib
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError
from pydantic import Field, SecretStr

from maru_contracts.posts import Channel
from maru_ingest.connector import (
    Capability,
    ConnectorKind,
    CredentialsRefused,
    Cursor,
    Interval,
    Page,
    SourceBroken,
    SourceBusy,
    SourceGone,
    SourceSettings,
    Tools,
    translated,
)
from maru_ingest.formats import mail
from maru_ingest.formats.parsed import MAX_ORIGINAL, BadRow, Row

Security = Literal["tls", "starttls", "none"]

_PORTS = {"tls": 993, "starttls": 143, "none": 143}
_NEWEST = 50
_PAGE = 20
_MAX_MESSAGE = 1024 * 1024
_MAX_LITERAL = 2 * _MAX_MESSAGE
_WINDOW = 50_000
"""UIDs that are asked for at once: an answer is one line, of which a megabyte is read."""
_BUSY = re.compile(r"\[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA)\]", re.IGNORECASE)
_MAX_SHOWN = 200


class ImapSettings(SourceSettings):
    """Which folder of whose mailbox."""

    host: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,253}$", description="Server, such as imap.example.com"
    )
    username: str = Field(min_length=1, max_length=320, description="Whose mailbox it is")
    password: SecretStr = Field(min_length=1, description="Password, best one for this app alone")
    folder: str = Field(default="INBOX", min_length=1, max_length=500, description="Which folder")
    security: Security = Field(
        default="tls",
        description="tls from the start (port 993), starttls (143), or none: in own networks only",
    )
    port: int | None = Field(default=None, ge=1, le=65_535, description="Port, where another")
    interval_seconds: Interval = 120.0


@dataclass(frozen=True, slots=True)
class ImapConnector:
    """Follows a folder. The cursor holds its UIDVALIDITY, the last UID and the day of its mail."""

    settings: ImapSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield the mails that came after the cursor's, oldest first."""
        async with self._opened() as folder:
            seen = cursor if cursor.get("validity") == folder.validity else {}
            if seen:
                found = folder.after(int(cursor["uid"]))
            elif cursor:
                found = folder.since(date.fromisoformat(cursor["day"]))
            else:
                found = folder.newest()
            day = cursor.get("day", "")
            for uids in await asyncio.to_thread(_chunks, found):
                mails = await asyncio.to_thread(folder.fetch, uids)
                day = max([day, *(one.at.date().isoformat() for one in mails)])
                at = {"validity": folder.validity, "uid": uids[-1], "day": day}
                yield Page([row for one in mails for row in one.rows()], at)

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the mails that came in a range, day by day."""
        async with self._opened() as folder:
            # A server's days are those of its own clock, so a day more is asked for at both ends.
            day = (since - timedelta(days=1)).date()
            if cursor.get("validity") == folder.validity:
                day = date.fromisoformat(cursor["day"])
            while day <= (until + timedelta(days=1)).date():
                for uids in await asyncio.to_thread(_chunks, folder.on(day)):
                    mails = await asyncio.to_thread(folder.fetch, uids)
                    found = [row for one in mails if since <= one.at < until for row in one.rows()]
                    yield Page(found, {"validity": folder.validity, "day": day.isoformat()})
                day += timedelta(days=1)
                yield Page([], {"validity": folder.validity, "day": day.isoformat()})

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator["_Folder"]:
        """Log in and open the folder; a thread waits for the server, and is let go at the end."""
        wanted = self.settings
        port = wanted.port or _PORTS[wanted.security]
        if self.tools.budget is not None:
            self.tools.budget.spend()
        if wanted.security == "none" and not self.tools.outbound.is_own(
            f"http://{wanted.host}:{port}"
        ):
            raise SourceBroken(
                f"{wanted.host} would see the password unencrypted: choose tls or starttls."
            )
        with translated():
            addresses = await self.tools.outbound.addresses(
                wanted.host, port, ports=_PORTS.values()
            )
        folder = _Folder(wanted, addresses, port, self.tools.deadline)
        try:
            await asyncio.to_thread(folder.open)
            yield folder
        finally:
            folder.close()


@dataclass(frozen=True, slots=True)
class _Mail:
    """A mail, and when the server got it."""

    uid: int
    at: datetime
    content: bytes

    def rows(self) -> Iterator[Row]:
        """Yield the post that it is, if a person wrote it."""
        try:
            post = mail.post_from(self.content)
        except ValueError as error:
            yield BadRow(self.uid, str(error), self.content[:MAX_ORIGINAL])
            return
        if post is not None:
            post.created_at = post.created_at or self.at
            yield post


class _Folder:
    """A folder that is open for reading. Everything waits for the server: call it in a thread.

    Raises SourceBroken and its kin.
    """

    def __init__(
        self, settings: ImapSettings, addresses: Sequence[str], port: int, seconds: float
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._port = port
        self._seconds = seconds
        self._client: _Client | None = None
        self.validity = 0
        self._next = 0
        self._exists = 0

    def open(self) -> None:
        """Connect, log in, and open the folder so that nothing in it is marked as read."""
        wanted = self._settings
        with self._told():
            self._client = _Client(wanted, self._addresses, self._port, self._seconds)
            if wanted.security == "starttls":
                self._client.starttls(ssl.create_default_context())
            try:
                self._client.login(wanted.username, wanted.password.get_secret_value())
            except LoginError as error:
                if _BUSY.search(str(error)):
                    raise
                raise CredentialsRefused(
                    f"{wanted.host} does not let {wanted.username} in: {_shown(error)}"
                ) from error
            try:
                opened = self._client.select_folder(wanted.folder, readonly=True)
            except IMAPClientError as error:
                if isinstance(error, imaplib.IMAP4.abort) or _BUSY.search(str(error)):
                    raise
                raise SourceGone(
                    f"{wanted.host} has no folder {wanted.folder!r} to open: {_shown(error)}"
                ) from error
        self.validity = int(opened.get(b"UIDVALIDITY", 0))
        self._next = int(opened.get(b"UIDNEXT", 0))
        self._exists = int(opened.get(b"EXISTS", 0))

    def close(self) -> None:
        """Hang up, whatever a thread still waits for."""
        if self._client is not None:
            with suppress(OSError, IMAPClientError):
                self._client.shutdown()

    def newest(self) -> Iterator[int]:
        """Yield the UIDs of the newest mails."""
        if self._exists:
            # Some servers take the numbers for UIDs, and answer with more.
            yield from self._search([f"{max(1, self._exists - _NEWEST + 1)}:*"])[-_NEWEST:]

    def after(self, uid: int) -> Iterator[int]:
        """Yield the UIDs above one."""
        first = uid + 1
        while self._next and first + _WINDOW < self._next:
            yield from self._search(["UID", f"{first}:{first + _WINDOW - 1}"])
            first += _WINDOW
        # The last mail answers to any range that ends with a star.
        yield from (one for one in self._search(["UID", f"{first}:*"]) if one >= first)

    def since(self, day: date) -> Iterator[int]:
        """Yield the UIDs of mails that came on a day or later."""
        yield from self._search(["SINCE", day])

    def on(self, day: date) -> Iterator[int]:
        """Yield the UIDs of mails that came on a day."""
        yield from self._search(["ON", day])

    def fetch(self, uids: Sequence[int]) -> list[_Mail]:
        """Read mails; one that is gone meanwhile is left out."""
        body = f"BODY.PEEK[]<0.{_MAX_MESSAGE}>"
        with self._told():
            found = self._there.fetch(uids, ["INTERNALDATE", body])
        return [
            _Mail(uid, found[uid][b"INTERNALDATE"], found[uid][b"BODY[]<0>"] or b"")
            for uid in uids
            if uid in found and b"INTERNALDATE" in found[uid] and b"BODY[]<0>" in found[uid]
        ]

    @property
    def _there(self) -> "_Client":
        assert self._client is not None  # noqa: S101 - open() comes first
        return self._client

    def _search(self, criteria: list[object]) -> list[int]:
        with self._told():
            return sorted(int(uid) for uid in self._there.search(criteria))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise what goes wrong as what people understand."""
        host = self._settings.host
        try:
            yield
        except TimeoutError as error:
            raise SourceBroken(f"{host} does not answer within {self._seconds:g} s.") from error
        except (IMAPClientError, imaplib.IMAP4.error) as error:
            if _BUSY.search(str(error)):
                raise SourceBusy(f"{host} is busy: {_shown(error)}") from error
            raise SourceBroken(
                f"{host} answers in a way that is of no use: {_shown(error)}"
            ) from error
        except OSError as error:
            raise SourceBroken(f"{host} does not answer: {error.strerror or error}.") from error


class _Client(IMAPClient):  # type: ignore[misc]  # a class without types
    """Connects to addresses that were checked, under the name of the host."""

    def __init__(
        self, settings: ImapSettings, addresses: Sequence[str], port: int, seconds: float
    ) -> None:
        self._addresses = addresses
        super().__init__(
            settings.host,
            port=port,
            ssl=settings.security == "tls",
            ssl_context=ssl.create_default_context(),
            timeout=seconds,
        )
        self.normalise_times = False

    def _create_IMAP4(self) -> "_Connection":  # noqa: N802 - the library's name
        context = self.ssl_context if self.ssl else None
        return _Connection(self.host, self.port, self._addresses, context, self._timeout.read)


class _Connection(imaplib.IMAP4):
    """A connection that reads no more at once than a mail may be long."""

    def __init__(
        self,
        host: str,
        port: int,
        addresses: Sequence[str],
        context: ssl.SSLContext | None,
        seconds: float,
    ) -> None:
        self._addresses = addresses
        self._context = context
        super().__init__(host, port, timeout=seconds)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        for address in self._addresses[:-1]:
            with suppress(OSError):
                return self._secured(socket.create_connection((address, self.port), timeout))
        return self._secured(socket.create_connection((self._addresses[-1], self.port), timeout))

    def _secured(self, plain: socket.socket) -> socket.socket:
        if self._context is None:
            return plain
        return self._context.wrap_socket(plain, server_hostname=self.host)

    def read(self, size: int) -> bytes:
        """Read a literal. Raises abort for one that nobody asked for."""
        if size > _MAX_LITERAL:
            raise self.abort(f"a piece of {size:,} bytes")
        return super().read(size)


def _chunks(found: Iterator[int]) -> list[list[int]]:
    uids = list(found)
    return [uids[start : start + _PAGE] for start in range(0, len(uids), _PAGE)]


def _shown(error: Exception) -> str:
    """What a server says, which IMAPClient shows as bytes."""
    said = str(error).removeprefix("b'").removesuffix("'")
    return f"{said[:_MAX_SHOWN].rstrip('.')}."


def _open(settings: ImapSettings, tools: Tools) -> ImapConnector:
    return ImapConnector(settings, tools)


CONNECTOR = ConnectorKind(
    kind="imap",
    title="E-mail (IMAP)",
    summary="Follows a folder of a mailbox: what customers write by mail",
    settings=ImapSettings,
    channel=Channel.MAIL,
    open=_open,
    capabilities=frozenset({Capability.BACKFILL, Capability.REPLIES}),
)
