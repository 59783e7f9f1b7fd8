"""The settings of development, with little time for large bodies: 10 seconds for one of 4 MiB."""

from realmate.settings import *

SECONDS_FOR_A_MIB = 2
