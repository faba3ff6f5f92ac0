"""What the report says where it cannot be written; molecule/monitoring writes one."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.modules import metrics_report


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ("1h", "Prometheus cannot be asked: there is no .*/kubectl, which `make up` makes"),
        ("week", "as in 30m, 6h or 2d"),
    ],
)
def test_report_that_cannot_be_written(tmp_path: Path, span: str, message: str) -> None:
    given = {"kubectl": str(tmp_path / "kubectl"), "kubeconfig": "none", "namespace": "monitoring", "span": span}
    with pytest.raises(CommandError, match=message):
        metrics_report.ensure(
            {**given, "title": "none", "dest": str(tmp_path / "report/index.html"), "owner": 0}, check_mode=False
        )
    assert not list(tmp_path.iterdir())
