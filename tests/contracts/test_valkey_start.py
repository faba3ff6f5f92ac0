"""What the script ahead of Valkey cuts off an append-only file, and what it leaves alone."""

import shutil
import subprocess
from pathlib import Path

import pytest
from lib.paths import ROOT

SCRIPT = ROOT / "roles/counter_app/files/valkey-start.sh"
INCREMENT = b"*2\r\n$4\r\nINCR\r\n$7\r\ncounter\r\n"
ZEROS = bytes(64)

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not shutil.which("redis-check-aof"), reason="redis-tools is not installed"),
]


def start(folder: Path, ending: bytes) -> tuple[bool, bytes, bytes]:
    """Return whether a server is started on two commands and an ending, what is left, and what was moved away."""
    log = folder / "appendonlydir/appendonly.aof.1.incr.aof"
    log.parent.mkdir(parents=True)
    log.write_bytes(2 * INCREMENT + ending)
    (log.parent / "appendonly.aof.manifest").write_text(f"file {log.name} seq 1 type i\n")
    # Debian 12 has no Valkey, and Redis' program, which goes by its own name, writes the same.
    for name, command in (("valkey-check-aof", 'redis-check-aof "$@"'), ("valkey-server", "true")):
        (folder / name).write_text(f"#!/bin/sh\nexec {command}\n")
        (folder / name).chmod(0o755)
    done = subprocess.run(["sh", SCRIPT], cwd=folder, env={"PATH": f"{folder}:/usr/bin:/bin"}, check=False)
    moved = [path.read_bytes() for path in folder.glob("cut-*.aof")]
    return done.returncode == 0, log.read_bytes(), b"".join(moved)


def test_what_was_not_acknowledged_is_moved_away(tmp_path: Path) -> None:
    endings = [b"", ZEROS, *(INCREMENT[:end] + zeros for end in range(1, len(INCREMENT)) for zeros in (b"", ZEROS))]
    wrong = [
        ending
        for number, ending in enumerate(endings)
        if start(tmp_path / str(number), ending) != (True, 2 * INCREMENT, ending)
    ]
    assert wrong == []


def test_other_damage_is_left_as_it_is(tmp_path: Path) -> None:
    endings = [
        b"garbage",
        ZEROS + INCREMENT,
        INCREMENT[:-6] + INCREMENT,
        INCREMENT.replace(b"$4", b"$5"),
        INCREMENT.replace(b"$7", b"$8") + ZEROS,
        INCREMENT.replace(b"*2", b"*1"),
        bytes(2**20 + 1),
    ]
    wrong = [
        ending
        for number, ending in enumerate(endings)
        if start(tmp_path / str(number), ending) != (False, 2 * INCREMENT + ending, b"")
    ]
    assert wrong == []
