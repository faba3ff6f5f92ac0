"""How long a run takes that changes nothing, by this checkout and by earlier ones, on one standing cluster.

They take turns. Each runs twice in its turn: the first time puts right what the other ones would have
otherwise, the second is measured, and counts only when it changed nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLAYBOOKS = ("site.yml", "app")


@contextmanager
def checkout(reference: str) -> Iterator[Path]:
    """Check out a commit beside this one for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "counter-platform"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(target), reference], check=True)
        try:
            yield target
        finally:
            subprocess.run([*git, "remove", "--force", str(target)], check=True)


def run(checkout: Path, playbook: str, environment: str) -> tuple[float, float, list[str]]:
    """Run a playbook of a checkout, or its service with the prerequisites, on this checkout's environment.

    Return its seconds, those of processor time of all that it started itself, and the tasks that changed something.
    """
    if playbook == "app":
        # Before there were tags, the playbook ran its prerequisites itself.
        alone = (checkout / "playbooks/tasks/needed.yml").exists()
        words = ["playbooks/app.yml"] if alone else ["site.yml", "--tags=app"]
    else:
        words = [playbook]
    command = [
        str(ROOT / ".venv/bin/ansible-playbook"),
        f"--inventory=inventories/{environment}",
        *words,
        f"--extra-vars=platform_state_dir={ROOT / '.state' / environment}",
    ]
    # As `make` starts it: compiled bytecode is kept.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    variables |= {"PATH": f"{ROOT / '.venv/bin'}{os.pathsep}{variables['PATH']}", "ANSIBLE_NOCOLOR": "1"}
    started, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=checkout, env=variables, capture_output=True, text=True, check=False)
    seconds, now = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} in {checkout} failed:\n{done.stdout[-3000:]}{done.stderr}")
    changed = re.findall(r"^TASK \[(.+)\] \**\n(?:changed: )", done.stdout, flags=re.MULTILINE)
    return seconds, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, changed


def measured(checkout: Path, playbook: str, environment: str) -> tuple[float, float]:
    """Return the seconds, and those of processor time, of a run that changes nothing."""
    run(checkout, playbook, environment)
    seconds, processor, changed = run(checkout, playbook, environment)
    if changed:
        sys.exit(f"{playbook} in {checkout} changed something again, so its time says nothing: {', '.join(changed)}")
    return seconds, processor


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--before", nargs="+", default=["9e6370c"], help="commits to compare with, oldest first (default: 9e6370c)"
    )
    parser.add_argument("--environment", default="local", help="environment that stands (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default: %(default)s)")
    arguments = parser.parse_args()
    if not (ROOT / ".state" / arguments.environment / "kubeconfig").exists():
        sys.exit(f"environment {arguments.environment} does not stand; run make up first")
    with ExitStack() as stack:
        folders = {reference: stack.enter_context(checkout(reference)) for reference in arguments.before}
        folders["this checkout"] = ROOT
        print(f"{'playbook':20}{'':16}{'s':>6}{'ratio':>7}{'processor s':>13}{'ratio':>7}  seconds of each round")
        for playbook in PLAYBOOKS:
            rounds = [
                [measured(folder, playbook, arguments.environment) for folder in folders.values()]
                for _ in range(arguments.rounds)
            ]
            medians = [
                [statistics.median(side) for side in zip(*turns, strict=True)] for turns in zip(*rounds, strict=True)
            ]
            for number, name in enumerate(folders):
                elapsed, processor = medians[number]
                ratios = elapsed / medians[0][0], processor / medians[0][1]
                each = ", ".join(f"{turn[number][0]:.1f}" for turn in rounds)
                print(
                    f"{playbook:20}{name:16}{elapsed:6.1f}{ratios[0]:7.2f}{processor:13.1f}{ratios[1]:7.2f}  {each}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
