"""Programs without a host: what runs the tests, and what writes documents, versions and reports."""
