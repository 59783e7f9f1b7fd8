"""The production settings with everything open to readers, as in development.

What a login costs is the difference.
"""

from realmate.settings import *  # noqa: F403

LOGIN_REQUIRED = False
