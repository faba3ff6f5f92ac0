"""What a container engine can do, found by trying."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.modules.engine_probe import choose_client, libraries, probe_root
from ansible_collections.counter.platform.tests.unit.support import Docker, RunModule

FOLDERS = ["/usr/bin", "/usr/local/bin", "/bin"]


def output(*command: str, cwd: Path | None = None) -> str:
    """Return what a command prints."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


def _version(client: str, side: str) -> str:
    return output(client, "version", "--format", f"{{{{.{side}.Version}}}}")


def test_libraries_are_files_and_have_the_loader() -> None:
    found = libraries(str(Path("/bin/sh").resolve()))
    assert all(Path(path).is_file() for path in found)
    assert any(Path(path).name.startswith("ld-") for path in found)
    assert any(Path(path).name.startswith("libc.") for path in found)
    assert len(found) == len(set(found))


def test_the_root_runs_a_shell(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    subprocess.run(["tar", "--extract", f"--directory={tmp_path}"], input=probe_root(), check=True)
    done = subprocess.run(
        ["chroot", tmp_path, "/bin/sh", "-c", "echo runs"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "runs\n"


def test_a_machine_without_a_client() -> None:
    assert choose_client([]) == {"reason": "no docker client is installed"}
    assert choose_client(["/nowhere"]) == {"reason": "no docker client is installed"}


def test_a_client_that_cannot_be_executed_is_none(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir(mode=0o600)
    (tmp_path / "docker").rmdir()
    (tmp_path / "docker").write_text("")
    assert choose_client([str(tmp_path)]) == {"reason": "no docker client is installed"}


def test_a_client_that_reaches_no_daemon_says_why(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    answer = choose_client([str(Path(docker.client).parent)])
    assert set(answer) == {"reason"}
    assert docker.client in answer["reason"]
    assert "/nowhere/docker.sock" in answer["reason"]


def test_a_broken_client_is_passed_over(docker: Docker, tmp_path: Path) -> None:
    shutil.copy("/bin/false", tmp_path / "docker")
    answer = choose_client([str(tmp_path), str(Path(docker.client).parent)])
    assert answer["client"] == str(Path(docker.client).resolve())


def test_the_versions_are_those_that_the_client_reports(docker: Docker) -> None:
    answer = choose_client([str(Path(docker.client).parent)])
    client = str(Path(docker.client).resolve())
    assert answer == {
        "client": client,
        "client_version": _version(client, "Client"),
        "server_version": _version(client, "Server"),
    }


def older_client(folder: Path, server: str) -> str:
    """Return a client of another version than the daemon's, unpacked from a package of the machine's own mirrors."""
    offered = output("apt-cache", "madison", "docker.io").splitlines()
    versions = {line.split("|")[1].strip() for line in offered}
    others = sorted(version for version in versions if not version.startswith(server.partition("+")[0]))
    if not others:
        pytest.skip(
            f"Debian's mirrors have no docker.io but the daemon's {server}: Debian 12 with docker of 13 has two"
        )
    output("apt-get", "--quiet", "download", f"docker.io={others[0]}", cwd=folder)
    (package,) = folder.glob("*.deb")
    output("dpkg-deb", "--extract", str(package), str(folder))
    return str(folder / "usr/bin/docker")


def test_a_client_of_the_daemons_own_version_wins(docker: Docker, tmp_path: Path) -> None:
    clients = {str(Path(folder, "docker").resolve()) for folder in FOLDERS if Path(folder, "docker").exists()}
    server = _version(docker.client, "Server")
    same = {client for client in clients if _version(client, "Client") == server}
    assert same
    other = (clients - same) or {older_client(tmp_path, server)}
    first, second = (str(Path(next(iter(group))).parent) for group in (other, same))
    assert choose_client([first, second])["client"] in same
    assert choose_client([second, first])["client"] in same
    # Without one, any that reaches the daemon will do.
    assert choose_client([first])["client"] in other


@pytest.mark.parametrize("check", [False, True])
def test_this_machines_engine(run_module: RunModule, docker: Docker, check: bool) -> None:
    images = ["image", "ls", "--quiet", "counter-platform/engine-probe"]
    before = set(docker(*images).split())
    result = run_module("engine_probe", {"search_path": [str(Path(docker.client).parent)]}, check=check)
    assert not result["changed"]
    assert result["client"] == str(Path(docker.client).resolve())
    assert result["cgroup_version"] == int(docker("info", "--format", "{{.CgroupVersion}}"))
    assert result["privileged"] == (result["reason"] == "")
    assert set(docker(*images).split()) <= before, "the probe's image is still there"
    if os.geteuid() == 0 and result["privileged"]:
        own = Path("/proc/self/oom_score_adj")
        try:
            adjustment = own.read_text()
            own.write_text("-500")
            own.write_text(adjustment)
            adjustable = True
        except OSError:
            adjustable = False
        # Root on the machine itself can do what a privileged container can.
        assert result["oom_score_adjustable"] == adjustable


def test_no_engine_is_an_answer_and_no_error(run_module: RunModule) -> None:
    result = run_module("engine_probe", {"search_path": ["/nowhere"]})
    assert (result["client"], result["privileged"]) == ("", False)
    assert result["reason"] == "no docker client is installed"
