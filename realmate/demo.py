"""A living inbox in one command: `make demo`, or `python -m realmate.demo`.

The development server and a made-up customer service run in one process, so Ctrl-C leaves nothing
running. The database is demo.sqlite3; delete its files to begin afresh.
"""

import argparse
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

import django
from django.core.management import call_command
from django.core.servers.basehttp import (
    ThreadedWSGIServer,
    WSGIRequestHandler,
    get_internal_wsgi_application,
)

HOST = "127.0.0.1"
DATABASE = Path(__file__).resolve().parent.parent / "demo.sqlite3"
# A development server for this machine, even in a shell configured for production.
ENVIRON = {
    "REALMATE_ENV_FILE": "",
    "DJANGO_SETTINGS_MODULE": "realmate.settings",
    "DEBUG": "true",
    "ALLOWED_HOSTS": f"{HOST},localhost",
    "SECURE_SSL_REDIRECT": "false",
}


def main() -> None:
    options = parse_options()
    os.environ.update(ENVIRON, DATABASE_URL=options.database)
    django.setup()
    # The progress bar shows the traffic. A line for each request would push the address away.
    logging.disable(logging.WARNING)
    server = listen(options.port)
    call_command("migrate", verbosity=0)
    load_history(conversations=options.conversations)
    server.set_app(get_internal_wsgi_application())
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://{HOST}:{server.server_port}"
    print(f"Open {address}/ui/ in a browser. Ctrl-C ends the demo.", flush=True)
    call_command("simulate", url=address)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="realmate.demo", description="A living inbox.")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--database", metavar="URL", default=f"sqlite:///{DATABASE}")
    parser.add_argument(
        "--conversations", type=int, default=1000, help="how many an empty database begins with"
    )
    return parser.parse_args()


def listen(port: int) -> ThreadedWSGIServer:
    """Take the port. Called before history is loaded, so a taken port is reported at once."""
    try:
        return ThreadedWSGIServer((HOST, port), WSGIRequestHandler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        sys.exit(f"Cannot listen on {HOST}:{port}: {reason}. Another port: PORT=8001 make demo")


def load_history(*, conversations: int) -> None:
    """Write conversations of the last months, unless the database has some."""
    # Models cannot be imported before the settings are known.
    from chat.events.bulk import tuned_for_loading
    from chat.management.commands.simulate import Command, Tally
    from chat.management.simulation import utc_now
    from chat.management.simulation.history import history
    from chat.models import Conversation

    if Conversation.objects.exists():
        return
    # Not `simulate --bulk`: there Ctrl-C ends only the loading, and the demo would go on.
    stream = history(conversations=conversations, until=utc_now())
    with tuned_for_loading():
        Command().load_all(stream, Tally(), total=conversations)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # Ctrl-C is the way to end the demo
        main()
