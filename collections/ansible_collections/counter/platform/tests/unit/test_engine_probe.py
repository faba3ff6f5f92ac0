"""What a container engine can do, found by trying."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.module_utils.engine import choose_client
from ansible_collections.counter.platform.plugins.modules import engine_probe
from ansible_collections.counter.platform.plugins.modules.engine_probe import LABEL, try_privileged
from ansible_collections.counter.platform.tests.unit.support import Docker, RunModule
from lib.wait import wait_until_none

NO_CLIENT = "no docker client is installed"


def images(docker: Docker) -> set[str]:
    """Return the ids of the probe's images."""
    return set(docker("image", "ls", "--quiet", f"--filter=label={LABEL}").split())


def test_a_client_that_cannot_be_executed_is_none(tmp_path: Path) -> None:
    (tmp_path / "docker").touch(0o600)
    assert choose_client([str(tmp_path)]) == {"reason": NO_CLIENT}


def test_a_client_that_reaches_no_daemon_says_why(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    answer = choose_client([str(Path(docker.client).parent)])
    assert set(answer) == {"reason"}
    assert docker.client in answer["reason"]
    assert "/nowhere/docker.sock" in answer["reason"]


def test_a_broken_client_is_passed_over(docker: Docker, tmp_path: Path) -> None:
    shutil.copy("/bin/false", tmp_path / "docker")
    answer = choose_client([str(tmp_path), str(Path(docker.client).parent)])
    assert answer["client"] == str(Path(docker.client).resolve())


def test_the_versions_are_those_that_the_client_reports(docker: Docker) -> None:
    client = str(Path(docker.client).resolve())
    versions = docker("version", "--format", "{{.Client.Version}} {{.Server.Version}}").split()
    found = dict(zip(("client", "client_version", "server_version"), (client, *versions), strict=True))
    assert choose_client([str(Path(client).parent)]) == found


def test_a_client_of_the_daemons_own_version_wins(docker: Docker, tmp_path: Path) -> None:
    server = docker("version", "--format", "{{.Server.Version}}")
    folders = []
    for version in (server, "0.1"):
        client = tmp_path / version / "docker"
        client.parent.mkdir()
        # The machine's client, under another version.
        client.write_text(f'#!/bin/sh\nanswer=$({docker.client} "$@") && echo "{version} ${{answer#* }}"\n')
        client.chmod(0o755)
        folders.append(str(client.parent))
    for order in (folders, folders[::-1]):
        assert choose_client(order)["client"] == f"{folders[0]}/docker"
    # Without one, any that reaches the daemon will do.
    assert choose_client(folders[1:])["client"] == f"{folders[1]}/docker"


def test_runs_at_once_have_an_image_each(docker: Docker) -> None:
    """With one name for all, some lose it to another's, are never removed, or are not there any more."""
    before = images(docker)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(try_privileged, [docker.client] * 8)) <= {"adjustable", "fixed"}
    # Another job's run may try the same engine meanwhile.
    wait_until_none("the probes' images", lambda: images(docker) - before)


@pytest.mark.parametrize("check", [False, True])
def test_this_machines_engine(run_module: RunModule, docker: Docker, check: bool) -> None:
    before = images(docker)
    result = run_module("engine_probe", check=check)
    assert not result["changed"]
    assert result["client_version"]
    assert result["cgroup_version"] == int(docker("info", "--format", "{{.CgroupVersion}}"))
    assert result["privileged"] == (result["reason"] == "")
    wait_until_none("the probe's image", lambda: images(docker) - before)
    if os.geteuid() == 0 and result["privileged"]:
        own = Path("/proc/self/oom_score_adj")
        adjustment = own.read_text()
        try:
            own.write_text("-500")
            own.write_text(adjustment)
            adjustable = True
        except OSError:
            adjustable = False
        # Root on the machine itself can do what a privileged container can.
        assert result["oom_score_adjustable"] == adjustable


def test_no_engine_is_an_answer_and_no_error(run_module: RunModule) -> None:
    result = run_module("engine_probe", env={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert (result["client"], result["privileged"]) == ("", False)
    assert "/nowhere/docker.sock" in result["reason"] or result["reason"] == NO_CLIENT


def test_a_daemon_is_tried_once_for_each_of_its_starts(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def try_privileged(client: str) -> str:
        tries.append(client)
        return "fixed"

    monkeypatch.setattr(engine_probe, "try_privileged", try_privileged)
    monkeypatch.setattr(engine_probe, "ANSWER", tmp_path / "folder" / "answer.json")
    for _ in range(2):
        assert engine_probe.privileged_test(docker.client) == "fixed"
    assert len(tries) == 1
    kept = json.loads(engine_probe.ANSWER.read_text())
    engine_probe.ANSWER.write_text(json.dumps(kept | {"daemon": "an earlier start"}))
    assert engine_probe.privileged_test(docker.client) == "fixed"
    assert len(tries) == 2
