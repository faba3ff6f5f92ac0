"""Tables of docs/architecture.md that say who may open a connection to whom."""

from __future__ import annotations

import re

from lib.paths import ROOT

Table = dict[str, dict[str, bool]]


def wanted(heading: str) -> Table:
    """Return the table below a heading: who in the rows, to whom in the columns.

    What stays within a pod is open whatever the policies say.
    """
    document = (ROOT / "docs/architecture.md").read_text()
    (section,) = re.findall(rf"^## {heading}$(.*?)^## ", document, re.M | re.S)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    for row in rows[2:]:
        assert set(row[1:]) <= {"yes", "no", "itself"}, row
    return {row[0]: {to: cell != "no" for to, cell in zip(rows[0][1:], row[1:], strict=True)} for row in rows[2:]}
