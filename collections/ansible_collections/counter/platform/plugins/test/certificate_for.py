# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder with a CA and a certificate that it has signed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_for
short_description: Whether a folder has a valid certificate for names
description:
  - Whether C(server.crt) names just these names, belongs to C(server.key), is signed by C(ca.crt), which belongs to
    C(ca.key), and is valid for another month.
positional: _input, names
options:
  _input:
    description: The folder, on the controller.
    type: path
    required: true
  names:
    description: Names and addresses, the first of which is the common name.
    type: list
    elements: str
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
- "{{ '/srv/tls' is counter.platform.certificate_for(['logs.example', '192.0.2.10']) }}"
"""

RETURN = r"""
_value:
  description: Whether it is such a certificate.
  type: bool
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID


def canonical(name: str) -> str:
    """Return a name, and an address in its usual form."""
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def certificate_for(folder: str, names: Sequence[str]) -> bool:
    """Return whether the certificate in ``folder`` is valid for ``names``, and its CA is there with both keys."""
    try:
        ca, server = (
            x509.load_pem_x509_certificate(Path(folder, f"{name}.crt").read_bytes()) for name in ("ca", "server")
        )
        keys = [load_pem_private_key(Path(folder, f"{name}.key").read_bytes(), None) for name in ("ca", "server")]
        server.verify_directly_issued_by(ca)
        usage = server.extensions.get_extension_for_class(x509.KeyUsage).value
        named = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        common = server.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return (
        [key.public_key() for key in keys] == [ca.public_key(), server.public_key()]
        and server.not_valid_after_utc > datetime.now(UTC) + timedelta(days=30)
        and usage.digital_signature
        and not usage.key_encipherment
        and [attribute.value for attribute in common] == [names[0]]
        and {str(name.value) for name in named} == set(map(canonical, names))
    )


class TestModule:
    """What Ansible asks for tests."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        """Return the tests by name."""
        return {"certificate_for": certificate_for}
