import json
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from cli.conftest import Maru
from maru_cli import importing
from maru_cli.home import locked
from maru_contracts.posts import Channel
from maru_kit.errors import ConfigError

ROWS = [
    {"id": "1", "text": "Please add a dark mode", "author": "ann"},
    {"id": "2", "text": "다크 모드 추가해 주세요", "author": "bo"},
    {"id": "3", "text": "다크 모드 추가해 주세요!!", "author": "bo"},
    {"id": "4", "text": "The app crashes when I log in", "author": "cy"},
    {"id": "5", "text": "Love it, thank you", "author": "di"},
]


def written(path: Path, rows: list[dict[str, str]], *bad: bytes) -> Path:
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    path.write_bytes(b"\n".join([*lines, *bad]) + b"\n")
    return path


def test_posts_in_two_languages_become_one_idea(maru: Maru, tmp_path: Path) -> None:
    file = written(tmp_path / "posts.ndjson", ROWS)

    summary = maru.json("import", str(file), "--channel", "review", "--wait")
    ideas = maru.json("ideas", "list")

    assert (summary["published"], summary["rejected"]) == (5, 0)
    dark, crash = sorted(ideas, key=lambda idea: -idea["evidence_count"])
    assert (dark["evidence_count"], dark["voices"]) == (3, 2)
    assert sorted(dark["languages"]) == ["en", "ko"]
    assert crash["evidence_count"] == 1
    for field in ("id", "title", "status", "score", "channels"):
        assert field in dark
    assert len(maru.json("ideas", "show", dark["id"])["evidence"]) == 3
    assert len(maru.json("posts")) == 5


def test_importing_twice_adds_nothing(maru: Maru, tmp_path: Path) -> None:
    file = written(tmp_path / "posts.ndjson", ROWS)
    maru.json("import", str(file), "--wait")
    before = maru.json("ideas", "list")

    again = maru.json("import", str(file), "--wait")

    assert (again["published"], again["resumed_after_lines"]) == (0, 5)
    assert maru.json("ideas", "list") == before


def test_bad_rows_are_set_aside_with_line_and_reason(maru: Maru, tmp_path: Path) -> None:
    file = written(tmp_path / "posts.ndjson", ROWS, b"{broken", b'{"id": "9"}', b"\xff\xfe")

    done = maru.run("import", str(file), "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["rejected"] == 3
    rejects = (tmp_path / "posts.ndjson.rejects.ndjson").read_text().splitlines()
    assert [json.loads(line)["line"] for line in rejects] == [6, 7, 8]
    assert all(json.loads(line)["reason"] for line in rejects)


def test_standard_input_is_a_file_too(maru: Maru) -> None:
    text = b"text,author\nPlease add offline maps,ann\n"

    done = maru.run("import", "-", "--source", "piped", "--json", stdin=text)

    assert json.loads(done.stdout)["published"] == 1


def test_a_file_that_is_no_format_is_one_sentence_and_no_trace(maru: Maru, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")

    done = maru.run("import", str(tmp_path / "picture.png"))

    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"picture.png" in done.stderr
    assert maru.json("sources", "list") == []


@pytest.mark.parametrize("name", ["nothing.csv", "."])
def test_what_can_not_be_read_is_named_and_leaves_no_source(maru: Maru, name: str) -> None:
    done = maru.run("import", name)

    assert done.returncode == 1
    assert done.stderr.startswith(f"maru: {name} can't be read".encode())
    assert maru.json("sources", "list") == []


def test_a_broken_feed_leaves_no_source(maru: Maru, tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text("<rss><channel><item><title>half")

    done = maru.run("import", str(tmp_path / "feed.xml"))

    assert done.returncode == 1
    assert b"feed.xml: broken XML" in done.stderr
    assert maru.json("sources", "list") == []


def test_waiting_ends_when_the_maru_that_ran_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "posts.ndjson", ROWS)
    monkeypatch.setenv("MARU_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(importing, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(importing, "_PATIENCE_SECONDS", 0.5)

    with ExitStack() as other:
        other.enter_context(locked(tmp_path / "home"))
        threading.Timer(5, other.close).start()
        with pytest.raises(ConfigError, match="start it with `maru up`"):
            importing.run(
                str(file), source="x", channel=Channel.OTHER, product="", wait=True, as_json=True
            )
