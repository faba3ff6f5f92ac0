"""The module without an AWS API: its form, its own tests, and faults that validation or these tests find."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import terraform_docs
from platform_terraform import MODULE, Terraform, TerraformError, copy_of, provider_mirror

ROOT = MODULE.parent.parent
CHECKOV = Path(__file__).parent / "checkov"


def put(folder: Path, file: str, sound: str, faulty: str) -> None:
    """Replace a text that stands in a file once."""
    path = folder / file
    text = path.read_text()
    assert text.count(sound) == 1, f"{file} has changed: the fault has to be put somewhere else"
    path.write_text(text.replace(sound, faulty))


def test_readme_has_the_inputs_and_outputs_of_the_module() -> None:
    readme = (MODULE / "README.md").read_text()
    current = terraform_docs.with_tables(readme, MODULE)
    assert current == readme, "run: python tests/terraform_docs.py --write"


def test_every_input_has_a_type_and_every_block_a_description() -> None:
    inputs, outputs = (terraform_docs.blocks(MODULE, kind) for kind in ("variable", "output"))
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


def test_module_is_valid(ready: Terraform) -> None:
    ready("validate")


def test_tests_of_the_module_pass(ready: Terraform) -> None:
    runs = sum(path.read_text().count('\nrun "') for path in (MODULE / "tests").glob("*.tftest.hcl"))
    assert runs >= 30
    assert f"Success! {runs} passed, 0 failed." in ready("test")


VALIDATED = {
    "wrong type: one text for several networks": (
        "variables.tf",
        'HTTPS. Named ones: none wider than /8."\n  type        = set(string)',
        'HTTPS. Named ones: none wider than /8."\n  type        = string',
        "Iteration over non-iterable value",
    ),
    "wrong type: a text for a size": (
        "variables.tf",
        "default     = 50",
        'default     = "large"',
        "Invalid default value for variable",
    ),
    "undeclared input": ("host.tf", "var.instance_type", "var.instance_size", "undeclared input variable"),
    "output of what is not there": ("outputs.tf", "aws_eip.loki.public_ip", "aws_eip.host.public_ip", "undeclared"),
    "wrong reference to the image": (
        "host.tf",
        "data.aws_ssm_parameter.ami[0].insecure_value",
        "data.aws_ami.ami.id",
        "Reference to undeclared resource",
    ),
}


@pytest.mark.parametrize("fault", VALIDATED)
def test_fault_is_not_valid(module: Terraform, fault: str) -> None:
    file, sound, faulty, message = VALIDATED[fault]
    put(module.folder, file, sound, faulty)
    with pytest.raises(TerraformError, match=message):
        module("validate")


ADMITTED = {
    "https_from_everywhere": ('try(tonumber(split("/", cidr)[1]) >= 8, false)', "true"),
    "https_from_no_network_that_there_could_be": (
        "[for cidr in var.client_cidrs : can(cidrnetmask(cidr))]",
        "[for cidr in var.client_cidrs : true]",
    ),
    "ssh_from_everywhere": ('try(tonumber(split("/", cidr)[1]) >= 16, false)', "true"),
}


@pytest.mark.parametrize("run", ADMITTED)
def test_input_that_is_no_longer_refused_is_found(module: Terraform, run: str) -> None:
    put(module.folder, "variables.tf", *ADMITTED[run])
    with pytest.raises(TerraformError, match=rf'run "{run}"\.\.\. fail'):
        module("test", "-filter=tests/refused_access.tftest.hcl")


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
    monkeypatch.setenv("HOME", str(tmp_path))
    mirror = tmp_path / ".terraform.d/plugins"
    (mirror / "registry.terraform.io/hashicorp/aws/5.99.0/linux_amd64").mkdir(parents=True)
    with pytest.raises(TerraformError, match=f"could not be taken from the mirror {mirror}"):
        Terraform(copy_of(MODULE, tmp_path / "solution"), {}).init("-backend=false")


def test_no_terraform_is_said_and_not_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AssertionError, match="neither terraform nor tofu is in PATH"):
        Terraform(MODULE, {})("validate")
