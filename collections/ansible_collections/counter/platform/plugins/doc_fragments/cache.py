# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Options of modules that keep their results in the cache."""

from __future__ import annotations


class ModuleDocFragment:
    """The options, as Ansible looks for them."""

    DOCUMENTATION = r"""
options:
  cache:
    description: The cache folder.
    type: path
    required: true
  cache_days:
    description: How many days a result that nothing asks for stays in the cache, until another of its name is made.
    type: int
    default: 14
"""
