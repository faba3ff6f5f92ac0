"""Wrong input gives one clear error, before anything changes."""

import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.command import Run, execute
from lib.docker import docker
from lib.paths import ROOT
from lib.wait import wait_for


def refused(*arguments: str, environment: dict[str, str] | None = None) -> Run:
    """Run the site with something wrong and make sure that nothing changed."""
    run = execute(
        "ansible-playbook", "-i", "inventories/local", "site.yml",
        "-e", "platform_environment=refused", "-e", "platform_http_port=8097", *arguments,
        environment=environment,
    ).failed(changed=0)  # fmt: skip
    assert run.recap("failed") == 1, run.output
    assert not (ROOT / ".state" / "refused").exists()
    return run


def test_pull_without_a_lock_file() -> None:
    message = refused("-e", "image_source=pull").message()
    assert "playbooks/mirror.yml fills the registry and writes the file" in message


def test_disk_too_small_for_a_cache_that_is_not_there_yet() -> None:
    # A container's shared memory is 64 MiB.
    folder = Path("/dev/shm") / "not" / "yet"  # noqa: S108 (nothing is written)
    message = refused("-e", f"platform_cache_dir={folder}").message()
    assert f"{folder} has 0 GiB free" in message
    assert "COUNTER_PLATFORM_CACHE" in message


def test_host_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 8097)):
        message = refused().message()
    assert "listens on 127.0.0.1:8097 already" in message
    assert "platform_http_port" in message


def test_value_that_a_role_cannot_use() -> None:
    message = refused("-e", "counter_app_cpu_request=500m").message()
    assert "counter_app_cpu_request" in message
    assert "more than nothing and not more than the limit" in message


def test_cluster_of_that_name_that_somebody_else_made() -> None:
    name = "counter-refused-control-plane"
    with subprocess.Popen(["tar", "--create", "--files-from=/dev/null"], stdout=subprocess.PIPE) as empty:
        subprocess.run(["docker", "import", "-", "counter-refused:latest"], stdin=empty.stdout, check=True)
    label = "io.x-k8s.kind.cluster=counter-refused"
    docker("create", "--name", name, "--label", label, "counter-refused:latest", "none")
    try:
        message = refused().message()
        assert f"not made from here ({name})" in message
        assert "kind_cluster_name" in message
        assert docker("ps", "--all", "--quiet", "--filter", f"name={name}"), "it was not left alone"
    finally:
        docker("rm", "--force", name)
        docker("image", "rm", "counter-refused:latest")


@pytest.fixture
def unable_daemon() -> Iterator[str]:
    """A real daemon that cannot run privileged containers, because it maps root to somebody else."""
    # Not below pytest's own folder, which nobody but root may enter.
    folder = Path(tempfile.mkdtemp(prefix="counter-daemon-", dir="/var/tmp"))  # mkdtemp makes the name
    folder.chmod(0o711)
    address = f"unix://{folder}/docker.sock"
    log = (folder / "log").open("w")
    daemon = subprocess.Popen(
        [
            # In a network of its own: a second daemon would remove the bridge of the first.
            "unshare", "--net", "dockerd", f"--host={address}",
            f"--data-root={folder}/data", f"--exec-root={folder}/exec",
            f"--pidfile={folder}/pid", "--userns-remap=default", "--bridge=none", "--iptables=false",
        ],
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        answers = ["docker", f"--host={address}", "version"]
        wait_for("daemon", lambda: subprocess.run(answers, capture_output=True, check=False).returncode == 0, 60)
        yield address
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)
        log.close()
        shutil.rmtree(folder)


def test_daemon_that_cannot_run_privileged_containers(unable_daemon: str) -> None:
    message = refused(environment={"DOCKER_HOST": unable_daemon}).message()
    assert "cannot run privileged containers" in message
    assert "it was left as it is" in message


@pytest.mark.parametrize("command", ["report", "dashboards", "logs", "backup", "restore"])
def test_command_on_an_environment_that_is_not_there(tmp_path: Path, command: str) -> None:
    file = tmp_path / "count.json"
    if command == "restore":
        file.write_text('{"count": 7}')
    run = execute("make", command, "ENVIRONMENT=staging", f"FILE={file}").failed()
    assert re.search("[Tt]here is no (environment|log host|.*/kubectl)", run.message()), run.output
    assert re.search("(make up`?|playbooks/logs.yml) makes it", run.message()), run.output
    assert "http://" not in run.message()
