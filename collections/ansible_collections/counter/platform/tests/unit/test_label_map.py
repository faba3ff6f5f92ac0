"""Labels that a selector of Kubernetes can have."""

from __future__ import annotations

from ansible_collections.counter.platform.plugins.test import label_map as plugin

LONG = "a" * 63


def test_labels() -> None:
    valid: list[dict[str, str]] = [
        {"counter-platform/client": "true"},
        {"app.kubernetes.io/name": "prometheus", "Tier_1": ""},
        {LONG: LONG},
        {f"{'a.' * 126}a/x": "1.0-B_c"},
    ]
    assert [labels for labels in valid if not plugin.label_map(labels)] == []


def test_invalid_labels() -> None:
    invalid: list[object] = [
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
    ]
    assert [labels for labels in invalid if plugin.label_map(labels)] == []


def test_the_name_that_templates_use() -> None:
    assert plugin.TestModule().tests() == {"label_map": plugin.label_map}
