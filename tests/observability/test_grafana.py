"""Every query of the dashboard and every alert, asked of a Prometheus that watches a real gateway and its sinks."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from conftest import Home, make_home, wait_for
from filled_store import a_week, fill
from programs import DOCS, node_exporter, prometheus, pushgateway

from pipeline.lib.layout import Layout
from pipeline.metrics.rows import EvolutionMetric, QueryMetric, SystemEvent

DASHBOARD = json.loads((DOCS / "grafana.json").read_text())
RULES = [rule for group in yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
# What Grafana puts in for its variables.
VARIABLES = {"$__rate_interval": "5m", "$model": ".*"}


@dataclass
class Watched:
    url: str

    def ask(self, query: str) -> list[Any]:
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=30).json()
        assert answer["status"] == "success", answer
        assert not answer.get("warnings"), answer
        return list(answer["data"]["result"])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Iterator[Watched]:
    """A gateway with a week behind it that goes on answering, all ways to Prometheus open, one stage that failed."""
    folder = tmp_path_factory.mktemp("watched")
    home = make_home(folder / "home", base_model)
    layout, textfiles = Layout(home.folder), folder / "textfiles"
    fill(layout.metrics, [*a_week(), SystemEvent(time.time(), "stage", "train", exit_code=70, seconds=2.0)])
    home.environment["NIGHTSCHOOL_SINKS__TEXTFILE"] = str(textfiles / "nightschool.prom")
    with ExitStack() as stack:
        stack.enter_context(home.serving())
        pushed = stack.enter_context(pushgateway(folder / "pushgateway"))
        home.environment["NIGHTSCHOOL_SINKS__PUSHGATEWAY"] = pushed
        home.result("export-metrics")
        node = stack.enter_context(node_exporter(folder / "node", textfiles))
        targets = {"127.0.0.1:8808": home.url, "127.0.0.1:9100": node, "127.0.0.1:9091": pushed}
        found = Watched(stack.enter_context(prometheus(folder / "prometheus", targets)))
        wait_for(lambda: len(found.ask("autogen_training_completed_total")) == 3, 60)
        _go_on(home, layout)
        wait_for(lambda: bool(found.ask("max(autogen_training_completed_total) == 6")), 60)
        wait_for(lambda: bool(found.ask('ALERTS{alertstate="firing"}')), 60)
        yield found


def _go_on(home: Home, layout: Layout) -> None:
    """More of a day, and one more night, while Prometheus looks."""
    now = time.time()
    night = EvolutionMetric("starter", "tonight", "sft", "trained", now, 60.0, samples=10, loss=0.3)
    fill(layout.metrics, [QueryMetric(f"live-{each}", now, "starter", latency_ms=50.0) for each in range(5)])
    fill(layout.metrics, [night])
    home.ask("set total to 7 + 2")


def queries() -> list[tuple[str, str]]:
    return [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


@pytest.mark.parametrize(("title", "query"), queries())
def test_every_query_of_the_dashboard_has_an_answer(watched: Watched, title: str, query: str):
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    found = watched.ask(query)
    assert found, title
    assert any(sample["value"][1] != "NaN" for sample in found), title


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_can_be_asked_and_is_loaded(watched: Watched, rule: dict[str, Any]):
    watched.ask(rule["expr"])
    groups = requests.get(f"{watched.url}/api/v1/rules", timeout=30).json()["data"]["groups"]
    (loaded,) = [each for group in groups for each in group["rules"] if each["name"] == rule["alert"]]
    assert loaded["health"] == "ok", loaded


def test_only_what_is_wrong_fires(watched: Watched):
    firing = {each["metric"]["alertname"] for each in watched.ask('ALERTS{alertstate="firing"}')}
    assert firing == {"NightschoolNightFailed"}


def test_three_ways_to_the_same_store_say_the_same(watched: Watched):
    found = watched.ask("autogen_deployment_success_total")
    assert [each["value"][1] for each in found] == ["3"] * 3
    assert {each["metric"]["job"] for each in found} == {"nightschool", "node"}


def test_every_name_that_dashboard_and_rules_use_exists(watched: Watched):
    names = set(requests.get(f"{watched.url}/api/v1/label/__name__/values", timeout=30).json()["data"])
    promised = {
        "autogen_training_completed_total",
        "autogen_training_duration_seconds",
        "autogen_training_loss",
        "autogen_deployment_success_total",
        "autogen_rollback_triggered_total",
        "autogen_quality_improvement_ratio",
        "autogen_agent0_rewrite_success_rate",
        "evolution_attempts_total",
        "evolution_duration_seconds_bucket",
        "evolution_performance_improvement",
        "agent_kpi_current",
        "evolution_memory_used_mb",
    }
    assert promised <= names


def test_panels_do_not_lie_over_each_other_and_say_what_they_are():
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24, panel["title"]
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    titles = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert titles == ["Is it alive?", "Is it better?", "What did it do?", "What should I do?"]


def test_every_alert_says_what_why_and_where_to_read_on():
    page = (DOCS.parent / "observability.md").read_text()
    for rule in RULES:
        said = rule["annotations"]
        assert set(said) == {"summary", "description", "runbook_url"}
        assert said["runbook_url"] == f"docs/observability.md#{rule['alert'].lower()}"
        assert f"### {rule['alert']}\n" in page
        assert rule["labels"]["severity"] in ("warning", "critical")
