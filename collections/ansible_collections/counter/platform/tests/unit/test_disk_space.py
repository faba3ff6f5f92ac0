"""Free space by file system: /dev/shm is another one than the folder of a test."""

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.modules.disk_space import ensure

MEMORY = "/dev/shm"  # noqa: S108 (nothing is written)
HUGE = 10**6


def need(path: Path | str, gib: int, remedy: str = "Free some.", *, programs: bool = False) -> dict[str, Any]:
    return {"path": str(path), "gib": gib, "remedy": remedy, "programs": programs}


def asked(*needs: dict[str, Any]) -> dict[str, Any]:
    return ensure({"needs": list(needs)}, check_mode=True)


def test_enough_space_changes_nothing(tmp_path: Path) -> None:
    answer = asked(need(tmp_path, 0), need(MEMORY, 0))
    assert answer["changed"] is False
    assert "failed" not in answer
    assert set(answer["free"]) == {str(tmp_path), MEMORY}


def test_folder_that_is_not_there_is_on_the_file_system_above_it(tmp_path: Path) -> None:
    message = asked(need(tmp_path / "not/yet", HUGE))["msg"]
    assert re.fullmatch(rf"{tmp_path}/not/yet has \d+ GiB free and {HUGE} are needed\. Free some\.", message)


def test_needs_of_one_file_system_are_added_up(tmp_path: Path) -> None:
    here, beside = tmp_path / "a", tmp_path / "b"
    free = asked(need(tmp_path, 0))["free"][str(tmp_path)]
    assert "failed" not in asked(need(here, free))
    message = asked(need(here, free), need(beside, 1, "Move it."))["msg"]
    assert f"{here} has {free} GiB free and {free} are needed, and 1 more on the same disk in {beside}" in message
    assert message.endswith(". Free some. Move it.")


@pytest.mark.parametrize(("here", "there"), [(HUGE, 0), (0, HUGE), (HUGE, HUGE)])
def test_each_file_system_that_is_too_small_is_named(tmp_path: Path, here: int, there: int) -> None:
    message = asked(need(tmp_path, here), need(MEMORY, there))["msg"]
    assert (f"{tmp_path} has" in message) == (here == HUGE)
    assert (f"{MEMORY} has" in message) == (there == HUGE)


def test_file_system_that_runs_no_program_is_named(tmp_path: Path) -> None:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    place = next((mount[1] for mount in mounts if "noexec" in mount[3].split(",")), None)
    if place is None:
        pytest.skip("every file system of this machine runs programs")
    message = asked(need(place, 0, "Move it.", programs=True), need(tmp_path, 0, programs=True))["msg"]
    assert message == f"{place} is on a file system with the mount option noexec. Move it."
    assert "failed" not in asked(need(place, 0))
