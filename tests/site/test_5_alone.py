"""`make run`: the service without a cluster."""

from pathlib import Path

import pytest
from lib.command import until_interrupted
from lib.network import answers, count
from lib.wait import wait_for

ADDRESS = "127.0.0.1:8096"
URL = f"http://{ADDRESS}/"


def test_make_run_counts_until_it_is_interrupted(tmp_path: Path) -> None:
    # The page is by default where a person's own run keeps it.
    page = str(tmp_path / "page")
    environment = {"COUNTER_BIND": ADDRESS, "COUNTER_PAGE_FILE": page, "COUNTER_DRAIN_SECONDS": "0"}
    with until_interrupted("make", "run", environment=environment) as said:
        wait_for("an answer", lambda: answers(f"{URL}readyz"), 60)
        assert [count(URL), count(URL)] == [1, 2]
    (output,) = said
    assert "Shutting down: Master" in output
    assert '"level": "error"' not in output
    with pytest.raises(OSError, match="refused"):
        count(URL)
