"""All that is in what was built has a licence that the project allows. Takes ten seconds, most of them for the node."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.counter.platform.plugins.modules import artifacts, image_sbom, licence_report
from ansible_collections.counter.platform.tests.unit.support import with_defaults
from contracts.manifests import catalogue
from lib.paths import CACHE, ROOT

ALLOWED = yaml.safe_load((ROOT / "roles/platform/defaults/main/licences.yml").read_text())["platform_licences"]
COMMON = {"cache": str(CACHE), "cache_days": 14}
PROGRAMS = ["node-programs", "metrics-server-programs"]
IMAGES = ["node", "metrics-server", "haproxy", "valkey", "python-root"]


@pytest.fixture(scope="module")
def sboms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The bills of materials of what this scenario built, by name."""
    licences = {**catalogue()["go-licences"], "programs": PROGRAMS}
    given = with_defaults(
        artifacts,
        catalogue={**catalogue(), "go-licences": licences},
        names=["go-licences", *PROGRAMS, *IMAGES],
        root=str(ROOT),
        bin_dir=str(ROOT / ".venv/bin"),
        **COMMON,
    )
    built = artifacts.ensure(given, check_mode=False)["artifacts"]
    dest = str(tmp_path_factory.mktemp("sbom"))
    described = [built[name]["artifact"] for name in ("node-programs", *IMAGES)]
    given = with_defaults(
        image_sbom,
        artifacts=described,
        go_licences=built["go-licences"]["path"],
        go=str(ROOT / ".venv/bin/go"),
        dest=dest,
        **COMMON,
    )
    written = image_sbom.ensure(given, check_mode=False)
    return {about["name"].removeprefix("counter-platform_"): Path(about["path"]) for about in written["results"]}


def components(sbom: Path, kind: str) -> list[dict[str, Any]]:
    """Return the components of a kind, as in deb."""
    listed = json.loads(sbom.read_text())["components"]
    return [component for component in listed if component["purl"].startswith(f"pkg:{kind}/")]


def test_every_licence_is_allowed(sboms: dict[str, Path]) -> None:
    told = licence_report.ensure({"sboms": [str(path) for path in sboms.values()], "allowed": ALLOWED}, check_mode=True)
    assert told["refused"] == []
    assert told["components"] > 400


def test_node_has_the_parts_of_the_images_that_it_carries(sboms: dict[str, Path]) -> None:
    # Debian's programs have another standard library.
    listed = {component["purl"]: component["name"] for component in components(sboms["node"], "golang")}
    inside = {url for url, name in listed.items() if name != "stdlib"}
    beside = {
        component["purl"]: {place["location"] for place in component["evidence"]["occurrences"]}
        for component in components(sboms["node-programs"], "golang")
        if component["name"] != "stdlib"
    }
    # Every program of the module is in the node, most of them compressed, but for kind.
    assert inside == {url for url, programs in beside.items() if programs != {"kind"}}
    packages = {component["name"] for component in components(sboms["node"], "deb")}
    assert packages >= {"libc6", "systemd", "containerd", "iptables"}
