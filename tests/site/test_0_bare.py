"""A machine that has nothing but the prerequisites: what runs there before anything is installed."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from lib.command import execute, run
from lib.packages import build_package
from lib.paths import ROOT


def test_machine_is_bare() -> None:
    programs = ("docker", "kind", "kubectl", "go", "git", "mmdebstrap", "redis-server", "pip")
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert not [name for name in programs if shutil.which(name, path=path)]


def test_check_mode_before_the_first_run() -> None:
    done = execute("make", "check").ok()
    assert done.recap("changed") >= 3, done.output
    assert not (ROOT / ".state" / "local").exists()


@pytest.mark.soak
@pytest.mark.parametrize("name", ["mirror", "bundle"])
def test_check_mode_of_what_hands_on_where_nothing_is_made_yet(tmp_path: Path, name: str) -> None:
    cache, bundle = tmp_path / "cache", tmp_path / "counter-platform.bundle"
    values = {"platform_cache_dir": str(cache), "image_registry": "127.0.0.1:1/nobody", "bundle_file": str(bundle)}
    # The folder may be in memory.
    values["offline_images_disk_gib"] = "1"
    done = execute("ansible-playbook", "--check", "-e", json.dumps(values), f"playbooks/{name}.yml").ok()
    assert done.recap("changed") > 0, done.output
    assert not list(cache.glob("artifacts/*"))
    assert not bundle.exists()


def test_down_with_nothing_there_changes_nothing() -> None:
    execute("make", "down").ok(changed=0)


def test_user_who_cannot_become_root_is_told() -> None:
    subprocess.run(["useradd", "--create-home", "somebody"], check=True)
    settings = ["env", "HOME=/home/somebody", "USER=somebody"]
    execute("runuser", "--user=somebody", "--", *settings, "make", "up").failed(
        "somebody cannot become root here", "ARGS=--ask-become-pass", changed=0
    )


def test_engine_that_is_installed_and_does_not_run_is_left_alone(tmp_path: Path) -> None:
    run("dpkg", "--install", str(build_package(tmp_path, "docker-ce")))
    try:
        execute("make", "up").failed("docker-ce is installed", "systemctl start docker", changed=0)
    finally:
        run("dpkg", "--purge", "docker-ce")
