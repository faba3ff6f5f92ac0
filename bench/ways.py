"""How long `make up` takes by each way that images come, on a bare machine with nothing in its cache.

Each way has a machine of its own, a container as bare as the README's prerequisites allow, and they take turns. What
fills the registry, and the bundle, come from this machine, which has to have a clean clone.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from lib.command import execute
from lib.machine import ASK, Machine, engine, make_image
from lib.registry import registry


@dataclass(frozen=True)
class Way:
    """A way that images come.

    Attributes:
        name: of it.
        arguments: of `make up`.
        environment: variables that it has besides.
        mounts: what of this machine it needs.
        network: whether it needs one.
    """

    name: str
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    mounts: list[Path] = field(default_factory=list)
    network: bool = True


def measured(way: Way) -> tuple[float, float]:
    """Return seconds until the first answer and until the end, on a machine that is removed afterwards."""
    machine = Machine(f"counter-bench-{way.name}", "bench/ways.py")
    machine.start("bookworm", way.mounts, cache=None, network=way.network)
    ended = threading.Event()
    answered: list[float] = []
    started = time.monotonic()

    def ask() -> None:
        question = machine.command("python3", "-c", ASK)
        while not ended.wait(2):
            if subprocess.run(question, capture_output=True, check=False).returncode == 0:
                answered.append(time.monotonic() - started)
                return

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        run = machine.run("make", "up", *way.arguments, environment=way.environment, timeout=7200)
    finally:
        ended.set()
        asking.join()
        machine.remove()
    if run.status != 0 or not answered:
        raise SystemExit(f"make up {' '.join(way.arguments)} failed:\n{run.output}")
    return answered[0], run.seconds


def made(*command: str, **environment: str) -> None:
    """Run what a way needs before it can begin."""
    run = execute(*command, environment=environment, timeout=7200)
    if run.status != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{run.output}")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="*", default=["build", "pull", "bundle"], help="build, pull or bundle")
    options = parser.parse_args()
    make_image("bookworm")
    gateway = engine("network", "inspect", "bridge", "--format={{(index .IPAM.Config 0).Gateway}}")
    rows: list[tuple[str, float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if "build" in options.ways:
            rows.append(("build", *measured(Way("build", ["ARGS=-e image_source=build"]))))
        if "pull" in options.ways:
            names = "names=docker-registry,apache2-utils,skopeo"
            made("ansible", "localhost", "--become", "-m", "counter.platform.apt_packages", "-a", names)
            with registry(folder, gateway) as login:
                lock = folder / "images.lock.yml"
                secret = {"IMAGE_REGISTRY_PASSWORD": login.password}
                made("ansible-playbook", "playbooks/mirror.yml", *login.options(lock), **secret)
                arguments = ["ARGS=-e image_source=pull " + " ".join(login.options(lock))]
                rows.append(("pull", *measured(Way("pull", arguments, {**secret, "GOPROXY": "off"}, [folder]))))
        if "bundle" in options.ways:
            bundle = folder / "platform.bundle"
            made("make", "bundle", f"FILE={bundle}")
            size = bundle.stat().st_size / 1e9
            way = Way("bundle", [f"BUNDLE={bundle}"], mounts=[folder], network=False)
            rows.append((f"bundle, {size:.2f} GB", *measured(way)))
    print("| way | first counted request, s | logs and metrics, s |\n|---|---|---|")
    for label, first, whole in rows:
        print(f"| {label} | {first:.0f} | {whole:.0f} |")


if __name__ == "__main__":
    main()
