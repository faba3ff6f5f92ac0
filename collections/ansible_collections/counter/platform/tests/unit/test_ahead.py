"""Compiling in the background of a run, by a compiler that takes a minute."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.modules import go_programs
from ansible_collections.counter.platform.plugins.plugin_utils import ahead
from ansible_collections.counter.platform.tests.unit.support import COLLECTIONS, results_in

COMPILER = """#!/bin/sh
case "$1" in
  env) echo go1.0 ;;
  list) echo package ;;
  build) cut -d' ' -f5,19 /proc/$$/stat >"$0.started"; exec sleep "${TAKES:-60}" ;;
esac
"""


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def run() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for the run."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Any]:
    """The options of programs whose compiler writes down its process group and its priority."""
    (tmp_path / "module").mkdir()
    (tmp_path / "module/go.mod").write_text("module example.org/unit\n")
    go = tmp_path / "go"
    go.write_text(COMPILER)
    go.chmod(0o755)
    paths = {"source": str(tmp_path / "module"), "go": str(go), "cache": str(tmp_path / "cache")}
    return {"name": "programs", "ahead": True, **paths}


def with_defaults(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return options as a module gets them."""
    return {name: option.get("default") for name, option in go_programs.ARGUMENTS.items()} | arguments


def is_alive(group: str) -> bool:
    """Return whether a process group has a process that is no zombie."""
    states = (path.read_text().rpartition(")")[2].split() for path in Path("/proc").glob("[0-9]*/stat"))
    return any(state[2] == group and state[0] != "Z" for state in states)


def test_result_is_made_at_the_lowest_priority_while_the_run_lives(
    arguments: dict[str, Any], run: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAKES", "0")
    ahead.start(with_defaults(arguments), run.pid)
    until(lambda: bool(results_in(Path(arguments["cache"]))))
    assert Path(f"{arguments['go']}.started").read_text().split()[1] == "19"


def test_compiler_ends_with_the_run_and_leaves_no_result(
    arguments: dict[str, Any], run: subprocess.Popen[bytes]
) -> None:
    ahead.start(with_defaults(arguments), run.pid)
    started = Path(f"{arguments['go']}.started")
    until(lambda: started.exists() and bool(started.read_text()))
    group = started.read_text().split()[0]
    assert is_alive(group)
    run.kill()
    until(lambda: not is_alive(group))
    assert results_in(Path(arguments["cache"])) == []


def play(arguments: dict[str, Any], *options: str) -> str:
    """Run a play with the task, and another one that takes long enough for the compiler to start."""
    tasks = [
        {"counter.platform.go_programs": arguments},
        {"ansible.builtin.command": {"argv": ["sleep", "5"]}, "check_mode": False},
    ]
    playbook = Path(arguments["source"]).with_name("play.yml")
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    done = subprocess.run(
        ["ansible-playbook", "--inventory=localhost,", "--connection=local", *options, str(playbook)],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_task_does_not_wait_and_changes_nothing(arguments: dict[str, Any]) -> None:
    started = time.monotonic()
    assert "changed=1 " in play(arguments), "the other task alone"
    assert time.monotonic() - started < 50
    group = Path(f"{arguments['go']}.started").read_text().split()[0]
    until(lambda: not is_alive(group))
    assert results_in(Path(arguments["cache"])) == []


def test_check_mode_begins_nothing(arguments: dict[str, Any]) -> None:
    assert "changed=1 " in play(arguments, "--check")
    assert not Path(arguments["cache"]).exists()
