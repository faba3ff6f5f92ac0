output "address" {
  description = "Address at which clients and Ansible reach the host. It stays when the instance is replaced."
  value       = aws_eip.log_host.public_ip
}

output "private_address" {
  description = "Address of the host in its own network."
  value       = aws_instance.log_host.private_ip
}

output "instance_id" {
  description = "Instance; Session Manager takes it as its target."
  value       = aws_instance.log_host.id
}

output "ssh_user" {
  description = "User to log in as."
  value       = local.image.user
}

output "data_device" {
  description = "Device of the volume for logs on the host, by a name that does not depend on the order of devices."
  value       = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${replace(aws_ebs_volume.data.id, "-", "")}"
}

output "data_volume_id" {
  description = "Volume for logs."
  value       = aws_ebs_volume.data.id
}

output "security_group_id" {
  description = "Security group of the host."
  value       = aws_security_group.log_host.id
}

output "tags" {
  description = "Tags by which the inventory finds the host."
  value       = local.tags
}
