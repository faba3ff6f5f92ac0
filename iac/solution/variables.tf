variable "region" {
  description = "AWS region of everything here."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region has to be written as in eu-central-1."
  }
}

variable "environment" {
  description = "Environment that the host belongs to; a tag by which the inventory finds it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,31}$", var.environment))
    error_message = "environment has to be of small letters, digits and hyphens, and begin with a letter."
  }
}

variable "name" {
  description = "First part of the names of all that belongs to the host; read when each of them is made."
  type        = string
  default     = "counter-logs"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,31}$", var.name))
    error_message = "name has to be of small letters, digits and hyphens, and begin with a letter."
  }
}

variable "client_cidrs" {
  description = "IPv4 networks that may push and query by HTTPS. Named ones: none wider than /8."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.client_cidrs) > 0
    error_message = "client_cidrs has to name at least one network: otherwise nobody reaches the log host."
  }

  validation {
    condition     = alltrue([for cidr in var.client_cidrs : can(cidrnetmask(cidr))])
    error_message = "client_cidrs has to be a list of IPv4 networks as in 203.0.113.0/24; the network here has no IPv6."
  }

  # Two halves of the world would be as open as the whole.
  validation {
    condition     = alltrue([for cidr in var.client_cidrs : try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "client_cidrs has a network that is wider than /8, as 0.0.0.0/0 is: name those who push and query."
  }
}

variable "ssh_cidrs" {
  description = "IPv4 networks that may log in by SSH. None by default: Session Manager needs no open port."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.ssh_cidrs : can(cidrnetmask(cidr))])
    error_message = "ssh_cidrs has to be a list of IPv4 networks as in 203.0.113.4/32; the network here has no IPv6."
  }

  validation {
    condition     = alltrue([for cidr in var.ssh_cidrs : try(tonumber(split("/", cidr)[1]) >= 16, false)])
    error_message = "ssh_cidrs has a network that is wider than /16, as 0.0.0.0/0 is: name those who log in."
  }
}

variable "public_key" {
  description = "Public SSH key of who sets the host up, one line as in id_ed25519.pub."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+=* ?[^\n]*$", trimspace(var.public_key)))
    error_message = "public_key has to be one line as in id_ed25519.pub, and never a private key."
  }
}

variable "distribution" {
  description = "Distribution of the host: amazon-linux-2023, debian-12 or debian-13. Image, user and egress follow."
  type        = string
  default     = "amazon-linux-2023"
  nullable    = false

  validation {
    condition     = contains(["amazon-linux-2023", "debian-12", "debian-13"], var.distribution)
    error_message = "distribution has to be amazon-linux-2023, debian-12 or debian-13."
  }
}

variable "ami_id" {
  description = "Image of that distribution for the host; without one, the public one of the day when the host is made."
  type        = string
  default     = null

  validation {
    condition     = var.ami_id == null || can(regex("^ami-[0-9a-f]{8,17}$", var.ami_id))
    error_message = "ami_id has to be written as in ami-0123456789abcdef0."
  }
}

variable "instance_type" {
  description = "Type of the instance; x86 as the image is, with 2 GiB or more."
  type        = string
  default     = "t3.small"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]+\\.[a-z0-9]+$", var.instance_type))
    error_message = "instance_type has to be written as in t3.small."
  }
}

variable "root_volume_gib" {
  description = "Size of the system's volume in GiB."
  type        = number
  default     = 16
  nullable    = false

  validation {
    condition     = var.root_volume_gib >= 8 && floor(var.root_volume_gib) == var.root_volume_gib
    error_message = "root_volume_gib has to be a whole number from 8 on, which is what the image needs."
  }
}

variable "data_volume_gib" {
  description = "Size of the volume for logs in GiB. It can grow and never shrink."
  type        = number
  default     = 50
  nullable    = false

  validation {
    condition     = var.data_volume_gib >= 1 && var.data_volume_gib <= 16384 && floor(var.data_volume_gib) == var.data_volume_gib
    error_message = "data_volume_gib has to be a whole number from 1 to 16384."
  }
}

variable "final_snapshot" {
  description = "Whether a snapshot of the logs is kept when their volume is destroyed."
  type        = bool
  default     = true
  nullable    = false
}

variable "chunks_bucket" {
  description = "Bucket that Loki may keep its chunks in; without one, they stay on the volume for logs."
  type        = string
  default     = null

  validation {
    condition     = var.chunks_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.chunks_bucket))
    error_message = "chunks_bucket has to be the name of a bucket, and not its address."
  }
}

variable "vpc_cidr" {
  description = "IPv4 network of the host's own VPC, from /16 to /28."
  type        = string
  default     = "10.64.0.0/24"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && try(tonumber(split("/", var.vpc_cidr)[1]) >= 16, false) && try(tonumber(split("/", var.vpc_cidr)[1]) <= 28, false)
    error_message = "vpc_cidr has to be an IPv4 network from /16 to /28, as in 10.64.0.0/24."
  }
}

variable "availability_zone" {
  description = "Zone of the host and its volumes; the region's first one where none is given."
  type        = string
  default     = null

  validation {
    condition     = var.availability_zone == null || can(regex("^${var.region}[a-z]$", var.availability_zone))
    error_message = "availability_zone has to be one of the region, as in eu-central-1a."
  }
}

variable "flow_log_days" {
  description = "How many days the records of connections are kept."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = contains([90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.flow_log_days)
    error_message = "flow_log_days has to be a time that CloudWatch has, from 90 days on, such as 90, 180, 365 or 731."
  }
}

variable "tags" {
  description = "Further tags of everything here."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setintersection(keys(var.tags), ["Project", "Environment", "Service"])) == 0
    error_message = "tags has one of Project, Environment and Service: the inventory finds the host by these."
  }
}
