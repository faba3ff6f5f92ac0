"""What a machine without other work is asked for: every request gets its number, and soon."""

import pytest
from lib.environment import PORT
from lib.load import Load
from lib.report import write_figures

pytestmark = pytest.mark.usefixtures("warnings")
REQUESTS, CLIENTS = 10_000, 8


def test_ten_thousand_requests() -> None:
    load = Load(PORT, clients=CLIENTS).run(REQUESTS // CLIENTS)
    load.check_exact()
    seconds = sorted(load.seconds)
    assert len(seconds) == REQUESTS
    assert seconds[-1] < 2, f"the slowest took {seconds[-1]:.1f} s"
    write_figures(
        "requests.json",
        {
            "requests": REQUESTS,
            "failed": len(load.failures),
            "milliseconds": {
                "p50": round(seconds[REQUESTS // 2] * 1000, 1),
                "p99": round(seconds[REQUESTS * 99 // 100] * 1000, 1),
                "slowest": round(seconds[-1] * 1000, 1),
            },
        },
    )
