resource "aws_cloudwatch_log_group" "flow" {
  #checkov:skip=CKV_AWS_158: CloudWatch encrypts it by its own key; the records have addresses and no content
  name              = "/counter-platform/${local.prefix}/flow"
  retention_in_days = var.flow_log_days

  lifecycle {
    # A group of another name would begin without the records.
    ignore_changes = [name]
  }
}

data "aws_iam_policy_document" "flow_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "flow" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    resources = ["${aws_cloudwatch_log_group.flow.arn}:*"]
  }
}

resource "aws_iam_role" "flow" {
  name               = "${local.prefix}-flow"
  description        = "What the VPC's flow logs may write to"
  assume_role_policy = data.aws_iam_policy_document.flow_trust.json

  lifecycle {
    ignore_changes = [name]
  }
}

resource "aws_iam_role_policy" "flow" {
  name   = "write"
  role   = aws_iam_role.flow.id
  policy = data.aws_iam_policy_document.flow.json
}

resource "aws_flow_log" "log_host" {
  vpc_id                   = aws_vpc.log_host.id
  traffic_type             = "ALL"
  log_destination_type     = "cloud-watch-logs"
  log_destination          = aws_cloudwatch_log_group.flow.arn
  iam_role_arn             = aws_iam_role.flow.arn
  max_aggregation_interval = 60

  tags = { Name = local.prefix }
}
