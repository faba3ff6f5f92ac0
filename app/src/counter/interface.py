"""The interface as ``openapi.json`` describes it, which is the one place that lists the paths.

The proxy of ``roles/counter_app`` passes on those that are not marked ``x-internal``.
"""

import json
from importlib import resources

_DESCRIBED = json.loads(resources.files("counter").joinpath("openapi.json").read_bytes())
PATHS: tuple[str, ...] = tuple(_DESCRIBED["paths"])
_PUBLIC = {path: methods for path, methods in _DESCRIBED["paths"].items() if "x-internal" not in methods}
DESCRIPTION = json.dumps({**_DESCRIBED, "paths": _PUBLIC}).encode()
"""What is published: without the paths that only the cluster reaches."""
