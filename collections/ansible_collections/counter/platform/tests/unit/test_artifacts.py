"""The store of build results and the keys it goes by."""

import multiprocessing
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils import artifacts
from lib.wait import wait_for

FORK = multiprocessing.get_context("fork")
INPUTS: dict[str, Any] = {"name": "x", "files": {"a": "1", "b": "2"}, "packages": ["p", "q"]}


def test_a_key_is_sixteen_hex_digits_and_the_same_in_every_order() -> None:
    assert re.fullmatch("[0-9a-f]{16}", artifacts.digest_of(INPUTS))
    backwards = {"packages": ["p", "q"], "files": {"b": "2", "a": "1"}, "name": "x"}
    assert artifacts.digest_of(backwards) == artifacts.digest_of(INPUTS)


def test_a_key_differs_with_any_input() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"name": "y"},
        {"files": {"a": "1"}},
        {"files": {"a": "2", "b": "1"}},
        {"packages": ["q", "p"]},
        {"packages": ["pq"]},
        {"more": None},
    ]
    assert len({artifacts.digest_of(INPUTS | change) for change in changes}) == len(changes)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "a").write_text("one")
    (root / "sub" / "b").write_text("two")
    return root


def test_the_digest_of_a_tree_differs(tree: Path, tmp_path: Path) -> None:
    changes: dict[str, Callable[[Path], object]] = {
        "content": lambda root: (root / "a").write_text("One"),
        "execute bit": lambda root: (root / "a").chmod(0o755),
        "name": lambda root: (root / "a").rename(root / "c"),
        "folder": lambda root: (root / "a").rename(root / "sub" / "a"),
        "removed": lambda root: (root / "a").unlink(),
        "added empty": lambda root: (root / "c").write_text(""),
        "swapped": lambda root: ((root / "a").write_text("two"), (root / "sub" / "b").write_text("one")),
    }
    for name, change in changes.items():
        copy = shutil.copytree(tree, tmp_path / name)
        assert artifacts.digest_of_tree(copy) == artifacts.digest_of_tree(tree), "the place of the tree counts"
        change(copy)
        assert artifacts.digest_of_tree(copy) != artifacts.digest_of_tree(tree), name


def test_the_digest_of_a_tree_stays(tree: Path) -> None:
    before = artifacts.digest_of_tree(tree)
    os.utime(tree / "a", (1, 1))
    assert artifacts.digest_of_tree(tree) == before, "times count"
    (tree / "a").chmod(0o600)
    assert artifacts.digest_of_tree(tree) == before, "read bits count"
    (tree / "sub/__pycache__").mkdir()
    (tree / "sub/__pycache__/b.pyc").write_text("x")
    assert artifacts.digest_of_tree(tree) == before, "compiled Python counts"


def test_the_digest_of_a_missing_tree_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="nothing-here"):
        artifacts.digest_of_tree(tmp_path / "nothing-here")


def hello(folder: Path) -> None:
    (folder / "hello").write_text("hello")


def test_a_result_is_built_once_and_there_when_it_is_whole(cache: Path) -> None:
    store = artifacts.ArtifactStore(cache, 14)
    assert not store.has("thing", "k1")
    assert not cache.exists(), "asking changed something"

    def make(folder: Path) -> None:
        hello(folder)
        assert not store.has("thing", "k1")

    assert store.build("thing", "k1", make)
    assert store.has("thing", "k1")
    assert (store.path("thing", "k1") / "hello").read_text() == "hello"
    assert not store.build("thing", "k1", make), "built again"


def test_a_failed_build_is_no_result_and_the_next_one_starts_clean(cache: Path) -> None:
    store = artifacts.ArtifactStore(cache, 14)

    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        store.build("thing", "k1", fail)
    assert not store.has("thing", "k1")
    assert store.build("thing", "k1", hello)
    assert [path.name for path in store.path("thing", "k1").iterdir()] == ["hello"]


def build_slowly(cache: Path, log: Path, seconds: float) -> bool:
    def make(folder: Path) -> None:
        (folder / "half").write_text("half")
        with log.open("a") as stream:
            stream.write("make\n")
        time.sleep(seconds)
        (folder / "whole").write_text("whole")

    return artifacts.ArtifactStore(cache, 14).build("thing", "k1", make)


def test_two_processes_build_once(cache: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with FORK.Pool(2) as pool:
        answers = pool.starmap(build_slowly, [(cache, log, 0.7)] * 2, chunksize=1)
    assert sorted(answers) == [False, True]
    assert log.read_text() == "make\n"
    assert (artifacts.ArtifactStore(cache, 14).path("thing", "k1") / "whole").exists()


def test_what_a_killed_build_left_is_removed(cache: Path, tmp_path: Path) -> None:
    log, store = tmp_path / "log", artifacts.ArtifactStore(cache, 14)
    builder = FORK.Process(target=build_slowly, args=(cache, log, 60))
    builder.start()
    wait_for("the build", log.exists)
    builder.kill()
    builder.join()
    assert list((cache / "artifacts" / "thing").glob(".building-*")), "the test killed nothing"
    assert not store.has("thing", "k1")
    # Another key too: what is left behind may never be asked for again.
    assert store.build("thing", "k2", hello)
    assert not list((cache / "artifacts" / "thing").glob(".building-*"))


@pytest.mark.parametrize("days", [14, 3])
def test_results_that_nothing_asked_for_are_dropped(cache: Path, days: int) -> None:
    store = artifacts.ArtifactStore(cache, days)
    long_ago = time.time() - days * artifacts.DAY_SECONDS - 60
    for key in ("unused", "asked", "recent"):
        store.build("thing", key, hello)
    store.build("other", "unused", hello)
    for name, key in (("thing", "unused"), ("thing", "asked"), ("other", "unused")):
        os.utime(store.path(name, key), (long_ago, long_ago))
    os.utime(store.path("thing", "recent"), (long_ago + 120, long_ago + 120))
    assert store.has("thing", "asked")
    store.build("thing", "new", hello)
    kept = {path.name for path in (cache / "artifacts" / "thing").iterdir() if path.is_dir()}
    assert kept == {"asked", "recent", "new"}
    assert store.path("other", "unused").is_dir(), "another result's folder was swept"


def test_progress_keeps_one_line(cache: Path) -> None:
    progress = artifacts.Progress(cache, "compile x")
    progress("1 of 2")
    progress("2 of 2")
    assert [path.name for path in cache.iterdir()] == ["progress"]
    assert (cache / "progress").read_text() == "compile x: 2 of 2\n"


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    artifacts.write_whole(path, "one")
    reader = path.open()
    artifacts.write_whole(path, "another")
    assert (reader.read(), path.read_text()) == ("one", "another")
    assert list(tmp_path.iterdir()) == [path], "nothing is left beside it"
