"""What is shipped is checked by its own tools, and named things must exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from maru_cli.reference import _METRICS, metric_name, metrics_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SUFFIX = re.compile(r"_(bucket|count|sum)$")


def promtool(*arguments: str) -> None:
    program = shutil.which("promtool")
    assert program, "promtool is missing: `make test` installs Debian's package prometheus"
    done = subprocess.run(
        [program, *arguments],
        cwd=DEPLOY / "prometheus",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def known_metrics() -> set[str]:
    return {metric_name(metric) for module in _METRICS for metric in metrics_of(module)}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def test_prometheus_takes_its_configuration() -> None:
    promtool("check", "config", "--syntax-only", "prometheus.yaml")


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    promtool("test", "rules", "rules.test.yaml")


@pytest.mark.parametrize(
    "file", ["prometheus/rules.yaml", "grafana/dashboards/maru.json"], ids=["rules", "dashboard"]
)
def test_every_metric_that_is_watched_exists(file: str) -> None:
    watched = set(re.findall(r"maru_[a-z0-9_]+", (DEPLOY / file).read_text()))

    assert {SUFFIX.sub("", name) for name in watched} <= known_metrics()


def test_every_alert_is_tested() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())
    tested = (DEPLOY / "prometheus" / "rules.test.yaml").read_text()

    for rule in rules["groups"][0]["rules"]:
        assert f"alertname: {rule['alert']}" in tested


def test_compose_runs_the_four_services_with_settings_that_exist() -> None:
    services = compose()["services"]
    documented = (ROOT / "docs" / "settings.md").read_text()

    for name in ("ingest", "sentiment", "ideas", "gateway"):
        assert services[name]["command"] == ["maru", "serve", name]
        for variable in services[name]["environment"]:
            assert variable == "HEALTH_PORT" or f"`{variable}`" in documented


def test_compose_has_no_secret_of_its_own() -> None:
    text = (DEPLOY / "compose.yaml").read_text()

    assert all("${" in line for line in text.splitlines() if "PASSWORD:" in line)


def test_prometheus_scrapes_every_service_on_its_port() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    ports = {
        name: service["environment"]["HEALTH_PORT"]
        for name, service in compose()["services"].items()
        if "HEALTH_PORT" in service.get("environment", {})
    }

    targets = [it["targets"][0] for it in config["scrape_configs"][0]["static_configs"]]

    assert set(targets) == {f"{name}:{port}" for name, port in ports.items()}


def test_the_image_runs_as_nobody_in_particular_from_pinned_packages() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    last = text.rpartition("\nFROM ")[2]

    assert "USER 10001" in last
    installs = re.findall(r"pip install (.+?)(?:\||\\|&&|$)", text, flags=re.MULTILINE)
    assert len(installs) == 4
    assert [it for it in installs if not re.search(r"--require-hashes|--no-deps", it)] == []
    assert re.findall(r'^ARG EXTRAS="(.*)"', text, flags=re.MULTILINE) == [""]
    for copied in re.findall(r"^COPY ([a-z]+)/", text, flags=re.MULTILINE):
        assert (ROOT / copied).is_dir()


def test_the_dashboard_asks_the_provisioned_source() -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "maru.json").read_text())
    source = yaml.safe_load(
        (DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yaml").read_text()
    )["datasources"][0]

    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
