# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""The ownership record of a kind cluster."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.artifacts import write_whole
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError


class Record:
    """What is known of a cluster, in a file that is there whole or not at all.

    Attributes:
        owner: path of the state folder of the environment that made it; empty without a record.
        made: of the nodes that were made to the end, empty where none were: ``kind`` (kind's name for the cluster),
            ``nodes`` (identities of containers), ``config``, ``certificates_end`` (a date) and, except in records of
            older versions, ``address`` (the control plane's, which its certificates are for).
        creating: ``kind`` and ``config`` of a creation that began and did not end; empty otherwise.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "record.json"
        try:
            content = json.loads(self._path.read_text())
        except FileNotFoundError:
            content = {}
        except json.JSONDecodeError as error:
            raise CommandError(f"{self._path} is damaged ({error}); nothing was touched") from error
        self.owner: str = content.get("owner", "")
        self.made: dict[str, Any] = content.get("current", {})
        self.creating: dict[str, Any] = content.get("creating", {})

    def write(self) -> None:
        """Write it; the folder is made where it is not there."""
        # What users count is nobody else's.
        self._path.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.parent.mkdir(exist_ok=True)
        content = {"owner": self.owner, "current": self.made, "creating": self.creating}
        write_whole(self._path, json.dumps(content, indent=2))

    @property
    def certificates_end(self) -> str:
        """The day on which the control plane's certificates end, as in ``2027-11-25``; empty without nodes."""
        return str(self.made.get("certificates_end", ""))

    @property
    def certificates_days(self) -> int:
        """How many days that is from today."""
        return (datetime.date.fromisoformat(self.certificates_end) - datetime.datetime.now(datetime.UTC).date()).days

    def certificates_end_within(self, days: int) -> bool:
        """Return whether the certificates end within so many days; 1 is the day on which they end."""
        return self.certificates_days < days
