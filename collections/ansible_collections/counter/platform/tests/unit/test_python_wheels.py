"""Wheels of a small uv project, fetched from the index."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.modules import python_wheels
from ansible_collections.counter.platform.tests.unit.support import RunModule, results_in

BIN = Path(sys.executable).parent
pytestmark = [
    pytest.mark.mirrors,
    pytest.mark.skipif(not (BIN / "uv").exists(), reason=f"no uv at {BIN}; `make venv` installs it"),
]

PROJECT = """
[project]
name = "unit"
version = "1"
requires-python = ">=3.11"
dependencies = ["iniconfig==2.1.0"]

[dependency-groups]
extra = ["zipp==3.23.0"]
image = ["wheel==0.45.1"]
"""


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with its lock file."""
    project = tmp_path_factory.mktemp("project")
    (project / "pyproject.toml").write_text(PROJECT)
    cache = tmp_path_factory.mktemp("uv-cache")
    subprocess.run([BIN / "uv", "lock", "--quiet", "--cache-dir", cache], cwd=project, check=True)
    return project


@pytest.fixture
def project(locked: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(locked, tmp_path / "project"))


@pytest.fixture
def arguments(project: Path, cache: Path) -> dict[str, Any]:
    return {
        "name": "wheels",
        "project": str(project),
        "installer_groups": ["image"],
        "python_version": "3.11",
        "bin_dir": str(BIN),
        "cache": str(cache),
    }


def _names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_wheels_are_fetched_once(run_module: RunModule, arguments: dict[str, Any], project: Path, cache: Path) -> None:
    before = sorted(project.rglob("*"))
    promised = run_module("python_wheels", arguments, check=True)
    assert promised["changed"]
    assert not results_in(cache), "check mode fetched something"

    made = run_module("python_wheels", arguments)
    assert made["changed"]
    assert (made["key"], made["path"]) == (promised["key"], promised["path"])
    assert _names(made["path"]) == [
        "iniconfig-2.1.0-py3-none-any.whl",
        "requirements.txt",
        "wheel-0.45.1-py3-none-any.whl",
    ]
    requirements = (Path(made["path"]) / "requirements.txt").read_text()
    assert re.findall(r"^\S+==\S+", requirements, re.MULTILINE) == ["iniconfig==2.1.0"]
    assert "--hash=sha256:" in requirements
    assert sorted(project.rglob("*")) == before

    # Nothing is fetched for what is there: the folder has no pip.
    (cache.parent / "bin").mkdir()
    (cache.parent / "bin" / "uv").symlink_to(BIN / "uv")
    for check in (False, True):
        again = run_module("python_wheels", {**arguments, "bin_dir": str(cache.parent / "bin")}, check=check)
        assert (again["changed"], again["key"]) == (False, made["key"])


def test_the_wheels_install_with_their_hashes_and_no_index(
    run_module: RunModule, arguments: dict[str, Any], tmp_path: Path
) -> None:
    folder = run_module("python_wheels", arguments)["path"]
    install = [str(BIN / "python"), "-m", "pip", "install", "--quiet", "--no-index", f"--find-links={folder}"]
    target = tmp_path / "installed"
    subprocess.run(
        [*install, "--require-hashes", f"--requirement={folder}/requirements.txt", f"--target={target}"], check=True
    )
    assert (target / "iniconfig").is_dir()


def test_another_choice_is_another_result(run_module: RunModule, arguments: dict[str, Any]) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"installer_groups": []},
        {"installer_groups": ["image", "extra"]},
        {"python_version": "3.12"},
        {"platforms": ["manylinux_2_17_x86_64"]},
    ]
    keys = [run_module("python_wheels", {**arguments, **change}, check=True)["key"] for change in changes]
    assert len(set(keys)) == len(changes)


def test_a_changed_lock_is_fetched_anew(
    run_module: RunModule, arguments: dict[str, Any], project: Path, tmp_path: Path
) -> None:
    first = run_module("python_wheels", arguments)
    (project / "pyproject.toml").write_text(PROJECT.replace("iniconfig==2.1.0", "iniconfig==2.0.0"))
    subprocess.run([BIN / "uv", "lock", "--quiet", "--cache-dir", tmp_path / "uv"], cwd=project, check=True)
    second = run_module("python_wheels", arguments)
    assert second["changed"]
    assert second["key"] != first["key"]
    assert "iniconfig-2.0.0-py3-none-any.whl" in _names(second["path"])
    assert "iniconfig-2.1.0-py3-none-any.whl" in _names(first["path"])


def test_a_wheel_with_another_hash_is_refused(
    run_module: RunModule, arguments: dict[str, Any], project: Path, cache: Path
) -> None:
    lock = project / "uv.lock"
    good = lock.read_text()
    lock.write_text(re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", good))
    result = run_module("python_wheels", arguments)
    assert result["failed"]
    assert result["msg"].startswith("cannot fetch the wheels wheels: ")
    assert "DO NOT MATCH THE HASHES" in result["msg"]
    assert "iniconfig" in result["msg"]
    assert not results_in(cache)
    assert run_module("python_wheels", arguments, check=True)["changed"]

    lock.write_text(good)
    assert run_module("python_wheels", arguments)["changed"]
    assert not list(cache.glob("artifacts/wheels/.building-*"))


def test_a_wheel_without_a_hash_is_refused(
    run_module: RunModule, arguments: dict[str, Any], project: Path, cache: Path
) -> None:
    lock = project / "uv.lock"
    lock.write_text(re.sub(r', hash = "sha256:[0-9a-f]+"', "", lock.read_text()))
    result = run_module("python_wheels", arguments)
    assert result["failed"]
    assert "Hashes are required" in result["msg"]
    assert not results_in(cache)


def test_a_group_that_does_not_exist(run_module: RunModule, arguments: dict[str, Any]) -> None:
    for check in (True, False):
        result = run_module("python_wheels", {**arguments, "installer_groups": ["none-such"]}, check=check)
        assert result["failed"]
        assert "none-such" in result["msg"]


def test_a_project_without_a_lock(run_module: RunModule, arguments: dict[str, Any], project: Path) -> None:
    (project / "uv.lock").unlink()
    result = run_module("python_wheels", arguments)
    assert result["failed"]
    assert "uv.lock" in result["msg"]
    assert not (project / "uv.lock").exists(), "a lock was made up"


def test_a_missing_uv(run_module: RunModule, arguments: dict[str, Any]) -> None:
    result = run_module("python_wheels", {**arguments, "bin_dir": "/nowhere"}, check=True)
    assert result["msg"] == "cannot fetch the wheels wheels: /nowhere/uv cannot be run: No such file or directory"


@pytest.mark.parametrize(("python", "numpy"), [("3.11", "2.4.6"), ("3.13", "2.5.5")])
def test_markers_are_those_of_the_python_that_is_downloaded_for(python: str, numpy: str) -> None:
    exported = r"""colorama==0.4.6 ; sys_platform == 'win32' \
    --hash=sha256:00 \
    --hash=sha256:01
numpy==2.4.6 ; python_full_version < '3.12' \
    --hash=sha256:02
numpy==2.5.5 ; python_full_version >= '3.12' \
    --hash=sha256:03
wheel==0.45.1 \
    --hash=sha256:04
"""
    digest = {"2.4.6": "02", "2.5.5": "03"}[numpy]
    wanted = f"numpy=={numpy} \\\n    --hash=sha256:{digest}\nwheel==0.45.1 \\\n    --hash=sha256:04\n"
    assert python_wheels.meant_for(python, exported) == wanted
