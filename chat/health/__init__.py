"""The state of this installation: figures from the database, and faults with the command against each."""
