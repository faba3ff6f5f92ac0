"""The README's tables of metrics and log fields are what the service has."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.harness import Service

README = (Path(__file__).parents[1] / "README.md").read_text()


def _rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its first two lines."""
    (section,) = [part for part in re.split(r"^## ", README, flags=re.MULTILINE) if part.startswith(heading)]
    lines = [line.strip("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]


def test_metrics(service: Service) -> None:
    service.request("/")
    families = list(text_string_to_metric_families(service.request("/metrics").body.decode()))
    served = {}
    for family in families:
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        served[family.name + ("_total" if family.type == "counter" else "")] = (family.type, labels)
    documented = {
        name.strip("`"): (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in _rows("Metrics")
    }
    assert documented == served


def test_log_fields(service: Service) -> None:
    service.request("/")
    line = service.logged(1)[0]
    (section,) = [part for part in re.split(r"^## ", README, flags=re.MULTILINE) if part.startswith("Log lines")]
    common = set(re.findall(r"`(\w+)`", section.partition("All have")[2].partition(";")[0]))
    assert set(line) == common | {name.strip("`") for name, _ in _rows("Log lines")}
