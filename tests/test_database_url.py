"""DATABASE_URL: each of its options reaches every connection, and an unknown option stops the start."""

import os
from contextlib import suppress
from socket import AF_UNIX, socket
from tempfile import TemporaryDirectory

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import Error, OperationalError, connection, connections, transaction
from django.db.backends.base.base import NO_DB_ALIAS
from django.test.utils import CaptureQueriesContext
from environs import ValidationError

from chat.database.statements import execute
from chat.models import User
from chat.upkeep import copying
from realmate import database_url
from realmate.database_url import configured, parse, session_settings
from realmate.postgresql.base import DatabaseWrapper
from realmate.postgresql.client import DatabaseClient
from tests.conftest import C
from tests.databases import beside
from tests.test_settings import COMPLETE, read_settings, refused, run

VERIFIED = "sslmode=verify-full&sslrootcert=/nonexistent"
PLACE = ("USER", "PASSWORD", "HOST", "PORT", "NAME")


@pytest.fixture(autouse=True)
def _no_variables_of_postgresql(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)


def database(url):
    return configured(parse(url), settings.SQLITE, settings.POSTGRESQL)


def parameters(url, **other):
    """Return the parameters for libpq, by name."""
    both = {"default": {}, "other": database(url) | other}
    configured = connections.configure_settings(both)["other"]
    return DatabaseWrapper(configured, NO_DB_ALIAS).get_connection_params()


def complaint(url):
    with pytest.raises(ValidationError) as refused:
        parse(url)
    return str(refused.value)


# Where the database is


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgres://u:p@h:5432/db", ("u", "p", "h", "5432", "db")),
        ("postgresql://u:p@h:5432/db", ("u", "p", "h", "5432", "db")),
        ("postgres://u:p@h1:5432,h2:5433/db", ("u", "p", "h1,h2", "5432,5433", "db")),
        ("postgres://u:p@h1,h2/db", ("u", "p", "h1,h2", ",", "db")),
        ("postgres:///db?host=/run/postgresql", ("", "", "/run/postgresql", "", "db")),
        ("postgres://%2Frun%2Fpostgresql/db", ("", "", "/run/postgresql", "", "db")),
        ("postgres://u@[::1]:5432/db", ("u", "", "::1", "5432", "db")),
        ("postgres://a%40b:p%2F%3A%40%25@h/d%20b", ("a@b", "p/:@%", "h", "", "d b")),
        ("postgres://u:p?q#r@h/db", ("u", "p?q#r", "h", "", "db")),
        ("postgres://h?user=u&password=p&dbname=db", ("u", "p", "h", "", "db")),
        ("postgres://u@h", ("u", "", "h", "", "u")),
    ],
)
def test_a_place_as_libpq_reads_it(url, place):
    assert tuple(parse(url)[name] for name in PLACE) == place


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite://", ":memory:"),
        ("sqlite://:memory:", ":memory:"),
        ("sqlite:///:memory:", ":memory:"),
        ("sqlite:///relative.db", "relative.db"),
        ("sqlite:////absolute/a%20file.db", "/absolute/a file.db"),
        ("sqlite:////absolute.db?timeout=20", "/absolute.db"),
    ],
)
def test_a_file_of_sqlite(url, name):
    assert parse(url)["NAME"] == name


def test_variables_of_postgresql_fill_in_what_the_url_leaves_out(monkeypatch):
    monkeypatch.setenv("PGDATABASE", "inbox")
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=7s")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "9")
    given = parameters("postgres://")
    assert (given["dbname"], given["connect_timeout"]) == ("inbox", "9")
    assert given["options"].endswith(" -c statement_timeout=7s")
    assert not {"host", "port", "user", "password", "sslmode"} & given.keys()
    assert parameters("postgres://h/other?connect_timeout=8")["connect_timeout"] == "8"


def test_a_service_fills_in_what_the_url_leaves_out(monkeypatch, tmp_path):
    file = tmp_path / "services"
    file.write_text("[inbox]\ndbname=named\nconnect_timeout=9\n[other]\ndbname=other\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    given = parameters("postgres://?service=inbox")
    assert (given["dbname"], given["connect_timeout"]) == ("named", "9")
    assert given["service"] == "inbox"
    assert "PGSERVICE" not in os.environ
    monkeypatch.setenv("PGSERVICE", "other")
    assert parse("postgres://")["NAME"] == "other"
    assert parse("postgres://?service=inbox")["NAME"] == "named"
    assert os.environ["PGSERVICE"] == "other"


# Options


def test_every_option_of_libpq_reaches_the_connection():
    given = parameters(f"postgres://h/db?{VERIFIED}&application_name=a%20b&keepalives_idle=9")
    assert given["sslmode"] == "verify-full"
    assert given["sslrootcert"] == "/nonexistent"
    assert (given["application_name"], given["keepalives_idle"]) == ("a b", "9")


def test_options_replace_our_defaults_and_no_others():
    given = database("postgres://h/db?connect_timeout=10&tcp_user_timeout=9000")["OPTIONS"]
    ours = settings.POSTGRESQL["OPTIONS"]
    assert given == ours | {"connect_timeout": "10", "tcp_user_timeout": "9000"}


def test_settings_of_the_session_are_added_to_ours():
    given = parameters("postgres://h/db?options=-c%20search_path%3Da%20-c%20lock_timeout%3D100")
    assert given["options"] == f"{database_url.SESSION} -c search_path=a -c lock_timeout=100"


def test_settings_of_the_session_are_read_as_the_server_reads_them():
    settings = session_settings(r"-c a=b\ c --Search-Path=d -ce= -c a=\\")
    assert settings == {"a": "\\", "search_path": "d", "e": ""}


def test_sqlite_waits_as_long_as_the_url_says():
    given = database("sqlite:///db.sqlite3?timeout=20")["OPTIONS"]
    assert given == settings.SQLITE["OPTIONS"] | {"timeout": 20}


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("postgres://h/db?sslmod=require", "sslmod"),
        ("postgres://h/db?zeal&sslmode=require&ssl-mode=", "ssl-mode, zeal"),
        ("postgres://h/db?pool=false", "pool"),
        ("postgres://h/db?assume_role=x", "assume_role"),
        ("postgres://h/db?conn_max_age=60", "conn_max_age"),
        ("sqlite:////db?mode=ro", "mode"),
        ("sqlite:////db?timeout=5&init_command", "init_command"),
        ("sqlite://:memory:?sslmode=require", "sslmode"),
    ],
)
def test_an_unknown_option_stops_the_start_by_its_name(url, names):
    stopped = read_settings(**COMPLETE | {"DATABASE_URL": url})
    assert refused(stopped) == {"DATABASE_URL"}
    assert f"Unknown option: {names}." in stopped.stderr


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:////db?timeout=", "timeout"),
        ("sqlite:////db?timeout=soon", "timeout"),
        ("sqlite:////db?timeout=true", "timeout"),
        ("sqlite:////db?timeout=0", "timeout"),
        ("sqlite:////db?timeout=-1", "timeout"),
        ("sqlite:////db?timeout=nan", "timeout"),
        ("sqlite:////db?timeout=inf", "timeout"),
        ("postgres://h/db?ssl=false", "ssl"),
        ("postgres://h/db?sslmode=verify_full", "sslmode"),
        ("postgres://h/db?sslmode=", "sslmode"),
        ("postgres://h1,h2/db?target_session_attrs=primary-only", "target_session_attrs"),
        ("postgres://h/db?ssl_min_protocol_version=3", "ssl_min_protocol_version"),
        ("postgres://h/db?connect_timeout=soon", "connect_timeout"),
        ("postgres://h/db?keepalives_idle=-1", "keepalives_idle"),
        ("postgres://h/db?client_encoding=latin1", "client_encoding"),
        ("postgres://h/db?options=-E", "options"),
        ("postgres://h/db?options=-c%20lock_timeout", "options"),
        ("postgres://h/db?options=-c%20lock_timeout%3D0", "lock_timeout"),
        ("postgres://h/db?options=--lock-timeout%3D5s", "lock_timeout"),
        ("postgres://h/db?options=-c%20lock_timeout%3D4501", "lock_timeout"),
        ("postgres://h/db?options=-csynchronous_commit%3Doff", "synchronous_commit"),
        ("postgres://h/db?options=-c%20Synchronous_Commit%3Dof%5Cf", "synchronous_commit"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_option(url, name):
    assert complaint(url).startswith(f"{name} must be ")


def test_a_variable_takes_no_promise_back_either(monkeypatch):
    monkeypatch.setenv("PGOPTIONS", "-c synchronous_commit=off")
    assert complaint("postgres://").startswith("synchronous_commit must be ")


def test_a_bad_value_of_a_variable_is_named_too(monkeypatch):
    monkeypatch.setenv("PGSSLMODE", "verify_full")
    assert complaint("postgres://").startswith("sslmode must be ")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "soon")
    assert complaint("postgres://").startswith("connect_timeout must be ")


def test_a_url_is_judged_without_a_connection():
    with TemporaryDirectory() as folder, socket(AF_UNIX) as server:
        server.bind(f"{folder}/.s.PGSQL.5432")
        server.listen()
        server.setblocking(False)
        parse(f"postgres:///db?host={folder}")
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hunter2",
        "mysql://u:hunter2@h/db",
        "sqlite://hunter2.db",
        "sqlite:////hunter#2.db",
        "postgres://u:hunter2%zz@h/db",
        "postgres://u:p@hunter2@h/db",
        "postgres://u:hunter2/x@h/db",
        "postgres://u:12/hunter2@h/db",
        "postgres://u:12/3?hunter2=4@h/db",
        "postgres://u:12/3?hunter2@h/db",
        "postgres://h:hunter2/db",
        "postgres://h:65536/db",
        "postgres://[::1/db?password=hunter2",
        "postgres://h/%ff%68unter2",
        "postgres://h/db%00hunter2",
        "postgres://h/db?sslmode",
        "postgres://h/db?password=hunter2&%0A=1",
    ],
)
def test_no_complaint_quotes_what_may_be_a_password(url):
    assert "hunter2" not in complaint(url)
    assert "\n" not in complaint(url)


def test_the_start_merges_the_options_too():
    show = "from realmate.settings import DATABASES as d; print(d['default']['OPTIONS']['sslmode'])"
    shown = run("-c", show, **COMPLETE | {"DATABASE_URL": f"postgres://h/db?{VERIFIED}"})
    assert shown.stdout == "verify-full\n", shown.stderr


# Every way to the server

postgresql = [
    pytest.mark.postgresql,
    pytest.mark.both_engines("connects as the URL says"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def attached(second_database):
    return lambda url: copying.attached(database(url))


def here(query):
    own = connection.settings_dict
    place = f"{own['USER']}:{own['PASSWORD']}@{own['HOST']}:{own['PORT']}/{own['NAME']}"
    return f"postgres://{place}?{query}"


def ask(alias, sql):
    row = execute(sql, using=alias)
    return row and row[0]


@pytest.mark.usefixtures("transactional_db")
class TestConnections:
    pytestmark = postgresql

    def test_a_certificate_that_is_to_be_verified_is_verified(self, attached):
        with (
            attached(here(VERIFIED)) as alias,
            pytest.raises(OperationalError, match=r"SSL|certificate"),
        ):
            ask(alias, "SELECT 1")

    def test_the_next_host_is_asked_when_the_first_is_down(self, attached):
        down = here("target_session_attrs=read-write").replace("@", "@127.0.0.1:1,")
        with attached(down) as alias:
            assert ask(alias, "SELECT 1") == 1

    def test_settings_of_the_session_hold(self, attached):
        given = "application_name=abc&options=-c%20statement_timeout%3D7s"
        with attached(here(given)) as alias:
            assert ask(alias, "SHOW application_name") == "abc"
            assert ask(alias, "SHOW statement_timeout") == "7s"
            assert ask(alias, "SHOW lock_timeout") == "4500ms"

    def test_variables_of_postgresql_lead_to_the_database(self, attached, monkeypatch):
        own = connection.settings_dict
        for variable, name in {"PGDATABASE": "NAME", "PGUSER": "USER", "PGPORT": "PORT"}.items():
            monkeypatch.setenv(variable, str(own[name]))
        monkeypatch.setenv("PGHOST", f"{own['HOST']}")
        with attached("postgres://") as alias:
            assert ask(alias, "SELECT current_database()") == own["NAME"]
        monkeypatch.setenv("PGSSLMODE", "require")
        with attached("postgres://") as alias, pytest.raises(OperationalError, match="SSL"):
            ask(alias, "SELECT 1")

    def test_a_copy_connects_as_the_url_says(self, attached):
        with beside("copy") as url, pytest.raises(CommandError, match=r"SSL|certificate"):
            call_command("copy_to", f"{url}?{VERIFIED}")

    def test_a_backup_and_a_restore_connect_as_the_url_says(
        self, deliver, event, tmp_path, monkeypatch
    ):
        deliver(event("NEW_CONVERSATION", id=C))
        call_command("backup", str(tmp_path / "sound"))
        options = connection.settings_dict["OPTIONS"] | {"sslmode": "require"}
        monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
        with pytest.raises(CommandError, match="SSL"):
            call_command("backup", str(tmp_path / "other"))


def test_a_copy_names_an_unknown_option(attached, db):
    for url in ("postgres://h/db?sslmod=require", "sqlite:////db?mode=ro"):
        with pytest.raises(CommandError, match=r"Unknown option: (sslmod|mode)\."):
            call_command("copy_to", url)


# Behind a pooler in transaction mode


@pytest.fixture
def pooled(attached, transactional_db):
    """Yield the alias of a connection with DATABASE_POOLER=transaction, and with other defaults in the database."""
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    defaults = {"synchronous_commit": "off", "timezone": "'America/Sao_Paulo'"}
    for setting, value in defaults.items():
        ask("default", f"ALTER DATABASE {name} SET {setting} = {value}")
    try:
        with copying.attached(database(here("")) | dict.fromkeys(FLAGS, True)) as alias:
            yield alias
    finally:
        for setting in defaults:
            ask("default", f"ALTER DATABASE {name} RESET {setting}")


FLAGS = ("POOLED", "DISABLE_SERVER_SIDE_CURSORS")
SETTINGS = "SELECT concat_ws(' ', {})".format(
    ", ".join(
        f"current_setting('{name}')" for name in ("lock_timeout", "synchronous_commit", "timezone")
    )
)


class TestPooler:
    pytestmark = postgresql

    def test_each_transaction_begins_with_what_sessions_have_otherwise(self, pooled):
        for _ in range(2):
            ask(pooled, "SET timezone = 'Asia/Tokyo'")  # as if the pooler changed the session
            with transaction.atomic(using=pooled):
                assert ask(pooled, SETTINGS) == "4500ms on UTC"

    def test_no_transaction_leaves_anything_in_its_session(self, pooled):
        for ending in (None, Error):
            with suppress(Error), transaction.atomic(using=pooled):
                ask(pooled, "SELECT 1")
                if ending:
                    raise ending
            assert ask(pooled, SETTINGS) == "0 off UTC"

    @pytest.mark.parametrize(
        "write",
        [
            "INSERT INTO t {} RETURNING said",
            "update t SET said = ({}) RETURNING said",
            "\n DELETE FROM t RETURNING ({})",
        ],
    )
    def test_a_single_write_has_the_settings_too(self, pooled, write):
        with transaction.atomic(using=pooled):
            ask(pooled, "CREATE TABLE t (said text)")
            ask(pooled, "INSERT INTO t VALUES ('nothing')")
        try:
            assert ask(pooled, write.format(SETTINGS)) == "4500ms on UTC"
        finally:
            ask(pooled, "DROP TABLE t")

    def test_a_transaction_that_cannot_begin_leaves_no_connection(self, pooled):
        options = connections[pooled].settings_dict["OPTIONS"]
        options["options"] = "-c lock_timeout=soon"
        with pytest.raises(Error), transaction.atomic(using=pooled):
            pass
        assert connections[pooled].connection is None
        assert ask(pooled, "SELECT 1") == 1

    def test_rows_in_parts_need_no_cursor_of_the_session(self, pooled):
        User.objects.create_user("ana")
        with CaptureQueriesContext(connections[pooled]) as asked:
            assert len(list(User.objects.using(pooled).iterator(chunk_size=1))) == 1
        assert "DECLARE" not in str(asked.captured_queries)

    def test_a_backup_and_a_restore_ask_for_postgresql_itself(self, monkeypatch, tmp_path):
        call_command("backup", str(tmp_path / "sound"))
        monkeypatch.setitem(connection.settings_dict, "POOLED", True)
        for arguments in (
            ["backup", str(tmp_path / "b")],
            ["restore", str(tmp_path / "sound"), "--yes"],
        ):
            with pytest.raises(CommandError, match="DATABASE_POOLER=none"):
                call_command(*arguments)


def test_a_pooler_gets_no_startup_options(monkeypatch):
    monkeypatch.setenv("PGOPTIONS", "-c lock_timeout=1")
    given = parameters("postgres://h/db", POOLED=True)
    assert given["options"] == ""  # otherwise libpq would send the options of PGOPTIONS
    assert given["prepare_threshold"] is None


def test_the_start_behind_a_pooler():
    show = "from realmate.settings import DATABASES as d; print(d['default']['{}'])"
    given = {"DATABASE_URL": "postgres://h/db", "DATABASE_POOLER": "transaction"}
    for name in FLAGS:
        assert run("-c", show.format(name), **COMPLETE | given).stdout == "True\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("PGOPTIONS", "-c a=b"), ("DATABASE_URL", "postgres://h/db?options=-ca%3Db")],
)
def test_settings_that_do_not_hold_behind_a_pooler_stop_the_start(name, value):
    given = {"DATABASE_URL": "postgres://h/db", "DATABASE_POOLER": "transaction", name: value}
    stopped = read_settings(**COMPLETE | given)
    assert refused(stopped) == {"DATABASE_URL"}
    assert "options must be left out" in stopped.stderr


# Programs of PostgreSQL


def started_with(url, **other):
    [_, conninfo], environ = DatabaseClient.settings_to_cmd_args_env(database(url) | other, [])
    return conninfo, environ


def test_programs_connect_with_every_parameter():
    conninfo, environ = started_with(
        f"postgres://u:p@h1:1,h2:2/db?{VERIFIED}&target_session_attrs=read-write&connect_timeout=9"
    )
    wanted = {"user=u", "host=h1,h2", "port=1,2", "dbname=db", "sslmode=verify-full"}
    wanted |= {"sslrootcert=/nonexistent", "target_session_attrs=read-write", "connect_timeout=9"}
    assert wanted < set(conninfo.split())
    assert f"options='{database_url.SESSION}'" in conninfo
    assert environ == {"PGPASSWORD": "p"}


def test_a_password_of_the_query_is_on_no_command_line_either():
    conninfo, environ = started_with("postgres://h/db?user=u&password=hunter2")
    assert "hunter2" not in conninfo
    assert environ == {"PGPASSWORD": "hunter2"}


def test_a_pooler_gets_no_startup_options_from_a_program_either():
    assert "options" not in started_with("postgres://h/db", POOLED=True)[0]


def test_a_secret_without_a_variable_is_given_to_no_program():
    with pytest.raises(ImproperlyConfigured, match="sslpassword"):
        started_with("postgres://h/db?sslpassword=hunter2")
