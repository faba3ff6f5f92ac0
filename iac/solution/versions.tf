terraform {
  # The first with a lock file in the bucket itself; OpenTofu has it from 1.10 too.
  required_version = ">= 1.10.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }

  # Where the state lies differs by account: see backend.example.hcl.
  backend "s3" {}
}

# Credentials come from the environment or a profile, and never stand here.
provider "aws" {
  region = var.region

  default_tags {
    tags = local.tags
  }
}
