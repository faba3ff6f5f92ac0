"""What the tests of the project share: those of its parts, of its scenarios, of the site and of the service."""
