"""The Django project: settings, servers, database engines."""

# The same as in pyproject.toml. A checkout has no metadata to ask, because it is not installed.
__version__ = "0.2.0"
