"""A new file in the folder is a new plug-in."""

import sys
from pathlib import Path

import pytest

from maru_kit.plugins import load


def test_every_module_is_loaded_in_the_order_of_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sample_plugins"
    folder.mkdir()
    for name in ("__init__", "pear", "apple"):
        (folder / f"{name}.py").write_text(f"NAME = {name!r}")
    monkeypatch.syspath_prepend(tmp_path)

    assert [module.NAME for module in load("sample_plugins")] == ["apple", "pear"]

    for name in ("sample_plugins", "sample_plugins.pear", "sample_plugins.apple"):
        monkeypatch.delitem(sys.modules, name)


def test_a_plugin_that_cannot_be_loaded_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "broken_plugins"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "bad.py").write_text("import no_such_module_at_all")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        load("broken_plugins")

    monkeypatch.delitem(sys.modules, "broken_plugins")
