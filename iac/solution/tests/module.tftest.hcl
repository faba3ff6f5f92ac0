# What is planned from the inputs, and what the variables refuse.
mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  # OpenTofu makes up a resource's values when it is planned, and the provider looks at these.
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:mocked" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123456789abcdef0" }
  }
}

variables {
  region       = "eu-central-1"
  environment  = "test"
  client_cidrs = ["203.0.113.0/24", "198.51.100.7/32"]
  public_key   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1nkGDtoXdyu0MZgDnZ3yKq5n4PGOhqLgVOyVQ5q9nn test"
}

run "planned_by_default" {
  command = plan

  assert {
    condition = alltrue([
      for cidr, rule in aws_vpc_security_group_ingress_rule.https :
      rule.cidr_ipv4 == cidr && rule.from_port == 443 && rule.to_port == 443 && rule.ip_protocol == "tcp"
    ])
    error_message = "A rule is another than 443 from the network that it is for."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.ssh) == 0
    error_message = "SSH is open although nobody asked for it."
  }

  assert {
    condition     = length(aws_iam_role_policy.chunks) == 0
    error_message = "The host may use a bucket that nobody named."
  }

  assert {
    condition     = aws_instance.log_host.ami == "ami-0123456789abcdef0"
    error_message = "The image is not the one that the parameter names."
  }

  assert {
    condition     = data.aws_ssm_parameter.ami[0].name == "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    error_message = "The parameter is not Amazon Linux's."
  }

  assert {
    condition     = output.ssh_user == "ec2-user" && aws_instance.log_host.tags.User == "ec2-user"
    error_message = "The user is not Amazon Linux's."
  }

  assert {
    condition     = aws_instance.log_host.key_name == aws_key_pair.log_host.key_name && aws_key_pair.log_host.public_key == var.public_key
    error_message = "The host has another key than the given one."
  }

  assert {
    condition     = aws_subnet.public.cidr_block == aws_vpc.log_host.cidr_block && !aws_subnet.public.map_public_ip_on_launch
    error_message = "The subnet is not the whole network, or gives addresses to whatever starts in it."
  }

  assert {
    condition     = aws_route.internet.destination_cidr_block == "0.0.0.0/0"
    error_message = "There is no way out of the network."
  }
}

run "debian_has_its_own_image_and_user_and_packages_by_http" {
  command = plan

  variables {
    distribution = "debian-13"
  }

  assert {
    condition     = data.aws_ssm_parameter.ami[0].name == "/aws/service/debian/release/13/latest/amd64"
    error_message = "The parameter is not that of the release."
  }

  assert {
    condition     = output.ssh_user == "admin" && aws_instance.log_host.tags.User == "admin"
    error_message = "The user is not Debian's."
  }

  assert {
    condition     = [for rule in aws_vpc_security_group_egress_rule.http : [rule.from_port, rule.to_port]] == [[80, 80]]
    error_message = "Debian's packages cannot be had by plain HTTP."
  }
}

run "image_and_bucket_that_are_named" {
  command = plan

  variables {
    ami_id        = "ami-0fedcba9876543210"
    chunks_bucket = "loki-chunks"
  }

  assert {
    condition     = aws_instance.log_host.ami == "ami-0fedcba9876543210"
    error_message = "The image is not the one that was asked for."
  }

  assert {
    condition     = length(data.aws_ssm_parameter.ami) == 0
    error_message = "The parameter is read although an image is given."
  }

  assert {
    condition     = flatten([for rule in data.aws_iam_policy_document.chunks[0].statement : rule.resources]) == ["arn:aws:s3:::loki-chunks", "arn:aws:s3:::loki-chunks/*"]
    error_message = "The host may use another bucket than the one that is named."
  }
}

# From here on, each value that a run gives has to be refused, and nothing else.
run "everybody" {
  command = plan
  variables {
    client_cidrs = ["203.0.113.0/24", "0.0.0.0/0"]
    ssh_cidrs    = ["0.0.0.0/0"]
  }
  expect_failures = [var.client_cidrs, var.ssh_cidrs]
}

run "both_halves_of_everybody_and_ssh_from_a_network_as_wide_as_a_company" {
  command = plan
  variables {
    client_cidrs = ["0.0.0.0/1", "128.0.0.0/1"]
    ssh_cidrs    = ["10.0.0.0/8"]
  }
  expect_failures = [var.client_cidrs, var.ssh_cidrs]
}

run "address_without_a_length_and_private_key" {
  command = plan
  variables {
    client_cidrs = ["203.0.113.4"]
    public_key   = "-----BEGIN OPENSSH PRIVATE KEY-----"
  }
  expect_failures = [var.client_cidrs, var.public_key]
}

run "network_of_ipv6_and_no_key" {
  command = plan
  variables {
    client_cidrs = ["2001:db8::/32"]
    public_key   = ""
    ssh_cidrs    = ["2001:db8::/32"]
  }
  expect_failures = [var.client_cidrs, var.public_key, var.ssh_cidrs]
}

run "nobody_and_zone_of_another_region" {
  command = plan
  variables {
    client_cidrs      = []
    availability_zone = "eu-west-1a"
  }
  expect_failures = [var.client_cidrs, var.availability_zone]
}

run "values_that_aws_or_the_role_would_not_take" {
  command = plan
  variables {
    ami_id          = "al2023"
    chunks_bucket   = "s3://chunks"
    data_volume_gib = 1.5
    distribution    = "ubuntu-24.04"
    environment     = "Production!"
    flow_log_days   = 1
    instance_type   = "small"
    name            = "counter logs"
    region          = "frankfurt"
    root_volume_gib = 4
    tags            = { Service = "logs" }
    vpc_cidr        = "10.64.0.1/32"
  }
  expect_failures = [
    var.ami_id, var.chunks_bucket, var.data_volume_gib, var.distribution, var.environment, var.flow_log_days,
    var.instance_type, var.name, var.region, var.root_volume_gib, var.tags, var.vpc_cidr,
  ]
}
