"""Files of a host that differ, by what host_info returns of real ones."""

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.filter.stale_files import stale_files
from ansible_collections.counter.platform.plugins.modules.host_info import existing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "etc of ours"
    made.mkdir(mode=0o700)
    for name, mode in (("a.conf", 0o640), ("b.conf", 0o600)):
        (made / name).write_text(f"of {name}\n")
        (made / name).chmod(mode)
    return made


CONTENTS = ["of a.conf\n", "of b.conf\n"]


def wanted(folder: Path) -> list[dict[str, str]]:
    owner = {"owner": folder.owner(), "group": folder.group()}
    return [
        {"path": str(folder / "a.conf"), "mode": "0640", **owner},
        {"path": str(folder / "b.conf"), "mode": "0600", **owner},
    ]


def found(folder: Path) -> dict[str, dict[str, Any]]:
    return existing(file["path"] for file in wanted(folder))


def test_files_in_order_are_left_alone(folder: Path) -> None:
    assert stale_files(wanted(folder), CONTENTS, found(folder)) == []


@pytest.mark.parametrize(
    "change",
    [{"mode": "0644"}, {"owner": "nobody"}, {"group": "nogroup"}, {"path": "/nowhere/a.conf"}],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("contents", [CONTENTS, []], ids=["content", "no content"])
def test_any_difference_is_found(folder: Path, change: dict[str, str], contents: list[str]) -> None:
    files = wanted(folder)
    files[0] |= change
    assert stale_files(files, contents, found(folder)) == [files[0]]


@pytest.mark.parametrize("content", ["of b.conf", ""])
def test_another_content_is_found(folder: Path, content: str) -> None:
    assert stale_files(wanted(folder), [CONTENTS[0], content], found(folder)) == wanted(folder)[1:]


def test_missing_files_are_found_in_their_order(folder: Path) -> None:
    known = found(folder)
    for file in wanted(folder):
        Path(file["path"]).unlink()
    assert stale_files(wanted(folder), CONTENTS, found(folder)) == wanted(folder)
    assert stale_files(wanted(folder), CONTENTS, known) == []


def test_folder_is_compared_without_a_content(folder: Path) -> None:
    owner = {"owner": folder.owner(), "group": folder.group()}
    known = existing([str(folder)])
    assert stale_files([{"path": str(folder), "mode": "0700", **owner}], [], known) == []
    assert len(stale_files([{"path": str(folder), "mode": "0755", **owner}], [], known)) == 1


def test_template_without_text_is_an_empty_file(folder: Path) -> None:
    (folder / "b.conf").write_text("")
    assert stale_files(wanted(folder), [CONTENTS[0], None], found(folder)) == []


def test_each_file_needs_a_content(folder: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        stale_files(wanted(folder), CONTENTS[:1], found(folder))


def test_root_and_0644_are_the_defaults() -> None:
    passwd = {"path": "/etc/passwd"}
    assert stale_files([passwd], [], existing(["/etc/passwd"])) == []
    assert stale_files([passwd], [], {"/etc/passwd": {"owner": "root", "group": "root", "mode": "0600"}}) == [passwd]
