"""Run Molecule scenarios, and say how long each took and how many tests it ran.

Without arguments all of them: those that don't meet two at a time, and alone those that a busy machine would disturb.
Arguments name scenarios to run one after the other. A scenario that fails ends the run; its output is shown.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree  # the reports are our own test runs'
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Steps one after the other, in each of them lanes side by side, in each lane scenarios one after the other. Those of
# the first lane share the name of their cluster; those of the second have bare machines.
STEPS = [
    [
        ["offline_images", "counter_image", "kind_cluster", "loki_instance", "default"],
        ["container_engine", "loki_host"],
    ],
    [["cluster_addons", "counter_app"]],
]


class Lane(threading.Thread):
    """Runs scenarios one after the other until one fails, here or in another lane.

    Args:
        scenarios: their names.
        reports: folder for logs and JUnit reports.
        failed: set by the first failure.
    """

    def __init__(self, scenarios: list[str], reports: Path, failed: threading.Event) -> None:
        super().__init__()
        self._scenarios = scenarios
        self._reports = reports
        self._failed = failed

    def run(self) -> None:
        """Run them."""
        for scenario in self._scenarios:
            if self._failed.is_set():
                return
            log, report = (self._reports / f"{scenario}.{suffix}" for suffix in ("log", "xml"))
            started = time.monotonic()
            with log.open("w") as stream:
                status = subprocess.run(
                    ["molecule", "test", "--scenario-name", scenario],
                    cwd=ROOT,
                    env={**os.environ, "REPORT": str(report)},
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    check=False,
                ).returncode
            seconds = time.monotonic() - started
            if status != 0:
                self._failed.set()
                print("\n".join(log.read_text(errors="replace").splitlines()[-150:]))
                print(f"scenario {scenario} failed after {seconds:.0f} s; all of its output is in {log}", flush=True)
                return
            (suite,) = ElementTree.parse(report).getroot().iter("testsuite")  # noqa: S314 # written by pytest just now
            print(f"scenario {scenario}: {seconds:.0f} s, {suite.get('tests')} tests", flush=True)


def main(chosen: list[str]) -> int:
    """Run the chosen scenarios, or all; return the exit status."""
    reports = Path(os.environ["REPORTS"])
    reports.mkdir(parents=True, exist_ok=True)
    failed = threading.Event()
    for step in [[chosen]] if chosen else STEPS:
        lanes = [Lane(lane, reports, failed) for lane in step]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        if failed.is_set():
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
