# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""The module disk_space is asked before it is started."""

from __future__ import annotations

from ansible_collections.counter.platform.plugins.plugin_utils.ask_here import ActionModule

__all__ = ["ActionModule"]
