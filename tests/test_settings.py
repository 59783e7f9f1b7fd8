"""The settings in the environment: a clone works at once, and any other start needs complete settings."""

import os
import re
import subprocess
from pathlib import Path
from runpy import run_path

import pytest
from django.core.exceptions import ImproperlyConfigured

from realmate.environment import SECRETS
from tests.programs import run_python

ROOT = Path(__file__).resolve().parent.parent
REFUSAL = "ImproperlyConfigured: "
COMPLETE = {
    "DEBUG": "false",
    "SECRET_KEY": "long-random-secret-" * 4,
    "ALLOWED_HOSTS": "inbox.example",
    "WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "DATABASE_URL": "sqlite:////srv/realmate/db.sqlite3",
}
REQUIRED = {"SECRET_KEY", "ALLOWED_HOSTS", "WEBHOOK_SECRETS", "DATABASE_URL"}
SHOW = "from django.conf import settings as s; print(s.DEBUG, s.ALLOWED_HOSTS, s.SECRET_KEY)"


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess:
    """Run Python in a clone without an env file, with these variables and no others of ours."""
    system = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    system["REALMATE_ENV_FILE"] = ""
    return run_python(*arguments, cwd=ROOT, env=system | environ)


def manage(*arguments: str, **environ: str) -> subprocess.CompletedProcess:
    return run("manage.py", *arguments, **environ)


def read_settings(**environ: str) -> subprocess.CompletedProcess:
    """Read the settings alone, as every command does."""
    return run("-c", "import realmate.settings", **environ)


def refused(run: subprocess.CompletedProcess) -> set[str]:
    """Return the variables named by the refusal. One message, the last line, names all of them."""
    assert run.returncode != 0
    assert run.stderr.count(REFUSAL) == 1, run.stderr
    assert "During handling" not in run.stderr
    message = run.stderr.splitlines()[-1]
    assert REFUSAL in message
    return named_in(message)


def named_in(message: str) -> set[str]:
    message = message.replace("DEBUG, INFO, WARNING, ERROR", "")  # levels of the log
    return {name for name in BAD if re.search(rf"\b{name}\b", message)}


def complaint_of(monkeypatch, **environ: str) -> str:
    """Return the message of the refusal. The settings run in this process, because a hundred processes take long."""
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in (environ | {"REALMATE_ENV_FILE": ""}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as raised:
        run_path(str(ROOT / "realmate/settings.py"))
    return str(raised.value)


# The developer's door


def test_a_clone_works_at_once_with_debug_on():
    shown = manage("shell", "--no-imports", "-c", SHOW)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("True ['localhost', '127.0.0.1', '[::1]']")


def test_a_clone_passes_its_checks():
    assert manage("check").stdout.startswith("System check identified no issues")


def test_a_secret_key_alone_leaves_debug_off():
    assert refused(manage("check", SECRET_KEY=COMPLETE["SECRET_KEY"])) == REQUIRED - {"SECRET_KEY"}


def test_an_empty_secret_key_leaves_debug_off():
    assert refused(manage("check", SECRET_KEY="")) == REQUIRED


def test_debug_off_is_left_off():
    assert refused(manage("check", DEBUG="false")) == REQUIRED


@pytest.mark.parametrize("command", ["check", "migrate", "runserver"])
def test_no_command_starts_without_its_variables(command):
    assert refused(manage(command, DEBUG="false")) == REQUIRED


def test_debug_on_needs_nothing_else():
    assert read_settings(DEBUG="true").returncode == 0


# The production door


def test_the_wsgi_door_fails_closed():
    assert refused(run("-c", "import realmate.wsgi")) == REQUIRED


def test_settings_fail_closed():
    assert refused(read_settings()) == REQUIRED


def test_a_complete_environment_starts():
    started = run("-c", "from realmate.wsgi import application; print(application)", **COMPLETE)
    assert started.returncode == 0, started.stderr


def test_a_complete_environment_passes_the_checks():
    checked = manage("check", **COMPLETE)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout == "System check identified no issues (0 silenced).\n"


def test_a_complete_environment_has_debug_off():
    shown = manage("shell", "--no-imports", "-c", SHOW, **COMPLETE)
    assert shown.stdout == f"False ['inbox.example'] {COMPLETE['SECRET_KEY']}\n"


@pytest.mark.parametrize(
    ("given", "folder"),
    [("/var/lib/realmate/static", "/var/lib/realmate/static"), ("pages", str(ROOT / "pages"))],
)
def test_the_folder_of_the_static_files_is_a_setting(given, folder):
    show = "from django.conf import settings; print(settings.STATIC_ROOT)"
    assert (
        manage("shell", "--no-imports", "-c", show, **COMPLETE, STATIC_ROOT=given).stdout
        == f"{folder}\n"
    )


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_each_of_them_is_missed_alone(name):
    without = {key: value for key, value in COMPLETE.items() if key != name}
    assert refused(read_settings(**without)) == {name}


# Secrets in files


@pytest.fixture
def secret_files(tmp_path):
    """Write each secret of COMPLETE into a file. Return the variables with the files' paths."""

    def write(name):
        file = tmp_path / name.lower()
        file.write_text(f"{COMPLETE[name]}\n")
        return str(file)

    return {f"{name}_FILE": write(name) for name in SECRETS if name in COMPLETE}


WITHOUT_SECRETS = {name: value for name, value in COMPLETE.items() if name not in SECRETS}


def test_each_secret_may_be_in_a_file(secret_files):
    shown = run("-c", SHOW_SECRETS, **WITHOUT_SECRETS, **secret_files)
    assert shown.stdout.split() == [
        COMPLETE["SECRET_KEY"],
        COMPLETE["WEBHOOK_SECRETS"],
        "/srv/realmate/db.sqlite3",
    ], shown.stderr


SHOW_SECRETS = """
import realmate.environment, realmate.settings as s
realmate.environment.load()  # as the server does before its workers
print(s.SECRET_KEY, *s.WEBHOOK_SECRETS, s.DATABASE["NAME"])
"""


def test_a_secret_is_either_in_the_environment_or_in_a_file(secret_files):
    started = read_settings(**COMPLETE, SECRET_KEY_FILE=secret_files["SECRET_KEY_FILE"])
    assert "Set SECRET_KEY or SECRET_KEY_FILE, not both." in started.stderr


def test_the_environment_wins_over_the_env_file_in_either_form(secret_files, tmp_path):
    file = tmp_path / "env"
    file.write_text(f"DATABASE_URL_FILE={secret_files['DATABASE_URL_FILE']}\nSECRET_KEY=weak\n")
    named = {"REALMATE_ENV_FILE": str(file), "SECRET_KEY_FILE": secret_files["SECRET_KEY_FILE"]}
    given = COMPLETE | {"DATABASE_URL": "sqlite:////elsewhere/db.sqlite3"} | named
    shown = run("-c", SHOW_SECRETS, **{k: v for k, v in given.items() if k != "SECRET_KEY"})
    assert COMPLETE["SECRET_KEY"] in shown.stdout, shown.stderr
    assert "/elsewhere/db.sqlite3" in shown.stdout


def test_a_file_that_is_missing_is_named(secret_files, tmp_path):
    missing = {"METRICS_TOKEN_FILE": str(tmp_path / "none")}
    started = read_settings(**COMPLETE | missing)
    assert started.returncode != 0
    assert f"METRICS_TOKEN_FILE: {tmp_path}/none cannot be read: No such file" in started.stderr


def test_a_clone_whose_secrets_are_in_files_is_a_service(secret_files):
    started = manage("check", DATABASE_URL_FILE=secret_files["DATABASE_URL_FILE"])
    assert "SECRET_KEY" in started.stderr
    assert started.returncode != 0


# Senders


def test_without_checking_who_sends_it_starts_only_when_told_so():
    without = {key: value for key, value in COMPLETE.items() if key != "WEBHOOK_SECRETS"}
    assert refused(read_settings(**without, WEBHOOK_ALLOW_UNSIGNED="false")) == {"WEBHOOK_SECRETS"}
    started = read_settings(**without, WEBHOOK_ALLOW_UNSIGNED="true")
    assert started.returncode == 0, started.stderr


def test_a_developer_can_ask_for_signatures_too():
    assert refused(manage("check", WEBHOOK_ALLOW_UNSIGNED="false")) == {"WEBHOOK_SECRETS"}
    assert manage("check", WEBHOOK_SECRETS=COMPLETE["WEBHOOK_SECRETS"]).returncode == 0


@pytest.mark.parametrize(
    "environ",
    [
        {"WEBHOOK_SECRETS": f"{COMPLETE['WEBHOOK_SECRETS']}, whsec_{'A' * 34} "},
        {"WEBHOOK_SCHEME": "hub", "WEBHOOK_SECRETS": "It's a Secret to Everybody"},
    ],
    ids=["two, one unpadded and with spaces around it", "a hub's"],
)
def test_secrets_of_either_scheme_start(environ):
    started = read_settings(**COMPLETE | environ)
    assert started.returncode == 0, started.stderr


@pytest.mark.parametrize(
    ("scheme", "secret", "complaint"),
    [
        ("standard", "hunter2-hunter2-hunter2-hunter2", "does not begin with whsec_"),
        ("standard", "whsec_hunter2?hunter2", "is not base64 after whsec_"),
        ("standard", "whsec_hunter2é", "is not base64 after whsec_"),
        ("standard", "whsec_aHVudGVyMg==", "is shorter than 24 bytes"),
        ("standard", "whsec_", "is shorter than 24 bytes"),
        ("hub", "hunter2", "is shorter than 16 characters"),
    ],
)
def test_a_bad_secret_is_named_by_its_place_and_never_shown(scheme, secret, complaint, monkeypatch):
    given = {"WEBHOOK_SCHEME": scheme, "WEBHOOK_SECRETS": f"{COMPLETE['WEBHOOK_SECRETS']},{secret}"}
    said = complaint_of(monkeypatch, **COMPLETE | given)
    assert named_in(said) == {"WEBHOOK_SECRETS"}
    assert f"Entry 2 {complaint}." in said
    assert not re.search("hunter2|aHVudGVyMg|MfKQ9r8", said)


def test_a_secret_key_in_development_may_be_short():
    assert manage("check", DEBUG="true", SECRET_KEY="short").returncode == 0


# Choices of a site


CHOSEN = {
    "SECRET_KEY_FALLBACKS": "another-random-secret-" * 4,
    "CSRF_TRUSTED_ORIGINS": "https://other.example",
    "FRAME_ANCESTORS": "https://crm.example,https://*.example:8443",
    "SESSION_HOURS": "8",
    "LOG_LEVEL": "WARNING",
}
SHOW_CHOSEN = """
from realmate import settings as s
print(s.SECRET_KEY_FALLBACKS == ["another-random-secret-" * 4], s.CSRF_TRUSTED_ORIGINS)
print(s.CONTENT_SECURITY_POLICY.rpartition("; ")[2])
print(s.SESSION_COOKIE_AGE, s.LOGGING["root"]["level"], s.LOGGING["loggers"]["django"]["level"])
"""


def test_a_site_chooses_keys_origins_hours_and_the_level_of_the_log():
    assert run("-c", SHOW_CHOSEN, **COMPLETE | CHOSEN).stdout.splitlines() == [
        "True ['https://other.example']",
        "frame-ancestors https://crm.example https://*.example:8443",
        "28800 WARNING WARNING",
    ]


def test_without_a_choice_no_page_may_frame_ours():
    shown = run("-c", SHOW_CHOSEN, **COMPLETE).stdout.splitlines()
    assert shown[1:] == ["frame-ancestors 'none'", "43200 INFO INFO"]


# Bad values

BAD = {
    "DEBUG": ["", "maybe", "2"],
    "SECRET_KEY": ["", "short", "x" * 60, "django-insecure-" + "long-random-secret-" * 4],
    "ALLOWED_HOSTS": ["", ",", "a.example,,b.example"],
    "SECURE_SSL_REDIRECT": ["", "sometimes"],
    "TRUSTED_PROXIES": [",", "localhost", "*", "unix:", "Unix", "10.0.0.1/8", "10.0.0.0/8,"],
    "LOGIN_ATTEMPTS": ["", "0", "many"],
    "LOGIN_LOCKOUT_MINUTES": ["", "0", "-1", "1.5"],
    "CORS_ALLOWED_ORIGINS": [
        *(",", "*", "null", "app.example", "https://app.example/", "https://*.example"),
        *(
            "https://App.example",
            "ftp://app.example",
            "https://a@app.example",
            "https://a.example,",
        ),
    ],
    "READS_PER_MINUTE_BY_TOKEN": ["", "-1", "1.5", "10001", "60/min"],
    "READS_PER_MINUTE_BY_ADDRESS": ["", "-1", "1.5", "10001"],
    "WEBHOOK_ALLOW_UNSIGNED": ["", "perhaps"],
    "WEBHOOK_SCHEME": ["", "svix", "Standard"],
    "WEBHOOK_SECRETS": ["whsec_short", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,", ",", ""],
    "SECRET_KEY_FALLBACKS": ["short", "long-random-secret-" * 4 + ","],
    "CSRF_TRUSTED_ORIGINS": ["other.example", "https://other.example/", ","],
    "FRAME_ANCESTORS": ["'self'; script-src *", "other.example", ","],
    "SESSION_HOURS": ["", "0", "721"],
    "WEBHOOK_ALLOWED_NETWORKS": ["sender.example", "10.0.0.1/8", ","],
    "LOG_LEVEL": ["", "info", "ALL"],
    "METRICS_TOKEN": ["short", "x" * 31],
    "DATABASE_URL": ["", "nonsense", "mongodb://localhost/x", "/var/lib/realmate.sqlite3"],
    "EVENT_TIME_ZONE": ["", "Mars/Olympus", "UTC+3", "../../../etc/passwd", "america/sao_paulo"],
    "DISPLAY_TIME_ZONE": ["", "America", "posixrules", "right/UTC", "BRT "],
    "REPLY_URL": [
        "desk.example/{id}",
        "http://desk.example/{id}",
        "javascript:alert('{id}')",
        "https://{id}.example/",
        "https://desk.example/",
        "https://desk.example/{id}/{id}",
        "https://agent:password@desk.example/{id}",
        "https:///{id}",
        "https://[/{id}",
    ],
    "EARLY_EVENTS_HOURS": ["", "-1", "1.5", "24h", "nan", "8761", "9" * 30],
}


@pytest.mark.parametrize(("name", "value"), [(name, bad) for name in BAD for bad in BAD[name]])
def test_a_bad_value_stops_the_start_by_its_name(name, value, monkeypatch):
    assert named_in(complaint_of(monkeypatch, **COMPLETE | {name: value})) == {name}


def test_all_bad_values_are_named_at_once():
    bad = {name: values[-1] for name, values in BAD.items()}
    assert refused(read_settings(**bad)) == set(BAD)


@pytest.mark.parametrize("name", ["EVENT_TIME_ZONE", "EARLY_EVENTS_HOURS", "DATABASE_URL"])
def test_a_bad_value_stops_the_developer_too(name):
    assert refused(manage("check", DEBUG="true", **{name: BAD[name][1]})) == {name}


def test_the_message_tells_no_secret():
    said = read_settings(**COMPLETE | {"DATABASE_URL": "nosuch://user:hunter2@host/name"}).stderr
    assert REFUSAL in said
    assert "hunter2" not in said
    assert COMPLETE["SECRET_KEY"] not in said
