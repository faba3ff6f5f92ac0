#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Count the licences in bills of materials, and say which of them a list does not allow."""

from __future__ import annotations

DOCUMENTATION = r"""
module: licence_report
short_description: Compare the licences in bills of materials with lists of allowed ones
description:
  - Reads CycloneDX files of M(counter.platform.image_sbom) and changes nothing.
  - A component is allowed where its expression is by the list for its kind. Of alternatives one is enough, of licences
    that are joined by C(AND) each one has to be allowed. A component without a licence never is.
options:
  sboms:
    description: The files.
    type: list
    elements: path
    required: true
  allowed:
    description: >-
      Lists of SPDX identifiers by the type that a component's package URL has: C(deb), C(golang), C(pypi). A star
      stands for anything. What has no identifier is C(LicenseRef-) and the name that it has where it was found.
    type: dict
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Compare the licences with the allowed ones
  counter.platform.licence_report:
    sboms: [/srv/sbom/web.cdx.json]
    allowed:
      deb: ["GPL-*", "LicenseRef-*"]
      pypi: [MIT, Apache-2.0]
"""

RETURN = r"""
table:
  description: >-
    A line for each licence, with the number of components that have it and the names of a few. What SPDX has no
    identifier for is one line.
  returned: always
  type: list
  elements: str
refused:
  description: A line for each component that is not allowed, with what has it and why.
  returned: always
  type: list
  elements: str
components:
  description: How many components there are, each version once.
  returned: always
  type: int
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from ansible_collections.counter.platform.plugins.module_utils.licences import REFERENCE, names_in, refused
from packageurl import PackageURL

FEW = 4
NO_LICENCE = "(unknown)"

ARGUMENTS: dict[str, Any] = {
    "sboms": {"type": "list", "elements": "path", "required": True},
    "allowed": {"type": "dict", "required": True},
}


def expression_of(component: dict[str, Any]) -> str:
    """Return a component's licence as an SPDX expression; empty where it has none."""
    for entry in component.get("licenses", []):
        if "expression" in entry:
            return str(entry["expression"])
        about = entry["license"]
        return str(about.get("id") or REFERENCE + about["name"])
    return ""


def table_of(names: dict[str, set[str]]) -> list[str]:
    """Return the lines for licences with the names of what has them: those of most components first."""
    width = max(map(len, names), default=0)
    lines = []
    for licence, having in sorted(names.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        few = ", ".join(sorted(having)[:FEW])
        lines.append(f"{licence:<{width}}  {len(having):>5}  {few}{', …' if len(having) > FEW else ''}")
    return lines


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Read the files and return what RETURN says. Raises :class:`CommandError` where one cannot be read."""
    allowed: dict[str, list[str]] = params["allowed"]
    names: dict[str, set[str]] = defaultdict(set)
    wrong, all_urls = [], set()
    for path in params["sboms"]:
        try:
            sbom = json.loads(Path(path).read_text())
            about = sbom["metadata"]["component"]
            for component in sbom.get("components", []):
                url = PackageURL.from_string(component["purl"])
                expression = expression_of(component)
                all_urls.add(component["purl"])
                for name in names_in(expression) if expression else [NO_LICENCE]:
                    names[f"{REFERENCE}*" if name.startswith(REFERENCE) else name].add(component["name"])
                reasons = refused(expression, allowed.get(url.type, [])) if expression else [NO_LICENCE]
                if reasons:
                    what = f"{component['name']} {component['version']} ({url.type})"
                    wrong.append(f"{about['name']}: {what}: {', '.join(reasons)}")
        except (ValueError, KeyError) as error:
            raise CommandError(f"{path} is no bill of materials: {error!r}") from error
    return {"changed": False, "table": table_of(names), "refused": sorted(wrong), "components": len(all_urls)}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
