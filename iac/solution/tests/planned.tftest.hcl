# What is planned from the inputs that are given.
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

run "https_from_those_who_are_named_and_nothing_else" {
  command = plan

  assert {
    condition = alltrue([
      for cidr, rule in aws_vpc_security_group_ingress_rule.https :
      rule.cidr_ipv4 == cidr && rule.from_port == 443 && rule.to_port == 443 && rule.ip_protocol == "tcp"
    ])
    error_message = "A rule is another than 443 from the network that it is for."
  }

  assert {
    condition     = toset(keys(aws_vpc_security_group_ingress_rule.https)) == toset(var.client_cidrs)
    error_message = "The rules are for other networks than those that are named."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.ssh) == 0
    error_message = "SSH is open although nobody asked for it."
  }
}

run "ssh_from_those_who_are_named" {
  command = plan

  variables {
    ssh_cidrs = ["203.0.113.4/32"]
  }

  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.ssh : [rule.cidr_ipv4, rule.from_port, rule.to_port]] == [["203.0.113.4/32", 22, 22]]
    error_message = "SSH is open to others than those who are named, or at another port."
  }
}

run "image_of_the_parameter" {
  command = plan

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
    condition     = length(aws_vpc_security_group_egress_rule.http) == 0
    error_message = "Plain HTTP is open although Amazon Linux's packages come by HTTPS."
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

run "image_by_id" {
  command = plan

  variables {
    ami_id = "ami-0fedcba9876543210"
  }

  assert {
    condition     = aws_instance.log_host.ami == "ami-0fedcba9876543210"
    error_message = "The image is not the one that was asked for."
  }

  assert {
    condition     = length(data.aws_ssm_parameter.ami) == 0
    error_message = "The parameter is read although an image is given."
  }
}

run "host_is_in_its_own_network_with_its_own_key" {
  command = plan

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

run "no_old_metadata_and_no_open_volume" {
  command = plan

  assert {
    condition     = aws_instance.log_host.metadata_options[0].http_tokens == "required"
    error_message = "Metadata can be had without a token."
  }

  assert {
    condition     = aws_instance.log_host.root_block_device[0].encrypted && aws_ebs_volume.data.encrypted
    error_message = "A volume is not encrypted."
  }

  assert {
    condition     = aws_flow_log.log_host.traffic_type == "ALL"
    error_message = "Only some of the connections are written down."
  }
}

run "bucket_only_where_one_is_named" {
  command = plan

  assert {
    condition     = length(aws_iam_role_policy.chunks) == 0
    error_message = "The host may use a bucket that nobody named."
  }
}

run "bucket_that_is_named" {
  command = plan

  variables {
    chunks_bucket = "loki-chunks"
  }

  assert {
    condition     = flatten([for rule in data.aws_iam_policy_document.chunks[0].statement : rule.resources]) == ["arn:aws:s3:::loki-chunks", "arn:aws:s3:::loki-chunks/*"]
    error_message = "The host may use another bucket than the one that is named."
  }
}
