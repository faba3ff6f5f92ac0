"""Debian packages on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.module_utils.debian import mirrors
from ansible_collections.counter.platform.plugins.modules import apt_packages
from ansible_collections.counter.platform.tests.unit.support import RunModule

SMALL = "hello"
"""A package of some kilobytes that nothing depends on."""

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt on this machine")


def _release() -> str:
    """Return the codename of the release that apt takes packages from."""
    listing = ["apt-get", "indextargets", "--format", "$(CODENAME)", "Identifier: Packages", "Origin: Debian"]
    return subprocess.run([*listing, "Label: Debian"], capture_output=True, text=True, check=True).stdout.split()[0]


@pytest.fixture
def absent() -> Iterator[str]:
    """Return a package that the machine lacks, and lacks again afterwards."""
    if apt_packages.installed([SMALL]):
        pytest.skip(f"{SMALL} is installed on this machine, and was not by this test")
    yield SMALL
    if apt_packages.installed([SMALL]):
        subprocess.run(["dpkg", "--purge", SMALL], capture_output=True, check=True)


def test_installed_tells_what_dpkg_has() -> None:
    assert apt_packages.installed(["dpkg", "bash", "counter-unit-none"]) == {"dpkg", "bash"}
    # A name that begins like an installed one's.
    assert apt_packages.installed(["das"]) == set()


def test_a_package_that_is_not_whole_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"whole": "ok installed", "removed": "ok config-files", "broken": "reinstreq half-installed"}
    entry = "Package: {}\nStatus: install {}\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
    (tmp_path / "status").write_text("\n".join(entry.format(name, state) for name, state in states.items()))
    monkeypatch.setenv("DPKG_ADMINDIR", str(tmp_path))
    assert apt_packages.installed([*states, "absent"]) == {"whole"}


def test_outdated_names_all_where_the_release_is_not_known() -> None:
    assert apt_packages.outdated(["dash", "bash"], "counter-unit") == ["bash", "dash"]


def test_apt_gets_to_know_a_release_behind_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists, pins = tmp_path / "lists.d", tmp_path / "pins.d"
    for folder in (lists, pins):
        folder.mkdir()
    monkeypatch.setattr(apt_packages, "SOURCES", lists)
    monkeypatch.setattr(apt_packages, "PREFERENCES", pins)
    release = _release()
    apt_packages.know(release)
    options = [f"-oDir::Etc::SourceParts={lists}", f"-oDir::Etc::PreferencesParts={pins}"]
    policy = subprocess.run(
        ["apt-cache", "policy", *options, "-oDir::Etc::SourceList=/nowhere", "-oDir::Etc::Preferences=/nowhere", SMALL],
        capture_output=True,
        text=True,
        check=True,
    )
    assert policy.stderr == ""
    assert f" 100 {mirrors()['main'].rstrip('/')} {release}/main" in policy.stdout


def test_check_mode_names_the_missing_and_installs_none(run_module: RunModule, absent: str) -> None:
    result = run_module("apt_packages", {"names": [absent, "dpkg"]}, check=True)
    assert (result["changed"], result["missing"]) == (True, [absent])
    assert result["diff"]["after"] == f"{absent}\n"
    assert not apt_packages.installed([absent])


def test_check_mode_with_a_release_changes_no_setting_of_apt(run_module: RunModule) -> None:
    result = run_module("apt_packages", {"names": ["dpkg"], "target_release": "counter-unit"}, check=True)
    assert (result["changed"], result["missing"]) == (True, ["dpkg"])
    assert not list(Path("/etc/apt").rglob("*counter-unit*"))


def test_nothing_missing_asks_no_mirror(run_module: RunModule, tmp_path: Path) -> None:
    # apt-get is not even in PATH.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "dpkg-query").symlink_to(str(shutil.which("dpkg-query")))
    result = run_module("apt_packages", {"names": ["dpkg", "bash"]}, env={"PATH": str(tmp_path / "bin")})
    assert (result["changed"], result["missing"]) == (False, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="installs a package, which needs root")
def test_a_missing_package_is_installed_once(run_module: RunModule, absent: str) -> None:
    assert apt_packages.outdated([absent], _release()) == [absent]
    assert run_module("apt_packages", {"names": [absent, "dpkg"]})["missing"] == [absent]
    assert apt_packages.installed([absent])
    for check in (False, True):
        again = run_module("apt_packages", {"names": [absent, "dpkg"]}, check=check)
        assert (again["changed"], again["missing"]) == (False, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="asks apt to install, which needs root")
def test_a_package_that_does_not_exist(run_module: RunModule) -> None:
    result = run_module("apt_packages", {"names": ["counter-unit-none"]})
    assert result["failed"]
    assert result["msg"].startswith("cannot install counter-unit-none: ")
    assert "Unable to locate package counter-unit-none" in result["msg"]
