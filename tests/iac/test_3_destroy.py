"""What the removal by the role leaves on the AWS API."""

from __future__ import annotations

import pytest
from iac.life import Life


def test_nothing_is_left_when_it_is_destroyed_but_a_snapshot_of_the_logs(life: Life) -> None:
    run = life.removed()
    assert (run.status, run.recap("changed")) == (0, 1), run.output
    ec2, volume = life.api.client("ec2"), life.outputs()["data_volume_id"]
    ours = [{"Name": "tag:Project", "Values": ["counter-platform"]}]
    assert not ec2.describe_vpcs(Filters=ours)["Vpcs"]
    assert not ec2.describe_volumes(Filters=ours)["Volumes"]
    assert not ec2.describe_key_pairs()["KeyPairs"]
    reservations = ec2.describe_instances(Filters=ours)["Reservations"]
    assert {entry["State"]["Name"] for group in reservations for entry in group["Instances"]} <= {"terminated"}
    assert not life.api.client("iam").list_roles()["Roles"]
    snapshots = ec2.describe_snapshots(Filters=[{"Name": "volume-id", "Values": [volume]}])["Snapshots"]
    assert len(snapshots) == 1


@pytest.mark.soak
def test_second_removal_changes_nothing(life: Life) -> None:
    assert life.removed().status == 0
    again = life.absent()
    assert (again.status, again.recap("changed")) == (0, 0), again.output
