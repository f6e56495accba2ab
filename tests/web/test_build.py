"""The board is built from pinned packages, once."""

import json
import subprocess
import sys
from pathlib import Path

from web.conftest import ROOT

WEB = ROOT / "services" / "gateway" / "web"


def test_the_lock_file_pins_by_hash_and_names_no_registry() -> None:
    lock = (WEB / "package-lock.json").read_text()

    packages = json.loads(lock)["packages"]
    assert all("integrity" in it for path, it in packages.items() if path)
    assert '"resolved"' not in lock
    assert "registry" not in lock


def test_a_second_build_does_nothing(built: Path) -> None:
    before = (built / "index.html").stat().st_mtime_ns

    subprocess.run([sys.executable, WEB / "build.py"], check=True)

    assert (built / "index.html").stat().st_mtime_ns == before


def test_pages_hold_nothing_inline_and_nothing_foreign(built: Path) -> None:
    for name in ("index.html", "docs.html"):
        page = (built / name).read_text()
        assert "<style" not in page
        assert "style=" not in page
        assert "http" not in page
        assert "<script>" not in page
