"""Run the jobs that prove the project, some side by side, and report them in one table.

Runs inside of the throwaway machine that ``tools.throwaway`` starts, in an environment that make has not touched.
A job that fails ends the run: what runs beside it may end, and nothing else is started.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from lib import machine
from lib.paths import CACHE, ROOT

REPORTS = Path(machine.REPORTS)
UNITS = "collections/ansible_collections/counter/platform/tests/unit"


@dataclass(frozen=True)
class Job:
    """Something that is run for its exit status and, but for lint, for the tests that it reports.

    Attributes:
        stage: what the job is a part of.
        name: of the job, and of its log and its report.
        commands: run one after the other; those that run tests leave a JUnit report where ``REPORT`` says.
        environment: variables that the commands have besides those of this process.
    """

    stage: str
    name: str
    commands: tuple[tuple[str, ...], ...]
    environment: dict[str, str] = field(default_factory=dict)


def of_pytest(stage: str, name: str, *paths: str, before: tuple[tuple[str, ...], ...] = ()) -> Job:
    """Return a job that runs pytest on paths, after other commands."""
    report = REPORTS / f"{name}.xml"
    return Job(stage, name, (*before, ("python", "-m", "pytest", f"--junitxml={report}", *paths)))


def of_molecule(scenario: str, *, keeps: bool = False, environment: dict[str, str] | None = None) -> Job:
    """Return a job that tests a scenario; one that ``keeps`` begins with what the one before it left, and leaves it."""
    option = ("--destroy=never",) if keeps else ()
    return Job("molecule", scenario, (("molecule", "test", *option, "--scenario-name", scenario),), environment or {})


ENGINE = ("ansible-playbook", "playbooks/engine.yml")
NEEDED = "names=redis-server,mmdebstrap,haproxy,libatomic1,skopeo,docker-registry,apache2-utils,git,openssh-client"
PACKAGES = ("ansible", "localhost", "--become", "-m", "counter.platform.apt_packages", "-a", NEEDED)
LINT = Job("lint", "lint", (("make", "--no-print-directory", "lint"),))
BARE = of_pytest("site", "bare", "tests/site/test_0_bare.py")
SITE = of_pytest("site", "site", "tests/site", "--ignore=tests/site/test_0_bare.py")
UNIT = of_pytest("unit", "unit", "tests/contracts", UNITS, before=(ENGINE, PACKAGES))
IAC = of_pytest("unit", "iac", "tests/iac")


def of_app(*options: str) -> Job:
    """Return a job that runs the service's own tests."""
    command = ("uv", "run", "--directory=app", "--quiet", "--frozen", "--group=test", "pytest")
    places = {"UV_CACHE_DIR": str(CACHE / "uv"), "UV_PROJECT_ENVIRONMENT": str(ROOT / ".venv/app")}
    return Job("unit", "app", (PACKAGES, (*command, f"--junitxml={REPORTS}/app.xml", *options)), places)


DESTROY = Job("molecule", "destroy", (("molecule", "destroy"),))
# Steps one after the other, in each of them lanes side by side, in each lane jobs one after the other. The scenarios of
# the environment `molecule` are in one lane; the last of them stand on one cluster, each on what the one before made.
Steps = list[list[list[Job]]]
SUITES: dict[str, Steps] = {
    "test": [
        # As long as the machine is bare.
        [[BARE], [LINT]],
        [
            [SITE],
            [
                UNIT,
                *(of_molecule(name) for name in ("platform", "offline_images", "counter_image", "log_instance")),
                IAC,
                of_molecule("container_engine"),
                of_molecule("kind_cluster", keeps=True),
            ],
        ],
        # These measure what a busy machine would be slow with.
        [[of_molecule(name, keeps=True) for name in ("cluster_addons", "counter_app")]],
        # These wait more than they work, so what needs no cluster has room beside them.
        [
            [*(of_molecule(name, keeps=True) for name in ("logging", "monitoring")), DESTROY],
            [of_molecule("log_host"), of_app()],
        ],
    ],
    # Only what has tests with the marker, and the whole of what `tests/site` shows in short.
    "soak": [
        [[SITE]],
        [
            # What the marker chooses elsewhere, the other release of the machine chooses here.
            [
                of_molecule("container_engine", environment={"MACHINE_SUITE": "trixie", "PYTEST_ADDOPTS": ""}),
                of_app("--no-cov"),
            ],
            [of_molecule("log_host"), of_molecule("log_instance"), IAC],
        ],
        [
            [
                *(of_molecule(name) for name in ("counter_app", "logging", "monitoring")),
                of_molecule("default", environment={"PYTEST_ADDOPTS": ""}),
            ]
        ],
    ],
}


def cases_of(report: Path) -> list[TestCase]:
    """Return the tests of a JUnit report; none where there is no report."""
    if not report.exists():
        return []
    found = JUnitXml.fromfile(str(report))
    suites = [found] if isinstance(found, TestSuite) else list(found)
    return [case for suite in suites for case in suite]


@dataclass
class Done:
    """How a job ended: its status, its duration in seconds, and its tests."""

    job: Job
    status: int
    seconds: float
    cases: list[TestCase]

    def with_result(self, *kinds: type) -> list[TestCase]:
        """Return the tests that have a result of one of these kinds."""
        return [case for case in self.cases if any(isinstance(result, kinds) for result in case.result)]

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many tests passed, failed and were skipped; a job that fails without a failed test counts as one."""
        failed, skipped = len(self.with_result(Failure, Error)), len(self.with_result(Skipped))
        passed = len(self.cases) - failed - skipped
        return passed, failed or int(self.status != 0), skipped

    @property
    def failures(self) -> list[str]:
        """A line for each thing that failed."""
        named = ["::".join(filter(None, (case.classname, case.name))) for case in self.with_result(Failure, Error)]
        what = named or ([f"status {self.status}; see the end of its output above"] if self.status else [])
        return [f"FAILED {self.job.stage}/{self.job.name}: {line}" for line in what]


class Run:
    """A run of steps.

    Args:
        soak: run the tests with the marker ``soak``, and no others.
    """

    def __init__(self, *, soak: bool) -> None:
        self._soak = soak
        self._failed = threading.Event()
        self.done: list[Done] = []

    def go(self, steps: Steps) -> None:
        """Run steps until all are done or one has a job that failed."""
        for step in steps:
            with ThreadPoolExecutor(len(step)) as pool:
                lanes = [pool.submit(self._lane, lane) for lane in step]
            for lane in lanes:
                lane.result()
            if self._failed.is_set():
                return

    def _lane(self, jobs: list[Job]) -> None:
        for job in jobs:
            if self._failed.is_set():
                return
            print(f"{time.strftime('%T')}  {job.stage}/{job.name} begins", flush=True)
            done = self._run(job)
            self.done.append(done)
            passed, failed, skipped = done.counts
            verdict = f"{passed} passed, {failed} failed, {skipped} skipped"
            print(f"{time.strftime('%T')}  {job.stage}/{job.name}: {done.seconds:.0f} s, {verdict}", flush=True)
            if done.status != 0:
                self._failed.set()

    def _run(self, job: Job) -> Done:
        log, report = (REPORTS / f"{job.name}.{ending}" for ending in ("log", "xml"))
        report.unlink(missing_ok=True)
        marker = {"PYTEST_ADDOPTS": f"-m soak {os.environ.get('PYTEST_ADDOPTS', '')}"} if self._soak else {}
        environment = {**os.environ, "REPORT": str(report), **marker, **job.environment}
        started, status = time.monotonic(), 0
        with log.open("w") as stream:
            for command in job.commands:
                status = subprocess.run(
                    command, cwd=ROOT, env=environment, check=False,
                    stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                ).returncode  # fmt: skip
                if status != 0:
                    print("\n".join(log.read_text(errors="replace").splitlines()[-150:]), flush=True)
                    break
        return Done(job, status, time.monotonic() - started, cases_of(report))

    def report(self, seconds: float) -> None:
        """Print the table, what was skipped and why, the slowest tests, what failed, and pytest's closing line."""
        print(f"\n{'stage':<10} {'job':<18} {'seconds':>7} {'passed':>7} {'failed':>7} {'skipped':>8}")
        totals = [0, 0, 0]
        for done in self.done:
            totals = [total + count for total, count in zip(totals, done.counts, strict=True)]
            counts = "{:>7} {:>7} {:>8}".format(*done.counts)
            print(f"{done.job.stage:<10} {done.job.name:<18} {done.seconds:>7.0f} {counts}")
        skipped = [
            (result.message, case.name)
            for done in self.done
            for case in done.with_result(Skipped)
            for result in case.result
        ]
        for reason in sorted({message for message, _ in skipped}):
            names = [name for message, name in skipped if message == reason]
            print(f"\nskipped ({len(names)}): {reason}\n  {', '.join(names)}")
        cases = sorted(
            ((case.time or 0, case, done) for done in self.done for case in done.cases), key=lambda it: -it[0]
        )
        print("\nslowest tests")
        for time_taken, case, done in cases[:10]:
            print(f"{time_taken:>7.1f} s  {done.job.name}: {case.name}")
        print("", *(line for done in self.done for line in done.failures), sep="\n")
        words = [
            f"{count} {word}" for count, word in zip(totals, ("passed", "failed", "skipped"), strict=True) if count
        ]
        print(f"======== {', '.join(words) or 'no tests ran'} in {seconds:.2f}s ========", flush=True)


def names_of(steps: Steps) -> list[str]:
    """Return the names of all jobs."""
    return [job.name for step in steps for lane in step for job in lane]


def parse(arguments: list[str]) -> tuple[str, Steps]:
    """Return the suite that arguments name, and its steps with the jobs that they name, or with all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="run these of the suite alone, in the suite's order")
    parsed = parser.parse_args(arguments)
    steps, wanted = SUITES[parsed.suite], set(parsed.jobs)
    unknown = sorted(wanted - set(names_of(steps)))
    if unknown:
        parser.error(f"{parsed.suite} has no job {', '.join(unknown)}; it has {', '.join(names_of(steps))}")
    if not wanted:
        return parsed.suite, steps
    chosen = [[[job for job in lane if job.name in wanted] for lane in step] for step in steps]
    # Two lanes that both begin with an installation would meet in apt.
    engine = [] if wanted <= {BARE.name, LINT.name} else [[[Job("site", "engine", (ENGINE,))]]]
    return parsed.suite, [chosen[0], *engine, *chosen[1:]]


def main(arguments: list[str]) -> int:
    """Run what the arguments name; return the exit status."""
    suite, steps = parse(arguments)
    REPORTS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    run = Run(soak=suite == "soak")
    run.go(steps)
    run.report(time.monotonic() - started)
    return int(any(done.status for done in run.done))  # those that were not started come after one that failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
