"""Networks in CIDR notation."""

from __future__ import annotations

from ansible_collections.counter.platform.plugins.test import cidr as plugin


def test_networks() -> None:
    valid = ["10.0.0.0/8", "203.0.113.4/32", "0.0.0.0/0", "2001:db8::/32", "::/0", "fd00::1/128"]
    assert [network for network in valid if not plugin.cidr(network)] == []


def test_invalid_networks() -> None:
    invalid: list[object] = [
        "10.0.0.0/33",
        "10.0.0.0",
        "10.0.0.1/8",
        "10.0.0.0/255.0.0.0",
        "10.0.0/8",
        "256.0.0.0/8",
        "2001:db8::/129",
        "fe80::%eth0/64",
        "office",
        "",
        "10.0.0.0/8\n",
        None,
        8,
        ["10.0.0.0/8"],
    ]
    assert [network for network in invalid if plugin.cidr(network)] == []


def test_the_name_that_templates_use() -> None:
    assert plugin.TestModule().tests() == {"cidr": plugin.cidr}
