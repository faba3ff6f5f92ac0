# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Ask in Ansible's own process whether there is anything to do, and start a module only where there is.

To start a module costs a third of a second, most of which compiles Ansible's library anew; to ask costs milliseconds.
``meta/runtime.yml`` routes the modules that are asked so. Each has its options in ``ARGUMENTS`` and its work
in ``ensure(params, check_mode=...)``. Those with ``AS_ROOT`` talk to the container engine: another user's client may
know another engine than root's.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError

MODULES = "ansible_collections.counter.platform.plugins.modules"


class ActionModule(ActionBase):  # type: ignore[misc] # ansible ships no types
    """The action of those modules."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's own answer where there is nothing to do, and in check mode; otherwise run the module."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        result.update(self._answer() or self._execute_module(task_vars=task_vars))
        return result

    def _answer(self) -> dict[str, Any] | None:
        """Return the module's answer; None where only the module can give it."""
        # On another machine there is another cache.
        if self._connection.transport not in {"local", "ansible.builtin.local"}:
            return None
        module = import_module(f"{MODULES}.{self._task.action.rpartition('.')[2]}")
        # Messages about options name the module.
        self._load_name = self._task.action
        _, params = self.validate_argument_spec(module.ARGUMENTS)
        if getattr(module, "AS_ROOT", False) and os.geteuid() != 0:
            return None
        try:
            answer: dict[str, Any] = module.ensure(params, check_mode=True)
        except (CommandError, OSError):
            # The module may be root where this process is not, and it has the words for what is wrong.
            return None
        if answer.get("failed") or (answer["changed"] and not self._task.check_mode):
            return None
        return answer
