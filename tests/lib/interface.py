"""The service's interface as it describes itself."""

import json

from lib.paths import ROOT

_PATHS = json.loads((ROOT / "app/src/counter/openapi.json").read_text())["paths"]

PUBLIC_PATHS: list[str] = [path for path in _PATHS if "x-internal" not in _PATHS[path]]
"""What the proxy passes on."""
