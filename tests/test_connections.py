"""Refusals of a connection to the database, and its use of memory."""

from uuid import uuid4

import pytest
from django.db import NotSupportedError, connection

from chat.database.statements import execute
from chat.upkeep import copying

pytestmark = [
    pytest.mark.both_engines("a backend of each engine"),
    pytest.mark.django_db(transaction=True),
]


@pytest.mark.postgresql
@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
@pytest.mark.usefixtures("second_database")
def test_a_database_in_another_encoding_is_refused_at_each_use(encoding):
    name = f"encoded_{uuid4().hex[:8]}"
    execute(
        f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0"
        " LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    own = connection.settings_dict
    url = f"postgres://{own['USER']}:{own['PASSWORD']}@{own['HOST']}:{own['PORT']}/{name}"
    try:
        for _ in range(2):
            with pytest.raises(NotSupportedError, match=f"is {encoding}"), copying.target(url):
                pass
    finally:
        execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_development_keeps_no_log_of_queries(settings):
    settings.DEBUG = True
    before = len(connection.queries_log)
    for _ in range(3):
        execute("SELECT 1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert len(connection.queries_log) == before
