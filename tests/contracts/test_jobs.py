"""The jobs of `make test` and `make soak`: every test is in one, and a failure is named where it is seen."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from contracts.project import project_files
from lib import command
from lib.machine import MachineError, engine_answers
from lib.paths import ROOT

from tools.throwaway import check_names, jobs_of

# As test.mk is written, with jobs of its own.
GRAPH = """
BUDGETS := sound=0 broken=9 needing=9 beside=9 command=9 empty=9
ALL := sound broken needing beside command empty
NEEDS.needing := broken
AFTER.beside := command
PARALLEL := 2
include tests/jobs/common.mk
sound broken empty:
\t$(call job,$(call pytest,-c /dev/null {folder}/test_$@.py))
needing beside:
\t$(call job,true)
command:
\t$(call job,echo out of ideas && false)
"""
PROGRAMS = {
    "sound": """
import pytest
def test_passes(): pass
@pytest.mark.skip(reason="nothing to try it on")
def test_is_skipped(): pass
""",
    "broken": "def test_is_broken(): raise AssertionError\n",
    "empty": "",
}


def run(folder: Path, *jobs: str) -> subprocess.CompletedProcess[str]:
    """Run jobs of the graph above, and return how that ended."""
    (folder / "test.mk").write_text(GRAPH.format(folder=folder))
    for name, program in PROGRAMS.items():
        (folder / f"test_{name}.py").write_text(program)
    given = [f"--file={folder}/test.mk", f"REPORTS={folder}", f"JOBS={' '.join(jobs)}"]
    return command.run("make", *given, check=False)


def test_each_failure_is_named_in_the_last_lines_and_stops_nothing_else(tmp_path: Path) -> None:
    done = run(tmp_path, "sound", "needing", "command", "beside", "empty")
    assert done.returncode != 0
    lines = done.stdout.splitlines()
    assert lines[-6:-1] == [
        "FAILED broken: test_broken::test_is_broken",
        "FAILED needing: not run: a job that it needs has failed",
        "FAILED command: status 1; see the end of its log above",
        "FAILED empty: status 5; see the end of its log above",
        "",
    ]
    assert re.fullmatch(r"======== 1 passed, 4 failed, 1 skipped in [0-9.]+s ========", lines[-1])
    assert "out of ideas" in lines
    begins = [line.split()[1] for line in lines if line.endswith(" begins")]
    assert begins.index("beside") > begins.index("command"), "it begins before what would disturb it has ended"
    (row,) = [line.split(maxsplit=7) for line in lines if line.startswith("sound ")]
    assert row[4:] == ["1", "0", "1", "over its budget"]
    assert lines[lines.index("skipped (1): nothing to try it on") + 1] == "  test_is_skipped"
    assert any("sound: test_passes" in line for line in lines[lines.index("slowest tests") :])


def test_job_that_passes_passes_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, "beside")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("======== no tests ran")


def commands(suite: str) -> str:
    """Return what all jobs of a suite would run."""
    return command.run("make", "--dry-run", f"--file=tests/jobs/{suite}.mk", *jobs_of(suite)).stdout


def test_every_file_of_tests_is_in_a_job() -> None:
    words = set(re.split(r"[\s']+", "".join(map(commands, ("test", "soak")))))
    scenarios = {f"molecule/{name}" for name in re.findall(r"--scenario-name (\w+)", commands("soak"))}
    places = words | scenarios | {"app/tests"}
    files = [path.relative_to(ROOT) for path in project_files("test_*.py")]
    left_out = [str(path) for path in files if not places & {str(path), *map(str, path.parents)}]
    assert not left_out, f"in no job of tests/jobs: {left_out}"
    alone = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "molecule").glob("*/molecule.yml")}
    assert alone == scenarios, "each scenario is a job of `make soak`"


def test_unknown_job_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(MachineError, match="make test has no job lnit; it has bare, packages, up"):
        check_names("test", ["lint", "lnit"])
    check_names("soak", ["roles"])


@pytest.mark.skipif(not shutil.which("docker"), reason="no docker client here")
def test_client_without_a_daemon_is_no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine that was started again and has no systemd: the run starts the engine, it does not give up."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    assert not engine_answers()
