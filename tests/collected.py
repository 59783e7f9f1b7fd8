"""The settings of production, with static files collected into a folder of a test."""

import os
from pathlib import Path

from realmate.settings import *

STATIC_ROOT = Path(os.environ["STATIC_ROOT"])
