"""The settings of a fresh clone, whatever the shell has; DATABASE_URL chooses the engine."""

import os

os.environ["DEBUG"] = "true"

from realmate.settings import *

# Static files as in development: found where they are, whether any were collected or not.
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True

# Slow on purpose, the real one would take a third of a second for every user of a test.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
