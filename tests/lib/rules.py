"""The alerts that Prometheus' rules have."""

import yaml

from lib.paths import ROOT
from lib.types import Json

RULES = sorted((ROOT / "roles/monitoring/files/rules").glob("*.yml"))


def alerts() -> dict[str, Json]:
    """Return the alerts of all rules by name."""
    groups = [group for file in RULES for group in yaml.safe_load(file.read_text())["groups"]]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
