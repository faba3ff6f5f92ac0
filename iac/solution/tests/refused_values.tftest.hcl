# What the variables refuse. Each run changes one of them; nothing but that one may be what fails.
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
}

variables {
  region       = "eu-central-1"
  environment  = "test"
  client_cidrs = ["203.0.113.0/24"]
  public_key   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1nkGDtoXdyu0MZgDnZ3yKq5n4PGOhqLgVOyVQ5q9nn test"
}

run "image_by_name" {
  command = plan
  variables { ami_id = "al2023" }
  expect_failures = [var.ami_id]
}

run "distribution_that_the_role_does_not_know" {
  command = plan
  variables { distribution = "ubuntu-24.04" }
  expect_failures = [var.distribution]
}

run "no_region" {
  command = plan
  variables { region = "frankfurt" }
  expect_failures = [var.region]
}

run "zone_of_another_region" {
  command = plan
  variables { availability_zone = "eu-west-1a" }
  expect_failures = [var.availability_zone]
}

run "environment_that_no_tag_would_take" {
  command = plan
  variables { environment = "Production!" }
  expect_failures = [var.environment]
}

run "name_that_no_role_would_take" {
  command = plan
  variables { name = "counter logs" }
  expect_failures = [var.name]
}

run "no_type_of_instance" {
  command = plan
  variables { instance_type = "small" }
  expect_failures = [var.instance_type]
}

run "system_on_a_volume_that_is_too_small" {
  command = plan
  variables { root_volume_gib = 4 }
  expect_failures = [var.root_volume_gib]
}

run "part_of_a_gib" {
  command = plan
  variables { data_volume_gib = 1.5 }
  expect_failures = [var.data_volume_gib]
}

run "bucket_by_address" {
  command = plan
  variables { chunks_bucket = "s3://chunks" }
  expect_failures = [var.chunks_bucket]
}

run "network_of_a_single_address" {
  command = plan
  variables { vpc_cidr = "10.64.0.1/32" }
  expect_failures = [var.vpc_cidr]
}

run "records_that_are_gone_in_a_day" {
  command = plan
  variables { flow_log_days = 1 }
  expect_failures = [var.flow_log_days]
}

run "tag_that_hides_the_host_from_the_inventory" {
  command = plan
  variables { tags = { Service = "logs" } }
  expect_failures = [var.tags]
}
