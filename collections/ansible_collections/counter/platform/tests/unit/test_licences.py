"""Licences by Debian's and Python's names as SPDX expressions, and what a list allows."""

from email.parser import HeaderParser

from ansible_collections.counter.platform.plugins.module_utils import licences

FORM = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
GPL_2 = "This is free software under the GNU GPL, see /usr/share/common-licenses/GPL-2."


def files(*names: str) -> str:
    """Return a copyright file in the machine-readable form, with files under these licences."""
    paragraphs = [f"Files: {number}/*\nCopyright: somebody\nLicense: {name}\n" for number, name in enumerate(names)]
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
        "Carnegie (old)": "LicenseRef-Carnegie-old",
        "BSD-3-clause and/or GPL-3": "BSD-3-Clause OR GPL-3.0-only",
        "MIT and ISC or Zlib": "(MIT AND ISC) OR Zlib",
        "GPL-1+ or Artistic, and BSD-3-clause": "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND BSD-3-Clause",
        "MIT, ISC": "MIT AND ISC",
    }
    assert {name: licences.of_debian(files(name), "p") for name in expected} == expected
    # A package has the licences of all its files.
    assert licences.of_debian(files("Expat", "GPL-2+ or ISC", "Expat"), "p") == "(GPL-2.0-or-later OR ISC) AND MIT"


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
    assert {text: licences.of_debian(text, "p") for text in expected} == expected


def test_metadata_of_wheels() -> None:
    osi = "Classifier: License :: OSI Approved :: "
    expected = {
        "License-Expression: MIT OR Apache-2.0\nLicense: ignored": "MIT OR Apache-2.0",
        f"License: apache 2.0\n{osi}Apache Software License": "Apache-2.0",
        "License: BSD-3-Clause": "BSD-3-Clause",
        f"License: Copyright by us\n        and a text\n{osi}MIT License": "MIT",
        f"{osi}MIT License\n{osi}BSD License\nClassifier: Topic :: Utilities": "LicenseRef-BSD-License AND MIT",
        "License: Ours alone": "LicenseRef-Ours-alone",
        "": "",
    }
    assert {text: licences.of_wheel(HeaderParser().parsestr(text)) for text in expected} == expected


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
        "MIT ISC": ["MIT ISC"],
        "MIT AND": ["MIT AND"],
        "MIT WITH": ["MIT WITH"],
        "BSD-3-Clause MIT": ["BSD-3-Clause MIT"],
    }
    assert {expression: licences.refused(expression, ["MIT", "BSD-*"]) for expression in expected} == expected
    assert licences.refused("AGPL-3.0-only AND GPL-3.0-only", ["GPL-*"]) == ["AGPL-3.0-only"]


def test_expressions_are_put_together_once_each() -> None:
    assert licences.together(["MIT", "ISC OR MIT", "", "MIT"]) == "(ISC OR MIT) AND MIT"
    assert licences.together(["ISC OR MIT"]) == "ISC OR MIT"
    assert licences.names_in("MIT AND") == ["MIT AND"]
    assert licences.names_in("(ISC OR MIT) AND GPL-2.0-only WITH X-exception AND MIT") == ["ISC", "MIT", "GPL-2.0-only"]
