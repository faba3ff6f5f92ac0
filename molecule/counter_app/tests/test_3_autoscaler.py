"""A busy loop in a pod makes pods come, and its end makes them go, after their window and not before."""

import csv
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from lib.cluster import Cluster
from lib.report import report
from lib.service import APP, REPLICAS_MIN, busy_loop, name, service_pods, wait_until_idle

# How often the autoscaler looks (kube-controller-manager's default), in seconds.
PERIOD = 15
# A pod's use is the mean of ten seconds, which kubelet's figures are up to 15 s behind and metrics-server's up to ten
# more; then the autoscaler looks, and a pod starts.
LIMIT = 10 + 15 + 10 + PERIOD + 10


class Moment(NamedTuple):
    """What the autoscaler knew and what there was, so many seconds after the load began."""

    seconds: float
    busy: bool
    percent: int | None
    desired: int
    ready: int


class Watch:
    """Samples every second, while a loop is busy in one pod and afterwards."""

    def __init__(self, cluster: Cluster, loop: subprocess.Popen[bytes]) -> None:
        self.cluster = cluster
        self.moments: list[Moment] = []
        self._began = time.monotonic()
        self._loop = loop

    def until(self, condition: Callable[[Moment], bool], seconds: float) -> Moment | None:
        """Watch until a moment fulfils the condition and return it; None when none does in time."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            found = self.cluster.get("hpa,deployment", "--selector=app.kubernetes.io/name=counter", APP)["items"]
            status = {entry["kind"]: entry["status"] for entry in found}
            scaler = status["HorizontalPodAutoscaler"]
            (metric,) = scaler.get("currentMetrics") or [{}]
            self.moments.append(
                Moment(
                    seconds=round(time.monotonic() - self._began, 1),
                    busy=self._loop.poll() is None,
                    percent=metric.get("resource", {}).get("current", {}).get("averageUtilization"),
                    desired=scaler["desiredReplicas"],
                    ready=status["Deployment"].get("readyReplicas", 0),
                )
            )
            if condition(self.moments[-1]):
                return self.moments[-1]
            time.sleep(1)
        return None


@contextmanager
def watching(cluster: Cluster, busy_seconds: int, file: str) -> Iterator[Watch]:
    """Keep a pod busy for so many seconds, and leave the timeline of the block as CSV."""
    with busy_loop(cluster, name(service_pods(cluster)[0]), busy_seconds) as loop:
        watch = Watch(cluster, loop)
        try:
            yield watch
        finally:
            with report(file).open("w", newline="") as stream:
                csv.writer(stream).writerows([Moment._fields, *watch.moments])


def check_scales_up(watch: Watch) -> None:
    """Fail unless a further pod is ready in time."""
    grown = watch.until(lambda moment: moment.ready > REPLICAS_MIN, LIMIT)
    assert grown, f"no further pod within {LIMIT} s: {watch.moments[-1]}"


def test_busy_loop_scales_up_and_rest_scales_down(cluster: Cluster) -> None:
    wait_until_idle(cluster)
    window = cluster.get("hpa", "counter", APP)["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
    with watching(cluster, 65, "autoscaler.csv") as watch:
        check_scales_up(watch)
        rested = watch.until(lambda moment: not moment.busy, 90)
        assert rested
        most = max(moment.desired for moment in watch.moments)
        first = next(moment for moment in watch.moments if moment.desired == most)
        held = [moment.desired for moment in watch.moments if moment.seconds >= first.seconds]
        assert set(held) == {most}, f"it did not hold {most} pods under load: {held}"

        gone = watch.until(lambda moment: moment.desired == moment.ready == REPLICAS_MIN, window + 120)
        assert gone, f"still too many pods: {watch.moments[-1]}"
        fewer = next(m for m in watch.moments if m.seconds > first.seconds and m.desired < most)
        # What it shows is up to one period older than the decision that it was for.
        last_high = [m for m in watch.moments if (m.percent or 0) > 50 and m.seconds < fewer.seconds][-1]
        assert fewer.seconds - last_high.seconds > window - PERIOD - 2, "pods went before their window was over"


@pytest.mark.soak
def test_absolute_target_fails_the_same_check(cluster: Cluster) -> None:
    wait_until_idle(cluster)

    def target(target: dict[str, object]) -> None:
        metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
        patch = json.dumps([{"op": "replace", "path": "/spec/metrics/0", "value": metric}])
        cluster.kubectl("patch", "hpa", "counter", APP, "--type=json", f"--patch={patch}")

    target({"type": "AverageValue", "averageValue": "500m"})
    try:
        with watching(cluster, LIMIT, "autoscaler-absolute.csv") as watch:
            with pytest.raises(AssertionError, match=f"no further pod within {LIMIT} s"):
                check_scales_up(watch)
            # It was not for want of load.
            assert "counter-" in cluster.kubectl("top", "pods", APP)
    finally:
        target({"type": "Utilization", "averageUtilization": 50})
