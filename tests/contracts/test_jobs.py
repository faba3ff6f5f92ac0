"""The jobs of `make test` and `make soak`: every suite of tests is in them, and a failure is named where it is seen."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from lib.machine import engine_answers
from lib.paths import ROOT
from tools import jobs
from tools.jobs import SUITES, Job, Run, names_of

PROGRAM = """
import pytest
def test_passes(): pass
@pytest.mark.skip(reason="nothing to try it on")
def test_is_skipped(): pass
"""
BROKEN = "def test_is_broken(): raise AssertionError\n"


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let the jobs of a test leave their reports in a folder of its own."""
    monkeypatch.setattr(jobs, "REPORTS", tmp_path)
    return tmp_path


def of(folder: Path, name: str, program: str) -> Job:
    """Return a job with a program of tests."""
    file = folder / f"test_{name}.py"
    file.write_text(program)
    report = folder / f"{name}.xml"
    return Job("some", name, ((sys.executable, "-m", "pytest", "-c/dev/null", f"--junitxml={report}", str(file)),))


def last_lines(run: Run, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what the report of a run prints."""
    capsys.readouterr()
    run.report(1)
    return capsys.readouterr().out.splitlines()


def test_run_that_passes(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(soak=False)
    run.go([[[of(reports, "sound", PROGRAM)]]])
    lines = last_lines(run, capsys)
    assert lines[-1] == "======== 1 passed, 1 skipped in 1.00s ========"
    (row,) = [line.split() for line in lines if line.startswith("some")]
    assert row == ["some", "sound", f"{run.done[0].seconds:.0f}", "1", "0", "1"]
    assert "skipped (1): nothing to try it on" in lines
    assert any("test_passes" in line for line in lines[lines.index("slowest tests") :])


def test_failure_is_named_in_the_last_lines_and_ends_the_run(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(soak=False)
    run.go([[[of(reports, "broken", BROKEN), of(reports, "after", PROGRAM)]], [[of(reports, "later", PROGRAM)]]])
    lines = last_lines(run, capsys)
    assert lines[-2:] == [
        "FAILED some/broken: test_broken::test_is_broken",
        "======== 1 failed in 1.00s ========",
    ]
    assert [done.job.name for done in run.done] == ["broken"]


def test_command_that_fails_without_a_test_counts_as_a_failure(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(soak=False)
    run.go([[[Job("some", "command", (("false",),))]]])
    lines = last_lines(run, capsys)
    assert lines[-2].startswith("FAILED some/command: status 1")
    assert "1 failed" in lines[-1]


def test_run_without_a_test_says_so(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(soak=False)
    run.go([[[of(reports, "empty", "")]]])
    assert run.done[0].status == 5
    assert "1 failed" in last_lines(run, capsys)[-1]


def test_every_scenario_is_a_job() -> None:
    scenarios = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")}
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    assert scenarios & roles <= set(names_of(SUITES["test"])), "each role is tested by `make test`"
    assert scenarios <= set(names_of(SUITES["test"])) | set(names_of(SUITES["soak"]))


@pytest.mark.skipif(not shutil.which("docker"), reason="no docker client here")
def test_client_without_a_daemon_is_no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine that was started again and has no systemd: the run starts the engine, it does not give up."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    assert not engine_answers()


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ("lint", ["lint"]),
        ("bare lint", ["bare", "lint"]),
        ("offline_images site", ["engine", "site", "offline_images"]),
        ("unit bare", ["bare", "engine", "unit"]),
    ],
)
def test_chosen_jobs_find_an_engine(chosen: str, names: list[str]) -> None:
    """Two lanes that both began with installing one met in apt."""
    assert names_of(jobs.parse(["test", *chosen.split()])[1]) == names


@pytest.mark.parametrize("suite", SUITES)
def test_no_job_runs_twice(suite: str) -> None:
    assert not [name for name, times in Counter(names_of(SUITES[suite])).items() if times > 1]


def test_every_folder_of_tests_belongs_to_a_job() -> None:
    """Folders outside of scenarios, whose job runs all that is in them."""
    commands = " ".join(
        word for step in SUITES["test"] for lane in step for job in lane for command in job.commands for word in command
    )
    for folder in ("tests/contracts", "tests/iac", "tests/site", jobs.UNITS, "--directory=app"):
        assert folder in commands
    known = {ROOT / "tests" / name for name in ("contracts", "iac", "site")} | {ROOT / jobs.UNITS, ROOT / "app/tests"}
    for file in ROOT.rglob("test_*.py"):
        if not {".venv", ".state"} & set(file.relative_to(ROOT).parts) and "molecule" not in file.parts:
            assert file.parent in known, f"{file} is in no job"
