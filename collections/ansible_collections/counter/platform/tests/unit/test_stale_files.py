"""Files of a host that differ, told by what find and sha256sum themselves print of real ones."""

from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.filter.stale_files import stale_files
from lib.command import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "etc of ours"
    made.mkdir(mode=0o700)
    for name, mode in (("a.conf", 0o640), ("b.conf", 0o600)):
        (made / name).write_text(f"of {name}\n")
        (made / name).chmod(mode)
    return made


def found(*paths: Path) -> list[str]:
    """Return the lines of find, and then those of sha256sum for what is no folder."""
    files = [path for path in paths if not path.is_dir()]
    listed = run("find", *map(str, paths), "-maxdepth", "0", "-printf", "%m %u:%g %p\\n", check=False)
    sums = run("sha256sum", "--", *map(str, files), check=False)
    return [*listed.stdout.splitlines(), *sums.stdout.splitlines()]


def wanted(folder: Path) -> list[dict[str, str]]:
    owner = {"owner": folder.owner(), "group": folder.group()}
    return [
        {"path": str(folder), "mode": "0700", **owner},
        {"path": str(folder / "a.conf"), "mode": "0640", "content": "of a.conf\n", **owner},
        {"path": str(folder / "b.conf"), "mode": "0600", "content": "of b.conf\n", **owner},
    ]


def test_what_is_as_it_should_be_is_left_alone(folder: Path) -> None:
    lines = found(folder, folder / "a.conf", folder / "b.conf")
    assert len(lines) == 5
    assert stale_files(wanted(folder), lines) == []


def test_what_differs_in_anything_is_found_alone(folder: Path) -> None:
    lines = found(folder, folder / "a.conf", folder / "b.conf")
    changes: list[tuple[int, dict[str, str]]] = [
        (0, {"mode": "0755"}),
        (1, {"mode": "0644"}),
        (1, {"owner": "nobody"}),
        (1, {"group": "nogroup"}),
        (1, {"content": "of a.conf"}),
        (2, {"content": "of a.conf\n"}),
        (2, {"path": "/nowhere/b.conf"}),
    ]
    for number, change in changes:
        files = wanted(folder)
        files[number] |= change
        assert stale_files(files, lines) == [files[number]], change


def test_what_is_not_there_is_found_in_its_order(folder: Path) -> None:
    (folder / "a.conf").unlink()
    (folder / "b.conf").unlink()
    lines = found(folder, folder / "a.conf", folder / "b.conf")
    assert stale_files(wanted(folder), lines) == wanted(folder)[1:]


def test_a_folder_needs_no_checksum(folder: Path) -> None:
    assert stale_files(wanted(folder)[:1], ["700 root:root /srv", *found(folder)]) == []


def test_root_is_the_owner_that_is_not_named() -> None:
    assert stale_files([{"path": "/etc", "mode": "0755"}], ["755 root:root /etc"]) == []
