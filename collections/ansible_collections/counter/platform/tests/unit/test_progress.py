"""The callback that prints what a long step is doing, in a real run of ansible-playbook."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from ansible_collections.counter.platform.tests.unit.support import COLLECTIONS

# The first task says nothing: what is in the file then is from an earlier run. The module of the collection is
# there to be packed and run as Ansible does it; the other tests run modules as files.
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Silent
      ansible.builtin.pause: {seconds: 2}
    - name: Slow
      ansible.builtin.shell: |
        for message in first second second; do
          echo "slow step: $message" >"$COUNTER_PLATFORM_CACHE/progress"
          sleep 1.6
        done
    - name: Probe
      counter.platform.disk_space:
        needs: [{path: /, gib: 1000000, remedy: Free some.}]
      register: probe
      failed_when: false
    - name: Done
      ansible.builtin.debug: {var: probe.msg}
"""


def test_what_a_step_does_is_printed_once_while_it_does_it(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    (tmp_path / "ansible.cfg").touch()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "progress").write_text("old step: of an earlier run\n")
    os.utime(tmp_path / "cache" / "progress", (1, 1))
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_CALLBACKS_ENABLED": "counter.platform.progress",
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "COUNTER_PLATFORM_CACHE": str(tmp_path / "cache"),
        "COUNTER_PLATFORM_PROGRESS_INTERVAL": "1",
        "PYTHONUNBUFFERED": "1",
    }
    command = ["ansible-playbook", "--inventory=localhost,", "--connection=local", "play.yml"]
    with subprocess.Popen(command, cwd=tmp_path, env=os.environ | settings, stdout=subprocess.PIPE, text=True) as run:
        lines = [(time.monotonic(), line.rstrip()) for line in run.stdout or ()]
    printed = "\n".join(line for _, line in lines)
    assert run.returncode == 0, printed

    def at(pattern: str) -> float:
        """Return when the only line of a pattern appeared."""
        (when,) = [when for when, line in lines if re.search(pattern, line)]
        return when

    first, second = at(r"^ +\d+ s  slow step: first$"), at(r"^ +\d+ s  slow step: second$")
    assert at(r"^TASK \[Slow\]") < first < second < at(r"^TASK \[Probe\]") - 0.5
    assert "TASK [Silent]" in printed
    assert "earlier run" not in printed
    assert "Free some." in printed, "the collection's modules do not run under Ansible"
