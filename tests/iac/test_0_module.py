"""The module without an AWS API: its form, its own tests, and faults that validation or these tests find."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import hcl2
import pytest
from lib import terraform
from lib.command import execute
from lib.paths import ROOT
from lib.terraform import INPUTS, MODULE, Terraform, TerraformError, copy_of

from tools import terraform_docs


def test_readme_has_the_inputs_and_outputs_of_the_module() -> None:
    readme = terraform_docs.README.read_text()
    assert terraform_docs.with_tables(readme) == readme, "run PYTHONPATH=tests python -m tools.terraform_docs"


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


def test_module_plans_what_its_own_tests_say(ready: Terraform) -> None:
    """They also have a value that is refused for each input that has a validation."""
    runs = hcl2.loads((MODULE / "tests/module.tftest.hcl").read_text())["run"]
    refused = {name for run in runs for about in run.values() for name in about.get("expect_failures", [])}
    inputs = terraform_docs.blocks("variable")
    assert refused == {f"${{var.{name}}}" for name, about in inputs.items() if "validation" in about}
    assert f"Success! {len(runs)} passed, 0 failed." in ready("test")


def test_inputs_of_another_type_are_refused(module: Terraform) -> None:
    wrong = {"data_volume_gib": "much", "client_cidrs": "203.0.113.0/24", "final_snapshot": "perhaps"}
    with pytest.raises(TerraformError) as refused:
        module.plan({**INPUTS, **wrong})
    said = " ".join(str(refused.value).split())
    kinds = {"data_volume_gib": "a number", "client_cidrs": "set of string", "final_snapshot": "a bool"}
    for name, kind in kinds.items():
        assert re.search(rf"not suitable for var\.{name} declared at \S+ {kind} (is )?required", said), said


@pytest.mark.soak
@pytest.mark.parametrize(
    ("file", "sound", "faulty", "finding"),
    [
        ("variables.tf", 'try(tonumber(split("/", cidr)[1]) >= 8, false)', "true", "var.client_cidrs, was expected to"),
        ("variables.tf", "client_cidrs : can(cidrnetmask(cidr))", "client_cidrs : true", "var.client_cidrs, was"),
        ("variables.tf", 'try(tonumber(split("/", cidr)[1]) >= 16, false)', "true", "var.ssh_cidrs, was expected to"),
        ("access.tf", "443\n  cidr_ipv4         = each.value", '443\n  cidr_ipv4 = "0.0.0.0/0"', "another than 443"),
        ("host.tf", "= aws_key_pair.log_host.key_name", '= "admin"', "The host has another key than the given one"),
        ("host.tf", "data.aws_ssm_parameter.ami[0].insecure_value", '"ami-0fedcba9876543210"', "The image is not"),
    ],
)
def test_planted_faults_are_found(module: Terraform, file: str, sound: str, faulty: str, finding: str) -> None:
    path = module.folder / file
    text = path.read_text()
    assert text.count(sound) == 1, f"{file} has changed: the fault has to be put somewhere else"
    path.write_text(text.replace(sound, faulty))
    with pytest.raises(TerraformError) as failed:
        module("test")
    assert finding in " ".join(str(failed.value).split())


def test_checkov_finds_nothing_and_each_skip_has_its_reason() -> None:
    skips = [line for path in MODULE.glob("*.tf") for line in path.read_text().splitlines() if "checkov:skip" in line]
    assert all(re.search(r"#checkov:skip=CKV2?_AWS_\d+: \S+ \S+", line) for line in skips), skips
    uv = [str(Path(sys.executable).with_name("uv")), "run", "--quiet", "--frozen", "--project=tests/iac/checkov"]
    checkov = ["checkov", f"--directory={MODULE}", "--framework=terraform", "--compact", "--quiet", "--skip-download"]
    done = execute(*uv, *checkov, environment={"UV_PROJECT_ENVIRONMENT": str(ROOT / ".venv/checkov")})
    done.ok(f"Failed checks: 0, Skipped checks: {len(skips)}")
    (passed,) = re.findall(r"Passed checks: (\d+)", done.output)
    assert int(passed) >= 60


def test_mirror_is_found_by_its_layout_and_named_where_it_lacks_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    mirror = tmp_path / ".terraform.d/plugins"
    (mirror / "registry.terraform.io/hashicorp/random/3.0.0/linux_amd64").mkdir(parents=True)
    assert terraform.provider_mirror() != mirror, "a mirror without the provider"
    (mirror / "registry.terraform.io/hashicorp/aws/5.99.0/linux_amd64").mkdir(parents=True)
    assert terraform.provider_mirror() == mirror
    terraform.require_terraform()
    with pytest.raises(TerraformError, match=f"could not be taken from the mirror {mirror}"):
        Terraform(copy_of(MODULE, tmp_path / "solution"), {}).init("-backend=false")


def test_what_is_not_there_is_a_skip_with_a_remedy_and_a_failure_on_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot_run(said: str, *required: Callable[[], None]) -> None:
        for ci, outcome in (("", pytest.skip.Exception), ("true", pytest.fail.Exception)):
            monkeypatch.setenv("CI", ci)
            for require in required:
                # An unexpected skip would skip this test.
                with pytest.raises((pytest.skip.Exception, pytest.fail.Exception), match=said) as ended:
                    require()
                assert ended.type is outcome

    monkeypatch.setenv("PATH", str(tmp_path))
    assert terraform.program() is None
    cannot_run(
        "neither terraform nor tofu is in PATH: install one", terraform.require_terraform, terraform.require_provider
    )
    monkeypatch.setattr(terraform, "provider_mirror", lambda: None)
    for name in ("terraform", "tofu"):
        binary = tmp_path / name / name
        binary.parent.mkdir()
        binary.touch(mode=0o755)
        monkeypatch.setenv("PATH", str(binary.parent))
        # Nothing listens there.
        monkeypatch.setitem(terraform.REGISTRIES, name, "127.0.0.1:1")
        terraform.require_terraform()
        assert terraform.mounts() == [binary]
        cannot_run(
            r"https://127\.0\.0\.1:1 does not answer; let this machine reach it, or put", terraform.require_provider
        )
