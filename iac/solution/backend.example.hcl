# Copy it, fill it in, and run: terraform init -backend-config=FILE
# The bucket has to be there already; it should keep versions and refuse whatever is not encrypted.
bucket       = "example-terraform-state"
key          = "counter-platform/production/logs.tfstate"
region       = "eu-central-1"
encrypt      = true
use_lockfile = true
