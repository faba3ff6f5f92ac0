"""Manifests fit Kubernetes' own schemas: every field is known and has the right type, with no cluster to ask.

The schemas are the OpenAPI documents that Kubernetes' source carries, which the programs are compiled from anyway.
"""

import functools
import json
from typing import Any

import pytest
import yaml
from contracts.manifests import EVERY_ROLE, Object, render_role, with_fault
from contracts.project import COMMON, INVENTORIES, load
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from lib.paths import ROOT
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tools.versions import NODE_PROGRAMS, kubernetes_source

pytestmark = pytest.mark.mirrors
MANIFESTS = sorted((ROOT / "roles/offline_images/files/node/rootfs/kind/manifests").glob("*.yaml"))


def strict(schema: Any) -> Any:
    """Return a schema that knows no other fields than those it lists."""
    if isinstance(schema, list):
        return [strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: strict(value) for key, value in schema.items()}
    if "properties" in inner and inner.get("type") == "object":
        inner.setdefault("additionalProperties", False)
    return inner


@functools.cache
def validators(api_version: str) -> dict[str, Draft202012Validator]:
    """Return a validator for each kind of an API version."""
    group, _, version = api_version.rpartition("/")
    name = f"apis__{group}__{version}" if group else f"api__{version}"
    source = kubernetes_source(ROOT / NODE_PROGRAMS, load(COMMON / "artifacts.yml")["kubernetes_version"])
    document = strict(json.loads((source / f"api/openapi-spec/v3/{name}_openapi.json").read_text()))
    registry: Registry[Any] = Registry().with_resource("urn:api", DRAFT202012.create_resource(document))
    found = {}
    for schema, content in document["components"]["schemas"].items():
        for kind in content.get("x-kubernetes-group-version-kind", []):
            if (kind["group"], kind["version"]) == (group, version):
                reference = {"$ref": f"urn:api#/components/schemas/{schema}"}
                found[kind["kind"]] = Draft202012Validator(reference, registry=registry)
    return found


def check_schema(objects: list[Object]) -> None:
    """Every object is one that the API server would take."""
    for entry in objects:
        validator = validators(entry["apiVersion"]).get(entry["kind"])
        assert validator, f"{entry['apiVersion']} has no {entry['kind']}"
        error = best_match(validator.iter_errors(entry))
        where = f"{entry['kind']} {entry['metadata']['name']}"
        assert error is None, f"{where}: {error.json_path}: {error.message}"


def test_manifests_of_roles() -> None:
    for environment in [path.name for path in INVENTORIES]:
        for role in EVERY_ROLE:
            check_schema(render_role(environment, role))


def test_manifests_of_the_node_image() -> None:
    assert MANIFESTS
    for path in MANIFESTS:
        objects = list(yaml.safe_load_all(path.read_text()))
        assert objects, path
        check_schema(objects)


DEPLOYMENT, AUTOSCALER, POD = "Deployment/counter", "HorizontalPodAutoscaler/counter", "/spec/template/spec"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("'restart' was unexpected", (DEPLOYMENT, f"{POD}/initContainers/0/restart", None, "Always")),
        ("'8080' is not of type 'integer'", (DEPLOYMENT, f"{POD}/containers/0/ports/0/containerPort", 8080, "8080")),
        ("'behavior', 'metrics' were unexpected", (AUTOSCALER, "/apiVersion", "autoscaling/v2", "autoscaling/v1")),
        ("apps/v1 has no StatefulSets", ("StatefulSet/counter-valkey", "/kind", "StatefulSet", "StatefulSets")),
    ],
)
def test_fault_is_found(said: str, fault: tuple[Any, ...]) -> None:
    with pytest.raises(AssertionError, match=said):
        check_schema(with_fault(*fault))
