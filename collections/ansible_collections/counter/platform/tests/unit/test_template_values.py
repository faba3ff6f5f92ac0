"""Values that variables may have: networks in CIDR notation, labels that a selector can have, and quantities."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.counter.platform.plugins.filter.quantity import quantity
from ansible_collections.counter.platform.plugins.test.cidr import cidr
from ansible_collections.counter.platform.plugins.test.label_map import label_map

LONG = "a" * 63
NETWORKS = ["10.0.0.0/8", "203.0.113.4/32", "0.0.0.0/0", "2001:db8::/32", "::/0", "fd00::1/128"]
NO_NETWORKS: list[object] = [
    "10.0.0.0/33",
    "10.0.0.0",
    "10.0.0.1/8",
    "10.0.0.0/255.0.0.0",
    "fe80::%eth0/64",
    "10.0.0.0/8\n",
    ["10.0.0.0/8"],
]
LABELS = [
    {"counter-platform/client": "true"},
    {"app.kubernetes.io/name": "prometheus", "Tier_1": ""},
    {LONG: LONG},
    {f"{'a.' * 126}a/x": "1.0-B_c"},
]
NO_LABELS: list[object] = [
    {},
    "a=b",
    None,
    {"": "b"},
    {"a b": "c"},
    {"-a": "b"},
    {"/a": "b"},
    {"Example.org/a": "b"},
    {"a/b/c": "d"},
    {LONG + "a": "b"},
    {f"{'a.' * 127}a/x": "b"},
    {"a": LONG + "a"},
    {"a": "b-"},
    {"a": "b\n"},
    {"a": True},
    {1: "a"},
    {"a": "b", "c": "d/e"},
]


def test_networks() -> None:
    assert [value for value in [*NETWORKS, *NO_NETWORKS] if cidr(value)] == NETWORKS


def test_labels() -> None:
    assert [value for value in [*LABELS, *NO_LABELS] if label_map(value)] == LABELS


def test_quantities() -> None:
    expected = {"100m": 0.1, "1": 1, "0.5": 0.5, "0": 0, "64Mi": 64 * 2**20, "1Gi": 2**30, "128M": 128e6}
    assert {text: quantity(text) for text in expected} == pytest.approx(expected)
    for text in ("", "many", "64MiB", "m"):
        with pytest.raises(AnsibleFilterError, match=f"invalid quantity '{text}'"):
            quantity(text)
