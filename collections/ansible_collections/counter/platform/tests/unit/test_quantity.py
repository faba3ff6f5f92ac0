"""Kubernetes quantities as numbers."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.counter.platform.plugins.filter.quantity import FilterModule, quantity


def test_quantities() -> None:
    expected = {"100m": 0.1, "1": 1, "0.5": 0.5, "0": 0, "64Mi": 64 * 2**20, "1Gi": 2**30, "128M": 128e6}
    assert {text: quantity(text) for text in expected} == pytest.approx(expected)


def test_invalid_quantities() -> None:
    for text in ("", "many", "64MiB", "m"):
        with pytest.raises(AnsibleFilterError, match=f"invalid quantity '{text}'"):
            quantity(text)


def test_the_name_that_templates_use() -> None:
    assert FilterModule().filters() == {"quantity": quantity}
