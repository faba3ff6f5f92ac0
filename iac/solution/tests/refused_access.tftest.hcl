# Whom the variables refuse to let in. Each run changes one of them; nothing but that one may be what fails.
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

run "https_from_everywhere" {
  command = plan
  variables { client_cidrs = ["203.0.113.0/24", "0.0.0.0/0"] }
  expect_failures = [var.client_cidrs]
}

run "https_from_everywhere_by_ipv6" {
  command = plan
  variables { client_cidrs = ["::/0"] }
  expect_failures = [var.client_cidrs]
}

run "https_from_both_halves_of_everywhere" {
  command = plan
  variables { client_cidrs = ["0.0.0.0/1", "128.0.0.0/1"] }
  expect_failures = [var.client_cidrs]
}

run "https_from_an_address_without_a_length" {
  command = plan
  variables { client_cidrs = ["203.0.113.4"] }
  expect_failures = [var.client_cidrs]
}

run "https_from_no_network_that_there_could_be" {
  command = plan
  variables { client_cidrs = ["203.0.113.256/32"] }
  expect_failures = [var.client_cidrs]
}

run "https_from_nobody" {
  command = plan
  variables { client_cidrs = [] }
  expect_failures = [var.client_cidrs]
}

run "ssh_from_everywhere" {
  command = plan
  variables { ssh_cidrs = ["0.0.0.0/0"] }
  expect_failures = [var.ssh_cidrs]
}

run "ssh_from_everywhere_by_ipv6" {
  command = plan
  variables { ssh_cidrs = ["::/0"] }
  expect_failures = [var.ssh_cidrs]
}

run "ssh_from_a_network_as_wide_as_a_company" {
  command = plan
  variables { ssh_cidrs = ["10.0.0.0/8"] }
  expect_failures = [var.ssh_cidrs]
}

run "private_key" {
  command = plan
  variables { public_key = "-----BEGIN OPENSSH PRIVATE KEY-----" }
  expect_failures = [var.public_key]
}

run "no_key" {
  command = plan
  variables { public_key = "" }
  expect_failures = [var.public_key]
}
