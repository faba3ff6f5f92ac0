locals {
  # The inventory finds the host by these.
  tags = merge(var.tags, {
    Project     = "counter-platform"
    Environment = var.environment
    Service     = "logs"
  })

  prefix            = "${var.name}-${var.environment}"
  availability_zone = coalesce(var.availability_zone, "${var.region}a")
}

data "aws_partition" "current" {}

# A network of its own: nothing else is reachable from the host, or reaches it, without passing its security group.
resource "aws_vpc" "log_host" {
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = local.prefix }
}

resource "aws_subnet" "public" {
  vpc_id            = aws_vpc.log_host.id
  cidr_block        = var.vpc_cidr
  availability_zone = local.availability_zone

  # The host has an Elastic IP, and nothing else shall be given an address.
  map_public_ip_on_launch = false

  tags = { Name = "${local.prefix}-public" }
}

resource "aws_internet_gateway" "log_host" {
  vpc_id = aws_vpc.log_host.id

  tags = { Name = local.prefix }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.log_host.id

  tags = { Name = "${local.prefix}-public" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.log_host.id
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}

# Every VPC comes with a group that admits its own members and lets everything out. Taken over, it has no rule.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.log_host.id

  tags = { Name = "${local.prefix}-closed" }
}
