"""The state of a host: of real files, dpkg and a web server, and of services as systemctl prints them."""

import http.server
import os
import pwd
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.modules.host_info import named, services
from ansible_collections.counter.platform.tests.unit.support import RunModule
from lib.command import run

SYSTEMCTL = """#!/bin/sh
cat <<'END'
Id=runs.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
StateChangeTimestamp=Tue 2026-12-01 04:00:00.500000 UTC

Id=stopped.service
LoadState=loaded
ActiveState=inactive
UnitFileState=enabled
StateChangeTimestamp=Tue 2026-12-01 04:00:00.500000 UTC

Id=disabled.service
LoadState=loaded
ActiveState=active
UnitFileState=disabled
StateChangeTimestamp=Tue 2026-12-01 04:00:00.500000 UTC

Id=none.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
StateChangeTimestamp=
END
"""


def test_files_are_described(run_module: RunModule, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content\n")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("file")
    paths = [str(tmp_path / name) for name in ("file", "link", "none", "file/below")]
    files = run_module("host_info", files=[{"path": path} for path in paths], check=True)["files"]
    assert list(files) == paths[:2]
    owner = {"owner": tmp_path.owner(), "group": tmp_path.group(), "block": False}
    sha256 = run("sha256sum", paths[0]).stdout.split()[0]
    assert files[paths[0]] == {**owner, "mode": "0640", "sha256": sha256}
    assert files[paths[1]] == {**owner, "mode": "0777", "target": "file"}


def test_owner_without_a_name_is_a_number() -> None:
    assert named(pwd.getpwuid, 0) == "root"
    assert named(pwd.getpwuid, 2**31) == str(2**31)


def test_services_are_stopped_unknown_or_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "systemctl").write_text(SYSTEMCTL)
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    changed = datetime(2026, 12, 1, 4, tzinfo=UTC).timestamp() + 0.5
    for name, moment in (("older", changed - 0.1), ("newer", changed + 0.1)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (moment, moment))
    older, newer, none = (str(tmp_path / name) for name in ("older", "newer", "none"))
    # The time is the link's own: it is what leads to another release.
    (tmp_path / "link").symlink_to(older)
    found = services(
        [
            {"path": older, "restarts": "runs"},
            {"path": newer, "reloads": "runs", "mode": "0600"},
            {"path": older, "reloads": "runs"},
            {"path": none, "restarts": "stopped"},
            {"path": str(tmp_path / "link"), "restarts": "disabled"},
            {"path": newer, "restarts": "none"},
            {"path": newer},
        ]
    )
    assert found == {
        "unknown": ["none"],
        "stopped": ["stopped", "disabled", "none"],
        "stale": [{"name": "runs", "state": "reloaded"}, {"name": "disabled", "state": "restarted"}],
    }


def test_nothing_is_known_of_a_host_without_systemd(run_module: RunModule) -> None:
    if Path("/run/systemd/system").exists():
        pytest.skip("systemd runs here")
    found = run_module("host_info", files=[{"path": "/etc", "restarts": "none"}])
    assert (found["family"], list(found["files"]), found["stopped"]) == ("", ["/etc"], [])


def test_commands_and_urls_that_fail_are_named(run_module: RunModule) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, *arguments: object) -> None:
            """Print nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        closed = "http://127.0.0.1:1/"
        found = run_module(
            "host_info",
            files=[],
            commands=[["true"], ["test", "-e", "/nowhere"], ["/nowhere"]],
            urls={url: 401, f"{url}other": 200, closed: 200},
        )
        server.shutdown()
    assert found["failed_checks"] == ["test -e /nowhere", "/nowhere", f"{url}other", closed]
