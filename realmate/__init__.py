"""The Django project: settings, servers, database engines."""

# The same as in pyproject.toml; a checkout is not installed, so it has no metadata to ask.
__version__ = "0.2.0"
