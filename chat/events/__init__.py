"""Events: their wire format, their rules, and `ingest`, the only way in. Nothing here knows HTTP."""
