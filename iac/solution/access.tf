resource "aws_security_group" "log_host" {
  name        = local.prefix
  description = "Log host: HTTPS and SSH from named networks"
  vpc_id      = aws_vpc.log_host.id

  tags = { Name = local.prefix }

  lifecycle {
    # Neither can be changed: another one would take the place of the group, and of all that a deployment of an earlier
    # version has by its earlier name. See moved.tf.
    ignore_changes = [name, description]
  }
}

resource "aws_vpc_security_group_ingress_rule" "https" {
  for_each = var.client_cidrs

  security_group_id = aws_security_group.log_host.id
  description       = "Push and query"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.value
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  for_each = var.ssh_cidrs

  security_group_id = aws_security_group.log_host.id
  description       = "Setting the host up"
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = each.value
}

# Amazon Linux's packages, Systems Manager and S3 are all behind HTTPS, at addresses that change. DNS and time are the
# VPC's own and pass no security group.
resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.log_host.id
  description       = "Packages and AWS by HTTPS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

# Debian's packages come by plain HTTP; apt checks them by signatures.
resource "aws_vpc_security_group_egress_rule" "http" {
  count = local.image.packages_by_http ? 1 : 0

  security_group_id = aws_security_group.log_host.id
  description       = "Packages by HTTP"
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_key_pair" "log_host" {
  key_name   = local.prefix
  public_key = trimspace(var.public_key)

  lifecycle {
    # A key pair of another name would replace the instance.
    ignore_changes = [key_name]
  }
}

data "aws_iam_policy_document" "host_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "host" {
  name               = local.prefix
  description        = "What the log host may do"
  assume_role_policy = data.aws_iam_policy_document.host_trust.json

  lifecycle {
    ignore_changes = [name]
  }
}

# Session Manager logs in without an open port and without a key.
resource "aws_iam_role_policy_attachment" "session_manager" {
  role       = aws_iam_role.host.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

data "aws_iam_policy_document" "chunks" {
  count = var.chunks_bucket == null ? 0 : 1

  statement {
    actions   = ["s3:ListBucket"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.chunks_bucket}"]
  }

  statement {
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.chunks_bucket}/*"]
  }
}

resource "aws_iam_role_policy" "chunks" {
  count = var.chunks_bucket == null ? 0 : 1

  name   = "chunks"
  role   = aws_iam_role.host.id
  policy = data.aws_iam_policy_document.chunks[0].json
}

resource "aws_iam_instance_profile" "host" {
  name = local.prefix
  role = aws_iam_role.host.name

  lifecycle {
    ignore_changes = [name]
  }
}
