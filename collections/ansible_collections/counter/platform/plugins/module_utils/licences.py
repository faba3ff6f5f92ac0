# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Licences as SPDX expressions: those that Debian and Python's packages name, and whether a list allows one.

What has no identifier of SPDX's is ``LicenseRef-`` and the name that it has where it was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.message import Message
from fnmatch import fnmatchcase

from cyclonedx.spdx import fixup_id
from license_expression import ExpressionError, LicenseExpression, LicenseSymbol, LicenseWithExceptionSymbol, Licensing

REFERENCE = "LicenseRef-"
_GNU = re.compile(r"(agpl|lgpl|gpl|gfdl)(-niv)?(?:-?v?(\d)(?:\.(\d+))?)?(\+|-or-later)?(?:-only)?")
_FIRST = {"gpl": "1.0", "lgpl": "2.0", "agpl": "3.0", "gfdl": "1.1"}  # of those that name no version
# What Debian calls otherwise than SPDX (source: the specification of debian/copyright, version 1.0).
_DEBIAN = {
    "apache-2": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "artistic-2": "Artistic-2.0",
    "bsd-2": "BSD-2-Clause",
    "bsd-3": "BSD-3-Clause",
    "cc0": "CC0-1.0",
    "expat": "MIT",
    "mit/x11": "MIT",
}
_SEPARATORS = (
    (r",\s+or\s+", "OR"),
    (r",\s+(?:and\s+)?", "AND"),
    (r"\s+(?:and/)?or\s+", "OR"),
    (r"\s+and\s+", "AND"),
)
# What is referred to in /usr/share/common-licenses by a name without a version, or with one.
_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z]+(?:-[\d.]*\d)?)")
_OR_LATER = re.compile(r"\bany\s+later\s+version\b|\bor\s+later\b|\bor\s+newer\b", re.IGNORECASE)
# The GPL's own text names the Affero licence too, below this heading.
_AFFERO = re.compile(r"GNU\s+Affero\s+General\s+Public\s+License", re.IGNORECASE)
_OF_THE_GPL = re.compile(r"Use\s+with\s+the\s+GNU\s+Affero\s+General\s+Public\s+License", re.IGNORECASE)
# Python's words for licences, in metadata from before it took SPDX's (source: PyPI's list of classifiers).
_PYTHON = {
    "apache 2": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
_CLASSIFIER = "License :: OSI Approved :: "
_SPDX = Licensing()


def reference(name: str) -> str:
    """Return the expression for a licence that has no identifier of SPDX's."""
    return REFERENCE + (re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-") or "unnamed")


def together(expressions: Iterable[str]) -> str:
    """Return the expression for a whole whose parts have these licences."""
    parts = sorted({expression for expression in expressions if expression})
    return " AND ".join(f"({part})" if " OR " in part and len(parts) > 1 else part for part in parts)


def of_debian(text: str, package: str) -> str:
    """Return the licences that a Debian package's copyright file names.

    In the machine-readable form those are the names of all its files' licences; in any other, the ones that it refers
    to in /usr/share/common-licenses, or else a licence of the package's own.
    """
    named = []
    if re.match(r"\s*Format(-Specification)?:", text):
        paragraphs = [part for part in re.split(r"\n\s*\n", text) if re.search(r"^(Format\S*|Files):", part, re.M)]
        named = [name for part in paragraphs for name in re.findall(r"^License:[ \t]*(\S.*)$", part, re.MULTILINE)]
    if named:
        return together(_debian(name) for name in named)
    if _AFFERO.search(text) and not _OF_THE_GPL.search(text):
        return "AGPL-3.0-or-later"
    later = "+" if _OR_LATER.search(text) else ""
    common = {name + later if _GNU.fullmatch(name.lower()) else name for name in _COMMON.findall(text)}
    return together(_debian(name) for name in common) or reference(f"of-{package}")


def _debian(name: str) -> str:
    """Return the expression for what a field ``License`` says: a comma binds least, then ``or``, then ``and``."""
    for separator, operator in _SEPARATORS:
        parts = [part for part in re.split(separator, name) if part.strip()]
        if len(parts) > 1:
            made = [_debian(part) for part in parts]
            return f" {operator} ".join(f"({part})" if " " in part else part for part in made)
    return _debian_name(name.strip().rstrip(","))


def _debian_name(name: str) -> str:
    word = re.sub(r"[\s_]+", "-", name.lower())
    # An exception gives more than the licence does.
    word = re.sub(r"-(with-.*|\w+-)?exception.*$", "", word)
    if found := _GNU.fullmatch(word):
        family, invariant, major, minor, later = found.groups()
        version = f"{major}.{minor or 0}" if major else _FIRST[family]
        middle = "-no-invariants" if invariant else ""
        return f"{family.upper()}-{version}{middle}-{'or-later' if later or not major else 'only'}"
    # Whatever else is in the name: one may allow names that are not SPDX's by a pattern, and this one never.
    if "agpl" in word or "affero" in word:
        return "AGPL-3.0-or-later"
    return _DEBIAN.get(word) or fixup_id(word) or reference(name)


def of_wheel(metadata: Message) -> str:
    """Return the licence that a Python package's metadata names; empty where it names none."""
    if expression := metadata["License-Expression"]:
        return str(expression)
    first = str(metadata["License"] or "").strip().partition("\n")[0]
    if known := _PYTHON.get(first.lower()) or fixup_id(first):
        return known
    classifiers = [text for text in metadata.get_all("Classifier", []) if text.startswith(_CLASSIFIER)]
    names = [text.removeprefix(_CLASSIFIER) for text in classifiers] or ([first] if first else [])
    return together(_PYTHON.get(name.lower()) or fixup_id(name) or reference(name) for name in names)


def names_in(expression: str) -> list[str]:
    """Return the licences that an expression is made of, each once; the whole text for an invalid expression."""
    try:
        return list(dict.fromkeys(map(_name, _parsed(expression).get_symbols())))
    except ExpressionError:
        return [expression]


def refused(expression: str, allowed: Iterable[str]) -> list[str]:
    """Return the licences because of which a list of patterns does not allow an expression; none where it does.

    Of alternatives one is enough. An exception gives more than the licence before it, which is what counts. An invalid
    expression is never allowed.
    """
    patterns = list(allowed)

    def because(part: LicenseExpression) -> list[str]:
        if part.isliteral:
            return [] if any(fnmatchcase(_name(part), pattern) for pattern in patterns) else [_name(part)]
        found = [because(operand) for operand in part.args]
        return [] if isinstance(part, _SPDX.OR) and [] in found else [name for names in found for name in names]

    try:
        return list(dict.fromkeys(because(_parsed(expression))))
    except ExpressionError:
        return [expression]


def _parsed(expression: str) -> LicenseExpression:
    parsed = _SPDX.parse(expression)
    # The parser takes words without an operator between them for one name.
    if parsed is None or any(" " in symbol.key for symbol in _SPDX.license_symbols(parsed)):
        raise ExpressionError(expression)
    return parsed


def _name(symbol: LicenseSymbol) -> str:
    return str(symbol.license_symbol.key if isinstance(symbol, LicenseWithExceptionSymbol) else symbol.key)
