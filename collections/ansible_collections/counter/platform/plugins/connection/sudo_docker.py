# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Log in to a container where only root may talk to the container engine."""

from __future__ import annotations

DOCUMENTATION = r"""
name: sudo_docker
short_description: Run tasks in containers by way of sudo
description:
  - Does what P(community.docker.docker#connection) does, for a person who may be root by sudo and may not talk to the
    engine without it. sudo must not ask for a password.
author: counter-platform contributors
options:
  remote_addr:
    description: Name of the container.
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: ansible_docker_host
  remote_user:
    description: User in the container.
    vars:
      - name: ansible_user
      - name: ansible_docker_user
  docker_extra_args:
    description: Further arguments of the docker client.
    default: ""
    vars:
      - name: ansible_docker_extra_args
  container_timeout:
    description: How many seconds to wait for output.
    type: integer
    default: 10
    vars:
      - name: ansible_docker_timeout
  extra_env:
    description: Further environment of what runs in the container.
    type: dict
    vars:
      - name: ansible_docker_extra_env
  working_dir:
    description: Folder in the container to run in.
    type: string
    vars:
      - name: ansible_docker_working_dir
  privileged:
    description: Whether what runs gets all rights.
    type: boolean
    default: false
    vars:
      - name: ansible_docker_privileged
"""

from pathlib import Path
from typing import Any

from ansible_collections.community.docker.plugins.connection.docker import Connection as DockerConnection


class Connection(DockerConnection):  # type: ignore[misc] # it ships no types
    """The connection of community.docker with another client, which is one program and no list of words there."""

    transport = "counter.platform.sudo_docker"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.docker_cmd = str(Path(__file__).with_name("sudo-docker"))
