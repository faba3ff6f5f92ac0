# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Requests to addresses of this machine: a proxy of the calling shell would not find what is here."""

from __future__ import annotations

from urllib.request import ProxyHandler, build_opener

ask = build_opener(ProxyHandler({})).open
"""As :func:`urllib.request.urlopen`, whatever ``HTTP_PROXY`` and its like say."""
