"""What `make up` has made is whole, and a second run changes nothing."""

from lib.cluster import Cluster
from lib.command import execute
from lib.service import APP, utilization
from lib.wait import wait_until_none


def test_every_pod_runs_and_the_autoscaler_has_figures_when_the_run_ends() -> None:
    cluster = Cluster("local")
    assert "counter-" in cluster.kubectl("top", "pods", APP)
    assert utilization(cluster) is not None
    wait_until_none("pods that do not run", cluster.not_running, 60)


# What a shell may have for other work: a locale that is not installed, a proxy that does not know this machine, another
# project's settings.
OTHER_WORK = {
    "ANSIBLE_CONFIG": "/dev/null",
    "ANSIBLE_ROLES_PATH": "/nowhere",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "K8S_AUTH_HOST": "https://127.0.0.1:1",
    "KUBECONFIG": "/nowhere",
    "LC_ALL": "de_DE.UTF-8",
    "PYTHONPATH": "/nowhere",
}


def test_second_run_changes_nothing_in_a_shell_that_is_set_up_for_other_work() -> None:
    run = execute("sh", "-c", "umask 077 && exec make up", environment=OTHER_WORK)
    run.ok(changed=0).ok(changed=0, host="logs")
    # What is as it should be is seen at once: a module for each of the log host's files is half a minute.
    assert "Compare the objects with the cluster's" in run.output
    assert "Write the files that differ" not in run.output
    assert "Copy the program" not in run.output
