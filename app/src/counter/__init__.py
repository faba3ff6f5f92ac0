"""A counter over HTTP: every caller gets the value its own increment produced."""

__version__ = "1.0.0"
