# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""The module artifacts is asked before it is started, and can build in the background of the run."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.counter.platform.plugins.action import ask_here
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.modules import artifacts
from ansible_collections.counter.platform.plugins.plugin_utils import ahead


class ActionModule(ask_here.ActionModule):
    """The action of the module of that name."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, or with ``background`` start its work; the run is the process whose worker this is."""
        # Messages about options name the module.
        self._load_name = self._task.action
        _, params = self.validate_argument_spec(artifacts.ARGUMENTS)
        if not params["background"]:
            return super().run(tmp, task_vars)
        try:
            answer = artifacts.ensure(params, check_mode=True)
        except (CommandError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        if answer["changed"] and not self._task.check_mode and not params["origin"]:
            ahead.start(params, os.getppid())
        return {**answer, "changed": False}
