"""The interface as ``openapi.json`` describes it, which is the one place that lists the paths.

The proxy of ``roles/counter_app`` passes on those that are not marked ``x-internal``.
"""

import json
from importlib import resources

DESCRIPTION = resources.files("counter").joinpath("openapi.json").read_bytes()
PATHS: tuple[str, ...] = tuple(json.loads(DESCRIPTION)["paths"])
