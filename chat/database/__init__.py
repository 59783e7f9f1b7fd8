"""How the database is read and written: keyset pages, batches, group commit, locks, cached SQL."""

from django.db import InterfaceError, OperationalError

# The errors of a locked, full or lost database. A closed connection gives either of them.
UNAVAILABLE = (OperationalError, InterfaceError)

# The years of every stored instant, in UTC. In any time zone these fit the range of datetime.
YEARS = range(1970, 3000)
