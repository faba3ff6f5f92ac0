"""Checks of values that fail."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.counter.platform.plugins.filter.invalid_values import invalid_values
from jinja2 import UndefinedError


class Lazy(Mapping[str, Any]):
    """A check as Ansible gives it to a filter: its template is evaluated when it is asked for."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name, self.error = name, error

    def __getitem__(self, key: str) -> Any:
        if key == "valid":
            raise self.error
        return self.name

    def __iter__(self) -> Iterator[str]:
        return iter(("name", "valid"))

    def __len__(self) -> int:
        return 2


def test_checks_that_fail() -> None:
    checks = [{"name": "a", "use": "it", "valid": True}, {"name": "b", "use": "less", "valid": False}]
    assert invalid_values(checks) == [{"name": "b", "use": "less"}]


def test_check_with_an_error_has_failed_and_hides_none() -> None:
    checks = [Lazy("a", AnsibleFilterError("no quantity")), {"name": "b", "valid": False}, Lazy("c", UndefinedError())]
    assert invalid_values(checks) == [{"name": "a"}, {"name": "b"}, {"name": "c"}]


def test_fault_of_the_filter_is_not_taken_for_a_value() -> None:
    with pytest.raises(KeyError):
        invalid_values([{"name": "a"}])
