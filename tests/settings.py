"""The settings of a fresh clone, whatever the shell has; DATABASE_URL chooses the engine."""

import os

os.environ["DEBUG"] = "true"

from realmate.settings import *

# Otherwise whitenoise reads through collected files whenever a test makes a client.
WHITENOISE_AUTOREFRESH = True

# Slow on purpose, the real one would take a third of a second for every user of a test.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
