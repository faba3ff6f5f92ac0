"""Every command of the documents that needs no make, as they write it, in an environment that make has not touched."""

import os
import re

import pytest
from lib.command import execute
from lib.machine import CERTIFICATES, CLIENT_SETTINGS
from lib.paths import ROOT

DOCUMENTS = [
    ROOT / "README.md",
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("roles/*/README.md"),
    ROOT / "iac/solution/README.md",
]
PROGRAMS = r"(?:\.venv/bin/)?(?:ansible|ansible-playbook|molecule|pytest|python)"
# What this machine cannot run as it is written, and why.
ELSEWHERE = {
    r"inventories/production": "needs an account of AWS; molecule/log_instance runs the role on an AWS API",
    r"^pytest ": "the jobs run pytest in this environment",
    r"molecule (test|converge|verify)": "the job of each scenario runs it in this environment",
    r"log_host_loki_archive": "needs Loki's archive",
    r"playbooks/mirror": "needs a registry; molecule/offline_images runs it on one of its own",
    r"playbooks/logs|--tags logs": "molecule/log_host runs them on a host of its own",
}
# A second cluster takes a minute, a second environment as a whole two; the images are there already.
LONG = "--tags (images|cluster|app|monitoring)|playbooks/(sbom|bundle)"
KEPT = {"HOME", "CI", "COUNTER_PLATFORM_TEST_MACHINE", *CLIENT_SETTINGS, *CERTIFICATES}


def commands() -> list[str]:
    """Return the commands in the code blocks of all documents, each once."""
    blocks = [block for path in DOCUMENTS for block in re.findall(r"^```\w*\n(.*?)^```", path.read_text(), re.M | re.S)]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return list(dict.fromkeys(line.strip() for line in lines if re.match(rf"{PROGRAMS} ", line)))


def test_what_is_left_out_is_still_in_the_documents() -> None:
    for pattern in ELSEWHERE:
        assert any(re.search(pattern, command) for command in commands()), f"nothing in the documents is {pattern}"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=pytest.mark.soak if re.search(LONG, command) else ())
        for command in commands()
        if not any(re.search(pattern, command) for pattern in ELSEWHERE)
    ],
)
def test_command_of_the_documents(command: str) -> None:
    path = f"PATH={ROOT}/.venv/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    settings = [f"{key}={value}" for key, value in os.environ.items() if key in KEPT]
    execute("env", "--ignore-environment", path, *settings, "bash", "-c", command).ok()
