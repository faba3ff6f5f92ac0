"""Wrong input gives one clear error, before anything changes."""

import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.command import execute, run
from lib.docker import docker
from lib.paths import ROOT
from lib.wait import wait_for


def refused(*words: str, given: str = "", environment: dict[str, str] | None = None) -> None:
    """Run the site with something wrong, and fail unless its message has all words and nothing changed."""
    values = ["platform_environment=refused", "platform_http_port=8097", *([given] if given else [])]
    options = [option for value in values for option in ("-e", value)]
    said = execute("ansible-playbook", "-i", "inventories/local", "site.yml", *options, environment=environment)
    assert said.failed(*words, changed=0).recap("failed") == 1, said.output
    assert not (ROOT / ".state" / "refused").exists()


# A container's shared memory is 64 MiB.
SMALL = "/dev/shm/not/yet"  # noqa: S108 (nothing is written)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("image_source=pull", ["playbooks/mirror.yml fills the registry and writes the file"]),
        (f"platform_cache_dir={SMALL}", [f"{SMALL} has 0 GiB free", "COUNTER_PLATFORM_CACHE"]),
        ("counter_app_cpu_request=500m", ['counter_app_cpu_request is "500m"; use CPUs such as 100m']),
    ],
)
def test_value_that_cannot_be_used(given: str, words: list[str]) -> None:
    refused(*words, given=given)


def test_host_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 8097)):
        refused("platform_http_port is 8097, and another program listens on 127.0.0.1:8097")


def test_cluster_of_that_name_that_somebody_else_made() -> None:
    name = "counter-refused-control-plane"
    image = docker("inspect", "--format={{.Image}}", "counter-local-logs")
    docker("create", f"--name={name}", "--label=io.x-k8s.kind.cluster=counter-refused", image)
    try:
        refused(f"was not made from here ({name})", "kind_cluster_name")
        assert docker("ps", "--all", "--quiet", "--filter", f"name={name}"), "it was not left alone"
    finally:
        docker("rm", name)


@pytest.fixture
def unable_daemon() -> Iterator[str]:
    """A real daemon that cannot run privileged containers, because it maps root to somebody else."""
    # Not below pytest's own folder, which nobody but root may enter.
    with tempfile.TemporaryDirectory(prefix="counter-daemon-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o711)
        address = f"unix://{folder}/docker.sock"
        # In a network of its own: a second daemon would remove the bridge of the first.
        daemon = [
            "unshare", "--net", "dockerd", f"--host={address}", f"--data-root={folder}/data",
            f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", "--userns-remap=default", "--bridge=none",
            "--iptables=false",
        ]  # fmt: skip
        with subprocess.Popen(daemon) as process:
            try:
                asked = f"--host={address}", "version"
                wait_for("daemon", lambda: run("docker", *asked, check=False).returncode == 0, 60)
                yield address
            finally:
                process.terminate()


def test_daemon_that_cannot_run_privileged_containers(unable_daemon: str) -> None:
    environment = {"DOCKER_HOST": unable_daemon}
    refused("cannot run privileged containers", "was not modified", environment=environment)


@pytest.mark.parametrize("command", ["report", "dashboards", "logs", "backup", "restore"])
def test_command_on_an_environment_that_is_not_there(tmp_path: Path, command: str) -> None:
    file = tmp_path / "count.json"
    if command == "restore":
        file.write_text('{"count": 7}')
    said = execute("make", command, "ENVIRONMENT=staging", f"FILE={file}").failed()
    assert re.search("[Tt]here is no (environment|log host|.*/kubectl)", said.message()), said.output
    assert re.search("`?make up`? makes|playbooks/logs.yml makes it", said.message()), said.output
    assert "http://" not in said.message()
