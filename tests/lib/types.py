"""Types that the tests share."""

from typing import Any

Json = dict[str, Any]
"""An object as JSON has it."""
