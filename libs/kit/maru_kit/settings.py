"""Settings that every service shares, and how any settings are shown to a person.

Values come from the environment (`MARU_*`), then from the default, which works on a laptop.
"""

import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from maru_kit.errors import ConfigError
from maru_kit.logs import hide_credentials

_USER = re.compile(r"^(\w[\w+]*://)[^?\s]*@")
"""A value that is one URL: what stands before its last @ is hidden, also where it is mistyped."""


class Common(BaseSettings):
    """What all services must agree on. Paths may start with `~`."""

    model_config = SettingsConfigDict(env_prefix="MARU_", frozen=True)

    home: Path = Field(Path("~/.maru"), description="The folder that holds all data on a laptop.")
    bus_url: str = Field(
        "",
        repr=False,
        description="The log: `sqlite:////path/log.db`, `kafka://host:port,host:port`, or "
        "`kafka+ssl://user:password@host:port` for TLS and SASL. Default: a file in MARU_HOME.",
    )
    bus_user: str = Field("", description="The user for Kafka, unless MARU_BUS_URL names one.")
    bus_password: SecretStr | None = Field(None, description="That user's password.")
    database_url: str = Field(
        "",
        repr=False,
        description="The database: `sqlite:////path/folder` or `postgresql://user@host/name`. "
        "Default: files in MARU_HOME.",
    )
    instance: str = Field(
        default_factory=socket.gethostname,
        description="This replica's name, the same after a restart. Default: the host's name.",
    )
    service_token: SecretStr | None = Field(
        None, description="The secret that services show one another when they run apart."
    )
    host: str = Field("127.0.0.1", description="The address that servers listen on.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe log line that is written."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is `console` on a terminal and `json` elsewhere."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: dict[str, object]) -> dict[str, object]:
        home = Path(str(values.get("home") or "~/.maru")).expanduser().absolute()
        return {
            **values,
            "home": home,
            "bus_url": _with_user(str(values.get("bus_url") or f"sqlite:///{home}/log.db"), values),
            "database_url": _for_driver(str(values.get("database_url") or f"sqlite:///{home}")),
        }


def _with_user(url: str, values: Mapping[str, object]) -> str:
    """Put the user and the password that stand in settings of their own into Kafka's URL."""
    user, secret = values.get("bus_user"), values.get("bus_password")
    if not user and not secret:
        return url
    password = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    scheme, found, rest = url.partition("://")
    if not user or not password or not found or not scheme.startswith("kafka"):
        raise ConfigError("MARU_BUS_USER and MARU_BUS_PASSWORD go together, and with Kafka alone")
    told = f"{quote(str(user), safe='')}:{quote(str(password), safe='')}"
    if rest.startswith(f"{told}@"):
        return url
    if "@" in rest.partition("?")[0]:
        raise ConfigError("Kafka's user stands in MARU_BUS_URL and in MARU_BUS_USER: keep one")
    return f"{scheme}://{told}@{rest}"


def _for_driver(url: str) -> str:
    """Hand what libpq reads from PostgreSQL's URL (`sslmode`, `sslrootcert`, …) to asyncpg.

    SQLAlchemy makes every parameter an argument of asyncpg's `connect`, which knows none of these;
    but it reads them from a `dsn`, and takes everything else from the arguments.
    """
    base, _, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    tls = [pair for pair in pairs if pair[0].startswith("ssl") and pair[0] != "ssl"]
    if not tls or not base.startswith("postgresql"):
        return url
    others = [pair for pair in pairs if pair not in tls]
    return f"{base}?{urlencode([*others, ('dsn', f'postgresql://?{urlencode(tls)}')])}"


@dataclass(frozen=True)
class SettingRow:
    """One setting as people see it; a secret, and a URL's user and password, are hidden."""

    name: str
    env: str
    value: str
    default: str
    description: str


def describe(settings: BaseSettings) -> list[SettingRow]:
    """List all settings of a model and of the settings models within it, in their own order."""
    return list(_rows(settings))


def _rows(settings: BaseSettings) -> Iterator[SettingRow]:
    prefix = settings.model_config.get("env_prefix", "")
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseSettings):
            yield from _rows(value)
            continue
        alias = field.validation_alias
        yield SettingRow(
            name=name,
            env=str(alias.choices[0])
            if isinstance(alias, AliasChoices)
            else f"{prefix}{name}".upper(),
            value=_shown(value),
            default=_default(field),
            description=field.description or "",
        )


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if value is None:
        return ""
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(map(str, value))
    return hide_credentials(_USER.sub(r"\1********@", str(value)))


def _default(field: FieldInfo) -> str:
    """Take the default as it is written; one that is computed is told in the description."""
    return "" if field.default_factory is not None else _shown(field.default)
