"""What tests need to plan and apply iac/solution: Terraform, its provider, and an AWS API on this machine.

``python tests/platform_terraform.py`` prints the paths that another machine has to have for these tests to run there.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

MODULE = Path(__file__).resolve().parent.parent / "iac" / "solution"
REGION = "eu-central-1"
STATE_BUCKET = "terraform-state"
LAYOUT = "registry.terraform.io"
"""What a mirror of providers in a file system begins with: HOST/NAMESPACE/TYPE/VERSION/OS_ARCH."""

Json = dict[str, Any]

INPUTS: Json = {
    "region": REGION,
    "environment": "test",
    "client_cidrs": ["203.0.113.0/24"],
    "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1nkGDtoXdyu0MZgDnZ3yKq5n4PGOhqLgVOyVQ5q9nn test",
}


REGISTRIES = {"terraform": LAYOUT, "tofu": "registry.opentofu.org"}
"""The programs that will do, the first in PATH is taken, and where each gets providers from."""


def program() -> str | None:
    """Return the path of Terraform or OpenTofu; nothing where neither is in PATH."""
    return next(filter(None, map(shutil.which, REGISTRIES)), None)


def provider_mirror() -> Path | None:
    """Return the folder of a mirror of providers on this machine, found by its layout; nothing where there is none.

    Looked through are the folders that Terraform itself would take one from, and those that one is put into.
    """
    home = Path.home()
    places = [home / ".terraform.d", home / ".local/share/terraform", Path("/usr/local/share"), Path("/usr/share")]
    for place in [*places, Path("/opt"), Path("/srv"), Path("/var/lib/terraform")]:
        for pattern in (LAYOUT, f"*/{LAYOUT}", f"*/*/{LAYOUT}"):
            for found in place.glob(pattern):
                if any(found.glob("hashicorp/aws/*/linux_*")):
                    return found.parent
    return None


def mounts() -> list[Path]:
    """Return what a container has to have at the same paths to run these tests: the program, and the mirror."""
    return [Path(path) for path in (program(), provider_mirror()) if path]


def require_terraform() -> None:
    """Skip the test that calls this where there is no Terraform; fail it where ``CI`` is ``true``."""
    if program() is None:
        _cannot_run("neither terraform nor tofu is in PATH: install one, from 1.10 on")


def require_provider() -> None:
    """Skip the test that calls this where Terraform or its provider is not to be had; fail it where ``CI`` is ``true``.

    A mirror that lacks the version is an error of its own, which ``init`` reports.
    """
    require_terraform()
    registry = REGISTRIES[Path(str(program())).name]
    if provider_mirror() is None and not _answers(f"https://{registry}/.well-known/terraform.json"):
        _cannot_run(
            f"the provider hashicorp/aws is not to be had: no folder {LAYOUT} was found, and https://{registry} does "
            f"not answer; let this machine reach it, or put a mirror into ~/.terraform.d/plugins"
        )


def _cannot_run(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI is true: this is no reason to skip a test)", pytrace=False)
    pytest.skip(reason)


class TerraformError(Exception):
    """A command of Terraform ended with a status that was not asked for; the text has what it printed."""


@dataclass(frozen=True)
class Command:
    """A command of Terraform that was started; what it prints goes to files in the module's folder."""

    arguments: tuple[str, ...]
    process: subprocess.Popen[bytes]
    output: Path
    errors: Path

    def end(self, *, expect: tuple[int, ...] = (0,), timeout: float = 300) -> str:
        """Wait for the end and return the standard output; raise :class:`TerraformError` at another status."""
        try:
            status = self.process.wait(timeout)
        finally:
            self.process.kill()
        if status not in expect:
            said = f"{self.output.read_text()}{self.errors.read_text()}"
            raise TerraformError(f"terraform {' '.join(self.arguments)} ended with {status}:\n{said}")
        return self.output.read_text()


@dataclass(frozen=True)
class Terraform:
    """Terraform in a copy of the module."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, expect: tuple[int, ...] = (0,), timeout: float = 300) -> str:
        """Run a command and return its standard output; raise :class:`TerraformError` at another status."""
        return self.start(*arguments).end(expect=expect, timeout=timeout)

    def start(self, *arguments: str) -> Command:
        """Start a command, to wait for its end later."""
        found = program()
        assert found, "neither terraform nor tofu is in PATH"
        output, errors = self.folder / "stdout", self.folder / "stderr"
        with output.open("w") as stdout, errors.open("w") as stderr:
            process = subprocess.Popen(
                [found, arguments[0], "-no-color", *arguments[1:]],
                cwd=self.folder,
                env={**os.environ, **self.environment, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"},
                stdout=stdout, stderr=stderr,
            )  # fmt: skip
        return Command(arguments, process, output, errors)

    def init(self, *arguments: str) -> None:
        """Fetch the provider, from a mirror where there is one and from the registry otherwise."""
        mirror = provider_mirror()
        source = [f"-plugin-dir={mirror}"] if mirror else []
        try:
            self("init", *source, *arguments)
        except TerraformError as error:
            where = f"the mirror {mirror}" if mirror else f"the registry, as no folder {LAYOUT} was found"
            raise TerraformError(f"the provider could not be taken from {where}: {error}") from error

    def plan(self, inputs: Json) -> Json:
        """Plan with inputs and return the plan as JSON."""
        self.give(inputs)
        self("plan", "-out=made.tfplan")
        planned: Json = json.loads(self("show", "-json", "made.tfplan"))
        return planned

    def give(self, inputs: Json) -> None:
        """Write the inputs to where Terraform reads them by itself."""
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(inputs))


def copy_of(module: Path, folder: Path) -> Path:
    """Return a copy of a module with its lock and, where it was initialised, its provider."""
    left_out = shutil.ignore_patterns("*.tfstate*", "*.tfplan", "terraform.tfvars.json")

    def ignore(inside: str, names: list[str]) -> set[str]:
        # What is deeper belongs to the initialisation; a file there has the name of a state too.
        return left_out(inside, names) if Path(inside) == module else set()

    return Path(shutil.copytree(module, folder, symlinks=True, ignore=ignore))


@dataclass(frozen=True)
class Aws:
    """An AWS API on this machine: moto's server."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What makes every client of AWS go there and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str) -> Any:
        """Return a client of a service."""
        import boto3

        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, **keys)

    def backend(self) -> list[str]:
        """Return the arguments of ``init`` for a state in this API's bucket."""
        settings = {"bucket": STATE_BUCKET, "key": "loki.tfstate", "region": REGION, "use_path_style": "true"}
        return [f"-backend-config={name}={value}" for name, value in {**settings, "use_lockfile": "true"}.items()]


@contextmanager
def aws(log: Path, address: str = "127.0.0.1") -> Iterator[Aws]:
    """Run moto's server on a free port of an address of this machine, with a bucket for states in it."""
    with socket.create_server((address, 0)) as free:
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "moto_server"
    # Without these there is no AmazonSSMManagedInstanceCore.
    environment = {**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
    with log.open("w") as output:
        server = subprocess.Popen(
            [program, "--host", address, "--port", str(port)], env=environment, stdout=output, stderr=output
        )
        try:
            api = Aws(f"http://{address}:{port}")
            _wait_for(server, api, log)
            place = {"LocationConstraint": REGION}
            api.client("s3").create_bucket(Bucket=STATE_BUCKET, CreateBucketConfiguration=place)
            yield api
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait_for(server: subprocess.Popen[bytes], api: Aws, log: Path) -> None:
    deadline = time.monotonic() + 60
    while not _answers(f"{api.url}/moto-api/data.json"):
        assert server.poll() is None, f"moto's server ended: {log.read_text()}"
        assert time.monotonic() < deadline, f"moto's server did not answer within 60 s: {log.read_text()}"
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 # of this machine, or a registry's
            return True
    except OSError:
        return False


if __name__ == "__main__":
    for mount in mounts():
        print(mount)
