"""What a runbook has to look at can be looked at: its commands, as they are written, on the scenario's environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lib.command import run
from lib.paths import ROOT
from lib.prometheus import Prometheus

PAGES = sorted((ROOT / "docs/runbooks").glob("*.md"))
# The documents speak of the environment `local`.
HERE = {
    ".state/local": ".state/molecule",
    "counter-local": "counter-molecule",
    "counter-platform/local": "counter-platform/molecule",
}


def commands(page: Path) -> str:
    """Return the commands of a page, but for those of make, which has no such environment."""
    (block,) = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)
    for there, here in HERE.items():
        block = block.replace(there, here)
    return "\n".join(line for line in block.splitlines() if not line.startswith("make "))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_the_runbook(prometheus: Prometheus, page: Path) -> None:
    done = run("bash", "-euo", "pipefail", "-c", commands(page), check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
