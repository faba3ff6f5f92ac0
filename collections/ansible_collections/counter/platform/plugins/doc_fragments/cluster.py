# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Options of modules that ask a cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """The options, as Ansible looks for them."""

    DOCUMENTATION = r"""
options:
  kubectl:
    description: The kubectl command.
    type: path
    required: true
  kubeconfig:
    description: The kubeconfig.
    type: path
    required: true
"""
