"""Where the project and its cache are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def cache() -> Path:
    """Return the cache folder by the rule of roles/platform/defaults/main/main.yml."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("COUNTER_PLATFORM_CACHE") or Path(caches, "counter-platform"))


CACHE = cache()


def newest(name: str) -> Path:
    """Return the folder of the cached result ``name`` that was used last."""
    results = [path for path in (CACHE / "artifacts" / name).iterdir() if path.is_dir()]
    return max(results, key=lambda path: path.stat().st_mtime)
