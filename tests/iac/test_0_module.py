"""The module without an AWS API: its form, its own tests, and faults that validation or these tests find."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lib import terraform
from lib.paths import ROOT
from lib.terraform import (
    MODULE,
    REGISTRIES,
    Terraform,
    TerraformError,
    copy_of,
    mounts,
    program,
    provider_mirror,
    require_provider,
    require_terraform,
)
from tools import terraform_docs

CHECKOV = Path(__file__).parent / "checkov"


def put(folder: Path, file: str, sound: str, faulty: str) -> None:
    """Replace a text that stands in a file once."""
    path = folder / file
    text = path.read_text()
    assert text.count(sound) == 1, f"{file} has changed: the fault has to be put somewhere else"
    path.write_text(text.replace(sound, faulty))


def test_readme_has_the_inputs_and_outputs_of_the_module() -> None:
    readme = terraform_docs.README.read_text()
    assert terraform_docs.with_tables(readme) == readme, "run in tests: python -m tools.terraform_docs"


def test_every_input_has_a_type_and_every_block_a_description() -> None:
    inputs, outputs = (terraform_docs.blocks(kind) for kind in ("variable", "output"))
    assert len(inputs) >= 10
    assert len(outputs) >= 5
    assert not [name for name, about in inputs.items() if about.get("type", "any") in {"any", "${any}"}]
    assert not [name for name, about in (inputs | outputs).items() if not about.get("description")]


def test_lock_is_of_the_version_that_is_asked_for() -> None:
    (wanted,) = re.findall(r'source\s+= "hashicorp/aws"\s+version = "(.+)"', (MODULE / "versions.tf").read_text())
    lock = (MODULE / ".terraform.lock.hcl").read_text()
    assert re.findall(r'version\s+= "(.+)"', lock) == [wanted]
    assert re.search(r'"h1:\S+="', lock), "the lock has no hash to check the provider by"


def test_form_is_the_usual_one(ready: Terraform) -> None:
    assert ready("fmt", "-check", "-recursive", "-diff") == ""


def runs(*files: str) -> int:
    """Return how many runs the module's own tests have in these files."""
    return sum((MODULE / "tests" / f"{name}.tftest.hcl").read_text().count('\nrun "') for name in files)


def only(*files: str) -> list[str]:
    """Return the arguments by which ``terraform test`` takes these files alone."""
    return [f"-filter=tests/{name}.tftest.hcl" for name in files]


def test_module_plans_what_its_own_tests_say(ready: Terraform) -> None:
    assert runs("planned") >= 8
    assert f"Success! {runs('planned')} passed, 0 failed." in ready("test", *only("planned"))


def test_variables_refuse_what_the_modules_own_tests_say(inputs: Terraform) -> None:
    refused = [path.name.partition(".")[0] for path in (MODULE / "tests").glob("refused_*.tftest.hcl")]
    assert runs(*refused) >= 24
    assert f"Success! {runs(*refused)} passed, 0 failed." in inputs("test", *only(*refused))


@pytest.mark.soak
def test_modules_own_tests_pass_as_a_person_runs_them(ready: Terraform) -> None:
    every = [path.name.partition(".")[0] for path in (MODULE / "tests").glob("*.tftest.hcl")]
    assert f"Success! {runs(*every)} passed, 0 failed." in ready("test")


ADMITTED = {
    "https_from_everywhere": ('try(tonumber(split("/", cidr)[1]) >= 8, false)', "true"),
    "https_from_no_network_that_there_could_be": (
        "[for cidr in var.client_cidrs : can(cidrnetmask(cidr))]",
        "[for cidr in var.client_cidrs : true]",
    ),
    "ssh_from_everywhere": ('try(tonumber(split("/", cidr)[1]) >= 16, false)', "true"),
}


@pytest.mark.soak
def test_input_that_is_no_longer_refused_is_found(inputs: Terraform, tmp_path: Path) -> None:
    for run, fault in ADMITTED.items():
        faulty = Terraform(copy_of(inputs.folder, tmp_path / run), {})
        put(faulty.folder, "variables.tf", *fault)
        with pytest.raises(TerraformError, match=rf'run "{run}"\.\.\. fail'):
            faulty("test", *only("refused_access"))


def test_checkov_finds_nothing_and_each_skip_has_its_reason() -> None:
    skips = [line for path in MODULE.glob("*.tf") for line in path.read_text().splitlines() if "checkov:skip" in line]
    assert all(re.search(r"#checkov:skip=CKV2?_AWS_\d+: \S+ \S+", line) for line in skips), skips
    done = subprocess.run(
        [
            Path(sys.executable).parent / "uv", "run", "--quiet", "--frozen", "--project", CHECKOV,
            "checkov", "--directory", MODULE, "--framework", "terraform", "--compact", "--quiet", "--skip-download",
        ],
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(ROOT / ".venv/checkov")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Failed checks: 0, Skipped checks: {len(skips)}" in done.stdout
    (passed,) = re.findall(r"Passed checks: (\d+)", done.stdout)
    assert int(passed) >= 60


def test_mirror_is_found_by_its_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    mirror = tmp_path / ".terraform.d/plugins"
    (mirror / "registry.terraform.io/hashicorp/random/3.0.0/linux_amd64").mkdir(parents=True)
    assert provider_mirror() != mirror, "a mirror without the provider"
    (mirror / "registry.terraform.io/hashicorp/aws/5.99.0/linux_amd64").mkdir(parents=True)
    assert provider_mirror() == mirror


def test_mirror_without_the_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_terraform()
    monkeypatch.setenv("HOME", str(tmp_path))
    mirror = tmp_path / ".terraform.d/plugins"
    (mirror / "registry.terraform.io/hashicorp/aws/5.99.0/linux_amd64").mkdir(parents=True)
    with pytest.raises(TerraformError, match=f"could not be taken from the mirror {mirror}"):
        Terraform(copy_of(MODULE, tmp_path / "solution"), {}).init("-backend=false")


CANNOT_RUN = {"": pytest.skip.Exception, "true": pytest.fail.Exception}


def test_no_terraform_is_a_skip_with_a_remedy_and_a_failure_on_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() is None
    for ci, outcome in CANNOT_RUN.items():
        monkeypatch.setenv("CI", ci)
        for require in (require_terraform, require_provider):
            with pytest.raises(outcome, match=r"neither terraform nor tofu is in PATH: install one"):
                require()


def test_no_provider_is_a_skip_with_a_remedy_and_a_failure_on_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terraform, "provider_mirror", lambda: None)
    for name in ("terraform", "tofu"):
        binary = tmp_path / name / name
        binary.parent.mkdir()
        binary.touch(mode=0o755)
        monkeypatch.setenv("PATH", str(binary.parent))
        # Nothing listens there.
        monkeypatch.setitem(REGISTRIES, name, "127.0.0.1:1")
        require_terraform()
        assert mounts() == [binary]
        for ci, outcome in CANNOT_RUN.items():
            monkeypatch.setenv("CI", ci)
            with pytest.raises(
                outcome, match=r"https://127\.0\.0\.1:1 does not answer; let this machine reach it, or put"
            ):
                require_provider()


def test_what_another_machine_has_to_mount_is_printed() -> None:
    require_provider()
    command = [sys.executable, "-m", "lib.terraform"]
    done = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(path) for path in mounts()]
    assert mounts()[0].is_file()
