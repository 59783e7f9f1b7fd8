"""How the database is read and written: keyset pages, batches, group commit, locks, cached SQL."""

from django.db import InterfaceError, OperationalError

# The errors of a database that is locked, full or gone. A closed connection gives either of them.
UNAVAILABLE = (OperationalError, InterfaceError)

# The years of every stored instant, in UTC. No time zone can move one past what a datetime holds.
YEARS = range(1970, 3000)
