"""Heavy work: few at a time in a process, because it takes processor time from the webhook."""
