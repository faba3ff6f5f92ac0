"""The machine as a container: it is reached by SSH, comes back with its data, and is nobody else's."""

import json
import os
import shutil
import signal
import tarfile
from collections.abc import Iterator

import pytest
from lib.command import Run, execute
from lib.docker import containers, docker
from lib.environment import NAME as ENVIRONMENT
from lib.environment import OPTIONS, turn
from lib.paths import ROOT
from lib.types import Json
from lib.wait import wait_for

NETWORK = f"counter-{ENVIRONMENT}"
NAME = f"{NETWORK}-logs"
STATE = ROOT / ".state" / ENVIRONMENT
SECRETS = STATE / "logs"


def playbook(*arguments: str, name: str = "converge") -> Run:
    # Each play logs in anew: a connection that was kept would not look at the host's key.
    anew = {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ControlPath=none"}
    with turn():
        command = ["ansible-playbook", *OPTIONS, f"molecule/log_instance/{name}.yml", *arguments]
        return execute(*command, environment=anew)


def inspect(name: str = NAME) -> Json:
    """Return what docker knows of a container."""
    found: Json = json.loads(docker("inspect", name))[0]
    return found


def endpoint() -> Json:
    """Return what docker knows of the container's place on the network."""
    return dict(inspect()["NetworkSettings"]["Networks"][NETWORK])


def running(name: str = NAME) -> bool:
    return docker("exec", name, "systemctl", "is-system-running", check=False) == "running"


def ssh(user: str, *options: str) -> Run:
    """Log in as a user, by what the role left on the controller and further options, and become root."""
    pinned = ["-o", f"UserKnownHostsFile={SECRETS}/known_hosts", "-o", f"HostKeyAlias={NAME}", "-o", "BatchMode=yes"]
    address = f"{user}@{endpoint()['IPAddress']}"
    return execute("ssh", "-F", "none", *pinned, *options, address, "sudo --non-interactive id --user")


KEY = ["-i", str(SECRETS / "ssh-key"), "-o", "IdentitiesOnly=yes"]


@pytest.fixture
def another() -> Iterator[str]:
    """A name for a container that the test makes; it is removed at the end."""
    name = f"{NETWORK}-another"
    yield name
    docker("rm", "--force", "--volumes", name, check=False)


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image as older versions made them, without an SSH server."""
    archive = tmp_path_factory.mktemp("older") / "rootfs.tar"
    tarfile.open(archive, "w").close()
    image = f"counter-platform/log-machine:older-{os.getpid()}"
    docker("import", '--change=CMD ["/sbin/init"]', str(archive), image)
    yield image
    docker("image", "rm", image, check=False)


def test_machine_is_on_the_network_and_found_by_its_name() -> None:
    found = inspect()
    assert list(found["NetworkSettings"]["Networks"]) == [NETWORK]
    seen = docker("run", "--rm", f"--network={NETWORK}", found["Config"]["Image"], "getent", "hosts", NAME)
    assert seen.split()[0] == endpoint()["IPAddress"]
    assert docker("exec", NAME, "hostname") == NAME


def test_nothing_runs_on_a_new_one_but_the_ssh_server(another: str) -> None:
    # The machine itself may have become a log host since.
    like = ["--privileged", "--cgroupns=private", "--tmpfs=/run", "--tmpfs=/tmp", inspect()["Config"]["Image"]]
    docker("run", "--detach", f"--name={another}", *like)
    wait_for("systemd", lambda: running(another), 60)
    listeners = docker("exec", another, "ss", "--no-header", "--listening", "--tcp", "--udp", "--numeric").splitlines()
    assert {line.split()[4].rpartition(":")[2] for line in listeners} == {"22"}, listeners


def test_login_is_by_the_key_alone_and_never_as_root() -> None:
    login = ssh("admin", *KEY)
    assert (login.status, login.output) == (0, "0\n"), login.output
    # What a server offers besides, it names.
    for refused in (ssh("admin", "-o", "PubkeyAuthentication=no"), ssh("root", *KEY)):
        refused.failed("Permission denied (publickey).")


def test_key_and_host_key_are_the_environments_own() -> None:
    assert SECRETS.stat().st_mode & 0o777 == 0o700
    # The log host keeps its own beside them.
    for name in ("ssh-key", "ssh-key.pub", "known_hosts"):
        assert (SECRETS / name).stat().st_mode & 0o777 == 0o600, name
    # The image has none, so that no two containers have the same.
    image = inspect()["Config"]["Image"]
    assert docker("run", "--rm", "--network=none", image, "find", "/etc/ssh", "-name", "ssh_host_*") == ""


def test_playbook_in_a_new_shell_finds_it_and_changes_nothing() -> None:
    # Whoever else may log in is named by the environment.
    named = f"SSH from {endpoint()['Gateway']}/32 to {endpoint()['IPAddress']}"
    playbook(name="host").ok(named, changed=0).ok(changed=0, host="logs")


def test_machine_that_dies_comes_back_with_its_data() -> None:
    docker("exec", NAME, "sh", "-c", "mkdir -p /var/lib/logs && echo kept >/var/lib/logs/line && sync")
    first = inspect()
    os.kill(first["State"]["Pid"], signal.SIGKILL)
    wait_for("another start", lambda: inspect()["State"]["StartedAt"] != first["State"]["StartedAt"], 30)
    wait_for("systemd", running, 60)
    assert inspect()["Id"] == first["Id"]
    assert docker("exec", NAME, "cat", "/var/lib/logs/line") == "kept"
    # By the same host key.
    assert ssh("admin", *KEY).status == 0


@pytest.mark.soak
def test_another_machine_at_its_address_is_not_logged_in_to() -> None:
    known = SECRETS / "known_hosts"
    pinned = known.read_text()
    key = (SECRETS / "ssh-key.pub").read_text().split()[1]
    known.write_text(f"{NAME} ssh-ed25519 {key}\n")
    try:
        playbook(name="host").failed("Host key verification failed")
    finally:
        known.write_text(pinned)


@pytest.mark.soak
def test_machine_that_was_stopped_is_started_also_where_the_state_is_lost() -> None:
    before = inspect()["Id"]
    docker("stop", NAME)
    playbook(name="host").failed(f"the container {NAME} is stopped. playbooks/logs.yml makes it, starts it")

    shutil.rmtree(SECRETS)
    # The container and the folder; the key, and what follows from it, can only be made in there.
    playbook("--check").ok(changed=2)
    playbook().ok("SSH from", changed=5)
    assert inspect()["Id"] == before


# A text that nobody gave before: the rootfs and the image that belong to it are nowhere, as on a fresh machine.
UNMADE = ["-e", "platform_packages_date=never"]


@pytest.mark.soak
def test_newer_rootfs_keeps_the_machine_and_says_so_in_check_mode_too() -> None:
    docker("exec", NAME, "sh", "-c", "mkdir -p /var/lib/logs && echo old >/var/lib/logs/older")
    before = inspect()
    kept = f"{NAME} was made from {before['Config']['Image']} and is kept, with its logs"
    # The rootfs and the image of a machine that would be new, and not the machine that is there.
    check = playbook("--check", *UNMADE).ok(kept, changed=2)
    assert "would be started" not in check.message()
    playbook("-e", "platform_packages_date=another-day").ok(kept, "back the logs up")
    assert inspect()["Id"] == before["Id"]
    assert docker("exec", NAME, "cat", "/var/lib/logs/older") == "old"


@pytest.mark.parametrize("state", ["present", pytest.param("absent", marks=pytest.mark.soak)])
def test_container_of_somebody_else_is_refused_and_left_alone(another: str, older: str, state: str) -> None:
    identity = docker("create", f"--name={another}", "--label=counter-platform.state=/another/clone", older)
    playbook("-e", f"log_instance_name={another}", "-e", f"log_instance_state={state}").failed(
        f'log_instance_name is "{another}", and a container of that name is not managed by this', changed=0
    )
    assert inspect(another)["Id"] == identity


@pytest.mark.soak
def test_container_of_an_older_version_is_named_and_can_be_removed(another: str, older: str) -> None:
    identity = docker("create", f"--name={another}", f"--label=counter-platform.state={STATE}", older)
    playbook("-e", f"log_instance_name={another}").failed(
        f'log_instance_name is "{another}", and the container of that name has no SSH server',
        f"`docker rm --force --volumes {another}`",
        changed=0,
    )
    assert inspect(another)["Id"] == identity

    before = inspect()["Id"]
    absent = ["-e", f"log_instance_name={another}", "-e", "log_instance_state=absent"]
    playbook(*absent, "--check").ok(changed=1)
    assert another in containers()
    playbook(*absent).ok(changed=1)
    assert another not in containers()
    # And nothing else is.
    assert inspect()["Id"] == before


@pytest.mark.soak
def test_without_the_clusters_network_it_says_what_to_do(another: str) -> None:
    nowhere = ["-e", f"log_instance_name={another}", "-e", "log_instance_network=counter-nowhere"]
    playbook(*nowhere).failed("There is no docker network counter-nowhere", "site.yml --tags cluster")
    # Before the first run there is neither a network nor an image, and check mode says what would come.
    # The rootfs, the image and the container.
    promised = f"{another} would be started from counter-platform/log-machine:"
    playbook(*nowhere, *UNMADE, "--check").ok(promised, changed=3)
    assert another not in containers()
