"""`make run`: the service without a cluster."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from platform_cluster import ROOT, count, wait_for

ADDRESS = "127.0.0.1:8096"


def answers() -> bool:
    """Return whether the service has answered a request."""
    try:
        return count(f"http://{ADDRESS}/") == 1
    except OSError:
        return False


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
            wait_for("an answer", answers, 60)
            assert count(f"http://{ADDRESS}/") == 2
        finally:
            # As a terminal does it: to everything in the foreground.
            os.killpg(process.pid, signal.SIGINT)
            output, _ = process.communicate(timeout=60)
    assert "Shutting down: Master" in output
    assert '"level": "error"' not in output
    with pytest.raises(OSError, match="refused"):
        count(f"http://{ADDRESS}/")
