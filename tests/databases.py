"""More databases on the server of the tests."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
from django.db import connections


@contextmanager
def beside(suffix: str) -> Iterator[str]:
    """Create an empty PostgreSQL database. Yield its URL, and drop the database afterwards."""
    own = connections["default"].settings_dict
    server = {name.lower(): own[name] for name in ("HOST", "PORT", "USER", "PASSWORD")}
    name = f"{own['NAME']}_{suffix}"
    with closing(psycopg.connect(**server, dbname="postgres", autocommit=True)) as maintenance:
        maintenance.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        maintenance.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"postgres://{own['USER']}:{own['PASSWORD']}@{own['HOST']}:{own['PORT']}/{name}"
        finally:
            maintenance.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
