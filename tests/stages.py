"""Run the stages of `make test` one after the other, and say how long each took and how many tests it ran.

The first stage that fails ends the run: they are ordered so that what fails fast comes first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree  # the reports are our own test runs'
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / ".state" / "test"
Counts = dict[str, int]


def count(reports: Path) -> Counts:
    """Return how many tests the JUnit reports in a folder hold: ``passed``, ``failed`` (errors too), ``skipped``."""
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    for report in reports.glob("*.xml"):
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):  # noqa: S314 # written by pytest just now
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            totals["failed"] += failed
            totals["skipped"] += skipped
            totals["passed"] += int(suite.get("tests", 0)) - failed - skipped
    return totals


def main(stages: list[str]) -> int:
    """Run ``stages`` as targets of make; return the exit status."""
    lines: list[str] = []
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    status = 0
    for stage in stages:
        reports = REPORTS / stage
        reports.mkdir(parents=True, exist_ok=True)
        for old in reports.glob("*.xml"):
            old.unlink()
        started = time.monotonic()
        status = subprocess.run(
            ["make", "--no-print-directory", stage], cwd=ROOT, env={**os.environ, "REPORTS": str(reports)}, check=False
        ).returncode
        counts = count(reports)
        for key, number in counts.items():
            totals[key] += number
        verdict = "ok" if status == 0 else "FAILED"
        tests = ", ".join(f"{number} {key}" for key, number in counts.items())
        lines.append(f"stage {stage:<10} {verdict:<7} {time.monotonic() - started:5.0f} s   {tests}")
        print(lines[-1], flush=True)
        if status != 0:
            totals["failed"] += counts["failed"] == 0
            break
    print("\nAll stages:")
    print("\n".join(lines))
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
