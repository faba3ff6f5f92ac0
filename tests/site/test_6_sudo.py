"""A user who is not root and has sudo."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.command import Run, execute, run
from lib.machine import copy_project
from lib.network import count
from lib.paths import CACHE

HOME = Path("/home/admin")
PROJECT = HOME / "counter-platform"
# Another port than the one of `local`, which other tests have made.
ENVIRONMENT, URL = "ENVIRONMENT=staging", "http://127.0.0.1:8081/"
# What the README does with an environment that is there; the user is not in the group docker.
COMMANDS = [
    ("check",),
    ("backup", "FILE=count.json"),
    ("restore", "FILE=count.json"),
    ("logs",),
    ("logs", "QUERY=*"),
    ("report",),
    ("licences",),
]


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """A clone of a user's with sudo and a cache of their own, whose content is this machine's."""
    run("useradd", "--create-home", "admin")
    Path("/etc/sudoers.d/admin").write_text("admin ALL=(ALL) NOPASSWD: ALL\n")
    copy_project(PROJECT)
    cache = HOME / ".cache" / "counter-platform"
    cache.mkdir(parents=True)
    # On the disk that has docker's files: a machine's own file system is an overlay, and takes none above it.
    upper = Path("/var/lib/docker/admin")
    for name in ("upper", "work"):
        (upper / name).mkdir(parents=True)
    options = f"lowerdir={CACHE},upperdir={upper}/upper,workdir={upper}/work,metacopy=on"
    run("mount", "-t", "overlay", "overlay", "-o", options, str(cache))
    run("chown", "--recursive", "admin:admin", str(PROJECT))
    # In the cache as after a run: the folders that a user's programs write to are the user's.
    run("chown", "admin:admin", str(HOME / ".cache"), str(cache))
    for what in (["-type", "d"], ["-maxdepth", "2"]):
        run("find", str(cache / "uv"), *what, "-exec", "chown", "admin:admin", "{}", "+")
    yield PROJECT
    run("umount", "--lazy", str(cache))
    shutil.rmtree(upper)


def as_admin(*command: str, cwd: Path = PROJECT) -> Run:
    """Run a command as the user, in the clone."""
    # What chooses tests here is not for what is run.
    settings = [
        "env",
        "--unset=PYTEST_ADDOPTS",
        f"HOME={HOME}",
        "USER=admin",
        f"COUNTER_PLATFORM_CACHE={HOME}/.cache/counter-platform",
    ]
    return execute("runuser", "--user=admin", "--", *settings, *command, cwd=cwd)


def of_others(folder: Path, *what: str) -> list[str]:
    """Return what is in a folder and is not the user's."""
    return run("find", str(folder), *what, "!", "-user", "admin").stdout.splitlines()


def change_lock() -> None:
    """Do what another lock does to packages that root has imported: they go, and come anew by the next command."""
    (PROJECT / "uv.lock").touch()
    as_admin(".venv/bin/uv", "pip", "uninstall", "--quiet", "--python=.venv/bin/python", "kubernetes", "pyyaml").ok()
    assert not list(PROJECT.glob(".venv/lib/python3*/site-packages/kubernetes/client"))


def test_users_venv_can_change_after_root_has_imported_from_it(clone: Path) -> None:
    as_admin("make", "venv").ok()
    as_admin("sudo", str(clone / ".venv/bin/python"), "-c", "import kubernetes.client, yaml").ok()
    assert not of_others(clone, "-type", "d")
    change_lock()
    as_admin("make", "venv").ok()
    as_admin(".venv/bin/python", "-c", "import kubernetes.client, yaml").ok()


def test_venv_with_folders_of_roots_is_refused_with_the_remedy(clone: Path) -> None:
    broken = clone / ".venv/lib/broken"
    broken.mkdir()
    (clone / "uv.lock").touch()
    as_admin("make", "venv").failed("remove it, by sudo where it is root's")
    broken.rmdir()
    as_admin("make", "venv").ok()


def test_venv_of_a_clone_that_was_moved_is_not_used(clone: Path) -> None:
    assert (clone / ".venv/synced").exists(), "the commands before this one did not remove it"
    moved = clone.rename(HOME / "moved")
    try:
        # The tests above have it made anew.
        as_admin("make", "help", cwd=moved).ok()
        assert not (moved / ".venv").exists()
    finally:
        moved.rename(clone)


@pytest.mark.soak
def test_user_with_sudo_goes_all_the_way(clone: Path) -> None:
    # The documents' commands have made one for this clone.
    execute("make", "down", ENVIRONMENT).ok()
    as_admin("make", "up", ENVIRONMENT).ok()
    first = count(URL)
    change_lock()
    as_admin("make", "up", ENVIRONMENT).ok(changed=0)
    assert count(URL) == first + 1
    for command in COMMANDS:
        as_admin("make", *command, ENVIRONMENT).ok()
    as_admin("make", "test", "JOBS=bare").ok()
    assert list((clone / ".state/test").iterdir())
    assert not of_others(clone / ".state")
    # Nothing could be removed in such a folder.
    assert not of_others(HOME, "-type", "d")
    as_admin("make", "down", ENVIRONMENT).ok()
    assert not (clone / ".state/staging").exists()
