"""Packages that were fetched on one machine are installed on another, which reaches no mirror."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.modules import apt_packages
from ansible_collections.counter.platform.tests.unit.support import RunModule

SMALL = "hello"
"""A package of some kilobytes that nothing depends on."""

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt on this machine")


@pytest.fixture
def directory(run_module: RunModule, tmp_path: Path) -> Path:
    """A folder with the packages of this machine's release."""
    release = apt_packages.own_release()
    wanted = {"name": "small", "suite": release, "packages": [SMALL], "refresh": "x", "cache": str(tmp_path / "cache")}
    promised = run_module("debian_packages", wanted, check=True)
    made = run_module("debian_packages", wanted)
    again = run_module("debian_packages", wanted)
    assert promised["changed"]
    assert made["changed"]
    assert again == {**made, "changed": False}
    directory = tmp_path / "packages"
    directory.mkdir()
    (directory / release).symlink_to(made["path"])
    return directory


@pytest.fixture
def absent() -> Iterator[None]:
    """A machine that lacks the package, and lacks it again afterwards."""
    if apt_packages.installed([SMALL]):
        pytest.skip(f"{SMALL} is installed on this machine, and was not by this test")
    yield
    if apt_packages.installed([SMALL]):
        subprocess.run(["dpkg", "--purge", SMALL], capture_output=True, check=True)


def test_packages_are_installed_where_no_mirror_is(
    run_module: RunModule, directory: Path, absent: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = directory / apt_packages.own_release()
    fetched = {path.name.split("_")[0] for path in folder.glob("*.deb")}
    assert {SMALL, "libc6", "gcc-12-base"} <= fetched or {SMALL, "libc6", "gcc-14-base"} <= fetched
    index = (folder / "Packages").read_text()
    assert index.count("\nFilename: ./") == len(list(folder.glob("*.deb")))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    wanted = {"names": [SMALL], "directory": str(directory)}
    assert run_module("apt_packages", wanted, check=True)["missing"] == [SMALL]
    assert run_module("apt_packages", wanted)["changed"]
    assert apt_packages.installed([SMALL]) == {SMALL}
    assert not run_module("apt_packages", wanted)["changed"]


def test_folder_that_lacks_the_release(run_module: RunModule, absent: None, tmp_path: Path) -> None:
    result = run_module("apt_packages", {"names": [SMALL], "directory": str(tmp_path)})
    assert result["failed"]
    assert f"{tmp_path} has no packages of Debian's release {apt_packages.own_release()}" in result["msg"]


def test_package_that_no_mirror_has(run_module: RunModule, tmp_path: Path) -> None:
    wanted = {"name": "none", "suite": apt_packages.own_release(), "packages": ["counter-unit-none"], "refresh": "x"}
    result = run_module("debian_packages", {**wanted, "cache": str(tmp_path)})
    assert result["failed"]
    assert "Unable to locate package counter-unit-none" in result["msg"]
    assert not list((tmp_path / "artifacts/none").glob("[!.]*"))
