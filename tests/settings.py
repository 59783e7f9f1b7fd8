"""The settings of a fresh clone, whatever the shell has; DATABASE_URL chooses the engine."""

import os

os.environ["DEBUG"] = "true"

from realmate.settings import *
