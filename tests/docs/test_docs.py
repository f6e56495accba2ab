"""A page that lags behind the code is a red test."""

from pathlib import Path

import pytest

from maru_cli.composition import compose
from maru_cli.reference import PAGES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_is_what_the_code_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MARU_HOME", "MARU_PORT", "MARU_SERVICE_TOKEN"):
        monkeypatch.delenv(variable, raising=False)

    assert (ROOT / "docs" / name).read_text() == PAGES[name](), "run `make docs`"


def test_every_route_of_the_api_is_described() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    composition = compose(work=False)

    for app in composition.services.values():
        for path in app.openapi()["paths"]:
            resource = path.removeprefix("/api/v1").split("/")[1]
            assert f"/{resource}" in text, path


def test_what_the_api_calls_its_schemas_says_nothing_of_the_code() -> None:
    for app in compose(work=False).services.values():
        assert not [it for it in app.openapi()["components"]["schemas"] if "__" in it]


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text()

    for page in (ROOT / "docs" / "decisions").glob("0*.md"):
        assert f"({page.name})" in listed


@pytest.mark.parametrize("page", ["README.md", *sorted(p.name for p in ROOT.glob("docs/*.md"))])
def test_links_within_the_project_lead_somewhere(page: str) -> None:
    path = ROOT / page if page == "README.md" else ROOT / "docs" / page
    for target in (part.partition(")")[0] for part in path.read_text().split("](")[1:]):
        if "://" not in target and not target.startswith("#"):
            assert (path.parent / target.partition("#")[0]).exists(), target
