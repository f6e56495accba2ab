"""Seals secrets before they are stored, and opens them again.

AES-256-GCM (NIST SP 800-38D) with a random nonce; what is sealed is bound to its place, so that it
can't be opened in another row. The text names the key, so that old keys can go once nothing is
sealed with them: `sealed:<key's name>:<base64 of nonce and ciphertext>`.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from maru_kit.errors import ConfigError

KEY_BYTES = 32
_NONCE_BYTES = 12
_NAME_LENGTH = 8
_MARK = "sealed"


class Vault:
    """Seals with the first of its keys, and opens with any.

    Without keys it leaves texts in the clear, for stores that hold no secrets. Keys are 32 bytes
    in base64; raises ConfigError for any other.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._ciphers = {_name(key): AESGCM(key) for key in map(_read, keys)}
        self._first = next(iter(self._ciphers), "")

    def seal(self, text: str, place: str) -> str:
        """Return a text that only this place can be opened to."""
        if not self._first:
            return text
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(nonce, text.encode(), place.encode())
        return ":".join((_MARK, self._first, base64.b64encode(nonce + sealed).decode()))

    def open(self, stored: str, place: str) -> str:
        """Return what was sealed; a text that was stored in the clear comes as it is.

        Raises ConfigError when the key is not there, or the text was sealed for another place.
        """
        if not stored.startswith(f"{_MARK}:"):
            return stored
        _, name, body = stored.split(":", 2)
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise ConfigError(
                f"A secret was sealed with the key {name}, which is not among the keys given"
            )
        raw = base64.b64decode(body)
        try:
            return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode()).decode()
        except InvalidTag as error:
            raise ConfigError(f"What is stored as {place} was changed or moved there") from error

    @property
    def mark(self) -> str:
        """How everything begins that is sealed with the first key; empty without keys."""
        return f"{_MARK}:{self._first}:" if self._first else ""


def new_key() -> str:
    """Return a key that nobody else has."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def key_in(path: Path) -> str:
    """Return the key that a file holds; make the file, for its owner alone, where there is none.

    Of two processes that do so at once, one makes it and both read it. Raises ConfigError when it
    can't be made or read.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        made.touch(mode=0o600)
        made.write_text(new_key() + "\n", "ascii")
        try:
            with suppress(FileExistsError):
                os.link(made, path)  # never replaces a key that is there
        finally:
            made.unlink()
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The key in {path} can't be read or made: {error}") from error


def _read(key: str) -> bytes:
    try:
        raw = base64.b64decode(key, validate=True)
    except ValueError as error:
        raise ConfigError(
            "A key for secrets is not base64; make one: openssl rand -base64 32"
        ) from (error)
    if len(raw) != KEY_BYTES:
        raise ConfigError(
            f"A key for secrets has {len(raw)} bytes, not {KEY_BYTES}; make one: "
            "openssl rand -base64 32"
        )
    return raw


def _name(key: bytes) -> str:
    return hashlib.sha256(b"maru key " + key).hexdigest()[:_NAME_LENGTH]
