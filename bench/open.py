"""The production settings without a login, as in development: the difference is the cost of a login."""

from realmate.settings import *  # noqa: F403

LOGIN_REQUIRED = False
