"""Print what a run of tests/jobs has come to: a table, the slowest tests, what failed, and pytest's closing line."""

import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase
from lib.machine import commit
from lib.paths import ROOT

RECORD = ROOT / "tests/soak.json"
"""Of each job of ``make soak``: the commit that it last ran on, the day, and whether it passed."""


@dataclass(frozen=True)
class Job:
    """How a job ended. Times are seconds; those of the processor are without containers."""

    name: str
    budget: int
    status: int | None
    """Its exit status; None where it was not run, as a job that it needs has failed."""
    seconds: float
    processor: float
    cases: list[TestCase]

    def with_result(self, *kinds: type) -> list[TestCase]:
        """Return the tests that have a result of one of these kinds."""
        return [case for case in self.cases if any(isinstance(result, kinds) for result in case.result)]

    @property
    def failures(self) -> list[str]:
        """A line for each thing that failed."""
        named = ["::".join(filter(None, (case.classname, case.name))) for case in self.with_result(Failure, Error)]
        if self.status is None:
            named = ["not run: a job that it needs has failed"]
        elif self.status != 0 and not named:
            named = [f"status {self.status}; see the end of its log above"]
        return [f"FAILED {self.name}: {line}" for line in named]

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many tests passed, failed and were skipped; a job that fails without a failed test counts as one."""
        skipped, wrong = len(self.with_result(Skipped)), len(self.with_result(Failure, Error))
        return len(self.cases) - skipped - wrong, len(self.failures), skipped


def read(reports: Path, name: str, budget: int) -> Job:
    """Return a job by the files that it left in the folder of reports."""
    times, report = reports / f"{name}.time", reports / f"{name}.xml"
    if not times.exists():
        return Job(name, budget, None, 0, 0, [])
    status, seconds, user, system = times.read_text().split()
    suites = JUnitXml.fromfile(str(report)) if report.exists() else JUnitXml()
    cases = [case for suite in suites for case in suite]
    return Job(name, budget, int(status), float(seconds), float(user) + float(system), cases)


def table(jobs: list[Job]) -> list[str]:
    """Return the lines of the table."""
    lines = [f"{'job':<16}{'seconds':>8}{'budget':>8}{'processor':>11}{'passed':>8}{'failed':>8}{'skipped':>9}"]
    for job in jobs:
        late = "  over its budget" if job.seconds > job.budget else ""
        row = f"{job.name:<16}{job.seconds:>8.0f}{job.budget:>8}{job.processor:>11.0f}"
        lines.append(row + "{:>8}{:>8}{:>9}".format(*job.counts) + late)
    return lines


def skipped(jobs: list[Job]) -> list[str]:
    """Return a line for each reason for which tests were skipped, and one that names them."""
    reasons: dict[str, list[str]] = {}
    for job in jobs:
        for case in job.with_result(Skipped):
            reasons.setdefault(str(case.result[0].message), []).append(str(case.name))
    return [
        line
        for reason, names in sorted(reasons.items())
        for line in (f"skipped ({len(names)}): {reason}", f"  {', '.join(names)}")
    ]


def slowest(jobs: list[Job]) -> list[str]:
    """Return a line for each of the ten tests that took longest."""
    cases = sorted(((case.time or 0, job.name, case.name) for job in jobs for case in job.cases), reverse=True)
    return [f"{seconds:>7.1f} s  {job}: {name}" for seconds, job, name in cases[:10]]


def soaked() -> str:
    """Return a line on the last soak of this tree."""
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    if not record:
        return "soak: no record; `make soak` writes tests/soak.json"
    failed = [name for name, entry in record.items() if not entry["passed"]]
    oldest = min(entry["date"] for entry in record.values())
    days = (datetime.now(UTC).date() - datetime.fromisoformat(oldest).date()).days
    commits = {entry["commit"][:12] for entry in record.values()}
    return (
        f"soak: {len(record)} jobs, the oldest result {days} days old, of commit {', '.join(sorted(commits))}; "
        f"{'failed: ' + ', '.join(failed) if failed else 'all passed'}"
    )


def main(arguments: list[str]) -> int:
    """Print the summary of a suite's jobs, each given as NAME=BUDGET; return 1 where one did not pass."""
    suite, *given = arguments
    reports = Path(os.environ["REPORTS"])
    jobs = [read(reports, name, int(budget)) for name, _, budget in (word.partition("=") for word in given)]
    counts = [sum(column) for column in zip(*(job.counts for job in jobs), strict=True)]
    seconds = float(os.environ["SECONDS_TAKEN"])
    if suite == "soak":
        run = {"commit": commit(), "date": str(datetime.now(UTC).date())}
        (reports / "soak.json").write_text(json.dumps({job.name: {**run, "passed": job.status == 0} for job in jobs}))
    words = [f"{count} {word}" for count, word in zip(counts, ("passed", "failed", "skipped"), strict=True) if count]
    sections = [
        table(jobs),
        skipped(jobs),
        ["slowest tests", *slowest(jobs)],
        [soaked()] if suite == "test" else [],
        [line for job in jobs for line in job.failures],
        [f"======== {', '.join(words) or 'no tests ran'} in {seconds:.2f}s ========"],
    ]
    print("", *("\n".join(section) + "\n" for section in sections if section), sep="\n", end="")
    return int(any(job.failures for job in jobs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
