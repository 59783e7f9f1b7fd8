"""One env file for all commands. No command acts on another database than the service's."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from functools import partial
from importlib import import_module
from io import StringIO
from pathlib import Path
from signal import SIG_DFL, SIGINT, SIGTERM, signal

import pytest
from django.core.checks import run_checks
from django.core.management import call_command, get_commands
from django.db import connection

from chat.management.maintenance import MaintenanceCommand, name_of
from chat.models import Conversation
from realmate import environment
from tests.conftest import C
from tests.databases import beside
from tests.programs import run_python
from tests.servers import (
    ROOT,
    Server,
    a_compiled_checkout,
    a_migrated_file,
    copy_of_the_checkout,
    free_port,
    running,
    set_up,
    wait_for,
)
from tests.test_settings import COMPLETE

MAINTENANCE = {
    "backup": ["backup.sqlite3"],
    "restore": ["backup.sqlite3"],
    "prune": [],
    "replay": [],
    "erase_conversation": [C],
    "export_conversation": [C],
    "export_messages": [],
    "import_events": ["events.jsonl"],
    "copy_to": ["sqlite:///copy.sqlite3"],
    "upkeep": [],
    "doctor": [],
    "reindex": [],
    "createtoken": ["prometheus"],
    "revoketoken": ["prometheus"],
    "listtokens": [],
    "unlock": ["ana"],
}
OUR_SETTINGS = {"DJANGO_SETTINGS_MODULE": "realmate.settings"}
OURS = [name for name, app in get_commands().items() if app == "chat"]


@pytest.fixture
def clone(tmp_path):
    """A checkout without settings."""
    clone = shutil.copytree(a_compiled_checkout(), tmp_path / "clone")
    for folder in ("static", "bundles/static"):
        (clone / folder).mkdir(parents=True)
    return clone


@pytest.fixture
def elsewhere(tmp_path):
    """The current directory of cron."""
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


@pytest.fixture
def python(clone, elsewhere):
    """Run Python with these variables and no others, as cron does."""

    def run(*arguments, **environ):
        bare = {"PATH": os.defpath, "PYTHONPATH": str(clone), "PYTHONDONTWRITEBYTECODE": "1"}
        given = {name: str(value) for name, value in environ.items()}
        return run_python(*arguments, cwd=elsewhere, env=bare | given)

    return run


@pytest.fixture
def manage(python, clone):
    return lambda *arguments, **environ: python(clone / "manage.py", *arguments, **environ)


@pytest.fixture
def database(tmp_path):
    return tmp_path / "service.sqlite3"


@pytest.fixture
def env_file(tmp_path, database):
    """The settings of a service."""
    variables = COMPLETE | {"DATABASE_URL": f"sqlite:///{database}"}
    file = tmp_path / "env"
    file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    return file


def files_in(*folders):
    return {path for folder in folders for path in folder.rglob("*")}


def refused(run):
    """Return the only line of a refusal."""
    assert (run.returncode, run.stdout) == (1, "")
    [line] = run.stderr.splitlines()
    return line


def shown(run):
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def show(name):
    return ["-c", f"import realmate.settings as s; print(s.{name})"]


# Without settings


@pytest.mark.parametrize("name", MAINTENANCE)
def test_maintenance_without_settings_names_what_is_missing_and_leaves_nothing(
    name, manage, tmp_path
):
    before = files_in(tmp_path)
    line = refused(manage(name, *MAINTENANCE[name]))
    assert {name for name in COMPLETE if name in line} == COMPLETE.keys() - {"DEBUG"}
    assert "REALMATE_ENV_FILE" in line
    assert files_in(tmp_path) == before


@pytest.mark.parametrize(
    "environ",
    [{"DATABASE_URL": ""}, {"SECRET_KEY": COMPLETE["SECRET_KEY"]}, {"DEBUG": "false"}],
)
@pytest.mark.parametrize("command", ["check", "prune"])
def test_one_variable_of_a_service_leaves_debug_off(command, environ, manage):
    assert "DATABASE_URL" in refused(manage(command, **environ))


def test_all_but_the_database_is_not_enough(manage, tmp_path):
    without = {name: value for name, value in COMPLETE.items() if name != "DATABASE_URL"}
    before = files_in(tmp_path)
    line = refused(manage("backup", "backup.sqlite3", **without))
    assert "DATABASE_URL" in line
    assert "SECRET_KEY" not in line
    assert files_in(tmp_path) == before


def test_django_s_own_door_turns_debug_on_for_nothing(python, tmp_path):
    before = files_in(tmp_path)
    run = python("-m", "django", "backup", "b.sqlite3", "--settings", "realmate.settings")
    assert run.returncode == 1
    assert "DATABASE_URL" in run.stderr.splitlines()[-1]
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("name", ["clearsessions", "unlock", "dumpdata", "flush", "dbshell"])
def test_commands_of_others_on_data_need_settings_too(name, manage):
    assert "DATABASE_URL" in refused(manage(name))


@pytest.mark.parametrize("name", ["backup", "upkeep"])
def test_a_command_explains_itself_without_settings(name, manage):
    assert shown(manage(name, "--help")).startswith("usage: ")


def test_a_name_that_looks_like_a_request_for_help_is_none(manage):
    assert "DATABASE_URL" in refused(manage("createtoken", "--", "--help"))


@pytest.mark.parametrize("name", sorted(environment.OF_DEVELOPMENT))
def test_commands_of_development_need_no_settings(name, monkeypatch):
    for variable in environment.OF_A_SERVICE | {environment.VARIABLE}:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(environment, "BESIDE_MANAGE", Path("/none"))
    environment.set_up_commands(["manage.py", name])
    assert os.environ["DEBUG"] == "true"


@pytest.mark.parametrize("name", OURS)
def test_each_command_is_of_maintenance_or_of_development(name):
    command = import_module(f"chat.management.commands.{name}").Command
    is_maintenance = issubclass(command, MaintenanceCommand)
    assert is_maintenance != (name in environment.OF_DEVELOPMENT)
    assert is_maintenance == (name in MAINTENANCE)


# The env file


@pytest.mark.parametrize("place", ["named", "beside manage.py"])
def test_every_door_reads_the_env_file(place, clone, python, manage, env_file):
    environ = {"REALMATE_ENV_FILE": env_file}
    if place != "named":
        environ = {}
        env_file.rename(clone / ".env")
    assert shown(python(*show("ALLOWED_HOSTS"), **environ)) == "['inbox.example']"
    shell = "from django.conf import settings; print(settings.DEBUG, settings.ALLOWED_HOSTS)"
    told = shown(manage("shell", "--no-imports", "-c", shell, **environ))
    assert told == "False ['inbox.example']"


def test_the_named_file_is_read_instead_of_the_one_beside_manage(clone, python, env_file):
    (clone / ".env").write_text("DEBUG=true\nEVENT_TIME_ZONE=Asia/Tokyo\n")
    environ = {"REALMATE_ENV_FILE": env_file}
    assert shown(python(*show("DEBUG, s.EVENT_TIME_ZONE"), **environ)) == "False UTC"


def test_with_an_empty_name_no_file_is_read(clone, python):
    (clone / ".env").write_text("DEBUG=true")
    assert python(*show("DEBUG"), REALMATE_ENV_FILE="").returncode == 1


def test_each_variable_of_the_environment_wins(python, env_file):
    with env_file.open("a") as file:
        file.write("EVENT_TIME_ZONE=Asia/Tokyo\nDISPLAY_TIME_ZONE=Asia/Tokyo\n")
    environ = {"REALMATE_ENV_FILE": env_file, "EVENT_TIME_ZONE": "UTC"}
    zones = shown(python(*show("EVENT_TIME_ZONE, s.DISPLAY_TIME_ZONE"), **environ))
    assert zones == "UTC Asia/Tokyo"


def test_an_empty_variable_of_the_environment_wins_too(manage, env_file):
    line = refused(manage("check", REALMATE_ENV_FILE=env_file, SECRET_KEY=""))
    assert "SECRET_KEY" in line
    assert f"The env file is {env_file}." in line


def test_with_an_env_file_debug_comes_on_only_by_name(clone, manage):
    (clone / ".env").write_text("EVENT_TIME_ZONE=UTC\n")
    assert "SECRET_KEY" in refused(manage("migrate"))
    (clone / ".env").write_text("DEBUG=true\n")
    assert manage("check").returncode == 0


def missing(path):
    pass


def binary(path):
    path.write_bytes("SECRET_KEY=é".encode("latin-1"))


@pytest.mark.parametrize("make", [missing, binary, Path.mkdir, os.mkfifo])
@pytest.mark.parametrize("arguments", [["backup", "file"], ["check"], ["runserver"]])
def test_a_named_file_that_cannot_be_read_is_refused(arguments, make, manage, tmp_path):
    file = tmp_path / "named"
    make(file)
    assert f"The env file {file} " in refused(manage(*arguments, REALMATE_ENV_FILE=file))


def test_the_server_refuses_such_a_file_in_one_line(python, tmp_path):
    line = refused(python("-m", "realmate.server", REALMATE_ENV_FILE=tmp_path / "none"))
    assert line == f"Not started. The env file {tmp_path}/none does not exist, or is not a file."


def test_a_link_beside_manage_that_leads_nowhere_is_refused(clone, manage):
    (clone / ".env").symlink_to("none")
    assert ".env does not exist" in refused(manage("migrate"))


# As systemd's EnvironmentFile= reads them.
LINES = {
    "A=plain": "plain",
    "A=a$b": "a$b",
    "A=a#b": "a#b",
    "A=two words": "two words",
    "A=trailing  ": "trailing",
    "A=": "",
    "A='a $ and a # and \"'": 'a $ and a # and "',
    "A=\"a 'b'\"": "a 'b'",
    "A=postgres://u:p%40ss@h:5432/n?sslmode=require": "postgres://u:p%40ss@h:5432/n?sslmode=require",
    "A=b64+/==": "b64+/==",
    "A=first\nA=second": "second",
    "# A=comment\n\n  # another ${A}\nA=b": "b",
    "A=crlf\r\nB=c\r\n": "crlf",
    "\ufeffA=bom": "bom",
    "export A=exported": "exported",
}


@pytest.mark.parametrize(("lines", "value"), LINES.items())
def test_values_are_read_as_systemd_reads_them(lines, value, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", {"REALMATE_ENV_FILE": str(tmp_path / "env")})
    (tmp_path / "env").write_bytes(lines.encode())
    assert environment.load() == tmp_path / "env"
    assert os.environ["A"] == value


@pytest.mark.parametrize(
    "line",
    ["A", "A b", "A='b", 'A="b', "A='b'c", "1A=b", "A=${B}", "A='${B}'", "REALMATE_ENV_FILE=b"],
)
def test_a_line_without_a_plain_meaning_is_refused_by_its_number(line, manage, tmp_path):
    (tmp_path / "env").write_text(f"# first\n{line}hunter2\n".replace("}'hunter2", "hunter2}'"))
    said = refused(manage("check", REALMATE_ENV_FILE=tmp_path / "env"))
    assert "line 2" in said
    assert "hunter2" not in said


def test_the_env_file_configures_the_server_too(tmp_path):
    environ = set_up("granian", tmp_path)
    url = environ.pop("DATABASE_URL")
    (tmp_path / "env").write_text(f"GRANIAN_WORKERS=1\nDATABASE_URL={url}\n")
    environ["REALMATE_ENV_FILE"] = str(tmp_path / "env")
    with running("granian", environ) as server:
        assert server.ask("GET", "/readyz").status_code == 200
        assert len(server.workers()) == 1


@pytest.mark.parametrize(("mode", "warnings"), [(0o640, []), (0o644, ["realmate.W001"])])
def test_a_file_that_everybody_can_read_is_warned_of(mode, warnings, env_file, monkeypatch):
    env_file.chmod(mode)
    monkeypatch.setenv("REALMATE_ENV_FILE", str(env_file))
    found = run_checks(tags=["security"], include_deployment_checks=True)
    assert [warning.id for warning in found if warning.id.startswith("realmate.")] == warnings


# Tests read none


def test_the_tests_read_no_env_file(settings):
    assert settings.ENV_FILE is None
    assert os.environ["REALMATE_ENV_FILE"] == ""
    assert os.environ["DJANGO_SETTINGS_MODULE"] == "tests.settings"


def test_the_settings_of_the_tests_name_no_database_of_an_env_file(clone, python, env_file):
    (clone / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "settings.py", clone / "tests")
    shutil.copy(env_file, clone / ".env")
    named = python(
        "-c",
        "from tests.settings import *; print(DATABASES['default']['NAME'])",
        REALMATE_ENV_FILE=env_file,
    )
    assert shown(named) == str(clone / "db.sqlite3")


def test_pytest_has_its_own_settings_whatever_the_shell_names():
    environ = os.environ | {"DJANGO_SETTINGS_MODULE": "realmate.settings"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}"]
    chosen = ["-k", "test_the_tests_read_no_env_file"]
    assert subprocess.run([*command, *chosen], env=environ, cwd=ROOT).returncode == 0


def test_django_s_own_test_command_reads_none_either(clone, manage, env_file):
    shutil.copy(env_file, clone / ".env")
    (clone / "test_one.py").write_text(
        "from django.conf import settings\n"
        "from django.test import SimpleTestCase\n"
        "class One(SimpleTestCase):\n"
        "    def test(self):\n"
        "        self.assertIsNone(settings.ENV_FILE)\n"
        "        self.assertEqual(settings.ALLOWED_HOSTS[-1], 'testserver')\n"
    )
    ended = manage("test", clone, REALMATE_ENV_FILE=env_file)
    assert ended.returncode == 0, ended.stderr
    assert "Ran 1 test" in ended.stderr


# The database


@pytest.mark.parametrize("name", sorted(MAINTENANCE.keys() - {"restore"}))
def test_maintenance_makes_no_database(name, manage, env_file, database, tmp_path):
    before = files_in(tmp_path)
    line = refused(manage(name, *MAINTENANCE[name], REALMATE_ENV_FILE=env_file))
    assert f"There is no database at {database}." in line
    assert files_in(tmp_path) == before


def test_a_rehearsed_restore_makes_no_database(manage, env_file, database, elsewhere):
    manage("migrate", "-v0", DEBUG="true", DATABASE_URL=f"sqlite:///{elsewhere}/other.sqlite3")
    before = files_in(elsewhere.parent)
    ended = manage("restore", elsewhere / "other.sqlite3", REALMATE_ENV_FILE=env_file)
    assert f"It creates {database}." in shown(ended)
    assert "Nothing was done" in ended.stdout
    assert f"Database: SQLite, {database}. Env file: {env_file}." in ended.stderr
    assert not database.exists()
    left = files_in(elsewhere.parent) - before
    assert left <= {Path(f"{elsewhere}/other.sqlite3{end}") for end in ("-wal", "-shm")}


def test_bulk_makes_no_database_either(manage, tmp_path):
    before = files_in(tmp_path)
    assert "There is no database at" in refused(manage("simulate", "--bulk", "3"))
    assert files_in(tmp_path) == before


def test_ctrl_c_ends_a_command_without_a_traceback(clone, manage, env_file):
    environ = {"REALMATE_ENV_FILE": str(env_file), "PATH": os.defpath}
    manage("migrate", "-v0", **environ)
    command = [sys.executable, clone / "manage.py", "import_events", "-"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    # A shell lets its background jobs ignore Ctrl+C, and CI may run as one.
    heed = partial(signal, SIGINT, SIG_DFL)
    with subprocess.Popen(command, env=environ, text=True, preexec_fn=heed, **pipes) as waiting:
        assert waiting.stderr.readline().startswith("Database: ")
        sent = 0
        while waiting.poll() is None:
            sent += 1
            waiting.send_signal(SIGINT)
            with suppress(subprocess.TimeoutExpired):
                waiting.wait(5)
        said = waiting.stderr.read()
    if sent == 1:  # Python only reports a signal in a destructor, and goes on
        assert "Traceback" not in said
    assert said.endswith("Interrupted.\n")
    assert waiting.returncode == 130


def test_a_relative_path_is_beside_manage_wherever_a_command_runs(clone, manage, elsewhere):
    environ = COMPLETE | {"DATABASE_URL": "sqlite:///data.sqlite3"}
    assert manage("migrate", "-v0", **environ).returncode == 0
    assert (clone / "data.sqlite3").exists()
    assert files_in(elsewhere) == set()
    ended = manage("prune", **environ)
    assert f"Database: SQLite, {clone}/data.sqlite3. Env file: none." in ended.stderr


def test_the_list_of_erasures_is_beside_manage_too(clone, python):
    environ = COMPLETE | {"ERASURES_FILE": "erasures"}
    assert shown(python(*show("ERASURES_FILE"), **environ)) == str(clone / "erasures")


@pytest.mark.postgresql
@pytest.mark.parametrize("name", MAINTENANCE)
def test_a_database_that_postgresql_does_not_have_is_refused_at_once(name, manage):
    own = connection.settings_dict
    url = f"postgres://{own['USER']}:hunter2@{own['HOST']}:{own['PORT']}/none_of_this_name"
    line = refused(manage(name, *MAINTENANCE[name], **COMPLETE | {"DATABASE_URL": url}))
    assert "There is no database PostgreSQL, " in line
    assert "none_of_this_name" in line
    assert "hunter2" not in line


@pytest.mark.postgresql
@pytest.mark.parametrize("name", ["prune", "reindex", "createtoken", "replay"])
def test_a_database_error_is_one_line(name, manage):
    with beside("unmigrated") as url:
        ended = manage(name, *MAINTENANCE[name], **COMPLETE | {"DATABASE_URL": url})
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith("does not exist; is it migrated?")


@pytest.mark.sqlite
@pytest.mark.parametrize("command", [["clearsessions"], ["changepassword", "ana"]])
def test_a_database_error_of_a_command_of_django_is_one_line(command, manage, clone):
    (clone / "none.sqlite3").touch()
    environ = COMPLETE | {"DATABASE_URL": f"sqlite:///{clone}/none.sqlite3"}
    ended = manage(*command, **environ)
    assert ended.returncode == 1
    said = r"CommandError: the database says: no such table: \w+; is it migrated\?\n"
    assert re.fullmatch(said, ended.stderr)
    assert "Traceback" in manage(*command, "--traceback", **environ).stderr


@pytest.mark.sqlite
def test_a_question_without_a_terminal_ends_with_one_line(tmp_path):
    path = shutil.copy(a_migrated_file(), tmp_path)
    environ = {"DEBUG": "true", "DATABASE_URL": f"sqlite:///{path}"}
    secret = {"DJANGO_SUPERUSER_PASSWORD": "quatro palavras bem longas"}
    user = ["createsuperuser", "--noinput", "--username", "ana", "--email", ""]
    for command in (user, ["changepassword", "ana"]):
        ended = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=os.environ | environ | secret,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,  # no terminal to open either
        )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1].endswith("asks questions, so it needs a terminal")


def test_an_early_end_of_a_file_is_found_by_a_traceback(manage):
    """A bug may raise the error of a question without a terminal."""
    command = ["shell", "--traceback", "-c", "import pickle; pickle.loads(b'')"]
    assert "EOFError: Ran out of input" in manage(*command, **COMPLETE).stderr


@pytest.mark.sqlite
def test_an_error_of_the_disk_is_no_question_of_migrations(manage, clone):
    folder = clone / "closed"
    folder.mkdir()
    (folder / "db.sqlite3").write_bytes(b"no database" * 100)
    environ = COMPLETE | {"DATABASE_URL": f"sqlite:///{folder}/db.sqlite3"}
    ended = manage("listtokens", **environ)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith("; `manage.py doctor` says more")


def test_the_server_makes_no_database_of_development():
    lines = subprocess.check_output(["make", "-n", "-o", ".venv/run", "serve"], cwd=ROOT, text=True)
    assert "manage.py" not in lines
    assert "django migrate" in lines


@pytest.mark.parametrize(("given", "told"), [([], ""), (["PORT=8080"], "GRANIAN_PORT=8080 ")])
def test_make_serve_leaves_the_port_to_the_settings_unless_it_is_given(given, told):
    of_make = ("PORT", "MAKELEVEL", "MAKEFLAGS")  # `make test` sets them
    without = {name: value for name, value in os.environ.items() if name not in of_make}
    command = ["make", "-n", "-o", ".venv/run", "serve", *given]
    lines = subprocess.check_output(command, cwd=ROOT, env=without, text=True).splitlines()
    assert lines[-1].strip() == f"{told}.venv/bin/python -m realmate.server"


@pytest.mark.sqlite
def test_a_command_of_maintenance_loads_no_page(python, clone, tmp_path):
    """Cron starts some commands every few minutes. Loading the pages would take a third of each start."""
    database = shutil.copy(a_migrated_file(), tmp_path / "db.sqlite3")
    environ = COMPLETE | {"DATABASE_URL": f"sqlite:///{database}"}
    ended = python("-X", "importtime", clone / "manage.py", "listtokens", **environ)
    assert (ended.returncode, "chat.models" in ended.stderr) == (0, True), ended.stderr
    assert "chat.views.inbox" not in ended.stderr
    shown(python(clone / "manage.py", "listtokens", "--skip-checks", **environ))


def test_a_command_leaves_no_counters_in_the_server_s_folder(env_file, python, tmp_path):
    (tmp_path / "counters").mkdir()
    with env_file.open("a") as file:
        file.write(f"PROMETHEUS_MULTIPROC_DIR={tmp_path}/counters\n")
    shown(python("-m", "django", "migrate", "-v0", REALMATE_ENV_FILE=env_file, **OUR_SETTINGS))
    assert not list((tmp_path / "counters").iterdir())


def test_make_serve_writes_nothing_into_the_checkout(tmp_path):
    """The start makes the folders of the static files and the counters elsewhere."""
    copy = tmp_path / "copy"
    copy.mkdir()
    names = "realmate", "chat", "static", "templates", "locale", "Makefile"
    copy_of_the_checkout(copy, *names)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    before = files_in(copy)
    port = free_port()
    environ = COMPLETE | {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "GRANIAN_PORT": str(port),
        "STATIC_ROOT": f"{tmp_path}/static",
        "PROMETHEUS_MULTIPROC_DIR": f"{tmp_path}/counters",
    }
    command = ["make", "-C", copy, "-o", ".venv/run", "serve"]
    with subprocess.Popen(command, env=environ, start_new_session=True) as process:
        try:
            server = Server(port, process.pid)
            wait_for(server, process, seconds=120)
            assert server.ask("GET", "/readyz").status_code == 200
        finally:
            os.killpg(process.pid, SIGTERM)
    assert list((tmp_path / "counters").iterdir())
    assert files_in(copy) == before


@pytest.mark.both_engines("each engine has a name of its own")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["prune", "replay", "upkeep", "reindex", "createtoken"])
def test_maintenance_names_its_database_on_stderr(name):
    out, err = StringIO(), StringIO()
    call_command(name, *MAINTENANCE[name], stdout=out, stderr=err)
    said = f"Database: {name_of(connection.settings_dict)}. Env file: none.\n"
    assert err.getvalue().startswith(said)
    assert "Database: " not in out.getvalue()


@pytest.mark.parametrize(
    ("database", "name"),
    [
        ({"HOST": "10.0.0.5", "PORT": 5433}, "PostgreSQL, 10.0.0.5:5433/realmate"),
        ({"HOST": "", "PORT": ""}, "PostgreSQL, local socket:5432/realmate"),
    ],
)
def test_the_name_of_a_database_has_no_password(database, name):
    given = {
        "ENGINE": "realmate.postgresql",
        "NAME": "realmate",
        "USER": "u",
        "PASSWORD": "hunter2",
    }
    assert name_of(given | database) == name


def test_a_copy_names_both_databases(manage, env_file, database, tmp_path):
    shown(manage("migrate", "-v0", REALMATE_ENV_FILE=env_file))
    url = f"sqlite:///{tmp_path}/copy.sqlite3"
    ended = manage("copy_to", url, REALMATE_ENV_FILE=env_file)
    assert "equal" in shown(ended)
    assert f"Database: SQLite, {database}. Env file: {env_file}." in ended.stderr
    assert f"Copy: SQLite, {tmp_path}/copy.sqlite3." in ended.stderr


# Backups


def test_a_database_without_tables_is_not_backed_up(manage, env_file, database, elsewhere):
    database.touch()
    ended = manage("backup", "backup.sqlite3", REALMATE_ENV_FILE=env_file)
    assert (ended.returncode, ended.stdout) == (1, "")
    [named, line] = ended.stderr.splitlines()
    assert str(database) in named
    assert "chat.0001_initial" in line
    assert files_in(elsewhere) == set()


def test_a_database_that_lacks_a_migration_is_not_backed_up(manage, env_file, database, elsewhere):
    shown(manage("migrate", "-v0", REALMATE_ENV_FILE=env_file))
    with closing(sqlite3.connect(database)) as written, written:
        written.execute("DELETE FROM django_migrations WHERE name = '0010_login_attempts'")
    ended = manage("backup", "backup.sqlite3", REALMATE_ENV_FILE=env_file)
    assert ended.returncode == 1
    assert "lacks the migrations chat.0010_login_attempts" in ended.stderr
    assert files_in(elsewhere) == set()


@pytest.mark.both_engines("each engine counts in its own way")
@pytest.mark.django_db(transaction=True)
def test_a_backup_says_how_much_is_in_it(deliver, event, tmp_path):
    out = StringIO()
    call_command("backup", str(tmp_path / "empty"), stdout=out)
    deliver(event("NEW_CONVERSATION", id=C))
    call_command("backup", str(tmp_path / "one"), stdout=out)
    empty, one = out.getvalue().splitlines()
    assert "chat_conversation: 0 rows" in empty
    assert "chat_conversation: 1 rows" in one


# Lines printed in the documents

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
CRON = re.findall(r"^\d+ \d+ \* \* \* +(.+)$", OPERATIONS, re.MULTILINE)


@pytest.fixture
def machine(clone, tmp_path):
    """Adapt a line of the documents to this clone, installed under other paths."""
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to(sys.executable)
    places = {
        "/usr/local/bin/realmate": f"REALMATE_HOME={clone} {ROOT}/deploy/realmate",
        "/var/backups/realmate": f"{tmp_path}/backups",
        "/var/log": f"{tmp_path}",
        r"\%": "%",
    }
    (tmp_path / "backups").mkdir()

    def run(line, **environ):
        for place, ours in places.items():
            line = line.replace(place, ours)
        environ = {name: str(value) for name, value in environ.items()}
        environ = {"PATH": os.defpath, "PYTHONPATH": site_packages()} | environ
        return subprocess.run(["sh", "-c", line], cwd="/", env=environ, capture_output=True)

    return run


def site_packages():
    return next(path for path in sys.path if path.endswith("site-packages"))


def old_backup(tmp_path):
    backup = tmp_path / "backups" / "realmate-2025-01-01.backup"
    backup.touch()
    os.utime(backup, (0, 0))
    return backup


def test_cron_s_lines_name_the_wrapper():
    assert len(CRON) == 3
    assert all(line.startswith("/usr/local/bin/realmate ") for line in CRON)


@pytest.mark.parametrize("line", CRON)
def test_cron_s_lines_work_as_printed(line, machine, manage, env_file, tmp_path):
    shown(manage("migrate", "-v0", REALMATE_ENV_FILE=env_file))
    ended = machine(line, REALMATE_ENV_FILE=env_file)
    logs = "".join(log.read_text() for log in tmp_path.glob("*.log"))
    assert ended.returncode == 0, logs
    assert f"Database: SQLite, {tmp_path}/service.sqlite3. Env file: {env_file}." in logs


def test_retention_deletes_old_backups_after_a_new_one(machine, manage, env_file, tmp_path):
    shown(manage("migrate", "-v0", REALMATE_ENV_FILE=env_file))
    old = old_backup(tmp_path)
    [line] = [line for line in CRON if " backup " in line]
    machine(line, REALMATE_ENV_FILE=env_file)
    [new] = (tmp_path / "backups").iterdir()
    assert new != old


@pytest.mark.parametrize("name", ["none", "env"])
def test_retention_deletes_nothing_when_the_backup_fails(name, machine, env_file, tmp_path):
    old = old_backup(tmp_path)
    [line] = [line for line in CRON if " backup " in line]
    assert machine(line, REALMATE_ENV_FILE=tmp_path / name).returncode == 1
    assert list((tmp_path / "backups").iterdir()) == [old]


def test_the_wrapper_reads_the_installed_file_by_default(machine, tmp_path):
    installed = "/etc/realmate/env"  # this machine may have one
    text = (ROOT / "deploy" / "realmate").read_text()
    assert text.count(installed) == 1
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(text.replace(installed, f"{tmp_path}/installed"))
    ended = machine(f"REALMATE_HOME={tmp_path / 'clone'} sh {wrapper} check")
    assert f"The env file {tmp_path}/installed does not exist" in ended.stderr.decode()


# Made-up conversations


@pytest.mark.django_db(transaction=True)
def test_made_up_conversations_outside_development_need_a_yes(settings):
    settings.DEBUG = False
    out = StringIO()
    call_command("simulate", bulk=3, stdout=out, stderr=StringIO())
    assert "3 made-up conversations would be written" in out.getvalue()
    assert "Add --yes" in out.getvalue()
    assert not Conversation.objects.exists()
    call_command("simulate", bulk=3, yes=True, stdout=StringIO(), stderr=StringIO())
    assert Conversation.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_made_up_conversations_in_development_need_none(settings):
    settings.DEBUG = True
    call_command("simulate", bulk=3, stdout=StringIO(), stderr=StringIO())
    assert Conversation.objects.count() == 3
