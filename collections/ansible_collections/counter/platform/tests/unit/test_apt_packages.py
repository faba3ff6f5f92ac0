"""Debian packages on this machine: from mirrors, and from a folder where no mirror is.

One file, as pytest-xdist runs a file in one process: apt lets nobody else install meanwhile.
"""

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.module_utils.debian import mirrors, update
from ansible_collections.counter.platform.plugins.modules import apt_packages
from ansible_collections.counter.platform.plugins.modules.debian_packages import described
from ansible_collections.counter.platform.tests.unit.support import Module, RunModule, made_once
from lib.command import run
from lib.packages import build_package

SMALL = "hello"
"""A package of some kilobytes that nothing depends on."""

pytestmark = [
    pytest.mark.engine,
    pytest.mark.mirrors,
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt on this machine"),
]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="apt installs and refreshes its lists as root")


@pytest.fixture
def absent() -> Iterator[str]:
    """Return a package that the machine lacks, and lacks again afterwards."""
    if apt_packages.installed([SMALL]):
        pytest.skip(f"{SMALL} is installed on this machine, and was not by this test")
    yield SMALL
    if apt_packages.installed([SMALL]):
        run("dpkg", "--purge", SMALL)


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
    for name, folder in (("SOURCES", lists), ("PREFERENCES", pins)):
        folder.mkdir()
        monkeypatch.setattr(apt_packages, name, folder)
    release = apt_packages.own_release()
    apt_packages.know(release)
    own = [f"-oDir::Etc::SourceParts={lists}", f"-oDir::Etc::PreferencesParts={pins}"]
    others = ["-oDir::Etc::SourceList=/nowhere", "-oDir::Etc::Preferences=/nowhere"]
    policy = run("apt-cache", "policy", *own, *others, SMALL)
    assert policy.stderr == ""
    assert f" 100 {mirrors()['main'].rstrip('/')} {release}/main" in policy.stdout


def test_check_mode_names_the_missing_and_installs_none(run_module: RunModule, absent: str) -> None:
    result = run_module("apt_packages", names=[absent, "dpkg"], check=True)
    assert (result["changed"], result["missing"]) == (True, [absent])
    assert result["diff"]["after"] == f"{absent}\n"
    assert not apt_packages.installed([absent])


def test_check_mode_with_a_release_changes_no_setting_of_apt(run_module: RunModule) -> None:
    result = run_module("apt_packages", names=["dpkg"], target_release="counter-unit", check=True)
    assert (result["changed"], result["missing"]) == (True, ["dpkg"])
    assert not list(Path("/etc/apt").rglob("*counter-unit*"))


def test_nothing_missing_asks_no_mirror(run_module: RunModule, tmp_path: Path) -> None:
    # apt-get is not even in PATH.
    (tmp_path / "dpkg-query").symlink_to(str(shutil.which("dpkg-query")))
    result = run_module("apt_packages", names=["dpkg", "bash"], env={"PATH": str(tmp_path)})
    assert (result["changed"], result["missing"]) == (False, [])


@needs_root
def test_a_missing_package_is_installed_once(run_module: RunModule, absent: str) -> None:
    assert apt_packages.outdated([absent], apt_packages.own_release()) == [absent]
    assert run_module("apt_packages", names=[absent, "dpkg"])["missing"] == [absent]
    assert apt_packages.installed([absent])
    for check in (False, True):
        again = run_module("apt_packages", names=[absent, "dpkg"], check=check)
        assert (again["changed"], again["missing"]) == (False, [])


@needs_root
def test_a_package_that_does_not_exist(run_module: RunModule) -> None:
    said = run_module("apt_packages", names=["counter-unit-none"])["msg"]
    assert said.startswith("cannot install counter-unit-none: ")
    assert "Unable to locate package counter-unit-none" in said


@needs_root
def test_no_package_of_somebody_else_is_removed(run_module: RunModule, tmp_path: Path) -> None:
    folder = tmp_path / apt_packages.own_release()
    packages = [build_package(folder, "counter-unit-there")]
    packages.append(build_package(folder, "counter-unit-new", "Conflicts: counter-unit-there"))
    (folder / "Packages").write_text("\n".join(map(described, packages)))
    install = partial(run_module, "apt_packages", directory=str(tmp_path))
    try:
        assert install(names=["counter-unit-there"])["changed"]
        said = install(names=["counter-unit-new"])["msg"]
        assert "Packages need to be removed" in said
        assert "counter-unit-there" in said
        assert apt_packages.installed(["counter-unit-there", "counter-unit-new"]) == {"counter-unit-there"}
    finally:
        run("dpkg", "--purge", "counter-unit-there", "counter-unit-new")


@pytest.fixture
def fetch(run_module: RunModule, tmp_path: Path) -> Module:
    where = {"suite": apt_packages.own_release(), "cache": str(tmp_path / "cache")}
    return partial(run_module, "debian_packages", name="small", packages=[SMALL], refresh="x", **where)


def test_packages_are_installed_where_no_mirror_is(
    run_module: RunModule, fetch: Module, absent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / apt_packages.own_release()
    folder.symlink_to(made_once(fetch)["path"])
    fetched = {path.name.split("_")[0] for path in folder.glob("*.deb")}
    assert {SMALL, "libc6", "gcc-12-base"} <= fetched or {SMALL, "libc6", "gcc-14-base"} <= fetched
    index = (folder / "Packages").read_text()
    assert index.count("\nFilename: ./") == len(list(folder.glob("*.deb")))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    install = partial(run_module, "apt_packages", names=[SMALL], directory=str(tmp_path))
    assert install(check=True)["missing"] == [SMALL]
    assert install()["changed"]
    assert apt_packages.installed([SMALL]) == {SMALL}
    assert not install()["changed"]


def test_folder_that_lacks_the_release(run_module: RunModule, absent: str, tmp_path: Path) -> None:
    said = run_module("apt_packages", names=[SMALL], directory=str(tmp_path))["msg"]
    assert f"{tmp_path} has no packages of Debian's release {apt_packages.own_release()}" in said


def test_package_that_no_mirror_has(fetch: Module) -> None:
    assert "Unable to locate package counter-unit-none" in fetch(packages=["counter-unit-none"])["msg"]


@needs_root
def test_another_apt_that_refreshes_the_lists_is_waited_for() -> None:
    with Path("/var/lib/apt/lists/lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        released = threading.Timer(2, fcntl.lockf, (lock, fcntl.LOCK_UN))
        released.start()
        start = time.monotonic()
        update()
        assert time.monotonic() - start > 2
        released.join()
