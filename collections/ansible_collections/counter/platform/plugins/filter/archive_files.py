# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Images' archives as files of another image."""

from __future__ import annotations

DOCUMENTATION = r"""
name: archive_files
short_description: Images' archives as files that container_images builds another image from
description:
  - Turns results of M(counter.platform.container_images) into its suboption C(files), so that an image carries others.
positional: _input
options:
  _input:
    description: Results of M(counter.platform.container_images) by the name that the archive's file shall have.
    type: dict
    required: true
  folder:
    description: Folder in the build context.
    type: str
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
# [{path: /cache/1/image.tar, dest: images/pause.tar, key: "1"}]
- "{{ {'pause': {'archive': '/cache/1/image.tar', 'key': '1'}} | counter.platform.archive_files('images') }}"
"""

RETURN = r"""
_value:
  description: One file for each image, in the order of the input.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any


def archive_files(images: Mapping[str, Mapping[str, Any]], folder: str) -> list[dict[str, str]]:
    """Return the archives of ``images``, results by name, as files in ``folder`` of a build context."""
    return [
        {"path": image["archive"], "dest": f"{folder}/{name}.tar", "key": image["key"]}
        for name, image in images.items()
    ]


class FilterModule:
    """What Ansible asks for filters."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, str]]]]:
        """Return the filters by name."""
        return {"archive_files": archive_files}
