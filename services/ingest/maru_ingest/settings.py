"""What can be set for the ingest service, by environment variables `MARU_INGEST_*`."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from maru_kit.errors import ConfigError
from maru_kit.settings import Common
from maru_kit.vault import key_in


class Settings(BaseSettings):
    """The ingest service's settings; every default works on a laptop."""

    model_config = SettingsConfigDict(env_prefix="MARU_INGEST_")

    common: Common = Field(default_factory=Common)
    port: int = Field(default=8081, description="TCP port of the service's HTTP interface")
    concurrency: int = Field(
        default=32, ge=1, le=100, description="Sources that are polled at the same time"
    )
    tick_seconds: float = Field(
        default=0.5,
        gt=0,
        description="How often to look for sources that are due, paused or resumed, in seconds",
    )
    poll_seconds: float = Field(
        default=300.0, gt=0, description="Longest time that one poll may take, in seconds"
    )
    lease_seconds: float = Field(
        default=30.0,
        ge=1,
        description="Seconds after which another process follows the sources of one that died",
    )
    secret_keys: list[SecretStr] = Field(
        default_factory=list,
        description="JSON list of keys (32 bytes in base64) that seal the secrets of sources: the "
        "first seals, all open. With SQLite the default is a key in MARU_HOME.",
    )
    files_root: Path | None = Field(
        default=None,
        description="Folder below which file sources may read; unset means that none may",
    )
    allow_hosts: list[str] = Field(
        default_factory=list,
        description="JSON list of hosts (or host:port) of the own network that sources may be on",
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#]+)?$",
        description=(
            "Address at which hubs of feeds (WebSub) reach the gateway, such as "
            "https://maru.example.com; unset means that feeds are polled only"
        ),
    )
    page_delay_seconds: float = Field(
        default=0.5,
        ge=0,
        le=10,
        description="Least time between two pages of one host that are looked at, in seconds",
    )
    max_body_bytes: int = Field(
        default=5 * 1024 * 1024,
        ge=1024,
        description="Largest feed (decoded) or webhook body that is accepted, in bytes",
    )

    def keys(self) -> list[str]:
        """Return the keys that seal secrets; on a laptop, the one that its folder keeps.

        Raises ConfigError for a server database without keys: a key in the folder of one replica
        would be lost with it.
        """
        if self.secret_keys:
            return [key.get_secret_value() for key in self.secret_keys]
        if not self.common.database_url.startswith("sqlite"):
            raise ConfigError(
                "MARU_INGEST_SECRET_KEYS is not set: it seals what sources keep secret. Make a key "
                "with `openssl rand -base64 32`, keep it safe, and set it as a JSON list"
            )
        return [key_in(self.common.home / "ingest.key")]
