"""All that is in what was built has a licence that the project allows. Takes ten seconds, most of them for the node."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.counter.platform.plugins.modules import go_licences, go_programs, image_sbom, licence_report
from ansible_collections.counter.platform.tests.unit.support import with_defaults
from lib.paths import CACHE, ROOT, newest

ALLOWED = yaml.safe_load((ROOT / "roles/platform/defaults/main/licences.yml").read_text())["platform_licences"]
FILES = ROOT / "roles/offline_images/files"
COMMON = {"cache": str(CACHE), "cache_days": 14}
GO = {"go": str(ROOT / ".venv/bin/go"), "origin": "", **COMMON}
PROGRAMS = ("node-programs", "metrics-server")
IMAGES = ("node", "metrics-server", "haproxy", "valkey", "python-root")


def result(name: str) -> str:
    """Return what the cache has of a name, as NAME/KEY."""
    return f"{name}/{newest(name).name}"


@pytest.fixture(scope="module")
def sboms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The bills of materials of what this scenario built, by name."""
    source = {"name": "licences", "source": str(FILES / "licences"), "packages": ["."], "carried": True}
    compiled = go_programs.ensure(with_defaults(go_programs, **source, **GO), check_mode=False)
    programs = [{"artifact": result(name), "source": str(FILES / name)} for name in PROGRAMS]
    named = go_licences.ensure({"programs": programs, "classifier": compiled["path"], **GO}, check_mode=False)
    artifacts = [result("node-programs"), *(result(f"counter-platform_{name}") for name in IMAGES)]
    written = image_sbom.ensure(
        {"artifacts": artifacts, "go_licences": named["path"], "dest": str(tmp_path_factory.mktemp("sbom")), **COMMON},
        check_mode=False,
    )
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
