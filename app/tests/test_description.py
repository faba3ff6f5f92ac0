"""The OpenAPI description is true, as schemathesis sees by requests of it, and so are the README's tables."""

import json
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from counter import __version__
from counter.metrics import OTHER, ROUTES
from lib.interface import PUBLIC_PATHS
from lib.network import free_port
from prometheus_client.parser import text_string_to_metric_families

from tests.harness import Http, Proxy, Service, needs_proxy

DESCRIBED: dict[str, Any] = json.loads(resources.files("counter").joinpath("openapi.json").read_text())
README = (Path(__file__).parents[1] / "README.md").read_text()
# What the proxy passes on, and so what is published.
DESCRIPTION = {**DESCRIBED, "paths": {path: DESCRIBED["paths"][path] for path in PUBLIC_PATHS}}


def _fuzz(
    server: Http, folder: Path, description: dict[str, Any], examples: int, *checks: str
) -> subprocess.CompletedProcess[str]:
    path = folder / "description.json"
    path.write_text(json.dumps(description))
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(path)),
            *("--url", f"http://127.0.0.1:{server.port}", "--generation-deterministic", "--no-color"),
            *("--max-examples", str(examples), "--phases", "coverage,fuzzing"),
            *checks,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_description_is_served_and_complete(service: Service) -> None:
    answer = service.request("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == DESCRIPTION
    assert service.request("/openapi.json", "HEAD").body == b""
    assert DESCRIPTION["info"]["version"] == __version__
    assert set(DESCRIBED["paths"]) == set(ROUTES) - {OTHER}
    assert set(DESCRIBED["paths"]) - set(DESCRIPTION["paths"]) == {"/metrics"}
    assert all(set(methods) == {"get", "head"} for methods in DESCRIPTION["paths"].values())


@needs_proxy
def test_answers_of_the_service_behind_its_proxy_are_as_described(service: Service, tmp_path: Path) -> None:
    before = service.request("/").json["count"]
    with Proxy(tmp_path, service) as proxy:
        run = _fuzz(proxy, tmp_path, DESCRIPTION, 10)
    after = service.request("/").json["count"]
    metrics = service.metrics()
    assert run.returncode == 0, run.stdout
    tested = re.search(r"Tested: (\d+)", run.stdout)
    assert tested, run.stdout
    assert int(tested[1]) == 2 * len(DESCRIPTION["paths"])
    # Whatever was sent: as many counted as were answered with a count, and none failed.
    counted = metrics['counter_requests_total{method="GET",route="/",status="200"}']
    assert after - before == counted - 1
    assert counted > 10
    assert not [name for name in metrics if 'status="500"' in name]


def test_answers_without_a_store_are_as_described(tmp_path: Path) -> None:
    described = {**DESCRIPTION, "paths": {path: DESCRIPTION["paths"][path] for path in ("/", "/readyz")}}
    env = {"COUNTER_STORE": "valkey", "COUNTER_VALKEY_ADDRESS": f"127.0.0.1:{free_port()}"}
    with Service(tmp_path, **env) as service:
        # Without the check that nothing is answered by 5xx.
        checks = "status_code_conformance,content_type_conformance,response_headers_conformance"
        run = _fuzz(service, tmp_path, described, 2, "--checks", f"{checks},response_schema_conformance")
        assert service.metrics()['counter_requests_total{method="GET",route="/",status="503"}'] > 2
    assert run.returncode == 0, run.stdout


def _rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its first two lines."""
    (section,) = [part for part in re.split(r"^## ", README, flags=re.MULTILINE) if part.startswith(heading)]
    lines = [line.strip("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]


def test_metrics_are_those_of_the_readme(service: Service) -> None:
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


def test_log_fields_are_those_of_the_readme(service: Service) -> None:
    service.request("/")
    line = service.logged(1)[0]
    (section,) = [part for part in re.split(r"^## ", README, flags=re.MULTILINE) if part.startswith("Log lines")]
    common = set(re.findall(r"`(\w+)`", section.partition("All have")[2].partition(";")[0]))
    assert set(line) == common | {name.strip("`") for name, _ in _rows("Log lines")}
