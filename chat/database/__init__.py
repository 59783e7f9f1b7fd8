"""How the database is read and written: keyset pages, batches, group commit, locks, cached SQL."""

from django.db import InterfaceError, InternalError, OperationalError

# The errors of a locked, full or lost database. A closed connection gives either of the first two, and
# a PostgreSQL that only reads gives the third.
UNAVAILABLE = (OperationalError, InterfaceError, InternalError)

# The years of every stored instant, in UTC. In any time zone these fit the range of datetime.
YEARS = range(1970, 3000)
