"""Bare machines: systemd containers with a copy of the project and nothing but the prerequisites of the README."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lib.command import Run, execute, run
from lib.docker import docker_client
from lib.paths import CACHE, ROOT
from lib.wait import wait_for

PROJECT = "/srv/counter-platform"
REPORTS = "/srv/reports"
HOME_CACHE = "/root/.cache/counter-platform"
# What the package clients of this machine are set up with: a bare machine on the same network needs the same.
CLIENT_SETTINGS = [
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "GOPROXY", "GOSUMDB", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL",
]  # fmt: skip
CERTIFICATES = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE"]
BUNDLE = "/etc/machine-ca.crt"
ASK = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/', timeout=10).read().decode())"
OWNER_LABEL = "counter-platform.test"


class MachineError(Exception):
    """A machine cannot be started; the text says why and what to do."""


def client() -> list[str]:
    """Return what calls the docker client, by sudo where only root may talk to the engine."""
    return [*([] if os.geteuid() == 0 else ["sudo"]), docker_client() or "docker"]


def engine(*arguments: str, check: bool = True) -> str:
    """Run the docker client and return its output.

    Raises :class:`MachineError` with what it said when it fails and ``check`` is set.
    """
    try:
        done = subprocess.run([*client(), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        if check:
            raise MachineError("there is no docker client") from error
        return ""
    if check and done.returncode != 0:
        raise MachineError(f"docker {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def engine_answers() -> bool:
    """Return whether a daemon answers: a client alone may be there without one."""
    return bool(engine("version", "--format={{.Server.Version}}", check=False))


def uplink_mtu() -> int:
    """Return how many bytes a packet on this machine's way out may have."""
    routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]
    return min(
        (int(Path(f"/sys/class/net/{route[0]}/mtu").read_text()) for route in routes if route[1] == "0" * 8),
        default=1500,
    )


def commit() -> str:
    """Return the commit of the project, also of a copy that :func:`copy_project` has made."""
    if shutil.which("git"):
        asked = run("git", "rev-parse", "HEAD", check=False)
        if asked.returncode == 0:
            return asked.stdout.strip()
    return (ROOT / ".git/HEAD").read_text().strip()


def copy_project(target: Path) -> None:
    """Copy the project without what git ignores and without its history."""
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
    shutil.copytree(ROOT, target, symlinks=True, ignore=shutil.ignore_patterns(".git", *ignored))
    # By this file Molecule knows where a clone begins, and finds .config/molecule/config.yml; a bundle goes with the
    # commit in it.
    (target / ".git").mkdir()
    (target / ".git/HEAD").write_text(f"{commit()}\n")


@dataclass(frozen=True)
class Machine:
    """A bare machine with a copy of the project below ``PROJECT``.

    A label of the container says whose it is: one of that name with another owner is never touched.
    """

    name: str
    owner: str

    def is_there(self) -> bool:
        """Return whether a container has the name."""
        return bool(engine("ps", "--all", "--quiet", f"--filter=name=^{self.name}$"))

    def refuse_strangers(self) -> None:
        """Raise :class:`MachineError` when somebody else's container has the name."""
        label = f'{{{{index .Config.Labels "{OWNER_LABEL}"}}}}'
        if self.is_there() and engine("inspect", f"--format={label}", self.name) != self.owner:
            raise MachineError(
                f"There is a container {self.name} that was not made from here. It was left as it is. Remove it with "
                f"`docker rm --force --volumes {self.name}` if nobody needs it."
            )

    def start(self, suite: str, mounts: list[Path], *, cache: Path | None = CACHE, network: bool = True) -> None:
        """Start it with a Debian release and return when systemd has started everything.

        It sees the mounts of this machine at the same paths, read-only. Without a cache to share it has an empty one.

        Raises :class:`MachineError` if the name is somebody else's, or systemd does not come up within a minute.
        """
        self.refuse_strangers()
        self.remove()
        bundle = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
        engine(
            "run", "--detach", f"--name={self.name}", f"--hostname={suite}", f"--label={OWNER_LABEL}={self.owner}",
            "--env=COUNTER_PLATFORM_TEST_MACHINE=1", "--privileged", "--cgroupns=private",
            "--tmpfs=/run", "--tmpfs=/tmp:exec", "--volume=/var/lib/docker",
            f"--volume={f'{cache}:' if cache else ''}{HOME_CACHE}", f"--volume={bundle}:{BUNDLE}:ro",
            *([] if network else ["--network=none"]),
            *(f"--volume={path}:{path}:ro" for path in mounts),
            f"counter-platform/machine:{suite}",
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "counter-platform"
            copy_project(copy)
            self.take(copy)

        def started() -> bool:
            state = engine("exec", self.name, "systemctl", "is-system-running", check=False)
            return state in ("running", "degraded")

        try:
            wait_for("systemd", started, 60)
        except TimeoutError as error:
            raise MachineError(f"{error}: `docker exec {self.name} systemctl` says more") from error
        if not network:
            return
        # docker's networks have 1500 whatever the way out has. A machine in a machine in a machine does not hear that
        # its packets are too large: who says so has an address that is also one of its neighbour's own.
        engine("exec", self.name, "ip", "link", "set", "dev", "eth0", "mtu", str(uplink_mtu()))

    def take(self, project: Path) -> None:
        """Put a copy of the project in the place of the machine's, whose state is kept."""
        engine("cp", f"{project}/.", f"{self.name}:{PROJECT}")

    def command(self, *command: str, environment: dict[str, str] | None = None) -> list[str]:
        """Return what runs a command in the machine's copy of the project, with this machine's client settings."""
        settings = {key: os.environ[key] for key in CLIENT_SETTINGS if key in os.environ}
        settings |= {key: BUNDLE for key in CERTIFICATES if key in os.environ}
        settings |= environment or {}
        options = [option for key, value in settings.items() for option in ("--env", f"{key}={value}")]
        return [*client(), "exec", f"--workdir={PROJECT}", *options, self.name, *command]

    def run(self, *command: str, environment: dict[str, str] | None = None, timeout: float = 3600) -> Run:
        """Run a command in its copy of the project to its end, whatever its status."""
        settings = {"ANSIBLE_NOCOLOR": "1", **(environment or {})}
        return execute(*self.command(*command, environment=settings), timeout=timeout)

    def count(self) -> int:
        """Send a request that counts from the machine itself, and return its number."""
        return int(json.loads(self.run("python3", "-c", ASK).output)["count"])

    def copy_out(self, source: str, target: Path) -> None:
        """Put a copy of one of its folders in the place of a folder, as files of whoever calls; without one, nothing.

        The docker client would make files of its own user, which may be root by sudo.
        """
        shutil.rmtree(target, ignore_errors=True)
        copy = subprocess.run([*client(), "cp", f"{self.name}:{source}", "-"], capture_output=True, check=False)
        if copy.returncode == 0:
            target.mkdir(parents=True)
            unpack = ["tar", "--extract", "--no-same-owner", "--strip-components=1", f"--directory={target}"]
            subprocess.run(unpack, input=copy.stdout, check=True)

    def give_back_cache(self) -> None:
        """Give what the machine's root has left in the cache to whoever calls, who could not remove it otherwise."""
        if (user := os.geteuid()) != 0:
            owner = f"{user}:{os.getegid()}"
            engine("exec", self.name, "chown", "--recursive", "--from=0", "--no-dereference", owner, HOME_CACHE)

    def remove(self) -> None:
        """Remove it with its volumes, if it is there."""
        engine("rm", "--force", "--volumes", self.name, check=False)


def make_image(suite: str) -> None:
    """Make the image of bare machines of a Debian release; install the container engine where there is none.

    An image that was made by the same files is not made again.

    Raises :class:`MachineError` when that fails; the output of the play is on standard error then.
    """
    play, packages = "molecule/shared/machine_images.yml", "roles/platform/defaults/main/artifacts.yml"
    content = b"".join((ROOT / file).read_bytes() for file in (play, packages, "molecule/shared/machine.Dockerfile"))
    image = f"counter-platform/machine:{suite}"
    made = f"{image}-{hashlib.sha256(content).hexdigest()[:12]}"
    there = engine("image", "inspect", "--format={{.Id}}", image, made, check=False).split()
    if len(there) == 2 and there[0] == there[1]:
        return
    # In an environment of its own: whoever runs this may be at work on another.
    values = json.dumps({"machine_suites": [suite], "platform_environment": "machines"})
    done = execute("ansible-playbook", play, "-e", values, timeout=3600)
    if done.status != 0:
        print(done.output, file=sys.stderr)
        raise MachineError("the image of the test machine could not be made; see above")
    engine("tag", image, made)
