"""Settings: from the environment, sensible without it, and secrets stay secret."""

from pathlib import Path

import pytest
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from maru_kit.errors import ConfigError
from maru_kit.kafka.address import connection
from maru_kit.settings import Common, describe


class Own(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MARU_OWN_")

    common: Common = Field(default_factory=Common)
    size: int = Field(7, description="How large.")
    names: tuple[str, ...] = Field(("a", "b"), description="Who.")
    key: SecretStr = Field(SecretStr("hush"), description="What opens it.")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "BUS_URL",
        "DATABASE_URL",
        "SERVICE_TOKEN",
        "INSTANCE",
        "BUS_USER",
        "BUS_PASSWORD",
    ):
        monkeypatch.delenv(f"MARU_{name}", raising=False)
    monkeypatch.setenv("MARU_HOME", str(tmp_path))


def test_without_any_setting_everything_lies_in_the_home_folder(tmp_path: Path) -> None:
    common = Common()

    assert common.bus_url == f"sqlite:///{tmp_path}/log.db"
    assert common.database_url == f"sqlite:///{tmp_path}"
    assert common.instance
    assert common.host == "127.0.0.1"


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARU_BUS_URL", "kafka://one:9092,two:9092")
    monkeypatch.setenv("MARU_INSTANCE", "ideas-0")

    assert (Common().bus_url, Common().instance) == ("kafka://one:9092,two:9092", "ideas-0")


def test_a_home_may_start_with_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MARU_HOME", "~/kept")

    assert Common().home == tmp_path / "kept"


def test_a_value_that_cannot_be_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARU_LOG_LEVEL", "loud")

    with pytest.raises(ValidationError, match="log_level"):
        Common()


def test_settings_are_described_with_their_variables_and_those_within() -> None:
    rows = {row.name: row for row in describe(Own(size=8))}

    assert rows["size"].env == "MARU_OWN_SIZE"
    assert (rows["size"].value, rows["size"].default) == ("8", "7")
    assert rows["names"].value == "a,b"
    assert rows["bus_url"].env == "MARU_BUS_URL"
    assert all(row.description for row in rows.values())


def test_no_secret_shows_in_a_description_or_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARU_DATABASE_URL", "postgresql://maru:canary@db/maru")
    monkeypatch.setenv("MARU_SERVICE_TOKEN", "canary")
    settings = Own(key=SecretStr("canary"))

    assert "canary" not in repr(describe(settings))
    assert "canary" not in repr(settings)
    assert settings.common.database_url == "postgresql://maru:canary@db/maru"


def test_kafkas_user_may_stand_in_settings_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARU_BUS_URL", "kafka+ssl://one:9092,two:9092?sasl_mechanism=SCRAM-SHA-512")
    monkeypatch.setenv("MARU_BUS_USER", "me@here")
    monkeypatch.setenv("MARU_BUS_PASSWORD", "can/ary@1")
    common = Common()

    asked = connection(common.bus_url)

    assert asked["bootstrap_servers"] == "one:9092,two:9092"
    assert (asked["sasl_plain_username"], asked["sasl_plain_password"]) == ("me@here", "can/ary@1")
    assert asked["sasl_mechanism"] == "SCRAM-SHA-512"
    assert Common(**common.model_dump()) == common
    assert "ary" not in repr(describe(common)) + repr(common)


@pytest.mark.parametrize(
    ("url", "user", "password"),
    [
        ("kafka+ssl://one:9092", "me", ""),
        ("kafka+ssl://one:9092", "", "canary"),
        ("kafka+ssl://her:own@one:9092", "me", "canary"),
        ("", "me", "canary"),
    ],
)
def test_a_user_without_a_place_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str, user: str, password: str
) -> None:
    monkeypatch.setenv("MARU_BUS_URL", url)
    monkeypatch.setenv("MARU_BUS_USER", user)
    monkeypatch.setenv("MARU_BUS_PASSWORD", password)

    with pytest.raises(ConfigError, match="MARU_BUS_USER") as refused:
        Common()
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://maru:can/ary@db/maru",
        "postgresql://maru:can@ary@db/maru?sslmode=require",
        "kafka+ssl://maru:can/ary@one:1",
        "kafka+ssl://maru:can%2Fary@one:1,two:2",
    ],
)
@pytest.mark.parametrize("variable", ["MARU_BUS_URL", "MARU_DATABASE_URL"])
def test_a_password_is_hidden_however_it_is_written(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str
) -> None:
    monkeypatch.setenv(variable, url)

    assert "ary" not in repr(describe(Common()))
