"""The tool behind `make bump` and `make outdated`, on a copy of what it reads, with the package mirrors themselves."""

import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import yaml
from lib.command import execute
from lib.network import serving
from lib.paths import ROOT

from tools import versions
from tools.versions import VersionError, bump, main, replaced, table, write

pytestmark = pytest.mark.mirrors
# Versions that the mirrors have, and the project has not.
ANOTHER = {"kubernetes": "v1.36.3", "kind": "v0.32.0", "uv": "0.13.0", "ruff": "0.17.0"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the tool reads."""
    versions.copy_files(ROOT, tmp_path)
    return tmp_path


def texts(project: Path) -> dict[Path, str]:
    """Return the texts of all files of a project."""
    return {path.relative_to(project): path.read_text() for path in project.rglob("*") if path.is_file()}


def changed(project: Path, what: str, to: str) -> dict[Path, tuple[set[str], set[str]]]:
    """Bring a version to another one; return the lines that each changed file lost and got."""
    before = texts(project)
    assert main(["bump", what, to], project) == 0
    lines = {path: (set(before[path].splitlines()), set(text.splitlines())) for path, text in texts(project).items()}
    return {path: (old - new, new - old) for path, (old, new) in lines.items() if old != new}


def test_what_has_no_version_of_its_own_is_refused_with_a_list(project: Path) -> None:
    for what in ("", "nonsense", "kube-proxy", "coredns", "pause", "haproxy"):
        with pytest.raises(VersionError, match=f"'{what}' has no version of its own") as error:
            bump(project, what, "v1")
        for name in ("packages", "kubernetes", "metrics-server", "ruff", "falcon", "python-kubernetes"):
            assert f" {name}," in str(error.value)
    # As the Makefile runs it.
    command = [sys.executable, "-m", "tools.versions", "bump", "nonsense", "1"]
    said = execute(*command, environment={"PYTHONPATH": "tests:collections"})
    assert said.status == 1
    assert said.output.startswith("error: 'nonsense' has no version of its own")


@pytest.mark.parametrize(
    ("what", "to", "why"),
    [
        pytest.param("kubernetes", "v1.36.99", "Go finds no v1.36.99 of k8s.io/kubernetes", marks=pytest.mark.soak),
        ("kind", "latest", "latest is no version of sigs.k8s.io/kind"),
        ("packages", "2999-01-01", "and none of 2999-01-01 yet"),
        ("packages", "yesterday", "yesterday is no day"),
        pytest.param("redis", "9.0", "no redis 9.0 for app/pyproject.toml: error: No solution", marks=pytest.mark.soak),
        pytest.param("uv", "latest", "no uv latest for pyproject.toml: error: invalid value", marks=pytest.mark.soak),
    ],
)
def test_version_that_the_mirrors_lack_changes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str], what: str, to: str, why: str
) -> None:
    before = texts(project)
    assert main(["bump", what, to], project) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("error: ") <= 2, "uv's own begins like that as well"
    assert why in printed.err
    assert texts(project) == before


@pytest.mark.soak
def test_kubernetes_goes_to_another_release_and_back(project: Path) -> None:
    before = texts(project)
    here = versions.required(before[versions.NODE_PROGRAMS / "go.mod"])[versions.KUBERNETES]
    lines = changed(project, "kubernetes", ANOTHER["kubernetes"])
    files = {folder / name for folder in versions.FOLDERS for name in ("go.mod", "go.sum")}
    assert {versions.TABLE, versions.NODE_PROGRAMS / "go.mod"} <= set(lines) <= {versions.TABLE, *files}
    assert yaml.safe_load((project / versions.TABLE).read_text())["kubernetes_version"] == ANOTHER["kubernetes"]
    staging = here.replace("v1.", "v0.", 1)
    assert not [
        line for text in texts(project).values() for line in text.splitlines() if f"k8s.io/api {staging}" in line
    ]
    changed(project, "kubernetes", here)
    after = texts(project)
    # Checksums that nothing needs are left out.
    for sums in {path for path in files if path.name == "go.sum"}:
        assert set(after.pop(sums).splitlines()) <= set(before.pop(sums).splitlines())
    assert after == before


@pytest.mark.soak
def test_program_of_another_module_changes_nothing_of_the_nodes(project: Path) -> None:
    before = texts(project)
    folder, module = versions.PROGRAMS["metrics-server"]
    here = versions.required(before[folder / "go.mod"])[module]
    # The mirrors have one version of it alone: as it is after another one.
    (project / versions.TABLE).write_text(versions.tagged(before[versions.TABLE], "metrics-server", "v0.0.1"))
    with (project / folder / "go.sum").open("a") as sums:
        sums.write(f"example.com/unused v1.0.0 h1:{'A' * 43}=\n")
    assert set(changed(project, "metrics-server", here)) == {versions.TABLE, folder / "go.sum"}
    assert texts(project) == before


@pytest.mark.parametrize(
    ("what", "day"), [("packages", "platform_packages_date"), ("node-packages", "platform_node_packages_date")]
)
def test_day_of_the_packages_goes_back_and_forth(project: Path, what: str, day: str) -> None:
    before = texts(project)
    here = yaml.safe_load(before[versions.TABLE])[day]
    lines = changed(project, what, "2020-01-01")
    assert lines == {versions.TABLE: ({f'{day}: "{here}"'}, {f'{day}: "2020-01-01"'})}
    changed(project, what, here)
    assert texts(project) == before


@pytest.mark.soak
def test_exact_pin_moves_with_its_lock_and_the_bootstrap_follows(project: Path) -> None:
    before = texts(project)
    here = versions.locked(before[Path("uv.lock")], "uv")["version"]
    lines = changed(project, "uv", ANOTHER["uv"])
    assert set(lines) == {Path("pyproject.toml"), Path("uv.lock"), versions.BOOTSTRAP}
    assert lines[Path("pyproject.toml")] == ({f'    "uv=={here}",'}, {f'    "uv=={ANOTHER["uv"]}",'})
    assert f"uv=={ANOTHER['uv']} \\" in lines[versions.BOOTSTRAP][1]
    assert versions.hosts((project / "uv.lock").read_text()) == versions.hosts(before[Path("uv.lock")])
    changed(project, "uv", here)
    assert texts(project) == before


def test_version_that_is_there_changes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = versions.locked((ROOT / "uv.lock").read_text(), "uv")["version"]
    assert changed(project, "uv", here) == {}
    assert f"uv is at {here} already" in capsys.readouterr().out


def test_collections_follow_ansible() -> None:
    listed = (ROOT / versions.COLLECTIONS).read_text()
    brought = versions.collections(versions.locked((ROOT / "uv.lock").read_text(), "ansible"))
    assert f"name: kubernetes.core\n    version: {brought['kubernetes.core']}\n" in listed


class AnotherIndex(BaseHTTPRequestHandler):
    """A package index at another address, which sends its clients on to PyPI."""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", f"https://pypi.org{self.path}")
        self.end_headers()


@pytest.mark.soak
def test_address_of_another_index_never_gets_into_a_lock(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(AnotherIndex) as another_index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://{another_index}/simple")
        with pytest.raises(VersionError, match=f"addresses at {another_index} into app/uv.lock"):
            bump(project, "falcon", "4.4.0")


def test_coredns_is_the_one_that_kubeadm_asks_for() -> None:
    required = versions.required((ROOT / versions.NODE_PROGRAMS / "go.mod").read_text())
    tags = {"coredns": "v1.0.0", "etcd": "3.0.0-0", "pause": "3.0"}
    with pytest.raises(VersionError, match=r"kubeadm v\S+ asks for v1\.0\.0"):
        table((ROOT / versions.TABLE).read_text(), required, tags)


@pytest.mark.parametrize("text", ["", "tag: 1\ntag: 2\n"])
def test_place_of_a_version_has_to_be_there_once(text: str) -> None:
    with pytest.raises(VersionError, match="instead of once"):
        replaced(text, r"^(tag: )\S+$", "3")


def test_files_are_written_all_or_none(project: Path) -> None:
    before = texts(project)
    with pytest.raises(UnicodeEncodeError):
        write(project, {versions.TABLE: "new", versions.BOOTSTRAP: "no text: \ud800"})
    assert texts(project) == before


@pytest.mark.soak
def test_outdated_lists_what_is_newer_and_where(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go_mod, images = project / versions.NODE_PROGRAMS / "go.mod", project / versions.TABLE
    go_mod.write_text(replaced(go_mod.read_text(), r"^(\tsigs\.k8s\.io/kind )\S+$", ANOTHER["kind"]))
    images.write_text(replaced(images.read_text(), r"^(platform_packages_date: )\S+$", '"2020-01-01"'))
    # What two projects require is locked in both.
    assert set(changed(project, "ruff", ANOTHER["ruff"])) == {Path("uv.lock"), Path("app/uv.lock")}
    capsys.readouterr()
    assert main(["outdated"], project) == 0
    rows = [line.split(maxsplit=3) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["what", "here", "newest", "where"]
    found = {what: (here, where) for what, here, newest, where in rows if here != newest}
    assert found["kind"] == (ANOTHER["kind"], "Go modules")
    assert found["packages"] == ("2020-01-01", "Debian")
    assert found["ruff"] == (ANOTHER["ruff"], "PyPI")
