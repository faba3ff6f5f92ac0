"""The docker client, as whoever runs the tests may use it."""

import os
import shutil

from lib.command import run


def docker_client() -> str | None:
    """Return the docker client, the one of the engine's package before others; None where there is none."""
    return shutil.which("docker", path=f"/usr/bin{os.pathsep}{os.environ['PATH']}")


def docker(*arguments: str, check: bool = True) -> str:
    """Run the docker client and return its output without the last newline."""
    client = docker_client()
    assert client, "there is no docker client"
    return run(client, *arguments, check=check, timeout=120).stdout.strip()


def containers() -> set[str]:
    """Return the names of all containers, stopped ones too."""
    return set(docker("ps", "--all", "--format={{.Names}}").split())


def running(container: str) -> bool:
    """Return whether a container of that name runs."""
    return container in docker("ps", "--format={{.Names}}").split()
