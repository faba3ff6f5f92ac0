"""The service's program, its image and its manifests agree, and the seed faults of the image stay out."""

import ast
import re

from contracts.manifests import APP, catalogue, check_service_port, one, render_role
from lib.paths import ROOT

DOCKERFILE = (ROOT / "app/Dockerfile").read_text()


def test_nothing_in_the_service_sleeps() -> None:
    sources = sorted((ROOT / "app/src/counter").glob("*.py"))
    assert len(sources) >= 5
    for path in sources:
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        names = {getattr(call, "attr", getattr(call, "id", "")) for call in calls}
        assert "sleep" not in names, f"{path.name} waits while a request may be waiting for it"


def test_program_image_and_manifests_agree_on_the_port() -> None:
    assert re.findall(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE) == ["8080"]
    settings = (ROOT / "app/README.md").read_text()
    assert re.findall(r"^\| `COUNTER_BIND` \| `([^`]+)` \|", settings, re.MULTILINE) == ["0.0.0.0:8080"]
    check_service_port(render_role("local", APP))


def test_image_and_manifests_agree_on_the_user() -> None:
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    context = one(render_role("local", APP), "Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert int(user) == context["runAsUser"] > 0


def test_entry_point_of_the_image_exists() -> None:
    assert re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE) == ['["python3", "-m", "counter"]']
    assert (ROOT / "app/src/counter/__main__.py").is_file()


def test_code_comes_after_the_dependencies_in_the_image() -> None:
    stages = re.split(r"^FROM .*$", DOCKERFILE, flags=re.MULTILINE)[1:]
    assert len(stages) >= 2
    assert "pip" not in stages[-1], "the result is built from what other stages installed"
    for stage in stages:
        assert not ("src/" in stage and "pip" in stage), "a change of code would install the dependencies again"


def test_base_image_has_ca_certificates() -> None:
    base = catalogue()[catalogue()["counter"]["base"]]
    (rootfs,) = base["layers"]
    assert "ca-certificates" in catalogue()[rootfs]["packages"]
