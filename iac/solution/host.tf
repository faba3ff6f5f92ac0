locals {
  # What differs between the images that the role log_host knows: where Systems Manager names the one of the day, the
  # user that it puts the key in for, and how its packages come.
  images = {
    amazon-linux-2023 = {
      parameter        = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
      user             = "ec2-user"
      packages_by_http = false
    }
    debian-12 = {
      parameter        = "/aws/service/debian/release/12/latest/amd64"
      user             = "admin"
      packages_by_http = true
    }
    debian-13 = {
      parameter        = "/aws/service/debian/release/13/latest/amd64"
      user             = "admin"
      packages_by_http = true
    }
  }
  image = local.images[var.distribution]
}

data "aws_ssm_parameter" "ami" {
  count = var.ami_id == null ? 1 : 0

  name = local.image.parameter
}

resource "aws_instance" "log_host" {
  #checkov:skip=CKV_AWS_126: figures every 5 min are enough for the machine; Prometheus watches the service
  ami                    = var.ami_id == null ? data.aws_ssm_parameter.ami[0].insecure_value : var.ami_id
  instance_type          = var.instance_type
  subnet_id              = aws_subnet.public.id
  vpc_security_group_ids = [aws_security_group.log_host.id]
  key_name               = aws_key_pair.log_host.key_name
  iam_instance_profile   = aws_iam_instance_profile.host.name
  ebs_optimized          = true

  # Version 2 only, and not from inside of a container on the host.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = var.root_volume_gib
    encrypted   = true
    tags        = merge(local.tags, { Name = "${local.prefix}-root" })
  }

  # The inventory takes the user from here.
  tags = { Name = local.prefix, User = local.image.user }

  lifecycle {
    # The parameter names another image every few weeks, which must not replace a host that runs.
    ignore_changes = [ami]
  }
}

# The logs outlive the instance, and are moved to the next one.
resource "aws_ebs_volume" "data" {
  #checkov:skip=CKV_AWS_189: the account's own key for EBS encrypts it; a key of one's own is a matter of the account
  availability_zone = local.availability_zone
  type              = "gp3"
  size              = var.data_volume_gib
  encrypted         = true
  final_snapshot    = var.final_snapshot

  tags = { Name = "${local.prefix}-data" }
}

resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.data.id
  instance_id = aws_instance.log_host.id

  # Otherwise the file system is torn off while it is mounted.
  stop_instance_before_detaching = true
}

# An address that stays when the instance is replaced: certificates and clients name it.
resource "aws_eip" "log_host" {
  domain   = "vpc"
  instance = aws_instance.log_host.id

  tags = { Name = local.prefix }

  depends_on = [aws_internet_gateway.log_host]
}
