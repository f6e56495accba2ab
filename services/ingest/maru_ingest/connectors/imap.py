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
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Literal, Protocol, Self, TypeVar

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError
from pydantic import Field, SecretStr

from maru_contracts.posts import Channel
from maru_ingest import domain
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

T = TypeVar("T")
Security = Literal["tls", "starttls", "none"]
Criteria = Sequence[object]
Hold = Callable[[socket.socket], None]


class Waiting(Protocol):
    """Has a thread do what waits for a server, and waits for it."""

    async def __call__(self, call: Callable[[], T], /) -> T:
        """Return what the call returns. Raises SourceBroken when that takes too long."""


_PORTS = {"tls": 993, "starttls": 143, "none": 143}
_NEWEST = 50
_PAGE = 20
_MAX_MESSAGE = 1024 * 1024
_MAX_LITERAL = 2 * _MAX_MESSAGE
_WINDOW = 50_000
"""UIDs that are asked for at once: an answer is one line, of which a megabyte is read."""
_BUSY = re.compile(r"\[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA)\]", re.IGNORECASE)
_MAX_SHOWN = 200
_DAYS = timedelta(days=7)


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
        async with self._opened() as (folder, waiting):
            known = int(cursor["uid"]) if cursor.get("validity") == folder.validity else 0
            if known:
                searches = folder.after(known)
            elif cursor:
                searches = folder.since(date.fromisoformat(cursor["day"]), domain.utc_now().date())
            else:
                searches = folder.newest()
            day = cursor.get("day", "")
            for criteria in searches:
                uids = await waiting(partial(folder.search, criteria))
                # The last mail answers to any range that ends with a star, and some servers take
                # the numbers of a first look for UIDs and answer with more.
                new = [uid for uid in uids if uid > known] if cursor else uids[-_NEWEST:]
                for part in _parts(new):
                    mails = await waiting(partial(folder.fetch, part))
                    today = domain.utc_now().date().isoformat()
                    days = (min(one.at.date().isoformat(), today) for one in mails)
                    day = max([day, *days])
                    at = {"validity": folder.validity, "uid": part[-1], "day": day}
                    yield Page([row for one in mails for row in one.rows], at)

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the mails that came in a range, day by day."""
        async with self._opened() as (folder, waiting):
            # A server's days are those of its own clock, so a day more is asked for at both ends.
            day = (since - timedelta(days=1)).date()
            if cursor.get("validity") == folder.validity:
                day = date.fromisoformat(cursor["day"])
            while day <= (until + timedelta(days=1)).date():
                for part in _parts(await waiting(partial(folder.search, ["ON", day]))):
                    mails = await waiting(partial(folder.fetch, part))
                    found = [row for one in mails if since <= one.at < until for row in one.rows]
                    yield Page(found, {"validity": folder.validity, "day": day.isoformat()})
                day += timedelta(days=1)
                yield Page([], {"validity": folder.validity, "day": day.isoformat()})

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple["_Folder", "Waiting"]]:
        """Log in and open the folder; with it comes what has its thread wait for the server.

        The thread is this folder's own, so that servers that never end keep no other work waiting;
        when one takes longer than the deadline, its connection is broken off.
        """
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
        thread = ThreadPoolExecutor(1, thread_name_prefix="imap")

        async def waiting(call: Callable[[], T]) -> T:
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(self.tools.deadline):
                    return await loop.run_in_executor(thread, call)
            except TimeoutError as error:
                folder.hang_up()
                raise folder.late() from error

        try:
            await waiting(folder.open)
            yield folder, waiting
        finally:
            folder.hang_up()
            thread.submit(folder.close)
            thread.shutdown(wait=False)


@dataclass(frozen=True, slots=True)
class _Mail:
    """A mail: when the server got it, and the post that it is, if a person wrote it."""

    at: datetime
    rows: Sequence[Row]

    @classmethod
    def of(cls, uid: int, at: datetime, content: bytes) -> "_Mail":
        """Read a mail."""
        try:
            post = mail.post_from(content)
        except ValueError as error:
            return cls(at, [BadRow(uid, str(error), content[:MAX_ORIGINAL])])
        if post is None:
            return cls(at, [])
        post.created_at = post.created_at or at
        return cls(at, [post])


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
        self._socket: socket.socket | None = None
        self.validity = 0
        self._next = 0
        self._exists = 0

    def open(self) -> None:
        """Connect, log in, and open the folder so that nothing in it is marked as read."""
        wanted = self._settings
        with self._told():
            self._client = _Client(wanted, self._addresses, self._port, self._seconds, self._hold)
            if wanted.security == "starttls":
                self._client.starttls(_Context(self._hold))
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

    def _hold(self, connected: socket.socket) -> None:
        self._socket = connected

    def hang_up(self) -> None:
        """End the connection, so that a thread which waits for the server waits no longer."""
        if self._socket is not None:
            with suppress(OSError):
                # That of TLS would wait for the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            with suppress(OSError, IMAPClientError):
                self._client.shutdown()
        if self._socket is not None:
            self._socket.close()

    def late(self) -> SourceBroken:
        """What to say of a server that takes too long."""
        return SourceBroken(f"{self._settings.host} does not answer within {self._seconds:g} s.")

    def newest(self) -> Iterator[Criteria]:
        """Yield what finds the newest mails."""
        if self._exists:
            yield [f"{max(1, self._exists - _NEWEST + 1)}:*"]

    def after(self, uid: int) -> Iterator[Criteria]:
        """Yield what finds the mails above a UID, one after the other."""
        first = uid + 1
        while self._next and first + _WINDOW < self._next:
            yield ["UID", f"{first}:{first + _WINDOW - 1}"]
            first += _WINDOW
        yield ["UID", f"{first}:*"]

    def since(self, day: date, today: date) -> Iterator[Criteria]:
        """Yield what finds the mails that came on a day or later, one after the other."""
        while day < today:
            yield ["SINCE", day, "BEFORE", day + _DAYS]
            day += _DAYS
        yield ["SINCE", day]

    def search(self, criteria: Criteria) -> list[int]:
        """Return the UIDs of the mails that criteria hold for, in their order."""
        with self._told():
            return sorted(int(uid) for uid in self._there.search(criteria))

    def fetch(self, uids: Sequence[int]) -> list[_Mail]:
        """Read mails; one that is gone meanwhile is left out."""
        body = f"BODY.PEEK[]<0.{_MAX_MESSAGE}>"
        with self._told():
            found = self._there.fetch(uids, ["INTERNALDATE", body])
        return [
            _Mail.of(uid, found[uid][b"INTERNALDATE"], found[uid][b"BODY[]<0>"] or b"")
            for uid in uids
            if uid in found and b"INTERNALDATE" in found[uid] and b"BODY[]<0>" in found[uid]
        ]

    @property
    def _there(self) -> "_Client":
        assert self._client is not None  # noqa: S101 - open() comes first
        return self._client

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise what goes wrong as what people understand."""
        host = self._settings.host
        try:
            yield
        except TimeoutError as error:
            raise self.late() from error
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
        self,
        settings: ImapSettings,
        addresses: Sequence[str],
        port: int,
        seconds: float,
        hold: Hold,
    ) -> None:
        self._addresses = addresses
        self._hold = hold
        is_tls = settings.security == "tls"
        super().__init__(
            settings.host, port=port, ssl=is_tls, ssl_context=_Context(hold), timeout=seconds
        )
        self.normalise_times = False

    def _create_IMAP4(self) -> "_Connection":  # noqa: N802 - the library's name
        return _Connection(self, self._addresses, self._timeout.read, self._hold)


class _Context(ssl.SSLContext):
    """Believes the usual certificates; `hold` is given each connection before anything is said."""

    _hold: Hold

    def __new__(cls, hold: Hold) -> Self:
        made = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        made.load_default_certs()
        made._hold = hold
        return made

    def wrap_socket(self, sock: socket.socket, **options: Any) -> ssl.SSLSocket:  # type: ignore[override]
        """Shake hands."""
        wrapped = super().wrap_socket(sock, **options, do_handshake_on_connect=False)
        self._hold(wrapped)
        wrapped.do_handshake()
        return wrapped


class _Connection(imaplib.IMAP4):
    """A connection that reads no more at once than a mail may be long."""

    def __init__(
        self, client: "_Client", addresses: Sequence[str], seconds: float, hold: Hold
    ) -> None:
        self._addresses = addresses
        self._context: ssl.SSLContext | None = client.ssl_context if client.ssl else None
        self._hold = hold
        super().__init__(client.host, client.port, timeout=seconds)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        for address in self._addresses[:-1]:
            with suppress(OSError):
                return self._connected(address, timeout)
        return self._connected(self._addresses[-1], timeout)

    def _connected(self, address: str, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((address, self.port), timeout)
        self._hold(plain)
        if self._context is None:
            return plain
        return self._context.wrap_socket(plain, server_hostname=self.host)

    def read(self, size: int) -> bytes:
        """Read a literal. Raises abort for one that nobody asked for."""
        if size > _MAX_LITERAL:
            raise self.abort(f"a piece of {size:,} bytes")
        return super().read(size)


def _parts(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (uids[start : start + _PAGE] for start in range(0, len(uids), _PAGE))


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
