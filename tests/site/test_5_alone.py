"""`make run`: the service without a cluster."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from lib.network import answers, count
from lib.paths import ROOT
from lib.wait import wait_for

ADDRESS = "127.0.0.1:8096"
URL = f"http://{ADDRESS}/"


def test_make_run_counts_until_it_is_interrupted(tmp_path: Path) -> None:
    # The page is by default where a person's own run keeps it.
    with subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env={
            **os.environ,
            "COUNTER_BIND": ADDRESS,
            "COUNTER_PAGE_FILE": str(tmp_path / "page"),
            "COUNTER_DRAIN_SECONDS": "0",
        },
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_for("an answer", lambda: answers(f"{URL}readyz"), 60)
            assert [count(URL), count(URL)] == [1, 2]
        finally:
            # As a terminal does it: to everything in the foreground.
            os.killpg(process.pid, signal.SIGINT)
            output, _ = process.communicate(timeout=60)
    assert "Shutting down: Master" in output
    assert '"level": "error"' not in output
    with pytest.raises(OSError, match="refused"):
        count(URL)
