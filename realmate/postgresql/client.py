"""How psql, pg_dump and pg_restore connect: with the same parameters as the service."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql import client
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo


class DatabaseClient(client.DatabaseClient):
    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        """Return the arguments and the environment. The last argument is the connection string.

        Secrets are in the environment only, because other users of the machine can read arguments.
        Raises ImproperlyConfigured for a secret without a variable of libpq.
        """
        known = {option.keyword.decode(): option for option in Conninfo.get_defaults()}
        stated = settings_dict["OPTIONS"] | {
            name: settings_dict[name.upper()] for name in ("user", "password", "host", "port")
        }
        options = {name: str(value) for name, value in stated.items() if name in known and value}
        if settings_dict["POOLED"]:
            options.pop("options")
        environ = {}
        for name in [*options]:
            if known[name].dispchar:  # libpq's mark of a secret
                variable = (known[name].envvar or b"").decode()
                environ[variable] = options.pop(name)
                if not variable:
                    raise ImproperlyConfigured(f"{name} cannot be given to a program in secret")
        conninfo = make_conninfo("", dbname=settings_dict["NAME"] or "postgres", **options)
        return [cls.executable_name, *parameters, conninfo], environ or None
