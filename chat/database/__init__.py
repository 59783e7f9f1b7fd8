"""How the database is read and written: keyset pages, batches, group commit, locks, cached SQL."""

# The years of every stored instant, in UTC. No time zone can move one past what a datetime holds.
YEARS = range(1970, 3000)
