"""Licences by Debian's and Python's names as SPDX expressions, and what a list allows."""

from __future__ import annotations

from email.message import Message

from ansible_collections.counter.platform.plugins.module_utils.licences import (
    names_in,
    of_debian,
    of_wheel,
    refused,
    together,
)

FORM = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
GPL_2 = "This is free software under the GNU GPL, see /usr/share/common-licenses/GPL-2."


def files(*licences: str) -> str:
    """Return a copyright file in the machine-readable form, with files under these licences."""
    paragraphs = [f"Files: {number}/*\nCopyright: somebody\nLicense: {name}\n" for number, name in enumerate(licences)]
    # Texts that files refer to are no licences of their own.
    return "\n".join([FORM, *paragraphs, "License: NASA-1.3\n a text\n"])


def test_names_of_debian() -> None:
    expected = {
        "GPL-2+": "GPL-2.0-or-later",
        "GPL-2": "GPL-2.0-only",
        "GPL-2.0-or-later": "GPL-2.0-or-later",
        "LGPL-2.1-only": "LGPL-2.1-only",
        "LGPLv3+": "LGPL-3.0-or-later",
        "GPL": "GPL-1.0-or-later",
        "GFDL-NIV-1.3+": "GFDL-1.3-no-invariants-or-later",
        "AGPL-3": "AGPL-3.0-only",
        "AGPL-3+-with-something": "AGPL-3.0-or-later",
        "GNU Affero v3": "AGPL-3.0-or-later",
        "GPL-3+ with autoconf exception": "GPL-3.0-or-later",
        "GPL-2-libtool-exception": "GPL-2.0-only",
        "Expat": "MIT",
        "bsd-3-clause": "BSD-3-Clause",
        "Artistic": "Artistic-1.0-Perl",
        "public-domain": "LicenseRef-public-domain",
        "Carnegie (old)": "LicenseRef-Carnegie-old",
        "GPL-1+ or Artistic": "GPL-1.0-or-later OR Artistic-1.0-Perl",
        "BSD-3-clause and/or GPL-3": "BSD-3-Clause OR GPL-3.0-only",
        "MIT and ISC or Zlib": "(MIT AND ISC) OR Zlib",
        "GPL-1+ or Artistic, and BSD-3-clause": "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND BSD-3-Clause",
        "MIT, ISC": "MIT AND ISC",
    }
    assert {name: of_debian(files(name), "p") for name in expected} == expected


def test_package_has_the_licences_of_all_its_files() -> None:
    assert of_debian(files("Expat", "GPL-2+ or ISC", "Expat"), "p") == "(GPL-2.0-or-later OR ISC) AND MIT"


def test_other_forms_refer_to_common_licences() -> None:
    expected = {
        GPL_2: "GPL-2.0-only",
        f"{GPL_2} Version 2, or any\nlater version.": "GPL-2.0-or-later",
        "/usr/share/common-licenses/Apache-2.0 and /usr/share/common-licenses/BSD.": "Apache-2.0 AND LicenseRef-BSD",
        "See /usr/share/common-licenses/LGPL.": "LGPL-2.0-or-later",
        "Do what you want.": "LicenseRef-of-p",
        "Under the GNU Affero General\nPublic License.": "AGPL-3.0-or-later",
        f"{GPL_2}\n13. Use with the GNU Affero General Public License.": "GPL-2.0-only",
        f"{FORM}\nComment: no files\n": "LicenseRef-of-p",
    }
    assert {text: of_debian(text, "p") for text in expected} == expected


def metadata(*fields: tuple[str, str]) -> Message:
    """Return a wheel's metadata."""
    message = Message()
    for name, value in fields:
        message.add_header(name, value.replace("\n", "\n        "))
    return message


def test_metadata_of_wheels() -> None:
    cases: list[tuple[list[tuple[str, str]], str]] = [
        ([("License-Expression", "MIT OR Apache-2.0"), ("License", "ignored")], "MIT OR Apache-2.0"),
        (
            [("License", "apache 2.0"), ("Classifier", "License :: OSI Approved :: Apache Software License")],
            "Apache-2.0",
        ),
        ([("License", "BSD-3-Clause")], "BSD-3-Clause"),
        ([("License", "Copyright by us\nand a text"), ("Classifier", "License :: OSI Approved :: MIT License")], "MIT"),
        (
            [
                ("Classifier", "License :: OSI Approved :: MIT License"),
                ("Classifier", "License :: OSI Approved :: BSD License"),
                ("Classifier", "Programming Language :: Python"),
            ],
            "LicenseRef-BSD-License AND MIT",
        ),
        ([("License", "Ours alone")], "LicenseRef-Ours-alone"),
        ([], ""),
    ]
    assert [(fields, of_wheel(metadata(*fields))) for fields, _ in cases] == cases


def test_list_allows_expressions() -> None:
    expected = {
        "MIT": [],
        "GPL-2.0-only": ["GPL-2.0-only"],
        "MIT AND GPL-2.0-only": ["GPL-2.0-only"],
        "MIT OR GPL-2.0-only": [],
        "GPL-2.0-only OR GPL-3.0-only": ["GPL-2.0-only", "GPL-3.0-only"],
        "MIT OR GPL-2.0-only AND ISC": [],
        "(MIT OR GPL-2.0-only) AND ISC": ["ISC"],
        "(MIT AND (ISC OR BSD-2-Clause))": [],
        "BSD-3-Clause WITH X-exception AND MIT": [],
        "GPL-2.0-only WITH X-exception": ["GPL-2.0-only"],
        "AGPL-3.0-only": ["AGPL-3.0-only"],
        "MIT ISC": ["MIT ISC"],
        "MIT AND": [""],
    }
    assert {expression: refused(expression, ["MIT", "BSD-*"]) for expression in expected} == expected


def test_pattern_for_the_gpl_is_none_for_the_affero_one() -> None:
    assert refused("AGPL-3.0-only AND GPL-3.0-only", ["GPL-*"]) == ["AGPL-3.0-only"]


def test_expressions_are_put_together_once_each() -> None:
    assert together(["MIT", "ISC OR MIT", "", "MIT"]) == "(ISC OR MIT) AND MIT"
    assert together(["ISC OR MIT"]) == "ISC OR MIT"
    assert names_in("(ISC OR MIT) AND GPL-2.0-only WITH X-exception AND MIT") == ["ISC", "MIT", "GPL-2.0-only"]
