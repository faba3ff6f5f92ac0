"""One run at a time, in real runs of ansible-playbook."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.counter.platform.tests.unit.support import COLLECTIONS

# The lock is taken in two plays, as by a playbook whose roles all depend on one. `wait` waits for the file `go`.
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks: &hold
    - name: Hold
      counter.platform.run_lock: {path: state/local.lock}
- hosts: localhost
  gather_facts: false
  tasks: *hold
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Tell that it is held
      ansible.builtin.file: {path: "{{ playbook_dir }}/held", state: touch}
    - name: Wait
      ansible.builtin.wait_for: {path: "{{ playbook_dir }}/go"}
      when: wait | default(false)
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a run of the playbook."""
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    (tmp_path / "ansible.cfg").touch()
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    command = ["ansible-playbook", "--inventory=localhost,", "--connection=local", "play.yml"]

    def started(*options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, *options], cwd=tmp_path, env=os.environ | settings, stdout=subprocess.PIPE, text=True
        )

    return started


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return a run's status and what it printed, on one line."""
    printed, _ = process.communicate()
    return process.returncode, " ".join(printed.split())


@pytest.fixture
def holder(start: Start, tmp_path: Path) -> subprocess.Popen[str]:
    """Return a run that holds the lock, until there is a file ``go``."""
    process = start("--extra-vars", json.dumps({"wait": True}))
    while not (tmp_path / "held").exists():
        assert process.poll() is None, end(process)
        time.sleep(0.05)
    return process


def test_a_second_run_is_refused_and_the_first_is_named(
    start: Start, holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    status, printed = end(start())
    assert status != 0
    assert "another run is under way since 2" in printed
    assert f": process {holder.pid}, `" in printed
    assert "ansible-playbook --inventory=localhost, --connection=local play.yml" in printed
    assert f"Wait for it, or end it with `kill {holder.pid}`" in printed
    assert end(start("--check"))[0] == 0, "check mode was refused"
    (tmp_path / "go").touch()
    assert end(holder)[0] == 0
    assert end(start())[0] == 0


def test_a_killed_run_holds_nothing(start: Start, holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """Its worker goes on waiting, and does not hold it either."""
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    status, printed = end(start())
    (tmp_path / "go").touch()
    assert status == 0, printed


def test_what_is_in_the_file_holds_nothing(start: Start, tmp_path: Path) -> None:
    """As a version before wrote it, of a process that is alive."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state/local.lock").write_text('{"pid": 1, "started": "1", "since": "", "command": ""}')
    process = start()
    status, printed = end(process)
    assert status == 0, printed
    assert (tmp_path / "state/local.lock").read_text().endswith(f"`kill {process.pid}`")


def test_the_folder_is_private_and_check_mode_makes_none(start: Start, tmp_path: Path) -> None:
    assert end(start("--check"))[0] == 0
    assert not (tmp_path / "state").exists()
    assert end(start())[0] == 0
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
