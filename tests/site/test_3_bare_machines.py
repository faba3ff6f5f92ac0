"""The two commands on machines that have nothing but the prerequisites: Debian 12 and 13, as systemd containers."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from platform_cluster import CACHE, docker, wait_for
from platform_run import Run, execute

# What the package clients of this machine are set up with: a bare machine on the same network needs the same.
CLIENT_SETTINGS = [
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "GOPROXY", "GOSUMDB", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL",
]  # fmt: skip
CERTIFICATES = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE"]
BUNDLE = "/etc/machine-ca.crt"
READ = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/', timeout=10).read().decode())"


class Machine:
    """A bare machine with a copy of the project."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str, user: str = "root", environment: dict[str, str] | None = None) -> Run:
        """Run a command in the copy of the project."""
        settings = {key: os.environ[key] for key in CLIENT_SETTINGS if key in os.environ}
        settings |= {key: BUNDLE for key in CERTIFICATES if key in os.environ}
        settings |= {"ANSIBLE_NOCOLOR": "1", **(environment or {})}
        options = [option for key, value in settings.items() for option in ("--env", f"{key}={value}")]
        return execute(
            "docker", "exec", f"--user={user}", "--workdir=/srv/counter-platform", *options, self.name, *command,
            timeout=1500,
        )  # fmt: skip

    def count(self) -> int:
        """Send a request that counts from the machine itself and return its number."""
        return int(json.loads(self.run("python3", "-c", READ).output)["count"])


@pytest.fixture(scope="module")
def images() -> None:
    """The images of the machines."""
    run = execute("ansible-playbook", "molecule/shared/machine_images.yml")
    assert run.status == 0, run.output


@pytest.fixture
def machine(images: None, clean_copy: Path) -> Iterator[Callable[[str], Machine]]:
    """Start a machine of a Debian release; it is removed at the end."""
    started: list[str] = []

    def start(suite: str) -> Machine:
        name = f"counter-bare-{suite}"
        docker("rm", "--force", "--volumes", name, check=False)
        started.append(name)
        bundle = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
        docker(
            "run", "--detach", f"--name={name}", f"--hostname={suite}", "--privileged", "--cgroupns=private",
            "--tmpfs=/run", "--tmpfs=/tmp", "--volume=/var/lib/docker",
            f"--volume={CACHE}:/root/.cache/counter-platform", f"--volume={bundle}:{BUNDLE}:ro",
            f"counter-platform/machine:{suite}",
        )  # fmt: skip
        docker("cp", str(clean_copy), f"{name}:/srv/counter-platform")
        states = {"running", "degraded"}
        wait_for("systemd", lambda: docker("exec", name, "systemctl", "is-system-running", check=False) in states, 60)
        return Machine(name)

    yield start
    for name in started:
        docker("rm", "--force", "--volumes", name)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_up_on_a_bare_machine(machine: Callable[[str], Machine], suite: str) -> None:
    bare = machine(suite)
    assert bare.run("sh", "-c", "command -v docker kind kubectl go").output == ""

    run = bare.run("make", "up")
    assert run.status == 0, run.output
    first = bare.count()
    assert bare.count() == first + 1

    nodes = bare.run(".state/local/bin/kubectl", "--kubeconfig=.state/local/kubeconfig", "get", "nodes", "--no-headers")
    assert nodes.output.split()[1] == "Ready"

    again = bare.run("make", "up")
    assert again.recap("changed") == 0, again.output

    down = bare.run("make", "down")
    assert down.status == 0, down.output
    assert bare.run("docker", "ps", "--all", "--quiet").output == ""


def test_user_who_cannot_become_root_is_told(machine: Callable[[str], Machine]) -> None:
    bare = machine("bookworm")
    assert bare.run("make", "venv").status == 0
    bare.run("useradd", "--create-home", "somebody")
    run = bare.run("make", "up", user="somebody", environment={"HOME": "/home/somebody", "USER": "somebody"})
    assert run.status != 0
    assert "somebody cannot become root here" in run.message()
    assert "ARGS=--ask-become-pass" in run.message()
    assert run.recap("changed") == 0
