"""Compiling in the background of a run, by a compiler that takes a minute."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.modules import artifacts
from ansible_collections.counter.platform.plugins.plugin_utils import ahead
from ansible_collections.counter.platform.tests.unit.support import results_in, with_defaults
from lib.command import Run, execute
from lib.wait import wait_for

Process = subprocess.Popen[bytes]
COMPILER = """#!/bin/sh
case "$1" in
  env) echo go1.0 ;;
  list) echo package ;;
  build) cut -d' ' -f5,19 /proc/$$/stat >"$0.started"; exec sleep "${TAKES:-60}" ;;
esac
"""


@pytest.fixture
def run() -> Iterator[Process]:
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
    catalogue = {"programs": {"type": "go", "source": "module"}}
    paths = {"root": str(tmp_path), "bin_dir": str(tmp_path), "cache": str(tmp_path / "cache")}
    return {"catalogue": catalogue, "names": ["programs"], "background": True, **paths}


def is_alive(group: str) -> bool:
    """Return whether a process group has a process that is no zombie."""
    found = execute("pgrep", "--pgroup", group, "--runstates", "D,I,R,S,T,t")
    assert found.status in {0, 1}, found.output
    return found.status == 0


def test_result_is_made_at_the_lowest_priority_while_the_run_lives(
    arguments: dict[str, Any], run: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAKES", "0")
    cache = Path(arguments["cache"])
    umask = os.umask(0o077)
    ahead.start(with_defaults(artifacts, **arguments), run.pid)
    os.umask(umask)
    (result,) = wait_for("the result", lambda: results_in(cache))
    assert Path(arguments["bin_dir"], "go.started").read_text().split()[1] == "19"
    assert (cache / "artifacts" / result).stat().st_mode & 0o777 == 0o755, "others may read it, whatever the umask"


def test_compiler_ends_with_the_run_and_leaves_no_result(arguments: dict[str, Any], run: Process) -> None:
    ahead.start(with_defaults(artifacts, **arguments), run.pid)
    started = Path(arguments["bin_dir"], "go.started")
    group = wait_for("the compiler", lambda: started.read_text() if started.exists() else "").split()[0]
    assert is_alive(group)
    run.kill()
    wait_for("its end", lambda: not is_alive(group))
    assert results_in(Path(arguments["cache"])) == []


def play(arguments: dict[str, Any], *options: str) -> Run:
    """Run a play with the task, and another one that takes long enough for the compiler to start."""
    tasks = [
        {"counter.platform.artifacts": arguments},
        {"ansible.builtin.command": {"argv": ["sleep", "5"]}, "check_mode": False},
    ]
    playbook = Path(arguments["root"], "play.yml")
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    done = execute("ansible-playbook", "--inventory=localhost,", "--connection=local", *options, str(playbook))
    # The other task alone.
    return done.ok(changed=1)


def test_task_does_not_wait_and_changes_nothing(arguments: dict[str, Any]) -> None:
    assert play(arguments).seconds < 50
    group = Path(arguments["bin_dir"], "go.started").read_text().split()[0]
    wait_for("its end", lambda: not is_alive(group))
    assert results_in(Path(arguments["cache"])) == []


def test_check_mode_begins_nothing(arguments: dict[str, Any]) -> None:
    play(arguments, "--check")
    assert not Path(arguments["cache"]).exists()
