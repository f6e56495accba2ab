"""What can be set for the gateway."""

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from maru_kit.settings import Common


class Settings(BaseSettings):
    """Read from `MARU_GATEWAY_*`, and the port from `MARU_PORT`."""

    model_config = SettingsConfigDict(env_prefix="MARU_GATEWAY_", populate_by_name=True)

    common: Common = Field(default_factory=Common)
    port: int = Field(
        8080,
        ge=0,
        le=65_535,
        validation_alias=AliasChoices("MARU_PORT", "port"),
        description="Port of the board and the API.",
    )
    ingest_url: str = Field("http://127.0.0.1:8081", description="Where the ingest service is.")
    sentiment_url: str = Field(
        "http://127.0.0.1:8082", description="Where the sentiment service is."
    )
    ideas_url: str = Field("http://127.0.0.1:8083", description="Where the ideas service is.")
    public_url: str = Field(
        "", description="The address people use, for links in feeds. Default: the request's host."
    )
    public_board: bool = Field(
        default=True, description="Whether anybody may read the board; if not, it asks for a key."
    )
    public_workspace: str = Field(
        "default",
        pattern=r"^[!-~]{1,100}$",
        description="The workspace whose board anybody may read.",
    )
    requests_per_minute: int = Field(
        6_000, ge=1, description="Requests that one key (or one address without a key) may make."
    )
    failures_per_minute: int = Field(
        30, ge=1, description="Wrong keys that one address may present before it has to wait."
    )
    streams_per_key: int = Field(
        20, ge=1, description="Live streams that one key (or one address without a key) may hold."
    )
    streams: int = Field(500, ge=1, description="Live streams that may be open in all.")
    cache_bytes: int = Field(
        32 * 1024 * 1024, ge=0, description="Memory for answers that are asked for again and again."
    )
