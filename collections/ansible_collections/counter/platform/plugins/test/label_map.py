# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels that a selector of Kubernetes can have."""

from __future__ import annotations

DOCUMENTATION = r"""
name: label_map
short_description: Whether something is a map of Kubernetes labels with at least one
description:
  - Whether the API server would take it as the labels of a selector.
  - An empty map is refused, as a selector of no label selects everything.
positional: _input
options:
  _input:
    description: The labels.
    type: raw
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
# true
- "{{ {'counter-platform/client': 'true'} is counter.platform.label_map }}"
# false: YAML makes a boolean of true without quotes
- "{{ {'counter-platform/client': true} is counter.platform.label_map }}"
"""

RETURN = r"""
_value:
  description: Whether it is a map of labels.
  type: bool
"""

import re
from collections.abc import Callable, Mapping

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
SUBDOMAIN = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
KEY = re.compile(rf"(?:(?=[^/]{{1,253}}/){SUBDOMAIN}/)?{NAME}")
VALUE = re.compile(rf"(?:{NAME})?")


def label_map(labels: object) -> bool:
    """Return whether something is a map of labels that is not empty.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set.
    """
    return (
        isinstance(labels, Mapping)
        and len(labels) > 0
        and all(isinstance(key, str) and KEY.fullmatch(key) for key in labels)
        and all(isinstance(value, str) and VALUE.fullmatch(value) for value in labels.values())
    )


class TestModule:
    """What Ansible asks for tests."""

    def tests(self) -> dict[str, Callable[[object], bool]]:
        """Return the tests by name."""
        return {"label_map": label_map}
