"""The callback that prints what a long step is doing, in a real run of ansible-playbook."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.callback.progress import default_cache
from ansible_collections.counter.platform.tests.unit.support import COLLECTIONS

SLOW = """
#!/usr/bin/python
import time
from pathlib import Path
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.counter.platform.plugins.module_utils.artifacts import Progress

module = AnsibleModule(argument_spec={"cache": {"type": "path"}, "messages": {"type": "list", "elements": "str"}})
progress = Progress(Path(module.params["cache"]), "slow step")
for message in module.params["messages"]:
    progress(message)
    time.sleep(1.6)
module.exit_json(changed=False)
"""

# The first task says nothing: what is in the file then is from an earlier run. The module of the collection is
# there to be packed and run as Ansible does it; the other tests run modules as files.
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Silent
      ansible.builtin.pause: {seconds: 2}
    - name: Slow
      slow:
        cache: "{{ lookup('ansible.builtin.env', 'COUNTER_PLATFORM_CACHE') }}"
        messages: [first, second, second]
    - name: Probe
      counter.platform.engine_probe: {search_path: [/nowhere]}
      register: probe
    - name: Done
      ansible.builtin.debug: {var: probe.reason}
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[float, str]]:
    """Return the lines that a run printed, each with the second in which it appeared."""
    folder = tmp_path_factory.mktemp("playbook")
    (folder / "library").mkdir()
    (folder / "library" / "slow.py").write_text(SLOW.lstrip())
    (folder / "ansible.cfg").write_text("[defaults]\n")
    (folder / "play.yml").write_text(PLAYBOOK)
    (folder / "cache").mkdir()
    (folder / "cache" / "progress").write_text("old step: of an earlier run\n")
    os.utime(folder / "cache" / "progress", (1, 1))
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_CALLBACKS_ENABLED": "counter.platform.progress",
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "COUNTER_PLATFORM_CACHE": str(folder / "cache"),
        "COUNTER_PLATFORM_PROGRESS_INTERVAL": "1",
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local", "play.yml"],
        cwd=folder,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    lines = []
    with process:
        for line in process.stdout or ():
            lines.append((time.monotonic(), line.rstrip()))
    assert process.returncode == 0, "\n".join(line for _, line in lines)
    return lines


def _at(output: list[tuple[float, str]], pattern: str) -> list[float]:
    return [when for when, line in output if re.search(pattern, line)]


def test_what_a_step_does_is_printed_while_it_does_it(output: list[tuple[float, str]]) -> None:
    first, second = _at(output, r"^ +\d+ s  slow step: first$"), _at(output, r"^ +\d+ s  slow step: second$")
    (begun,), (ended,) = _at(output, r"^TASK \[Slow\]"), _at(output, r"^TASK \[Probe\]")
    assert len(first) == 1
    assert begun < first[0] < second[0] < ended - 0.5


def test_the_same_message_is_printed_once(output: list[tuple[float, str]]) -> None:
    assert len(_at(output, "slow step: second")) == 1


def test_what_an_earlier_run_wrote_is_not_printed(output: list[tuple[float, str]]) -> None:
    assert _at(output, r"^TASK \[Silent\]")
    assert not _at(output, "earlier run")


def test_the_collections_modules_run_under_ansible(output: list[tuple[float, str]]) -> None:
    assert _at(output, "no docker client is installed")


def test_the_default_cache_follows_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_cache() == Path("/home/somebody/.cache/counter-platform")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert default_cache() == Path("/caches/counter-platform")
