"""What a runbook has to look at can be looked at: its commands, as they are written, on the environment."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib.command import run
from lib.environment import NAME
from lib.paths import ROOT
from lib.wait import wait_until_none

PAGES = sorted((ROOT / "docs/runbooks").glob("*.md"))


def failure(page: Path) -> str:
    """Run the commands of a page, but for those of make, which knows no scenario; return what is wrong with them."""
    (block,) = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)
    # The documents speak of the environment `local`.
    here = re.sub(r"(\.state/|counter-|counter-platform/)local\b", rf"\1{NAME}", block)
    commands = "\n".join(line for line in here.splitlines() if not line.startswith("make "))
    done = run("bash", "-euo", "pipefail", "-c", commands, check=False)
    if done.returncode == 0 and done.stdout.strip():
        return ""
    return f"{page.name} ended with {done.returncode}: {done.stderr or 'it prints nothing'}"


def failures() -> list[str]:
    with ThreadPoolExecutor(4) as pool:
        return [found for found in pool.map(failure, PAGES) if found]


def test_commands_of_every_runbook() -> None:
    assert PAGES
    # Another job may just have replaced what a page looks at.
    wait_until_none("runbooks that fail", failures)
