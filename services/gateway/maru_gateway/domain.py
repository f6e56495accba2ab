"""API keys: 256 random bits, of which only the SHA-256 is kept."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from maru_kit.http import Role

_PREFIX = "maru_"
_FORM = re.compile(r"maru_[A-Za-z0-9_-]{43}\Z")
_SHOWN = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Key:
    """A key as it is kept; the key itself is told once, when it is made."""

    id: UUID
    workspace: str
    role: Role
    name: str
    prefix: str
    created_at: datetime
    used_at: datetime | None = None


def new_secret() -> str:
    """Draw a new key."""
    return _PREFIX + secrets.token_urlsafe(32)


def is_well_formed(secret: str) -> bool:
    """Whether a text could be a key at all."""
    return _FORM.match(secret) is not None


def digest(secret: str) -> bytes:
    """Return what is kept of a key. It has 256 random bits, so one plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def shown(secret: str) -> str:
    """Return the first characters of a key, by which people know it again."""
    return secret[:_SHOWN]


def to_micros(moment: datetime) -> int:
    """Count microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """Undo `to_micros`."""
    return _EPOCH + timedelta(microseconds=micros)
