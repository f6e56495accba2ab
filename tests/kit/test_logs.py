"""Log lines: one JSON object each, no secret in them, and no text that forges a line."""

import logging
import subprocess
import sys
from collections.abc import Iterator

import orjson
import pytest
import structlog

from maru_kit import logs

KEY = "maru_" + "k" * 43
FORGED = 'x\r\n{"event":"forged"}\x1b[2J\u202e\u2028\x85'


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_one_json_object_with_its_service(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("ideas", format="json")

    structlog.get_logger("maru.test").info("idea.opened", idea_id=7)

    [line] = written(capsys)
    assert line["event"] == "idea.opened"
    assert line["idea_id"] == 7
    assert (line["service"], line["level"], line["logger"]) == ("ideas", "info", "maru.test")
    assert str(line["timestamp"]).endswith("Z")


def test_libraries_write_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("ideas", format="json")

    logging.getLogger("library").warning("went %s", "wrong", extra={"password": "canary"})

    [line] = written(capsys)
    assert (line["event"], line["password"]) == ("went wrong", "********")


def test_lesser_lines_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("ideas", format="json", level="warning")

    structlog.get_logger().info("quiet")
    logging.getLogger("library").info("quiet")

    assert written(capsys) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"service_token": "canary"},
        {"Authorization": "canary"},
        {"settings": {"api_key": "canary", "url": "feed"}},
        {"headers": [{"set-cookie": "canary"}]},
        {"url": "postgresql://maru:canary@db/maru"},
        {"urls": ("kafka://canary@one", "sqlite:///x")},
        {"error": ValueError("https://canary@host/")},
        {"header": "Bearer canary"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_secrets_are_masked_wherever_they_stand(
    fields: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("ideas", format="json")

    structlog.get_logger().warning("something", **fields)

    text = capsys.readouterr().err
    assert "canary" not in text
    assert "********" in text


def test_a_key_of_marus_is_masked_in_any_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("ideas", format="json")

    structlog.get_logger().warning(f"refused {KEY}", path=f"/x?{KEY}")

    assert KEY not in capsys.readouterr().err


def test_an_exception_is_told_without_its_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("ideas", format="json")

    try:
        raise ValueError("no answer from postgresql://maru:canary@db/maru\x1b[31m")
    except ValueError:
        structlog.get_logger().exception("request.failed")

    [line] = written(capsys)
    told = str(line["exception"])
    assert "ValueError: no answer from postgresql://********@db/maru" in told
    assert "canary" not in told.partition("ValueError")[2]
    assert "\x1b" not in told


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_text_forges_a_line_or_steers_a_terminal(
    format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("ideas", format=format)  # type: ignore[arg-type]

    structlog.get_logger().warning(f"seen {FORGED}", path=FORGED, parts=[FORGED])

    text = capsys.readouterr().err
    assert text.count("\n") == 1
    for character in "\r\u202e\u2028\x85":
        assert character not in text
    assert "\x1b[2J" not in text


def test_json_is_chosen_where_no_terminal_is() -> None:
    program = (
        "from maru_kit import logs; import structlog; logs.configure('x'); "
        "structlog.get_logger().info('hello')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert orjson.loads(done.stderr)["event"] == "hello"
