"""Values that variables may have: networks in CIDR notation, labels that a selector can have, and quantities."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.counter.platform.plugins.filter.quantity import quantity
from ansible_collections.counter.platform.plugins.test.cidr import cidr
from ansible_collections.counter.platform.plugins.test.label_map import label_map
from ansible_collections.counter.platform.plugins.test.quantity import quantity as within

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


@pytest.mark.parametrize(
    ("minimum", "maximum", "usable", "refused"),
    [
        ("10m", None, ["10m", "0.01", "1", "100000"], ["9m", "0", "64Mi", "many", "", "-1", "1\n", None, ["1"]]),
        ("10m", "0.5", ["10m", "500m"], ["9m", "501m"]),
        ("128Mi", "1Gi", ["128Mi", "1Gi", "134217728", "0.5G"], ["127Mi", "1025Mi", "128000000000m", "lots"]),
        # Its own check refuses such a maximum.
        ("10m", "5m", ["10m", "1"], ["9m"]),
        ("10m", "lots", ["10m", "1"], ["9m"]),
    ],
)
def test_quantities_within_bounds(minimum: str, maximum: str | None, usable: list[str], refused: list[object]) -> None:
    assert [value for value in [*usable, *refused] if within(value, minimum, maximum)] == usable
