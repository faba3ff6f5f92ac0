#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Report an environment's cluster, whoever made it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: Report an environment's cluster
description:
  - Reads the cluster's ownership record and asks docker about its nodes. Changes nothing, and runs in check mode too.
options:
  data_dir:
    description: Folder of the record and the volumes, which the nodes mount.
    type: path
    required: true
  state_dir:
    description: The environment's state folder. Its path says whose cluster it is.
    type: path
    required: true
  kubeconfig:
    description: The environment's kubeconfig.
    type: path
    required: true
  name:
    description: Also look for nodes of a kind cluster of this name that do not mount the record.
    type: str
    default: ""
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Get the cluster
  counter.platform.cluster_info:
    data_dir: /var/lib/counter-platform/local
    state_dir: .state/local
    kubeconfig: .state/local/kubeconfig
  register: cluster
"""

RETURN = r"""
nodes:
  description: Names of the node containers; of a creation that did not end where there are no others.
  returned: always
  type: list
  elements: str
running:
  description: >-
    Whether the API can be asked: all nodes run, at the address that their certificates are for, the certificates have
    not ended, and the kubeconfig exists.
  returned: always
  type: bool
addresses:
  description: IPv4 addresses of the nodes that run.
  returned: always
  type: list
  elements: str
api_endpoints:
  description: Addresses with ports at which the API server answers inside of the cluster, as in V(172.18.0.2:6443).
  returned: always
  type: list
  elements: str
gateway:
  description: IPv4 address from which this machine reaches the nodes; empty while none runs.
  returned: always
  type: str
certificates_end:
  description: Day on which the control plane's certificates end, as in V(2027-11-25); empty without a cluster.
  returned: always
  type: str
certificates_days:
  description: How many days that is from now; 0 without a cluster.
  returned: always
  type: int
owner:
  description: State folder of the environment that made the cluster; empty without a record.
  returned: always
  type: str
conflict:
  description: >-
    Why the cluster is not this environment's: V(foreign) when its nodes do not mount the record, V(other_environment)
    when the record is another environment's, V(record_gone) when the nodes exist and the record does not. Empty
    otherwise.
  returned: always
  type: str
reason:
  description: The same as a sentence.
  returned: always
  type: str
"""

from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils import engine
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from ansible_collections.counter.platform.plugins.module_utils.kind.nodes import (
    ConflictError,
    check_ownership,
    control_plane,
    find_nodes,
    has_moved,
    made_nodes,
)
from ansible_collections.counter.platform.plugins.module_utils.kind.record import Record

API_PORT = 6443

AS_ROOT = True

ARGUMENTS: dict[str, Any] = {
    "data_dir": {"type": "path", "required": True},
    "state_dir": {"type": "path", "required": True},
    "kubeconfig": {"type": "path", "required": True},
    "name": {"type": "str", "default": ""},
}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return what RETURN says; the same in check mode.

    Raises :class:`CommandError` when the record is damaged or docker does not answer.
    """
    data_dir = Path(params["data_dir"]).resolve()
    record = Record(data_dir / "record")
    nodes = find_nodes(engine.docker(), data_dir / "record", params["name"])
    result = {"changed": False, "owner": record.owner, "conflict": "", "reason": ""}
    try:
        check_ownership(nodes, record, data_dir, str(Path(params["state_dir"]).resolve()))
    except ConflictError as error:
        result |= {"conflict": error.conflict, "reason": str(error)}
    made = made_nodes(nodes, record)
    complete = bool(made) and len(made) == len(record.made["nodes"]) and all(node.running for node in made)
    addresses = [node.address for node in made if node.address]
    return result | {
        "nodes": [node.name for node in made or nodes],
        "running": complete
        and not record.certificates_end_within(1)
        and not has_moved(made, record)
        and Path(params["kubeconfig"]).exists(),
        "addresses": addresses,
        "api_endpoints": [f"{control_plane(made).address}:{API_PORT}"] if addresses else [],
        "gateway": next((node.gateway for node in made if node.gateway), ""),
        "certificates_end": record.certificates_end,
        "certificates_days": record.certificates_days if record.made else 0,
    }


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
