#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Find out by trying what a container engine on this machine can do."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_probe
short_description: Try whether the container engine can run what kind needs
description:
  - Looks through the docker clients on the machine for one that reaches a daemon, preferring one of the daemon's
    own version, and runs a privileged container of a few files of the host, so no registry is needed.
  - Tries once for each start of the daemon and keeps the answer in C(/run) for that long, so that whoever needs it can
    ask. Changes nothing else. Runs in check mode too.
options: {}
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Probe the container engine
  counter.platform.engine_probe:
  register: probe
"""

RETURN = r"""
client:
  description: The docker client to use; empty when none reaches a daemon.
  returned: always
  type: str
client_version:
  description: Its version.
  returned: always
  type: str
server_version:
  description: The daemon's version.
  returned: always
  type: str
privileged:
  description: Whether a privileged container ran and ended well.
  returned: always
  type: bool
oom_score_adjustable:
  description: Whether a process in a privileged container may lower its oom_score_adj.
  returned: always
  type: bool
data_root:
  description: Folder of the daemon's images, containers and volumes; its default where there is no daemon yet.
  returned: always
  type: path
cgroup_version:
  description: The cgroup version that containers see, V(1) or V(2); 0 when unknown.
  returned: always
  type: int
reason:
  description: Why it cannot be used; empty when it can.
  returned: always
  type: str
"""

import contextlib
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.artifacts import write_whole
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run
from ansible_collections.counter.platform.plugins.module_utils.engine import FOLDERS, choose_client
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module

LABEL = "counter-platform=engine-probe"
ANSWER = Path("/run/counter-platform/engine-probe.json")
"""The last answer of a daemon that could run a privileged container; it goes when the machine is started again."""
OOM_TEST = "echo -500 2>/dev/null >/proc/self/oom_score_adj && echo adjustable || echo fixed"


def libraries(program: str) -> list[str]:
    """Return the shared objects that ``program`` loads, the loader included (source: ldd(1))."""
    return sorted(set(re.findall(r"(/\S+)\s+\(0x", run(["ldd", program]))))


def probe_root() -> bytes:
    """Return a tar with the host's shell and the libraries it loads: the smallest root that runs something."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        shell = str(Path("/bin/sh").resolve())
        for source, name in [(shell, "/bin/sh"), *((path, path) for path in libraries(shell))]:
            tar.add(Path(source).resolve(), arcname=name.lstrip("/"))
    return stream.getvalue()


def try_privileged(client: str) -> str:
    """Run a privileged container and return what its test printed: ``adjustable`` or ``fixed``."""
    # By its id: two runs at once must not take or remove each other's image.
    image = run([client, "import", f"--change=LABEL {LABEL}", "-"], stdin=probe_root()).strip()
    try:
        output = run([client, "run", "--rm", "--privileged", "--network=none", image, "/bin/sh", "-c", OOM_TEST])
    finally:
        run([client, "image", "rm", "--force", image])
    return output.strip()


def privileged_test(client: str) -> str:
    """Return what :func:`try_privileged` does, which takes a second, by trying once for each start of the daemon.

    A daemon makes its network ``bridge`` anew whenever it starts. One without that network is tried each time.
    """
    try:
        daemon = run([client, "network", "inspect", "bridge", "--format", "{{.Id}} {{.Created}}"]).strip()
    except CommandError:
        return try_privileged(client)
    if ANSWER.exists() and (kept := json.loads(ANSWER.read_text()))["daemon"] == daemon:
        return str(kept["printed"])
    printed = try_privileged(client)
    with contextlib.suppress(PermissionError):
        ANSWER.parent.mkdir(mode=0o755, exist_ok=True)
        write_whole(ANSWER, json.dumps({"daemon": daemon, "printed": printed}))
    return printed


AS_ROOT = True

ARGUMENTS: dict[str, Any] = {}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return what RETURN says; the same in check mode."""
    result: dict[str, Any] = {
        "changed": False,
        "client": "",
        "client_version": "",
        "server_version": "",
        "privileged": False,
        "oom_score_adjustable": False,
        "cgroup_version": 0,
        "data_root": "/var/lib/docker",
        "reason": "",
    }
    result.update(choose_client(FOLDERS))
    if result["client"]:
        try:
            about = run([result["client"], "info", "--format", "{{.CgroupVersion}} {{.DockerRootDir}}"])
            version, result["data_root"] = about.split(maxsplit=1)
            result["cgroup_version"], result["data_root"] = int(version), result["data_root"].strip()
            result["oom_score_adjustable"] = privileged_test(result["client"]) == "adjustable"
            result["privileged"] = True
        except CommandError as error:
            result["reason"] = str(error)
    return result


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
