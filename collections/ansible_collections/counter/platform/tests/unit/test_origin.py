"""Results go into a registry and come out of it as they were, and whatever is wrong with it is said in words."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.counter.platform.plugins.module_utils import origin
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.module_utils.origin import Entry, Origin, Registry, archive_of_files
from ansible_collections.counter.platform.plugins.modules import image_origin, registry_images
from lib.command import run
from lib.registry import Login, away, registry

# The job installs the registry and skopeo.
pytestmark = pytest.mark.engine
ARTIFACTS = ["tools/00", "counter-platform_small/11"]


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Login]:
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with two programs, and with an image."""
    cache = tmp_path_factory.mktemp("cache")
    tools, image = (cache / "artifacts" / name for name in ARTIFACTS)
    for folder in (tools, image):
        folder.mkdir(parents=True)
    for name in ("one", "two"):
        (tools / name).write_text(f"#!/bin/sh\necho {name}\n")
        (tools / name).chmod(0o755)
    archive_of_files(tools, image / "image.tar")
    return cache


def options(login: Login, **others: Any) -> dict[str, Any]:
    """Return what both modules need to get in."""
    address = {"registry": f"{login.address}/platform", "ca": str(login.ca)}
    return {"user": login.user, "password": login.password, **address, **others}


def lock_of(filled: dict[str, Any], folder: Path) -> Path:
    lock = folder / "images.lock.yml"
    lock.write_text(yaml.safe_dump({"artifacts": filled["artifacts"]}))
    return lock


@pytest.fixture(scope="module")
def filled(login: Login, cache: Path) -> dict[str, Any]:
    """What the module says that has put both there."""
    wanted = options(login, artifacts=ARTIFACTS, cache=str(cache))
    promised = registry_images.ensure(wanted, check_mode=True)
    done = registry_images.ensure(wanted, check_mode=False)
    again = registry_images.ensure(wanted, check_mode=False)
    assert (promised["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert again["artifacts"] == done["artifacts"]
    return done


@pytest.fixture
def lock(filled: dict[str, Any], tmp_path: Path) -> Path:
    return lock_of(filled, tmp_path)


def dest_of(lock: Path) -> Path:
    """Return the file that the module writes for a lock file."""
    return lock.with_name("state") / "images.json"


def decided(login: Login, lock: Path, *, check_mode: bool = False, **others: Any) -> dict[str, Any]:
    wanted = options(login, lock=str(lock), dest=str(dest_of(lock)), owner=os.geteuid())
    return image_origin.ensure({**wanted, **others}, check_mode=check_mode)


def bring(origin: Origin, folder: Path) -> tuple[Path, Path]:
    """Return the folder of the programs and the archive of the image that an origin gives."""
    for name in ("files", "image"):
        (folder / name).mkdir()
    origin.files("tools", "00", folder / "files")
    origin.image("counter-platform_small", "11", "counter-platform/small:11", folder / "image")
    assert run(str(folder / "files/two")).stdout == "two\n"
    return folder / "files", folder / "image/image.tar"


def test_files_and_images_come_back_as_they_were(login: Login, lock: Path, tmp_path: Path) -> None:
    assert decided(login, lock) == {"changed": True, "artifacts": 2}
    assert decided(login, lock)["changed"] is False
    file = dest_of(lock)
    assert {path.stat().st_mode & 0o777 for path in file.parent.iterdir()} == {0o600}
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert login.password not in file.read_text()
    there = Origin.read(str(file))
    files, image = bring(there, tmp_path)
    assert sorted(path.name for path in files.iterdir()) == ["one", "two"]
    assert run("skopeo", "inspect", f"docker-archive:{image}").stdout
    with pytest.raises(CommandError, match="the lock file has no tools of the key 99: it was written for another"):
        there.files("tools", "99", files)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, which needs root")
def test_what_root_leaves_for_a_user_is_the_users(login: Login, lock: Path) -> None:
    decided(login, lock, owner=1234)
    folder = dest_of(lock).parent
    assert {path.stat().st_uid for path in (folder, *folder.iterdir())} == {1234}


def test_check_mode_tells_what_it_would_write_and_writes_nothing(login: Login, lock: Path) -> None:
    state = lock.with_name("state")
    assert decided(login, lock, check_mode=True)["changed"]
    assert not state.exists()
    done = decided(login, lock)
    assert decided(login, lock, check_mode=True) == {**done, "changed": False}


def test_check_mode_before_skopeo_is_installed(login: Login, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(lock.parent))
    assert decided(away(login), lock, check_mode=True)["changed"]


@pytest.mark.parametrize("lacking", ["skopeo", "a result", "a cache"])
def test_check_mode_of_the_filling_where_nothing_is_made_yet(
    login: Login, cache: Path, tmp_path: Path, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacking == "skopeo":
        monkeypatch.setenv("PATH", str(tmp_path))
    artifacts = [*ARTIFACTS, "tools/22"] if lacking == "a result" else ARTIFACTS
    wanted = options(away(login), artifacts=artifacts, cache=str(tmp_path / "none" if lacking == "a cache" else cache))
    promised = registry_images.ensure(wanted, check_mode=True)
    assert promised == {"changed": True, "artifacts": {artifact: {} for artifact in artifacts}}
    assert not (tmp_path / "none").exists()


def test_registry_without_a_login(cache: Path, tmp_path: Path) -> None:
    with registry(tmp_path, is_open=True) as found:
        nobody = replace(found, user="", password="")
        wanted = options(nobody, artifacts=ARTIFACTS, cache=str(cache))
        lock = lock_of(registry_images.ensure(wanted, check_mode=False), tmp_path)
        decided(nobody, lock)
    assert [path.name for path in dest_of(lock).parent.iterdir()] == ["images.json"]


def refused(login: Login, lock: Path, **others: Any) -> str:
    """Return why nothing can be pulled."""
    with pytest.raises(CommandError) as error:
        decided(login, lock, **others)
    text = str(error.value)
    assert text.startswith("image_source is pull, and nothing can be pulled: ")
    assert "\n" not in text
    assert not lock.with_name("state").exists(), "a login that was refused is kept"
    return text


def test_registry_that_cannot_be_used(login: Login, lock: Path) -> None:
    assert "nobody answers at its address" in refused(away(login), lock)
    assert "it refuses the login (image_registry_user" in refused(replace(login, user="other"), lock)
    assert "of a CA that is not known here (image_registry_ca)" in refused(login, lock, ca="")


def test_registry_that_does_not_answer(login: Login, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "ANSWER", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = replace(login, address=f"127.0.0.1:{server.getsockname()[1]}")
        assert "it does not answer in time" in refused(silent, lock)


def test_registry_with_other_content(login: Login, lock: Path, filled: dict[str, Any]) -> None:
    wrong = {name: {**entry, "digest": f"sha256:{'0' * 64}"} for name, entry in filled["artifacts"].items()}
    lock.write_text(yaml.safe_dump({"artifacts": wrong}))
    assert "it has nothing of this digest: playbooks/mirror.yml fills it" in refused(login, lock)


def test_content_of_another_configuration_is_refused(login: Login, lock: Path, filled: dict[str, Any]) -> None:
    decided(login, lock)
    folder = dest_of(lock).parent
    access = Registry(f"{login.address}/platform", str(folder / "registry-login.json"), str(login.ca))
    entry = replace(Entry(**filled["artifacts"]["tools/00"]), id=f"sha256:{'1' * 64}")
    with pytest.raises(CommandError, match="instead of sha256:1111"):
        access.pull(entry, folder / "image.tar", "tools:00")


@pytest.mark.parametrize("text", ["artifacts: [1]", "other: {}", "{", "artifacts: {a/b: {digest: 1}}"])
def test_file_that_is_no_lock_file(login: Login, lock: Path, text: str) -> None:
    lock.write_text(text)
    with pytest.raises(CommandError, match=r"is no lock file as playbooks/mirror\.yml writes it"):
        decided(login, lock)


def test_without_lock_file_or_registry(login: Login, lock: Path) -> None:
    assert "no registry is named (image_registry)" in refused(login, lock, registry="")
    lock.unlink()
    assert "there is no lock file" in refused(login, lock)


def test_entry_is_what_the_registry_has(filled: dict[str, Any]) -> None:
    entries = {name: Entry(**entry) for name, entry in filled["artifacts"].items()}
    names = {name: entry.repository for name, entry in entries.items()}
    assert names == dict(zip(ARTIFACTS, ("counter-platform/files/tools", "counter-platform/small"), strict=True))
    assert all(entry.digest != entry.id and entry.size > 0 for entry in entries.values())


def test_folder_takes_the_place_of_a_registry(cache: Path, tmp_path: Path) -> None:
    place = tmp_path / "images"
    access = {"registry": str(place), "user": "", "password": "", "ca": ""}
    wanted = {**access, "artifacts": ARTIFACTS, "cache": str(cache)}
    done = registry_images.ensure(wanted, check_mode=False)
    again = registry_images.ensure(wanted, check_mode=False)
    assert (done["changed"], again) == (True, {**done, "changed": False})
    paths = {"lock": str(lock_of(done, tmp_path)), "dest": str(tmp_path / "state/images.json")}
    image_origin.ensure({**access, **paths, "owner": os.geteuid()}, check_mode=False)
    there = Origin.read(paths["dest"])
    _, image = bring(there, tmp_path)
    assert image.read_bytes() == (cache / "artifacts/counter-platform_small/11/image.tar").read_bytes()
    entry = Entry(**done["artifacts"]["counter-platform_small/11"])
    file = place / f"{entry.digest.removeprefix('sha256:')}.tar.gz"
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(CommandError, match="has a damaged counter-platform/small"):
        there.image("counter-platform_small", "11", "counter-platform/small:11", image.parent)
    file.unlink()
    with pytest.raises(CommandError, match="has no counter-platform/small@sha256:"):
        there.image("counter-platform_small", "11", "counter-platform/small:11", image.parent)
