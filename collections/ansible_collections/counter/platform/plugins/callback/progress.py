# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Print what a long step is doing while it does it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: notification
short_description: Print what a long step is doing
description:
  - Modules of this collection write one line into C(progress) in the cache folder; this prints it whenever it has
    changed, at most every few seconds, so that a compile of minutes is not a silent one.
options:
  cache:
    description: The cache folder.
    type: path
    env:
      - name: COUNTER_PLATFORM_CACHE
  interval:
    description: Seconds between two lines.
    type: int
    default: 5
    env:
      - name: COUNTER_PLATFORM_PROGRESS_INTERVAL
author: counter-platform contributors
"""

import os
import threading
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


def default_cache() -> Path:
    """Return the cache folder of a user who names none."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "counter-platform"


class CallbackModule(CallbackBase):  # type: ignore[misc] # ansible ships no types
    """The callback."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "counter.platform.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._task_started = time.time()

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Begin to watch the file; the thread ends with the process."""
        cache = self.get_option("cache")
        watched = (Path(cache) if cache else default_cache()) / "progress"
        threading.Thread(target=self._watch, args=(watched,), daemon=True).start()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Remember when the task began: what was written before is another's."""
        self._task_started = time.time()

    def _watch(self, watched: Path) -> None:
        printed = ""
        while True:
            time.sleep(self.get_option("interval"))
            try:
                if watched.stat().st_mtime < self._task_started:
                    continue
                line = watched.read_text(encoding="utf-8").strip()
            except FileNotFoundError:
                continue
            if line and line != printed:
                printed = line
                self._display.display(f"  {time.time() - self._task_started:4.0f} s  {line}", color="bright gray")
