"""What the answer of kubectl is taken for; against a real API server, the roles' scenarios try it."""

from typing import Any

import pytest
from ansible_collections.counter.platform.tests.unit.support import RunModule

OBJECTS: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "counter"}}]


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("kubectl", "differs"),
    [("/bin/true", False), ("/bin/false", True), ("/nowhere/kubectl", True)],
    ids=["nothing to change", "something to change", "nobody to ask"],
)
def test_answer(run_module: RunModule, kubectl: str, differs: bool, check: bool) -> None:
    asked = {"definition": OBJECTS, "field_manager": "tests", "kubectl": kubectl, "kubeconfig": "/nowhere"}
    assert run_module("object_diff", **asked, check=check) == {"changed": False, "differs": differs}
