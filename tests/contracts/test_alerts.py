"""Rules and dashboards are what Prometheus takes, each alert fires by its cause, and each has a page that leads on."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.counter.platform.plugins.module_utils.panels import DASHBOARDS
from ansible_collections.counter.platform.plugins.modules.go_programs import ensure
from contracts.manifests import MONITORING, Object, value_of
from contracts.test_schema import strict
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from lib.command import Run, execute
from lib.paths import CACHE, ROOT
from lib.rules import RULES, alerts
from tools.versions import go, tool

# promtool is compiled, and the kinds are read, from modules of the Go proxy.
needs_modules = pytest.mark.mirrors
RUNBOOKS = sorted((ROOT / "docs/runbooks").glob("*.md"))
FIGURES = ROOT / "tests/contracts/alerts_test.yml"
AT_MOST = 20
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"


@pytest.fixture(scope="session")
def promtool() -> str:
    """The program by which the role checks its rules, out of the same build."""
    version = value_of("local", "monitoring", "_monitoring_versions")["prometheus"]
    built = ensure(
        {
            "name": "prometheus-programs",
            "source": str(MONITORING / "files/prometheus"),
            "packages": ["tool"],
            "rename": {},
            "tags": list(value_of("local", "monitoring", "monitoring_go_tags")),
            "stamps": [{"package": "github.com/prometheus/common/version", "variables": {"Version": str(version)}}],
            "go": tool("go"),
            "cache": str(CACHE),
            "cache_days": 14,
            "origin": "",
            "carried": False,
        },
        check_mode=False,
    )
    return f"{built['path']}/promtool"


def check_rules(promtool: str, *files: Path) -> Run:
    """Check files of rules as the role does before it applies them."""
    return execute(promtool, "check", "rules", "--lint=all", "--lint-fatal", *map(str, files))


@needs_modules
def test_rules_are_sound(promtool: str) -> None:
    checked = check_rules(promtool, *RULES)
    assert checked.status == 0, checked.output
    assert checked.output.count("rules found") == len(RULES) >= 2


@needs_modules
def test_wrong_rule_is_found(promtool: str, tmp_path: Path) -> None:
    faulty = tmp_path / "alerts.yml"
    text = (MONITORING / "files/rules/alerts.yml").read_text()
    faulty.write_text(text.replace("expr: redis_up == 0", "expr: redis_up = 0"))
    checked = check_rules(promtool, faulty)
    assert checked.status != 0
    assert "redis_up = 0" in faulty.read_text()
    assert "could not parse expression" in checked.output


@needs_modules
def test_each_alert_fires_by_its_cause_and_clears(promtool: str) -> None:
    tested = execute(promtool, "test", "rules", str(FIGURES))
    assert tested.status == 0, tested.output
    fired = set(re.findall(r'alertname="(\w+)", severity', FIGURES.read_text()))
    assert fired | {"Watchdog"} == set(alerts())


@needs_modules
def test_alert_that_cannot_fire_is_found(promtool: str, tmp_path: Path) -> None:
    for file in RULES:
        faulty = file.read_text().replace("expr: redis_up == 0", "expr: redis_up == 2")
        (tmp_path / file.name).write_text(faulty)
    given = yaml.safe_load(FIGURES.read_text())
    given["rule_files"] = [file.name for file in RULES]
    given["tests"] = [case for case in given["tests"] if case["input_series"][0]["series"] == "redis_up"]
    figures = tmp_path / FIGURES.name
    figures.write_text(yaml.safe_dump(given))
    tested = execute(promtool, "test", "rules", str(figures))
    assert tested.status != 0
    assert 'alertname="ValkeyDown"' in tested.output


@needs_modules
def test_queries_of_panels_are_sound(promtool: str, tmp_path: Path) -> None:
    file = tmp_path / "panels.yml"
    groups = []
    for board in DASHBOARDS:
        exprs = [query.expr for panel in board.panels for query in panel.queries]
        rules = [
            {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "1m")}
            for number, expr in enumerate(exprs)
        ]
        groups.append({"name": board.name, "rules": rules})
    file.write_text(yaml.safe_dump({"groups": groups}))
    checked = execute(promtool, "check", "rules", "--lint=none", str(file))
    assert checked.status == 0, checked.output


@functools.cache
def operators_kinds() -> dict[str, Draft202012Validator]:
    """Return a validator for each kind of prometheus-operator, from the definitions in its source."""
    source = Path(json.loads(go(MONITORING / "files/prometheus", "mod", "download", "-json", OPERATOR))["Dir"])
    found = {}
    for kind in ("podmonitors", "servicemonitors", "prometheusrules"):
        definition = source / f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml"
        spec = yaml.safe_load(definition.read_text())["spec"]
        (schema,) = [version["schema"]["openAPIV3Schema"] for version in spec["versions"] if version["storage"]]
        found[spec["names"]["kind"]] = Draft202012Validator(strict(schema))
    return found


def operators_objects() -> list[Object]:
    """Return what playbooks/operator.yml writes."""
    text = value_of("local", "monitoring", "lookup('ansible.builtin.template', 'operator.yaml.j2')")
    return [entry for entry in yaml.safe_load_all(text) if entry]


@needs_modules
def test_operators_kinds_fit_its_own_schemas() -> None:
    objects = operators_objects()
    assert {entry["kind"] for entry in objects} == {"PodMonitor", "ServiceMonitor", "PrometheusRule"}
    for entry in objects:
        error = best_match(operators_kinds()[entry["kind"]].iter_errors(entry))
        assert error is None, f"{entry['kind']} {entry['metadata']['name']}: {error.json_path}: {error.message}"
    rules = [group for entry in objects if entry["kind"] == "PrometheusRule" for group in entry["spec"]["groups"]]
    assert {rule["alert"] for group in rules for rule in group["rules"] if "alert" in rule} == set(alerts())


@needs_modules
def test_field_that_the_operator_does_not_know_is_found() -> None:
    monitor = next(entry for entry in operators_objects() if entry["kind"] == "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    endpoint["portNr"] = endpoint.pop("portNumber")
    assert not operators_kinds()["PodMonitor"].is_valid(monitor)


def test_alerts_are_few_and_each_says_how_urgent_it_is() -> None:
    assert len(alerts()) <= AT_MOST
    assert {rule["labels"]["severity"] for rule in alerts().values()} == {"none", "page", "ticket"}
    assert all(set(rule["annotations"]) == {"summary", "runbook"} for rule in alerts().values())


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    named = {rule["annotations"]["runbook"] for rule in alerts().values()}
    assert named == {str(page.relative_to(ROOT)) for page in RUNBOOKS}


def test_runbooks_say_what_to_look_at_and_what_to_do() -> None:
    for page in RUNBOOKS:
        text = page.read_text()
        assert text.startswith(f"# {page.stem}\n\n"), page
        assert re.findall(r"^## (.*)$", text, re.M) == ["Look at", "Do"], page
        assert text.count("```sh\nexport KUBECONFIG=") == 1, page
    links = [(page, link) for page in RUNBOOKS for link in re.findall(r"\]\(([^)#]+)\)", page.read_text())]
    assert [(page, link) for page, link in links if not (page.parent / link).is_file()] == []
