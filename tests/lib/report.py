"""Where tests leave their figures."""

import json
import os
from pathlib import Path

from lib.paths import ROOT


def report(file: str) -> Path:
    """Return where a test leaves its figures."""
    folder = Path(os.environ["REPORT"]).parent if "REPORT" in os.environ else ROOT / ".state/test"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / file


def write_figures(file: str, figures: dict[str, object]) -> None:
    """Leave figures as JSON, and print them."""
    report(file).write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))
