"""Prove the project in a throwaway machine, so that nothing on this one helps the proof or is touched by it.

The machine is a systemd container with a container engine of its own, as bare as the README's prerequisites allow. It
has a copy of the project and one thing of this machine: the cache of downloads and results, which goes by content. Out
here there is only what has to hold it: the controller's tools, a container engine and the machine's image.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from lib.command import run
from lib.machine import PROJECT, Machine, MachineError, engine_answers, make_image
from lib.machine import REPORTS as MACHINE_REPORTS
from lib.paths import CACHE, ROOT
from lib.terraform import mounts

from tools.summary import RECORD

REPORTS = ROOT / ".state" / "test"
DISK_GIB = 20


def machine() -> Machine:
    """Return the machine of this clone."""
    return Machine(f"counter-test-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}", str(ROOT))


def preflight() -> None:
    """Raise :class:`MachineError` where it cannot work here, before anything is started."""
    CACHE.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(CACHE).free // 2**30
    if free < DISK_GIB:
        raise MachineError(f"{CACHE} is on a disk with {free} GiB free, and {DISK_GIB} are needed: free some")
    if os.geteuid() != 0 and not shutil.which("sudo"):
        raise MachineError("a container engine needs root, and there is no sudo: run as root")


def jobs_of(suite: str) -> list[str]:
    """Return the names of a suite's jobs."""
    return run("make", "--no-print-directory", f"--file=tests/jobs/{suite}.mk", "names").stdout.split()


def check_names(suite: str, names: list[str]) -> None:
    """Raise :class:`MachineError` where a suite has no job of a name."""
    known = jobs_of(suite)
    if unknown := sorted(set(names) - {*known, "roles"}):
        raise MachineError(f"make {suite} has no job {', '.join(unknown)}; it has {', '.join(known)}")


def keep_record() -> None:
    """Write what a soak has left into the record in the tree, beside what other jobs have there."""
    if (left := REPORTS / "soak.json").exists():
        kept = json.loads(RECORD.read_text()) if RECORD.exists() else {}
        RECORD.write_text(json.dumps(kept | json.loads(left.read_text()), indent=2, sort_keys=True) + "\n")


def prove(suite: str, names: list[str]) -> int:
    """Run the jobs in a machine and return their status; the machine is gone afterwards.

    Raises :class:`MachineError` when there is no machine to run them in.
    """
    preflight()
    bare = machine()
    # Where no container engine runs yet, no name is taken either.
    if engine_answers():
        bare.refuse_strangers()
    make_image("bookworm")
    try:
        archive = os.environ.get("LOG_STORE_ARCHIVE")
        bare.start("bookworm", [*mounts(), *([Path(archive)] if archive else [])])
        passed_on = {key: os.environ[key] for key in ("CI", "LOG_STORE_ARCHIVE", "PYTEST_ADDOPTS") if key in os.environ}
        jobs = f"JOBS='{' '.join(names)}'" if names else ""
        make = "make --no-print-directory"
        inside = f"{make} venv && exec {make} --file=tests/jobs/{suite}.mk {jobs}"
        path = f"{PROJECT}/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        status = subprocess.run(
            bare.command("sh", "-c", inside, environment={"PATH": path, "HOME": "/root", **passed_on}), check=False
        ).returncode
        bare.copy_out(MACHINE_REPORTS, REPORTS)
        keep_record()
    finally:
        bare.give_back_cache()
        bare.remove()
    return status


def main(arguments: list[str]) -> int:
    """Prove; return the exit status."""
    suite, *names = arguments
    # What ends the run from outside must not leave the machine there.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    (ROOT / ".state").mkdir(mode=0o700, exist_ok=True)
    with Path(ROOT / ".state" / "test.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another run of the tests of {ROOT} is under way: wait for it, or end it.", file=sys.stderr)
            return 1
        try:
            check_names(suite, names)
            return prove(suite, names)
        except MachineError as error:
            print(error, file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
