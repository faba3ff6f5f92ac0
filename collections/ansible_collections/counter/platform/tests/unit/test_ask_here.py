"""A module with nothing to do is not started.

Its Python is one that does not exist: whatever starts a module fails.
"""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.counter.platform.tests.unit.support import COLLECTION, Docker, RunModule
from lib.command import execute

ROUTED = yaml.safe_load((COLLECTION / "meta/runtime.yml").read_text())["plugin_routing"]["modules"]
STARTED = "/nowhere/python"


def ask(module: str, arguments: dict[str, Any], *options: str) -> str:
    """Run a module as a task without a Python to start it by, and return what Ansible printed in one line."""
    where = ["--inventory=localhost,", "--connection=local", f"--extra-vars=ansible_python_interpreter={STARTED}"]
    task = [f"--module-name=counter.platform.{module}", f"--args={json.dumps(arguments)}"]
    return execute("ansible", "localhost", *where, *task, *options).message()


def test_every_module_that_is_asked_can_be() -> None:
    assert len(ROUTED) == 10
    for name, about in ROUTED.items():
        assert about == {"action_plugin": "counter.platform.ask_here"}, name
        assert callable(import_module(f"ansible_collections.counter.platform.plugins.modules.{name}").ensure), name


@pytest.fixture
def arguments(cache: Path) -> dict[str, Any]:
    rootfs = {"type": "rootfs", "suite": "bookworm", "packages": ["python3"], "refresh": "1"}
    return {"catalogue": {"some-rootfs": rootfs}, "root": "/", "bin_dir": "/nowhere", "cache": str(cache)}


def test_result_that_is_there_starts_nothing(arguments: dict[str, Any], run_module: RunModule) -> None:
    missing = run_module("artifacts", **arguments, check=True)
    assert STARTED in ask("artifacts", arguments), "there was something to do, and nothing was started for it"
    Path(missing["artifacts"]["some-rootfs"]["path"]).parent.mkdir(parents=True)
    said = ask("artifacts", arguments)
    assert "SUCCESS" in said
    assert missing["artifacts"]["some-rootfs"]["path"] in said


def test_check_mode_starts_nothing(arguments: dict[str, Any], cache: Path) -> None:
    assert "CHANGED" in ask("artifacts", arguments, "--check")
    assert not cache.exists()


def test_options_are_checked_as_the_module_would(arguments: dict[str, Any]) -> None:
    assert "Unsupported parameters for (counter.platform.artifacts)" in ask(
        "artifacts", arguments | {"rootfs": "one too many"}
    )
    assert "missing required arguments: bin_dir, catalogue, root" in ask("artifacts", {"cache": arguments["cache"]})


def test_error_is_left_to_the_module(docker: Docker) -> None:
    entry = {"image": "some:1", "archive": "/nowhere"}
    assert STARTED in ask("node_image", {"nodes": [docker.name], "images": [entry]})


def test_module_without_anything_to_make_is_routed(tmp_path: Path) -> None:
    needs = [{"path": str(tmp_path), "gib": 0, "remedy": "none"}]
    assert "SUCCESS" in ask("disk_space", {"needs": needs})
