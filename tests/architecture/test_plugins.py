"""A file in a folder of plug-ins is a plug-in, whole and under its own name."""

from importlib import import_module
from pathlib import Path
from typing import cast

import pytest

from maru_gateway.door import PASSED_ON_TO_HOOKS
from maru_ingest import connectors
from maru_ingest.connector import Capability, SourceSettings, Tools
from maru_ingest.formats import platforms
from maru_kit.outbound import Outbound

SERVICES = Path(__file__).parents[2] / "services"


def stems(folder: str) -> list[str]:
    files = (SERVICES / folder).glob("*.py")
    return sorted(file.stem for file in files if file.stem != "__init__")


@pytest.mark.parametrize("name", stems("ingest/maru_ingest/connectors"))
def test_a_connectors_file_defines_the_kind_that_it_is_named_after(name: str) -> None:
    connector = connectors.kinds()[name]

    assert connector.kind == name
    assert connector.summary
    assert issubclass(connector.settings, SourceSettings)
    assert connector.settings.model_config["extra"] == "forbid"
    assert connector.title
    assert import_module(f"maru_ingest.connectors.{name}").__doc__
    assert all(field.description for field in connector.settings.model_fields.values())


@pytest.mark.parametrize("name", stems("ingest/maru_ingest/connectors"))
def test_what_a_connector_can_do_it_does(name: str) -> None:
    kind = connectors.kinds()[name]
    if kind.open is None:
        assert Capability.LIVE in kind.capabilities
        return
    played = import_module(f"upstreams.{name}").UPSTREAM()
    settings = kind.settings.model_validate(played.settings())

    connector = kind.open(settings, Tools(cast("Outbound", None)))

    assert hasattr(connector, "history") == (Capability.BACKFILL in kind.capabilities)
    is_live = kind.stream or kind.hook is not None
    assert is_live == (Capability.LIVE in kind.capabilities)


@pytest.mark.parametrize("name", [name for name, it in connectors.kinds().items() if it.hook])
def test_the_gateway_passes_on_what_a_platform_signs_its_messages_with(name: str) -> None:
    played = import_module(f"upstreams.{name}").UPSTREAM()
    answer = played.write("Yes!", parent=played.write("dark mode").native_id)

    headers, _ = played.pushed(answer, "written")

    assert headers
    assert all(one.lower().encode().startswith(PASSED_ON_TO_HOOKS) for one in headers)


def test_no_connector_comes_from_elsewhere() -> None:
    assert sorted(connectors.kinds()) == stems("ingest/maru_ingest/connectors")


@pytest.mark.parametrize("name", stems("ingest/maru_ingest/formats/platforms"))
def test_a_platforms_file_defines_the_platform_that_it_is_named_after(name: str) -> None:
    platform = platforms.known()[name]

    assert platform.name == name
    assert platform.title
    assert import_module(f"maru_ingest.formats.platforms.{name}").__doc__


def test_no_platform_comes_from_elsewhere() -> None:
    assert sorted(platforms.known()) == stems("ingest/maru_ingest/formats/platforms")


@pytest.mark.parametrize("name", stems("sentiment/maru_sentiment/analysers"))
def test_an_analysers_file_names_its_head(name: str) -> None:
    head = import_module(f"maru_sentiment.analysers.{name}").HEAD

    assert head == name


@pytest.mark.parametrize("service", ["ideas"])
def test_a_routers_file_is_served(service: str) -> None:
    app = (SERVICES / service / f"maru_{service}" / "app.py").read_text()

    for name in stems(f"{service}/maru_{service}/routes"):
        if hasattr(import_module(f"maru_{service}.routes.{name}"), "router"):
            assert f"{name}.router" in app
