"""Debian root file systems: what mmdebstrap gets, and when it is not run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.debian import KEYRING, mirrors, sources
from ansible_collections.counter.platform.plugins.modules.debian_rootfs import preferences
from ansible_collections.counter.platform.tests.unit.support import RunModule, alone

ARCHIVE = {"main": "http://m/debian", "security": "http://s/debian-security"}
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt on this machine")
needs_mmdebstrap = pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="mmdebstrap is not installed")


@pytest.fixture
def make(run_module: RunModule) -> RunModule:
    """Run the module for one rootfs, and return what it says of that one."""
    return alone(run_module, "debian_rootfs", "rootfs", common=("cache",))


@pytest.fixture
def arguments(cache: Path) -> dict[str, Any]:
    return {"name": "unit", "suite": "bookworm", "packages": ["dash"], "refresh": "1", "cache": str(cache)}


def test_sources_have_updates_and_security() -> None:
    assert sources("bookworm", [], ARCHIVE) == [
        f"deb [signed-by={KEYRING}] http://m/debian bookworm main",
        f"deb [signed-by={KEYRING}] http://m/debian bookworm-updates main",
        f"deb [signed-by={KEYRING}] http://s/debian-security bookworm-security main",
    ]


def test_sources_without_a_security_archive() -> None:
    lines = sources("bookworm", [], {"main": "http://m/debian", "security": ""})
    assert [line.split()[-2] for line in lines] == ["bookworm", "bookworm-updates"]


def test_sources_of_newer_releases_come_last() -> None:
    suites = [line.split()[-2] for line in sources("bookworm", ["trixie"], ARCHIVE)]
    assert suites[:3] == ["bookworm", "bookworm-updates", "bookworm-security"]
    assert suites[3:] == ["trixie", "trixie-updates", "trixie-security"]


@needs_apt
def test_apt_reads_the_sources(tmp_path: Path) -> None:
    listed = tmp_path / "sources.list"
    listed.write_text("".join(f"{line}\n" for line in sources("bookworm", ["trixie"], ARCHIVE)))
    options = [f"-oDir::State::Lists={tmp_path}", "-oDir::Etc::SourceParts=/nowhere"]
    asked = subprocess.run(
        ["apt-get", "update", "--print-uris", *options, f"-oDir::Etc::SourceList={listed}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert set(re.findall(r"'(\S+)/InRelease'", asked)) == {
        "http://m/debian/dists/bookworm",
        "http://m/debian/dists/bookworm-updates",
        "http://s/debian-security/dists/bookworm-security",
        "http://m/debian/dists/trixie",
        "http://m/debian/dists/trixie-updates",
        "http://s/debian-security/dists/trixie-security",
    }


def test_preferences_without_newer_releases_are_empty() -> None:
    assert preferences({}) == ""


def test_preferences_take_the_named_packages_alone() -> None:
    blocks = preferences({"trixie": ["iptables", "nftables"]}).strip().split("\n\n")
    assert blocks == [
        "Package: *\nPin: release n=trixie*\nPin-Priority: 100",
        "Package: iptables nftables\nPin: release n=trixie*\nPin-Priority: 990",
    ]


@needs_apt
def test_apt_follows_the_preferences(tmp_path: Path) -> None:
    """The release under test is one that apt has lists of; what is pinned is read back from apt itself."""
    targets = ["Identifier: Packages", "Origin: Debian", "Label: Debian"]
    known = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CODENAME)", *targets],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    pinned = tmp_path / "preferences"
    pinned.write_text(preferences({known[0]: ["bash"]}))
    names = ["bash", "dash"]
    policy = subprocess.run(
        ["apt-cache", "policy", f"-oDir::Etc::Preferences={pinned}", "-oDir::Etc::PreferencesParts=/nowhere", *names],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    bash, dash = policy.split("dash:")
    # The version's own pin stands behind it, and three stars before the one that is installed.
    assert re.search(r"^ (?:\*{3}|   ) \S+ 990$", bash, re.MULTILINE)
    assert " 990" not in dash
    assert f" 100 {mirrors()['main'].rstrip('/')} " in dash


def test_check_mode_says_what_the_next_run_would_do(make: RunModule, arguments: dict[str, Any]) -> None:
    first = make(arguments, check=True)
    assert first["changed"]
    assert first["path"].endswith(f"/unit/{first['key']}/root.tar")
    assert not Path(arguments["cache"]).exists()
    # A result that is there, as another machine's cache brings it: nothing is made, and no mmdebstrap is needed.
    Path(first["path"]).parent.mkdir(parents=True)
    for check in (True, False):
        assert not make(arguments, check=check, env={"PATH": "/nowhere"})["changed"]


@pytest.mark.parametrize(
    "change",
    [
        {"suite": "trixie"},
        {"packages": ["dash", "bash"]},
        {"newer": {"trixie": ["bash"]}},
        {"remove": ["etc/motd"]},
        {"refresh": "2"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_input_is_another_rootfs(make: RunModule, arguments: dict[str, Any], change: dict[str, Any]) -> None:
    before = make(arguments, check=True)
    after = make({**arguments, **change}, check=True)
    assert after["key"] != before["key"]


@pytest.mark.mirrors
@needs_mmdebstrap
def test_a_suite_that_does_not_exist(make: RunModule, arguments: dict[str, Any]) -> None:
    result = make({**arguments, "suite": "counter-unit"})
    assert result["failed"]
    assert result["msg"].startswith("cannot make the Debian rootfs unit: mmdebstrap ")
    assert "counter-unit" in result["msg"].splitlines()[-1] or "counter-unit Release" in result["msg"]
    assert make({**arguments, "suite": "counter-unit"}, check=True)["changed"]


@needs_apt
def test_a_machine_without_mmdebstrap(make: RunModule, arguments: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for program in ("apt-get", "dpkg"):
        (tmp_path / "bin" / program).symlink_to(str(shutil.which(program)))
    result = make(arguments, env={"PATH": str(tmp_path / "bin")})
    assert result["msg"] == "cannot make the Debian rootfs unit: mmdebstrap cannot be run: No such file or directory"
