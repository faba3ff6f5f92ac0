"""What the destroyed module leaves on the AWS API."""

from iac.life import Life


def test_nothing_is_left_when_it_is_destroyed_but_a_snapshot_of_the_logs(life: Life) -> None:
    ec2, volume = life.api.client("ec2"), life.destroyed()["data_volume_id"]
    ours = [{"Name": "tag:Project", "Values": ["counter-platform"]}]
    assert not ec2.describe_vpcs(Filters=ours)["Vpcs"]
    assert not ec2.describe_volumes(Filters=ours)["Volumes"]
    assert not ec2.describe_key_pairs()["KeyPairs"]
    reservations = ec2.describe_instances(Filters=ours)["Reservations"]
    assert {entry["State"]["Name"] for group in reservations for entry in group["Instances"]} <= {"terminated"}
    assert not life.api.client("iam").list_roles()["Roles"]
    snapshots = ec2.describe_snapshots(Filters=[{"Name": "volume-id", "Values": [volume]}])["Snapshots"]
    assert len(snapshots) == 1
