"""Programs that run the tests, and that write documents."""
