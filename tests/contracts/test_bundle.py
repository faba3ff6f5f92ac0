"""A bundle comes back whole or not at all, and what is wrong with it is named."""

import shutil
import sys
from pathlib import Path

import pytest
from lib.command import run
from lib.paths import ROOT

from tools import bundle

PROGRAM = [sys.executable, "-S", bundle.__file__]
"""Without site packages, as on a machine where nothing was installed yet."""
COMMIT, OTHER = "1" * 40, "2" * 40
FILES = {"artifacts/node/00/image.tar.gz": b"\x1f\x8b" + bytes(50_000), "wheels/one.whl": b"wheel", "tools/run": b"#!"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    (folder / "tools/run").chmod(0o755)
    return folder


@pytest.fixture
def file(folder: Path) -> Path:
    return packed(folder, "bundle.tar")


def packed(folder: Path, name: str, commit: str = COMMIT, key: Path | None = None) -> Path:
    """Write a bundle of a folder beside it, and return its one file."""
    (written,) = bundle.pack(bundle.files_of([(".", folder)]), folder.with_name(name), commit, key=key)
    return written


def content(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, without the manifest."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: text for name, text in files.items() if name != bundle.MANIFEST}


def refused(file: Path, commit: str = COMMIT, signers: Path | None = None) -> str:
    """Return why a bundle is refused, and make sure that it leaves nothing."""
    into = file.parent / "refused" / "bundle"
    with pytest.raises(bundle.BundleError) as error:
        bundle.unpack(file, commit, into, signers=signers)
    assert not into.parent.exists() or not list(into.parent.iterdir())
    return str(error.value)


def test_bundle_comes_back_as_it_was_and_once(file: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    assert bundle.unpack(file, COMMIT, into)
    assert content(into) == FILES
    assert (into / "tools/run").stat().st_mode & 0o777 == 0o755
    assert not bundle.unpack(file, COMMIT, into)


def test_newer_bundle_takes_the_place_of_an_older_one(folder: Path, file: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    bundle.unpack(file, COMMIT, into)
    (folder / "wheels/one.whl").rename(folder / "wheels/two.whl")
    assert bundle.unpack(packed(folder, "newer.tar", OTHER), OTHER, into)
    assert "wheels/one.whl" not in content(into)


def test_same_content_gives_the_same_bundle(folder: Path, file: Path) -> None:
    assert packed(folder, "again.tar").read_bytes() == file.read_bytes()


def test_parts_are_one_bundle(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "bundle.tar"
    parts = bundle.pack(bundle.files_of([(".", folder)]), target, COMMIT, part_bytes=20_000)
    assert [path.name for path in parts] == [f"bundle.tar.{number}-of-4" for number in range(1, 5)]
    assert max(path.stat().st_size for path in parts) == 20_000
    assert bundle.unpack(target, COMMIT, tmp_path / "into")
    assert content(tmp_path / "into") == FILES
    parts[1].unlink()
    assert "bundle.tar.2-of-4 is missing" in refused(target)


def test_bundle_that_is_not_there_or_of_another_commit(file: Path) -> None:
    assert "no such file, and no part of one" in refused(file.with_name("none.tar"))
    assert f"it is for the commit {COMMIT}, and the clone has {OTHER}" in refused(file, OTHER)


def test_any_flipped_byte_is_found(file: Path) -> None:
    whole = file.read_bytes()
    places = {
        # In the manifest, in a file, and in the head of one.
        "manifest": whole.index(b'"sha256": "') + 12,
        "image.tar.gz is damaged": whole.index(b"\x1f\x8b") + 100,
        "wheels/one.whl is missing or damaged": whole.index(b"wheels/one.whl", whole.index(b"\x1f\x8b")),
    }
    for message, place in places.items():
        damaged = bytearray(whole)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        assert message in refused(file)


@pytest.mark.parametrize("left", [0, 100, 700, 20_000, 53_000])
def test_bundle_that_was_cut_off(file: Path, left: int) -> None:
    file.write_bytes(file.read_bytes()[:left])
    assert str(file) in refused(file)


def replace(file: Path, old: bytes, new: bytes) -> None:
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new))


def test_file_that_no_manifest_names(folder: Path) -> None:
    (folder / "more").write_text("more")
    more = packed(folder, "more.tar")
    replace(more, b'"more": {', b'"none": {')
    assert "more is not in its manifest" in refused(more)


def key(folder: Path, name: str) -> Path:
    """Return a key, beside which is its public half and a file that allows its signatures."""
    path = folder / name
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))
    path.with_suffix(".signers").write_text(f"{bundle.SIGNER} {path.with_suffix('.pub').read_text()}")
    return path


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen")
def test_signature(folder: Path, file: Path, tmp_path: Path) -> None:
    mine, theirs = key(tmp_path, "mine"), key(tmp_path, "theirs")
    signed = packed(folder, "signed.tar", key=mine)
    assert bundle.unpack(signed, COMMIT, tmp_path / "into", signers=mine.with_suffix(".signers"))
    assert content(tmp_path / "into") == FILES
    assert bundle.unpack(signed, COMMIT, tmp_path / "unasked"), "whoever names no signer takes it as it is"
    assert "the signature is of nobody that" in refused(signed, signers=theirs.with_suffix(".signers"))
    assert "it is not signed" in refused(file, signers=mine.with_suffix(".signers"))
    replace(signed, b'"size": 5', b'"size": 6')
    assert "the signature is of nobody that" in refused(signed, signers=mine.with_suffix(".signers"))


def test_disk_that_is_too_small(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    assert "GiB free" in refused(file)


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_commit_of_a_clone(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
        return run("git", "-C", str(tmp_path), *who, *arguments).stdout.strip()

    with pytest.raises(bundle.BundleError, match="is no clone"):
        bundle.commit_of(tmp_path)
    git("init", "--quiet")
    with pytest.raises(bundle.BundleError, match="has no commit checked out"):
        bundle.commit_of(tmp_path)
    git("commit", "--quiet", "--allow-empty", "--message=one")
    commit = git("rev-parse", "HEAD")
    assert bundle.commit_of(tmp_path) == commit
    git("pack-refs", "--all")
    assert bundle.commit_of(tmp_path) == commit
    git("worktree", "add", "--quiet", str(tmp_path / "tree"), "-b", "other")
    assert bundle.commit_of(tmp_path / "tree") == commit
    git("checkout", "--quiet", "--detach")
    assert bundle.commit_of(tmp_path) == commit


def test_program_says_what_is_wrong_and_needs_nothing(file: Path, tmp_path: Path) -> None:
    given = [f"--bundle={file}", f"--clone={ROOT}", f"--into={tmp_path / 'into'}"]
    done = run(*PROGRAM, "unpack", *given, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("Nothing was changed.\n")
    assert "it is for the commit" in done.stderr
    assert "Traceback" not in done.stderr


def test_program_packs_folders_as_one_and_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/two.whl").write_bytes(b"another")
    sources = [f"wheels={folder / 'wheels'}", f"wheels={tmp_path / 'more'}", f"bin/run={folder / 'tools/run'}"]
    target = tmp_path / "made.tar"
    command = [*PROGRAM, "pack", f"--bundle={target}", f"--clone={ROOT}"]
    assert run(*command, *sources).stdout == f"{target}\n"
    assert bundle.unpack(target, bundle.commit_of(ROOT), tmp_path / "into")
    assert content(tmp_path / "into") == {"wheels/one.whl": b"wheel", "wheels/two.whl": b"another", "bin/run": b"#!"}
    refused = run(*command, "one=/nowhere", check=False)
    assert (refused.returncode, "/nowhere" in refused.stderr) == (1, True)
