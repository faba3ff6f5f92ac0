"""The service's image: lean, not root, sure of outgoing TLS, and rebuilt layer by layer."""

import json
import ssl
import subprocess
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.modules import image_sbom
from ansible_collections.counter.platform.tests.unit.support import with_defaults
from lib.certificates import self_signed
from lib.command import execute, run
from lib.docker import docker
from lib.network import answers, count
from lib.paths import CACHE, ROOT, newest
from lib.wait import wait_for


def loaded(name: str) -> str:
    """Load an image of the cache into the daemon and return its full name."""
    result = newest(f"counter-platform_{name}")
    docker("load", "--quiet", "--input", str(result / "image.tar"))
    return f"counter-platform/{name}:{result.name}"


@pytest.fixture(scope="module")
def image() -> str:
    return loaded("counter")


def test_counts_from_one_with_a_read_only_root_and_no_capability(image: str) -> None:
    docker(
        "run", "--detach", "--name=counter-molecule-image", "--read-only", "--cap-drop=ALL",
        "--security-opt=no-new-privileges", "--publish=127.0.0.1:8089:8080", image,
    )  # fmt: skip
    url = "http://127.0.0.1:8089/"
    try:
        wait_for("the service", lambda: answers(f"{url}readyz"), 60)
        assert [count(url) for _ in range(10)] == list(range(1, 11))
    finally:
        docker("rm", "--force", "counter-molecule-image")


def test_configuration_of_the_image(image: str) -> None:
    (about,) = json.loads(docker("image", "inspect", image))
    assert about["Config"]["User"] == "65532:65532"
    assert about["Config"]["ExposedPorts"] == {"8080/tcp": {}}
    # The tag is the hash of the content.
    assert (CACHE / "artifacts/counter-platform_counter" / image.rsplit(":", 1)[1] / "id").read_text() == about["Id"]
    # Python's own slim image is about as large without any service in it.
    assert about["Size"] < 200_000_000


def python_in(image: str, program: str, *options: str) -> subprocess.CompletedProcess[str]:
    return run("docker", "run", "--rm", *options, "--entrypoint=python3", image, "-c", program, check=False)


def test_certificates_are_there_and_nothing_to_install_packages_with(image: str) -> None:
    program = """
import importlib.util, shutil, ssl
print(len(ssl.create_default_context().get_ca_certs()), importlib.util.find_spec("pip"), shutil.which("apt-get"))
"""
    certificates, *installers = python_in(image, program, "--network=none").stdout.split()
    assert int(certificates) > 100
    assert installers == ["None", "None"]


def test_outgoing_tls_trusts_the_systems_store_and_nothing_else(image: str, tmp_path: Path) -> None:
    """A server on this machine, first unknown to the container and then in the store of its system."""
    machine = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    certificate, key = self_signed(tmp_path, machine)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    store = "/etc/ssl/certs/ca-certificates.crt"
    with HTTPServer((machine, 0), SimpleHTTPRequestHandler) as listener:
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        program = f"import urllib.request as r; print(r.urlopen('https://{machine}:{listener.server_port}/').status)"
        refused = python_in(image, program)
        assert "CERTIFICATE_VERIFY_FAILED" in refused.stderr

        known = tmp_path / "known.crt"
        known.write_text(python_in(image, f"print(open({store!r}).read())").stdout + certificate.read_text())
        answered = python_in(image, program, f"--volume={known}:{store}:ro")
        assert answered.stdout.strip() == "200", answered.stderr
        listener.shutdown()


def test_bill_of_materials_lists_what_is_in_the_image(image: str) -> None:
    name, _, key = image.partition(":")
    given = with_defaults(
        image_sbom, artifacts=[f"{name.replace('/', '_')}/{key}"], go=str(ROOT / ".venv/bin/go"), cache=str(CACHE)
    )
    (result,) = image_sbom.ensure(given, check_mode=False)["results"]
    written = json.loads(Path(result["path"]).read_text())
    assert f"{written['metadata']['component']['name']}:{written['metadata']['component']['version']}" == image
    program = """
import importlib.metadata, pathlib, re
for found in importlib.metadata.distributions():
    print("pypi", found.name.lower().replace("_", "-"), found.version)  # the form of package URLs
for paragraph in pathlib.Path("/var/lib/dpkg/status").read_text().split("\\n\\n"):
    fields = dict(re.findall(r"^(Package|Version): (.*)$", paragraph, re.MULTILINE))
    if fields:
        print("deb", fields["Package"], fields["Version"])
"""
    inside = python_in(image, program, "--network=none")
    listed = {
        f"{component['purl'].removeprefix('pkg:').split('/')[0]} {component['name']} {component['version']}"
        for component in written["components"]
    }
    assert listed == set(inside.stdout.splitlines()), inside.stderr
    assert {entry.split()[1] for entry in listed} >= {"falcon", "gunicorn", "libc6", "ca-certificates"}


def test_changed_code_reuses_the_layer_of_the_dependencies(image: str, tmp_path: Path) -> None:
    base = loaded("python-root")
    run("cp", "--recursive", str(ROOT / "app/src"), str(tmp_path / "src"))
    run("cp", "--recursive", str(newest("counter-wheels")), str(tmp_path / "wheels"))
    build = [
        "docker", "build", "--network=none", f"--build-arg=BASE_IMAGE={base}", f"--file={ROOT / 'app/Dockerfile'}",
        "--tag=counter-molecule:changed", str(tmp_path),
    ]  # fmt: skip
    environment = {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
    for change in ("# one\n", "# two\n"):
        (tmp_path / "src/counter/changed.py").write_text(change)
        output = execute(*build, environment=environment).ok().output
    docker("image", "rm", "counter-molecule:changed")
    steps = [line.split(" ", 1)[0] for line in output.splitlines() if "compileall -q -j 0" in line or "pip" in line]
    assert any(line == f"{step} CACHED" for step in steps for line in output.splitlines()), output
