"""One run at a time: who holds a lock is a process, and it has to be alive."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.modules.run_lock import ensure, started


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another process, alive until the test ends it."""
    with subprocess.Popen(["sleep", "60"]) as process:
        while not Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(b"sleep"):
            time.sleep(0.01)
        yield process
        process.kill()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "state" / "local.lock"


def hold(path: Path, pid: int | None = None, *, check_mode: bool = False) -> None:
    """Hold the lock for a process, this one by default."""
    ensure({"path": str(path)}, check_mode=check_mode, pid=pid or os.getpid())


def test_a_second_run_is_refused_and_the_first_is_named(lock: Path, other: subprocess.Popen[bytes]) -> None:
    hold(lock, other.pid)
    with pytest.raises(CommandError, match=rf"process {other.pid}, `sleep 60`.* `kill {other.pid}`"):
        hold(lock)
    hold(lock, other.pid)


def test_a_killed_run_holds_nothing(lock: Path, other: subprocess.Popen[bytes]) -> None:
    hold(lock, other.pid)
    other.kill()
    other.wait()
    hold(lock)
    assert json.loads(lock.read_text())["pid"] == os.getpid()


def test_a_number_that_another_process_has_now_holds_nothing(lock: Path, other: subprocess.Popen[bytes]) -> None:
    hold(lock, other.pid)
    content = json.loads(lock.read_text())
    lock.write_text(json.dumps(content | {"started": "1"}))
    hold(lock)


@pytest.mark.parametrize("content", ["", '{"pid": 1, "st'], ids=["empty", "cut"])
def test_half_a_file_holds_nothing(lock: Path, content: str) -> None:
    lock.parent.mkdir()
    lock.write_text(content)
    hold(lock)
    assert json.loads(lock.read_text())["started"] == started(os.getpid())


def test_the_folder_is_private_and_check_mode_makes_none(lock: Path) -> None:
    hold(lock, check_mode=True)
    assert not lock.parent.exists()
    hold(lock)
    assert lock.parent.stat().st_mode & 0o777 == 0o700
