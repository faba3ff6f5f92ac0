"""Terraform or OpenTofu, its provider, and iac/solution as they run it."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from lib.aws import REGION
from lib.network import answers
from lib.paths import ROOT
from lib.types import Json

MODULE = ROOT / "iac" / "solution"
LAYOUT = "registry.terraform.io"
"""What a mirror of providers in a file system begins with: HOST/NAMESPACE/TYPE/VERSION/OS_ARCH."""

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
    if provider_mirror() is None and not answers(f"https://{registry}/.well-known/terraform.json"):
        _cannot_run(
            f"the provider hashicorp/aws is not to be had: no folder {LAYOUT} was found, and https://{registry} does "
            f"not answer; let this machine reach it, or put a mirror into ~/.terraform.d/plugins"
        )


def _cannot_run(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI is true: this is no reason to skip a test)", pytrace=False)
    pytest.skip(reason)


class TerraformError(Exception):
    """A command of Terraform failed; the text has what it printed."""


@dataclass(frozen=True)
class Terraform:
    """Terraform in a copy of the module."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, timeout: float = 300) -> str:
        """Run a command and return its standard output; raise :class:`TerraformError` when it fails."""
        found = program()
        assert found, "neither terraform nor tofu is in PATH"
        done = subprocess.run(
            [found, arguments[0], "-no-color", *arguments[1:]],
            cwd=self.folder,
            env={**os.environ, **self.environment, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"},
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise TerraformError(f"terraform {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

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
