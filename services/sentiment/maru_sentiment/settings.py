"""What can be set for the sentiment service."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from maru_kit.settings import Common


class Settings(BaseSettings):
    """Read from `MARU_SENTIMENT_*`."""

    model_config = SettingsConfigDict(env_prefix="MARU_SENTIMENT_")

    common: Common = Field(default_factory=Common)
    port: int = Field(8082, ge=0, le=65_535, description="Port of the HTTP interface.")
    workers: int = Field(
        1, ge=1, le=64, description="Processes that run the models; each takes up to 500 MB."
    )
    redact_pii: bool = Field(
        True,  # noqa: FBT003 - the default of a setting
        description="Replace e-mail addresses, phone numbers and other personal data in posts "
        "before models see them and services store them.",
    )
    models: Path | None = Field(
        None,
        description="Folder of models that workspaces may choose, one in each folder below it; "
        "`models` below MARU_HOME unless it is set.",
    )
    batch_size: int = Field(
        128, ge=1, le=2_000, description="Posts that go through the models together."
    )

    @property
    def models_folder(self) -> Path:
        """Where the models are that may be chosen."""
        return self.models or self.common.home / "models"
