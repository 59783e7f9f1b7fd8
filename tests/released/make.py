"""Fill a new database with the code of a release, and print the database as SQL. tests/test_upgrades.py reads the SQL.

    git worktree add --detach /tmp/realmate-0.1.0 15d8655
    .venv/bin/python tests/released/make.py /tmp/realmate-0.1.0 >tests/released/0.1.0.sql

Uses only features of every release: `ingest` and the commands.
"""

import contextlib
import json
import os
import sqlite3
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

BEGAN = datetime(2025, 2, 21, 10, tzinfo=UTC)


class History:
    """Delivers an event a minute, each with a timestamp a second before its arrival."""

    def __init__(self):
        self.minutes = 0

    def take(self, body):
        from chat.events.ingest import ingest

        self.minutes += 1
        at = BEGAN + timedelta(minutes=self.minutes)
        ingest(body, received_at=at, request_id=UUID(int=self.minutes))

    def event(self, type, *, at=None, **data):
        at = at or BEGAN + timedelta(minutes=self.minutes + 1, seconds=-1)
        event = {"type": type, "timestamp": at.isoformat(), "data": data}
        self.take(json.dumps(event, ensure_ascii=False).encode())

    def opening(self, n):
        self.event("NEW_CONVERSATION", id=conversation(n))

    def closing(self, n):
        self.event("CLOSE_CONVERSATION", id=conversation(n))

    def message(self, n, number, content, *, sent=False, at=None):
        ids = {"id": message(number), "conversation_id": conversation(n)}
        direction = "SENT" if sent else "RECEIVED"
        self.event("NEW_MESSAGE", **ids, direction=direction, content=content, at=at)


def conversation(n):
    return f"c{n:07}-0000-4000-8000-{n:012}"


def message(n):
    return f"e{n:07}-0000-4000-8000-{n:012}"


def fill():
    from django.core.management import call_command

    from chat.models import User

    history = History()
    for n in range(1, 13):
        history.opening(n)
        for place in range(4):
            content = f"Olá, não recebi o pedido {n}.{place} \U0001f600"
            history.message(n, 10 * n + place, content, sent=place % 2 == 1)
        if n % 3 == 0:
            history.closing(n)
    # Duplicate, late, early.
    history.message(
        1, 10, "Olá, não recebi o pedido 1.0 \U0001f600", at=BEGAN + timedelta(seconds=119)
    )
    history.message(1, 201, "Mensagem atrasada", at=BEGAN - timedelta(hours=1))
    history.message(30, 202, "Cheguei antes da abertura")
    history.closing(31)
    history.opening(30)
    history.opening(31)
    history.message(40, 203, "Nunca foi aberta")
    # Refused: after closing, and redelivered; another text; not readable.
    for _ in range(2):
        history.message(3, 204, "Ainda preciso de ajuda")
    history.message(2, 10, "outro texto")
    history.take(b"{not json")
    history.take(b'{"type": "NEW_MESSAGE"}')
    # Erased: an open conversation and a closed one. A message comes after the erasure.
    for n in (5, 6):
        call_command("erase_conversation", conversation(n), yes=True)
    history.message(5, 205, "Depois de apagada")
    call_command("replay", yes=True)
    User.objects.create_user("ana", password="quatro palavras bem longas", is_staff=True)
    call_command("createtoken", "mirror")


INDEX = "chat_messagewords"


def statements(database):
    """Yield the dump, with the search index as rows. Its own tables cannot be loaded as such."""
    for statement in database.iterdump():
        is_of_django = statement.startswith(('INSERT INTO "auth_', 'INSERT INTO "django_'))
        if is_of_django or (INDEX not in statement and "writable_schema" not in statement):
            yield statement
    [created] = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", [INDEX]).fetchone()
    yield f"{created};"
    for id, words in database.execute(f"SELECT rowid, words FROM {INDEX} ORDER BY rowid"):
        yield f"INSERT INTO {INDEX} (rowid, words) VALUES ({id}, '{words}');"


def main(checkout):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db.sqlite3"
        os.environ |= {"DEBUG": "true", "DATABASE_URL": f"sqlite:///{path}"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "realmate.settings"
        sys.path.insert(0, checkout)
        with contextlib.redirect_stdout(sys.stderr):
            import django
            from django.core.management import call_command

            django.setup()
            call_command("migrate", verbosity=0)
            fill()
            django.db.connection.close()
        with contextlib.closing(sqlite3.connect(path)) as database:
            print(*statements(database), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1])
