"""Every setting, read once from the environment. docs/settings.md and .env.example list the variables.

realmate/environment.py reads the env file, and says when manage.py turns DEBUG on. With DEBUG off no
default can let a stranger in, or name another database than the service's: the start fails, and one
message names every missing or bad variable.
"""

import re
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import drf_spectacular_sidecar
from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvValidationError, ValidationError, validate

from chat.signatures import SCHEMES, Standard
from realmate import database_url, environment, forwarded
from realmate.postgresql.base import Connection

BASE_DIR = Path(__file__).resolve().parent.parent

# The path of the env file, if there is one. Its variables are now in the environment.
ENV_FILE = environment.load()
env = Env(eager=False)
SHORTEST_TOKEN = 32
ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
env.add_parser(name="database_url", func=database_url.parse)

# {id} stands once, behind the host. No user name, no space, no other brace.
LINK_TO_A_CONVERSATION = re.compile(
    r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?[/?#][!-z|~]*\{id}[!-z|~]*"
)


def filled(value: str | list[str]) -> None:
    if not value or not all(value):
        raise ValidationError("Must not be empty.")


def known_zone(value: str) -> None:
    """Look for this zone alone: to list all of them takes a twentieth of a command's time."""
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        ZoneInfo(value)
        # The same zones again, on some systems. Those of right/ count leap seconds.
        if value.partition("/")[0] not in ("posix", "posixrules", "right"):
            return
    raise ValidationError("Not a time zone of the IANA database.")


def hard_to_guess(value: str) -> None:
    """The rule of Django's own deployment check (security.W009)."""
    filled(value)
    if DEBUG:
        return
    if len(value) < 50 or len(set(value)) < 5 or value.startswith("django-insecure-"):
        raise ValidationError("Must be at least 50 random characters.")


def each_hard_to_guess(values: list[str]) -> None:
    for value in values:
        hard_to_guess(value)


def long_enough(value: str) -> None:
    if value and len(value) < SHORTEST_TOKEN:
        raise ValidationError(f"Must be at least {SHORTEST_TOKEN} random characters.")


def secrets_of_the_scheme(values: list[str]) -> None:
    """Name bad entries by their position, because even a malformed secret is secret."""
    filled(values)
    complaint = SCHEMES.get(WEBHOOK_SCHEME or "", Standard).complaint
    bad = [(place, complaint(value)) for place, value in enumerate(values, start=1)]
    if complaints := [f"Entry {place} {why}." for place, why in bad if why]:
        raise ValidationError(complaints)


def addresses_or_networks(values: list[str]) -> None:
    """Refuse host names: granian accepts them, and then never matches them."""
    try:
        forwarded.networks_of(values)
    except ValueError:
        raise ValidationError(
            "Must be addresses, networks or unix: 10.0.0.5, 10.0.0.0/8."
        ) from None


def networks(values: list[str]) -> None:
    try:
        for value in values:
            ip_network(value)
    except ValueError:
        raise ValidationError("Must be addresses or networks: 10.0.0.5, 10.0.0.0/8.") from None


def origins(values: list[str]) -> None:
    """Refuse texts that no browser sends as an Origin: paths, wildcards, upper case."""
    if not all(ORIGIN.fullmatch(value) for value in values):
        raise ValidationError("Must be origins: https://app.example, http://localhost:3000.")


def origins_or_patterns(values: list[str]) -> None:
    """Origins, where `*.` at the beginning of a host stands for any subdomain."""
    origins([value.replace("://*.", "://", 1) for value in values])


def link_to_a_conversation(value: str) -> None:
    """Raise ValidationError unless the text is an https URL with one {id}, behind the host."""
    if value and not LINK_TO_A_CONVERSATION.fullmatch(value):
        raise ValidationError("Must be like https://desk.example/conversations/{id}.")


def required_unless(allowed: bool, default: Any) -> dict[str, Any]:
    """Return the keyword arguments of a variable with a default only if `allowed`."""
    return {"default": default} if allowed else {}


# Development mode: defaults for the variables below, no login, no signatures. Never in production.
DEBUG: bool = env.bool("DEBUG", False)

# Signs sessions and forms. At least 50 characters, random, secret.
SECRET_KEY = env.str(
    "SECRET_KEY", validate=hard_to_guess, **required_unless(DEBUG, "only for development")
)

# Older SECRET_KEYs, separated by commas. Their sessions stay valid while the key is replaced.
SECRET_KEY_FALLBACKS: list[str] = env.list(
    "SECRET_KEY_FALLBACKS", [], subcast=str.strip, validate=each_hard_to_guess
)

# The host names of this service, separated by commas.
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", validate=filled, **required_unless(DEBUG, ["localhost", "127.0.0.1", "[::1]"])
)

# Whether browsers must use https: pages redirect to https with HSTS, and cookies (`__Host-`) are sent
# over https only. JSON is never redirected.
SECURE_SSL_REDIRECT: bool = env.bool("SECURE_SSL_REDIRECT", not DEBUG)

# Addresses or networks of trusted proxies, separated by commas. Only their X-Forwarded headers count.
# The word `unix` trusts all users allowed to connect to the Unix socket of GRANIAN_UDS.
TRUSTED_PROXIES: list[str] = env.list(
    "TRUSTED_PROXIES", [], subcast=str.strip, validate=addresses_or_networks
)

# Origins of pages allowed to send forms, beside this service's own: https://other.example.
CSRF_TRUSTED_ORIGINS: list[str] = env.list(
    "CSRF_TRUSTED_ORIGINS", [], subcast=str.strip, validate=origins_or_patterns
)

# Origins of pages on this site allowed to show ours in a frame. By default no page may. In a page of
# another site the frame has no session.
FRAME_ANCESTORS: list[str] = env.list(
    "FRAME_ANCESTORS", [], subcast=str.strip, validate=origins_or_patterns
)

# Hours after its login when a session ends, used or not.
SESSION_HOURS = env.int("SESSION_HOURS", 12, validate=validate.Range(min=1, max=24 * 30))

# Wrong passwords for one name from one address before a lockout, and the minutes of the lockout.
LOGIN_ATTEMPTS = env.int("LOGIN_ATTEMPTS", 5, validate=validate.Range(min=1, max=1000))
LOGIN_LOCKOUT_MINUTES: int = env.int(
    "LOGIN_LOCKOUT_MINUTES", 15, validate=validate.Range(min=1, max=60 * 24 * 7)
)

# Origins of web pages allowed to read JSON with a token, in a browser, separated by commas.
CORS_ALLOWED_ORIGINS: list[str] = env.list(
    "CORS_ALLOWED_ORIGINS", [], subcast=str.strip, validate=origins
)

# JSON reads a minute of one token, and of one address without a valid token or login. More get 429.
# Each process counts by itself, so several processes let through as many times more. 0 is no limit.
READS_PER_MINUTE_BY_TOKEN = env.int(
    "READS_PER_MINUTE_BY_TOKEN", 0, validate=validate.Range(min=0, max=10_000)
)
READS_PER_MINUTE_BY_ADDRESS = env.int(
    "READS_PER_MINUTE_BY_ADDRESS", 0, validate=validate.Range(min=0, max=10_000)
)

# Accept deliveries without a signature. Ignored where WEBHOOK_SECRETS is set.
WEBHOOK_ALLOW_UNSIGNED = env.bool("WEBHOOK_ALLOW_UNSIGNED", bool(DEBUG))

# The signature scheme of senders: `standard` (Standard Webhooks) or `hub` (X-Hub-Signature-256).
WEBHOOK_SCHEME = env.str("WEBHOOK_SCHEME", "standard", validate=validate.OneOf(list(SCHEMES)))

# The secrets of senders, separated by commas. Any is accepted, so that a secret can be replaced.
WEBHOOK_SECRETS = env.list(
    "WEBHOOK_SECRETS",
    subcast=str.strip,
    validate=secrets_of_the_scheme,
    **required_unless(WEBHOOK_ALLOW_UNSIGNED, []),
)

# Addresses or networks allowed to send events, separated by commas. By default all are. Others get 403,
# and their body stays unread.
WEBHOOK_ALLOWED_NETWORKS: list[str] = env.list(
    "WEBHOOK_ALLOWED_NETWORKS", [], subcast=str.strip, validate=networks
)

# `transaction` behind PgBouncer in transaction mode: the service then keeps nothing in its sessions.
DATABASE_POOLER = env.str(
    "DATABASE_POOLER", "none", validate=validate.OneOf(["none", "transaction"])
)
POOLED = DATABASE_POOLER == "transaction"

# The database: sqlite:////path/to/file, or postgres://user:password@host:port/name. Options follow
# after `?`: timeout for SQLite, and any parameter of libpq for PostgreSQL. PG* variables work too.
# Relative to the folder of manage.py, wherever a command runs: sqlite:///file.
DATABASE = env.database_url(
    "DATABASE_URL",
    **required_unless(DEBUG, f"sqlite:///{BASE_DIR / 'db.sqlite3'}"),
    is_pooled=POOLED,
)

# A token for /metrics that needs no database: 32 or more random characters. Other readers need a login
# or a token of `manage.py createtoken`.
METRICS_TOKEN: str = env.str("METRICS_TOKEN", "", validate=long_enough)

# The least severe lines of the log: DEBUG, INFO, WARNING or ERROR.
LOG_LEVEL: str = env.str(
    "LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])
)

# Log each request, with the client's address, and not only refused and failed ones.
ACCESS_LOG: bool = env.bool("ACCESS_LOG", False)

# The time zone of event timestamps without an offset. Nothing is shown in this zone.
EVENT_TIME_ZONE = env.str("EVENT_TIME_ZONE", "UTC", validate=known_zone)

# The time zone of statistics, and of pages without JavaScript.
DISPLAY_TIME_ZONE = env.str("DISPLAY_TIME_ZONE", "America/Sao_Paulo", validate=known_zone)

# The place where agents answer a conversation: an https URL with {id}, opened by the button "Reply".
REPLY_URL: str = env.str("REPLY_URL", "", validate=link_to_a_conversation)

# Hours that an event may wait for its NEW_CONVERSATION. 0 turns this off.
EARLY_EVENTS_HOURS = env.int("EARLY_EVENTS_HOURS", 24, validate=validate.Range(min=0, max=24 * 365))

# The most days of the next two variables, and of `manage.py prune --days`.
MOST_DAYS_KEPT = 36_500

# Days of deliveries kept in the log by `manage.py upkeep`.
DELIVERY_RETENTION_DAYS = env.int(
    "DELIVERY_RETENTION_DAYS", 90, validate=validate.Range(min=1, max=MOST_DAYS_KEPT)
)

# Days of changes kept by `manage.py upkeep`. A reader of changes may be away for so long.
CHANGE_RETENTION_DAYS = env.int(
    "CHANGE_RETENTION_DAYS", 90, validate=validate.Range(min=1, max=MOST_DAYS_KEPT)
)

# The file with the ids of erased conversations, for a restore. By default beside SQLite's file, under
# its name with `-erasures`. An erasure on PostgreSQL requires this variable.
# Relative to the folder of manage.py too.
ERASURES_FILE: str = env.str("ERASURES_FILE", "")

# The folder of the pages' files: written by `collectstatic`, read by the server.
# Relative to the folder of manage.py too.
STATIC_ROOT: str = env.str("STATIC_ROOT", str(BASE_DIR / "staticfiles"))

try:
    env.seal()
except EnvValidationError as error:
    source = (
        f"The env file is {ENV_FILE}."
        if ENV_FILE
        else f"No env file was read: no {environment.VARIABLE}, no .env."
    )
    raise ImproperlyConfigured(f"Not started. {error}. {source}") from None

if "sqlite" in DATABASE["ENGINE"] and DATABASE["NAME"] != ":memory:":
    DATABASE["NAME"] = str(BASE_DIR / DATABASE["NAME"])
if ERASURES_FILE:
    ERASURES_FILE = str(BASE_DIR / ERASURES_FILE)
STATIC_ROOT = str(BASE_DIR / STATIC_ROOT)


# No login in development, so a clone works at once.
LOGIN_REQUIRED = not DEBUG
CSRF_FAILURE_VIEW = "chat.views.account.refuse_form"
LOGIN_URL = LOGOUT_REDIRECT_URL = "login"
LOGIN_REDIRECT_URL = "inbox"

# Larger events are refused unread.
MAX_BODY_BYTES = 4 * 1024 * 1024
# Bytes of larger bodies received by a process at one time. More are refused unread.
MAX_BODIES_BYTES = 4 * MAX_BODY_BYTES
# Seconds for a large body to arrive, and again for each MiB. A late body loses its room to another.
SECONDS_FOR_A_MIB = 10
# Larger forms are refused unread, and no form takes a file.
MAX_FORM_BYTES = 64 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_FORM_BYTES
FILE_UPLOAD_HANDLERS = ["chat.middleware.forms.NoFiles"]

# /readyz wants room on the disk of SQLite's file for some events of the largest size.
LEAST_FREE_BYTES = 4 * MAX_BODY_BYTES

INSTALLED_APPS = [
    "whitenoise.runserver_nostatic",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "realmate.staticfiles.StaticFilesApp",
    "rest_framework",
    "corsheaders",
    "django_htmx",
    "chat",
]

MIDDLEWARE = [
    "chat.middleware.edge.EdgeMiddleware",
    "chat.middleware.answers.SecurityPolicy",
    "chat.middleware.answers.CrossOriginReads",
    "django.middleware.security.SecurityMiddleware",
    "chat.middleware.answers.CompressAnswers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "chat.middleware.answers.HostsOfAllButProbes",
    "chat.middleware.pages.Sessions",
    "chat.middleware.pages.PagesInTheReadersLanguage",
    "chat.middleware.forms.SmallForms",
    "chat.middleware.forms.CsrfForAllowedMethods",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "chat.middleware.pages.LoginForPages",
    "chat.middleware.forms.WritesOfThisSchema",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# Django makes the storage for each request. The session's is faster than the default.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

ROOT_URLCONF = "realmate.urls"
WSGI_APPLICATION = "realmate.wsgi.application"
# urls.py routes both forms of every path. A redirect would lose the body of a POST.
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

SQLITE: dict[str, Any] = {
    "ENGINE": "realmate.sqlite",
    # A file, because a shared-cache database in memory has no WAL and ignores the timeout.
    "TEST": {"NAME": BASE_DIR / "test.sqlite3"},
    "CONN_MAX_AGE": None,
    "OPTIONS": {
        # Seconds to wait for other writers.
        "timeout": 5,
        # IMMEDIATE: otherwise a write after a read may fail at once, before the timeout.
        "transaction_mode": "IMMEDIATE",
        # FULL, not NORMAL: NORMAL acknowledges commits that a power cut forgets.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON",
    },
}
# A sender gets an answer within six seconds of its last byte, even from a hanging database. Five are
# for the database; a busy machine needs the sixth for everything else.
DATABASE_SECONDS = 5
POSTGRESQL: dict[str, Any] = {
    "ENGINE": "realmate.postgresql",
    # The pool keeps the connections. Django refuses any other value beside a pool.
    "CONN_MAX_AGE": 0,
    # Without the check each pooled connection fails once after a restart of the server.
    "CONN_HEALTH_CHECKS": True,
    "POOLED": POOLED,
    # A cursor outlives its statement, and a pooler may give the next statement another session.
    "DISABLE_SERVER_SIDE_CURSORS": POOLED,
    "OPTIONS": {
        "pool": {
            "min_size": 1,
            "max_size": 16,
            "timeout": 5,
            "connection_class": Connection,
            # Seconds in which the pool reconnects by itself. Then each request tries.
            "reconnect_timeout": 3,
        },
        "connect_timeout": 3,
        # Milliseconds until the kernel gives up a lost connection.
        "tcp_user_timeout": 5000,
        "options": database_url.SESSION,
    },
}
DATABASES = {"default": database_url.configured(DATABASE, SQLITE, POSTGRESQL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "chat.User"
AUTHENTICATION_BACKENDS = ["chat.logins.Passwords"]
PASSWORD_HASHERS = ["chat.heavy.hashing.PBKDF2"]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "chat.logins.NoNames"},
]

# Holds counts, figures and answers for an hour at most, such as the counts of READS_PER_MINUTE_BY_TOKEN.
# The process's own memory is the fastest, and needs no server.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 5_000},
    }
}

# Browsers accept __Host- cookies over https only, and from this host only.
COOKIE_PREFIX = "__Host-" if SECURE_SSL_REDIRECT else ""
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT
CSRF_COOKIE_HTTPONLY = True
SESSION_ENGINE = "chat.logins"
# Polls do not extend a session.
SESSION_COOKIE_AGE = SESSION_HOURS * 3600

# Machines are never redirected: a client that follows with a GET loses its request.
SECURE_REDIRECT_EXEMPT = [r"^(?!(ui|admin)(/|$))"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if SECURE_SSL_REDIRECT else 0
SILENCED_SYSTEM_CHECKS = [
    "security.W003",  # CSRF is checked by a subclass of Django's middleware
    # HSTS for subdomains, or in the browsers' preload list: the owner of the domain decides.
    "security.W005",
    "security.W021",
]

USE_TZ = True
TIME_ZONE = DISPLAY_TIME_ZONE
LANGUAGE_CODE = "pt-br"
LANGUAGES = [("pt-br", "Português (Brasil)"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = f"{COOKIE_PREFIX}language"
LANGUAGE_COOKIE_SECURE = SECURE_SSL_REDIRECT
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600

NOBODY = ["'none'"]
# Only files of this host, and no inline script or style.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "manifest-src 'self'; media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    f"frame-ancestors {' '.join(FRAME_ANCESTORS or NOBODY)}"
)
# Swagger UI writes styles into its elements.
CONTENT_SECURITY_POLICY_OF_DOCS = CONTENT_SECURITY_POLICY.replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)

# JSON reads only: not the pages, the webhook, replays, the probes, /docs or /metrics. No cookie counts across
# origins.
CORS_URLS_REGEX = (
    r"^/(conversations|messages|changes|deliveries(?!/[^/]*/replay)|export|stats|schema)(/|$)"
)
CORS_ALLOW_METHODS = ["GET", "HEAD"]
CORS_ALLOW_HEADERS = ["authorization", "if-none-match", "x-request-id"]
CORS_EXPOSE_HEADERS = ["ETag", "Link", "Retry-After", "X-Request-Id"]

# XML too says its encoding.
WHITENOISE_MIMETYPES = {
    ".svg": "image/svg+xml; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
STATIC_URL = "static/"
# Swagger UI, for /docs.
SWAGGER_UI = Path(drf_spectacular_sidecar.__file__).parent / "static/drf_spectacular_sidecar"
STATICFILES_DIRS = [BASE_DIR / "static", ("swagger-ui", SWAGGER_UI / "swagger-ui-dist")]
if not DEBUG:
    # `make bundles` writes them. The first file of a name is collected.
    STATICFILES_DIRS.insert(0, BASE_DIR / "bundles/static")
# Hashed names need `collectstatic`. `make serve` runs it; development does without.
STATICFILES_BACKEND = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
    if DEBUG
    else "realmate.staticfiles.StaticFiles"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": STATICFILES_BACKEND},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "chat.api.authentication.BearerToken",  # the first one names the challenge of a 401
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["chat.api.authentication.IsReader"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "chat.api.rendering.AlwaysJSON",
    "DEFAULT_RENDERER_CLASSES": ["chat.api.rendering.PydanticRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "chat.problems.problem_for",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {
            "()": "realmate.logs.JSONLines",
            "fmt": ["levelname", "name", "message"],
            "timestamp": "time",
            "rename_fields": {
                "levelname": "level",
                "name": "logger",
                "exc_info": "traceback",
                "status_code": "status",
            },
        },
    },
    "filters": {
        "tracebacks": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: bool(record.exc_info),
        },
        "one_a_second": {"()": "realmate.logs.OneASecond"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "text" if DEBUG else "json",
            "filters": [] if DEBUG else ["one_a_second"],
        },
        "access": {"class": "logging.StreamHandler", "formatter": "text" if DEBUG else "json"},
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # No handlers of its own: Django's would mail the admins, and log twice.
    "loggers": {
        "django": {"handlers": [], "level": LOG_LEVEL},
        "realmate.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
        # EdgeMiddleware logs refusals, with their codes.
        "django.request": {"filters": ["tracebacks"]},
        # Scanners ask for foreign hosts all day. The code of the answer says enough.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
