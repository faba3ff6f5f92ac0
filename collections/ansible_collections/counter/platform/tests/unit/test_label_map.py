"""Labels that a selector of Kubernetes can have."""

from __future__ import annotations

import pytest
from ansible_collections.counter.platform.plugins.test import label_map as plugin

LONG = "a" * 63


@pytest.mark.parametrize(
    "labels",
    [
        {"counter-platform/client": "true"},
        {"app.kubernetes.io/name": "prometheus", "Tier_1": ""},
        {LONG: LONG},
        {f"{'a.' * 126}a/x": "1.0-B_c"},
    ],
)
def test_labels(labels: dict[str, str]) -> None:
    assert plugin.label_map(labels)


@pytest.mark.parametrize(
    "labels",
    [
        {},
        [],
        "a=b",
        None,
        {"": "b"},
        {"a b": "c"},
        {"-a": "b"},
        {"/a": "b"},
        {"Example.org/a": "b"},
        {"a/b/c": "d"},
        {LONG + "a": "b"},
        {f"{'a.' * 127}/x": "b"},
        {f"{'a.' * 127}a/x": "b"},
        {"a": LONG + "a"},
        {"a": "b c"},
        {"a": "b-"},
        {"a": "b\n"},
        {"a": True},
        {"a": 1},
        {1: "a"},
        {"a": "b", "c": "d/e"},
    ],
)
def test_invalid_labels(labels: object) -> None:
    assert not plugin.label_map(labels)


def test_the_name_that_templates_use() -> None:
    assert plugin.TestModule().tests() == {"label_map": plugin.label_map}
