"""A machine that has nothing but the prerequisites: what runs there before anything is installed."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from lib.command import execute
from lib.paths import ROOT


def test_machine_is_bare() -> None:
    programs = ("docker", "kind", "kubectl", "go", "git", "mmdebstrap", "redis-server", "pip")
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert not [name for name in programs if shutil.which(name, path=path)]


def test_check_mode_before_the_first_run() -> None:
    run = execute("make", "check").ok()
    assert run.recap("changed") >= 3, run.output
    assert not (ROOT / ".state" / "local").exists()


@pytest.mark.soak
@pytest.mark.parametrize("name", ["mirror", "bundle"])
def test_check_mode_of_what_hands_on_where_nothing_is_made_yet(tmp_path: Path, name: str) -> None:
    cache, bundle = tmp_path / "cache", tmp_path / "counter-platform.bundle"
    values = {"platform_cache_dir": str(cache), "image_registry": "127.0.0.1:1/nobody", "bundle_file": str(bundle)}
    # The folder may be in memory.
    values["offline_images_disk_gib"] = "1"
    run = execute("ansible-playbook", "--check", "-e", json.dumps(values), f"playbooks/{name}.yml").ok()
    assert run.recap("changed") > 0, run.output
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
