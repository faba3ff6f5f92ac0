# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""The run that a lock is for is Ansible's own process, which a module on a host does not know."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.modules import run_lock


class ActionModule(ActionBase):  # type: ignore[misc] # ansible ships no types
    """The action of the module of that name."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Hold the lock for the process whose worker this is."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, params = self.validate_argument_spec(run_lock.ARGUMENTS)
        try:
            result.update(run_lock.ensure(params, check_mode=self._task.check_mode))
        except (CommandError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        return result
