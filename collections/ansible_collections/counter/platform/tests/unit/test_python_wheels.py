"""Wheels of a small uv project, fetched from the index."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.builders.python_wheels import meant_for
from ansible_collections.counter.platform.tests.unit.support import BIN, Module, RunModule, made_once, one_entry

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
    project = tmp_path_factory.mktemp("project")
    (project / "pyproject.toml").write_text(PROJECT)
    cache = tmp_path_factory.mktemp("uv-cache")
    subprocess.run([BIN / "uv", "lock", "--quiet", "--cache-dir", cache], cwd=project, check=True)
    return project


@pytest.fixture
def project(locked: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(locked, tmp_path / "project"))


@pytest.fixture
def fetch(project: Path, cache: Path, run_module: RunModule) -> Module:
    options = {"project": str(project), "installer_groups": ["image"], "python_version": "3.11", "cache": str(cache)}
    return one_entry(run_module, "wheels", type="wheels", **options)


def test_wheels_are_fetched_once(fetch: Module, project: Path, tmp_path: Path) -> None:
    before = sorted(project.rglob("*"))
    # Nothing is fetched for what is there: the folder has no pip.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").symlink_to(BIN / "uv")
    folder = Path(made_once(fetch, bin_dir=str(tmp_path / "bin"))["path"])
    assert sorted(path.name for path in folder.iterdir()) == [
        "iniconfig-2.1.0-py3-none-any.whl",
        "requirements.txt",
        "wheel-0.45.1-py3-none-any.whl",
    ]
    requirements = (folder / "requirements.txt").read_text()
    assert re.findall(r"^\S+==\S+", requirements, re.MULTILINE) == ["iniconfig==2.1.0"]
    assert "--hash=sha256:" in requirements
    assert sorted(project.rglob("*")) == before


def test_another_choice_or_lock_is_another_result(fetch: Module, project: Path) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"installer_groups": []},
        {"installer_groups": ["image", "extra"]},
        {"python_version": "3.12"},
        {"platforms": ["manylinux_2_17_x86_64"]},
    ]
    keys = [fetch(**change, check=True)["key"] for change in changes]
    lock = project / "uv.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", lock.read_text()))
    keys.append(fetch(check=True)["key"])
    assert len(set(keys)) == len(changes) + 1


@pytest.mark.parametrize(
    ("pattern", "other", "reason"),
    [
        (r"sha256:[0-9a-f]{4}", "sha256:0000", r"DO NOT MATCH THE HASHES[\s\S]*iniconfig"),
        (r', hash = "sha256:[0-9a-f]+"', "", "Hashes are required"),
    ],
)
def test_wheel_of_another_hash_is_refused(fetch: Module, project: Path, pattern: str, other: str, reason: str) -> None:
    lock = project / "uv.lock"
    lock.write_text(re.sub(pattern, other, lock.read_text()))
    said = fetch()["msg"]
    assert said.startswith("cannot fetch the wheels wheels: ")
    assert re.search(reason, said)


def test_a_group_that_does_not_exist(fetch: Module) -> None:
    assert "none-such" in fetch(installer_groups=["none-such"], check=True)["msg"]


def test_a_project_without_a_lock(fetch: Module, project: Path) -> None:
    (project / "uv.lock").unlink()
    assert "uv.lock" in fetch()["msg"]
    assert not (project / "uv.lock").exists(), "a lock was made up"


def test_a_missing_uv(fetch: Module) -> None:
    said = fetch(bin_dir="/nowhere", check=True)["msg"]
    assert said == "cannot fetch the wheels wheels: /nowhere/uv cannot be run: No such file or directory"


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
    assert meant_for(python, exported) == wanted
