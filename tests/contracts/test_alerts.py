"""Each alert fires by its cause and has a page that leads on."""

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.counter.platform.plugins.modules import artifacts
from ansible_collections.counter.platform.tests.unit.support import with_defaults
from contracts.manifests import catalogue
from contracts.project import load
from lib.command import Run, execute
from lib.paths import CACHE, ROOT
from lib.rules import RULES, alerts
from lib.types import Json

from tools.versions import tool

# promtool is compiled from modules of the Go proxy.
needs_modules = pytest.mark.mirrors
RUNBOOKS = sorted((ROOT / "docs/runbooks").glob("*.md"))
CAUSES: list[Json] = load(ROOT / "tests/contracts/alerts_test.yml")
# What is there as long as nothing is wrong, where a cause does not name it.
THERE = {'probe_success{job="counter-probe"}': "1x200"}


@pytest.fixture(scope="session")
def promtool() -> str:
    """The program by which the role checks its rules, out of the same build."""
    name = "prometheus-programs"
    where = {"root": str(ROOT), "bin_dir": str(Path(tool("go")).parent), "cache": str(CACHE)}
    given = with_defaults(artifacts, catalogue={name: catalogue()[name]}, **where)
    return f"{artifacts.ensure(given, check_mode=False)['artifacts'][name]['path']}/promtool"


def try_rules(promtool: str, folder: Path, rules: dict[str, str], causes: list[Json]) -> Run:
    """Have promtool give rules, texts by the names of files, the figures of causes, and compare all that fires."""
    for name, text in rules.items():
        (folder / name).write_text(text)
    firing = 'group by (alertname, severity) (ALERTS{alertstate="firing",alertname!="Watchdog"})'
    tests = [
        {
            "name": cause["name"],
            "interval": cause.get("interval", "1m"),
            "input_series": [
                {"series": series, "values": values} for series, values in (THERE | cause["series"]).items()
            ],
            "promql_expr_test": [
                {
                    "expr": firing,
                    "eval_time": time,
                    "exp_samples": [
                        {"labels": f'{{alertname="{alert}", severity="{severity}"}}', "value": 1}
                        for alert, severity in expected.items()
                    ],
                }
                for time, expected in cause["firing"].items()
            ],
        }
        for cause in causes
    ]
    given = {"rule_files": list(rules), "evaluation_interval": "1m", "fuzzy_compare": True, "tests": tests}
    (folder / "tests.yml").write_text(yaml.safe_dump(given))
    return execute(promtool, "test", "rules", str(folder / "tests.yml"))


@needs_modules
def test_each_alert_fires_by_its_cause_and_clears(promtool: str, tmp_path: Path) -> None:
    tested = try_rules(promtool, tmp_path, {file.name: file.read_text() for file in RULES}, CAUSES)
    assert tested.status == 0, tested.output
    fired = {alert for cause in CAUSES for firing in cause["firing"].values() for alert in firing}
    assert fired | {"Watchdog"} == set(alerts())


@needs_modules
def test_alert_that_cannot_fire_is_found(promtool: str, tmp_path: Path) -> None:
    faulty = {file.name: file.read_text().replace("expr: redis_up == 0", "expr: redis_up == 2") for file in RULES}
    tested = try_rules(promtool, tmp_path, faulty, [cause for cause in CAUSES if "redis_up" in cause["series"]])
    assert tested.status != 0
    assert 'alertname="ValkeyDown"' in tested.output


def test_alerts_are_few_and_each_says_how_urgent_it_is() -> None:
    assert len(alerts()) <= 20
    assert {rule["labels"]["severity"] for rule in alerts().values()} == {"none", "page", "ticket"}
    assert all(set(rule["annotations"]) == {"summary", "runbook"} for rule in alerts().values())


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    named = {rule["annotations"]["runbook"] for rule in alerts().values()}
    assert named == {str(page.relative_to(ROOT)) for page in RUNBOOKS}


def test_runbooks_have_diagnosis_and_remedy() -> None:
    for page in RUNBOOKS:
        text = page.read_text()
        assert text.startswith(f"# {page.stem}\n\n"), page
        assert re.findall(r"^## (.*)$", text, re.M) == ["Diagnosis", "Remedy"], page
        assert text.count("```sh\nexport KUBECONFIG=") == 1, page
