# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""The entry point that the collection's modules share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run


class Ensure(Protocol):
    """The work of a module: does what the options ask for and returns the result; in check mode, what it would be."""

    def __call__(self, params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]: ...


def give_back(folder: Path) -> None:
    """Give what root made below a folder to the folder's owner, who could not remove it otherwise.

    Raises :class:`CommandError` when it cannot be given.
    """
    owner = folder.stat()
    # Hundreds of thousands of files, with Go's: not one by one from here.
    run(["chown", "--recursive", "--no-dereference", "--from=0", f"{owner.st_uid}:{owner.st_gid}", str(folder)])


def run_module(
    ensure: Ensure, argument_spec: dict[str, Any], *, cannot: str = "", required_if: list[Any] | None = None
) -> None:
    """Run a module to its end.

    What one with an option ``cache`` changes there, or leaves when it fails, belongs to the owner of that folder. What
    it writes can be read by all, whatever the umask of the calling shell: it becomes files of images, and containers
    run by other users. What is secret has a mode of its own.

    Args:
        ensure: does the work; a result with ``failed`` is a failure with all that is in it.
        argument_spec: the module's options.
        cannot: what begins the message of a failure, with options in braces, such as ``cannot compile {name}: ``.
        required_if: as :class:`AnsibleModule` has it.
    """
    os.umask(0o022)
    module = AnsibleModule(argument_spec=argument_spec, required_if=required_if, supports_check_mode=True)
    cache = module.params.get("cache")
    result: dict[str, Any] = {"changed": True}
    try:
        try:
            result = ensure(module.params, check_mode=module.check_mode)
        finally:
            wrote_as_root = cache and os.geteuid() == 0 and result.get("changed") and not module.check_mode
            if wrote_as_root and Path(cache).exists() and Path(cache).stat().st_uid != 0:
                give_back(Path(cache))
    except (CommandError, OSError) as error:
        module.fail_json(msg=f"{cannot.format(**module.params)}{error}")
    if "failed" in result:
        module.fail_json(**result)
    module.exit_json(**result)
