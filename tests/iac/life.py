"""The module applied and destroyed while other tests run: each takes most of a minute, and hardly computes."""

from __future__ import annotations

import json

from lib.terraform import Command, Terraform
from lib.types import Json


def outputs(terraform: Terraform) -> Json:
    """Return the outputs by name."""
    return {name: about["value"] for name, about in json.loads(terraform("output", "-json")).items()}


class Life:
    """The module applied and destroyed; each is begun before somebody waits for it."""

    def __init__(self, terraform: Terraform) -> None:
        self._terraform = terraform
        self._apply = terraform.start("apply", "-auto-approve")
        self._destroy: Command | None = None
        self._outputs: Json = {}

    def applied(self) -> Terraform:
        """Wait for the apply."""
        self._apply.end(timeout=600)
        return self._terraform

    def destroy(self) -> None:
        """Begin the destroy, unless it was begun."""
        if self._destroy is None:
            self._outputs = outputs(self.applied())
            self._destroy = self._terraform.start("destroy", "-auto-approve")

    def destroyed(self) -> Json:
        """Wait for the destroy; return the outputs of what there was."""
        self.destroy()
        assert self._destroy
        self._destroy.end(timeout=600)
        return self._outputs
