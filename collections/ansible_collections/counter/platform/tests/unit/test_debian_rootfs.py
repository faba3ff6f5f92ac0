"""Debian root file systems: what mmdebstrap gets, and when it is not run."""

import re
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.builders.debian_rootfs import preferences
from ansible_collections.counter.platform.plugins.module_utils.commands import run
from ansible_collections.counter.platform.plugins.module_utils.debian import (
    KEYRING,
    mirrors,
    sources,
    write_client_settings,
)
from ansible_collections.counter.platform.tests.unit.support import Module, RunModule, one_entry
from lib.network import serving

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt on this machine")


@pytest.fixture
def make(cache: Path, run_module: RunModule) -> Module:
    """Run the module for one rootfs, and return what it says of that one."""
    options = {"type": "rootfs", "suite": "bookworm", "packages": ["dash"], "refresh": "1", "cache": str(cache)}
    return one_entry(run_module, "unit", **options)


def test_sources_have_updates_and_security_and_newer_releases_come_last() -> None:
    archive = {"main": "http://m/debian", "security": "http://s/debian-security"}
    main, security = (f"deb [signed-by={KEYRING}] {address}" for address in archive.values())
    assert sources("bookworm", ["trixie"], archive) == [
        f"{main} bookworm main",
        f"{main} bookworm-updates main",
        f"{security} bookworm-security main",
        f"{main} trixie main",
        f"{main} trixie-updates main",
        f"{security} trixie-security main",
    ]
    assert sources("bookworm", [], archive | {"security": ""}) == [
        f"{main} bookworm main",
        f"{main} bookworm-updates main",
    ]


@needs_apt
def test_apt_follows_the_preferences(tmp_path: Path) -> None:
    """The release under test is one that apt has lists of; what is pinned is read back from apt itself."""
    targets = ["Identifier: Packages", "Origin: Debian", "Label: Debian"]
    release = run(["apt-get", "indextargets", "--format", "$(CODENAME)", *targets]).split()[0]
    pinned = tmp_path / "preferences"
    pinned.write_text(preferences({release: ["sed", "bash"]}))
    only = [f"-oDir::Etc::Preferences={pinned}", "-oDir::Etc::PreferencesParts=/nowhere"]
    named, dash = run(["apt-cache", "policy", *only, "sed", "bash", "dash"]).split("dash:")
    # The version's own pin stands behind it, and three stars before the one that is installed.
    assert len(re.findall(r"^ (?:\*{3}|   ) \S+ 990$", named, re.MULTILINE)) == 2
    assert " 990" not in dash
    assert f" 100 {mirrors()['main'].rstrip('/')} " in dash


def test_check_mode_says_what_the_next_run_would_do(make: Module, cache: Path) -> None:
    first = make(check=True)
    assert first["changed"]
    assert first["path"].endswith(f"/unit/{first['key']}/root.tar")
    assert not cache.exists()
    # A result that is there, as another machine's cache brings it: nothing is made, and no mmdebstrap is needed.
    Path(first["path"]).parent.mkdir(parents=True)
    for check in (True, False):
        assert not make(check=check, env={"PATH": "/nowhere"})["changed"]


def test_another_input_is_another_rootfs(make: Module) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"suite": "trixie"},
        {"packages": ["dash", "bash"]},
        {"newer": {"trixie": ["bash"]}},
        {"remove": ["etc/motd"]},
        {"refresh": "2"},
    ]
    assert len({make(**change, check=True)["key"] for change in changes}) == len(changes)


@needs_apt
def test_a_machine_without_mmdebstrap(make: Module, tmp_path: Path) -> None:
    for program in ("apt-get", "apt-config", "dpkg"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    said = make(env={"PATH": str(tmp_path)})["msg"]
    assert said == "cannot make the Debian rootfs unit: mmdebstrap cannot be run: No such file or directory"


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str | None]]:
    """A proxy that this machine's apt is set up with, and that refuses everything; the logins that it was given."""
    logins = set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            logins.add(self.headers["Proxy-Authorization"])
            self.send_error(404)

        do_CONNECT = do_GET

    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with serving(Handler) as address:
        proxies = "".join(f'Acquire::{kind}::Proxy "http://user:secret@{address}"; ' for kind in ("http", "https"))
        (tmp_path / "apt.conf").write_text(f'{proxies}Dir::Etc::netrc "/etc/logins";')
        yield logins


@pytest.mark.engine
@needs_apt
def test_mirrors_are_reached_as_this_machines_apt_reaches_them(
    make: Module, run_module: RunModule, cache: Path, proxy: set[str | None], tmp_path: Path
) -> None:
    settings = tmp_path / "settings"
    write_client_settings(settings)
    assert 'Dir::Etc::netrc "/etc/logins";' in settings.read_text()
    assert settings.stat().st_mode & 0o777 == 0o600
    assert "mmdebstrap" in make()["msg"]
    assert proxy == {"Basic dXNlcjpzZWNyZXQ="}
    proxy.clear()
    options = {"name": "unit", "suite": "bookworm", "packages": ["dash"], "refresh": "1", "cache": str(cache)}
    assert "apt-get" in run_module("debian_packages", **options)["msg"]
    assert proxy == {"Basic dXNlcjpzZWNyZXQ="}
