"""Every setting, read once from the environment; README.md has the table.

DEBUG is off unless asked for (manage.py asks for it on a fresh clone). With DEBUG off, nothing is
left to a default that could let someone in: one message names every variable missing or bad.
"""

from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvValidationError, ValidationError, validate

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env(eager=False)


def filled(value: str | list[str]) -> None:
    if not value or not all(value):
        raise ValidationError("Must not be empty.")


def known_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError("Not a time zone of the IANA database.")


def accepted(value: bool) -> None:
    if not value:
        raise ValidationError("Must be true: signatures cannot be checked yet.")


def required_outside_debug(default: Any) -> dict[str, Any]:
    """Keyword arguments of a variable that has a default for development only."""
    return {"default": default} if DEBUG else {}


# Development conveniences: defaults for the variables below, open doors, unminified answers.
DEBUG: bool = env.bool("DEBUG", False)

# Signs sessions and forms. Long, random, secret.
SECRET_KEY = env.str(
    "SECRET_KEY", validate=filled, **required_outside_debug("only for development")
)

# The host names that this service answers to, separated by commas.
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", validate=filled, **required_outside_debug(["localhost", "127.0.0.1", "[::1]"])
)

# The explicit way to run without checking who sends.
WEBHOOK_ALLOW_UNSIGNED = env.bool(
    "WEBHOOK_ALLOW_UNSIGNED", validate=accepted, **required_outside_debug(True)
)

# Where the data is: sqlite:////path/to/file, or postgres://user:password@host:port/name.
DATABASE = env.dj_db_url("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}") or {}

# The zone of an event's timestamp that carries no offset. Only parses; nothing is shown in it.
EVENT_TIME_ZONE = env.str("EVENT_TIME_ZONE", "UTC", validate=known_zone)

# The zone of statistics, and of pages where the browser does not run JavaScript.
DISPLAY_TIME_ZONE = env.str("DISPLAY_TIME_ZONE", "America/Sao_Paulo", validate=known_zone)

# For how many hours an event that came before its NEW_CONVERSATION is kept to be applied; 0: never.
EARLY_EVENTS_HOURS = env.int("EARLY_EVENTS_HOURS", 24, validate=validate.Range(min=0, max=24 * 365))

try:
    env.seal()
except EnvValidationError as error:
    raise ImproperlyConfigured(f"Not started. {error}") from None


# Events larger than this are refused unread.
MAX_BODY_BYTES = 4 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

INSTALLED_APPS = [
    "whitenoise.runserver_nostatic",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_htmx",
    "chat",
]

MIDDLEWARE = [
    "chat.middleware.EdgeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "chat.middleware.PagesInTheReadersLanguage",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "realmate.urls"
WSGI_APPLICATION = "realmate.wsgi.application"
# Both forms of every path are routed; a redirect would lose the body of a POST.
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

SQLITE = {
    "ENGINE": "realmate.sqlite",
    # A file, because shared-cache memory has no WAL and ignores the timeout.
    "TEST": {"NAME": BASE_DIR / "test.sqlite3"},
    "CONN_MAX_AGE": None,
    "OPTIONS": {
        # Seconds to wait for the writer before us.
        "timeout": 5,
        # A transaction that reads and then writes would fail at once, whatever the timeout.
        "transaction_mode": "IMMEDIATE",
        # FULL: a commit is on disk when it returns. NORMAL would acknowledge what a crash forgets.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON",
    },
}
POSTGRESQL = {
    # The pool keeps the connections; Django refuses to keep them too.
    "CONN_MAX_AGE": 0,
    # Otherwise each pooled connection would fail once after the server was restarted.
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {
        "pool": {"min_size": 1, "max_size": 16, "timeout": 5},
        "options": "-c lock_timeout=5000",
    },
}
DATABASES = {"default": DATABASE | (SQLITE if "sqlite" in DATABASE["ENGINE"] else POSTGRESQL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "chat.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

USE_TZ = True
TIME_ZONE = DISPLAY_TIME_ZONE
LANGUAGE_CODE = "pt-br"
LANGUAGES = [("pt-br", "Português (Brasil)"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]

# Nothing from another host, and no script or style inside a page.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Hashed names want `collectstatic` first, which `make serve` runs and development does without.
STATICFILES_BACKEND = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
    if DEBUG
    else "whitenoise.storage.CompressedManifestStaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": STATICFILES_BACKEND},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "chat.problems.problem_for",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # Django's own handlers would mail the admins, and log twice.
    "loggers": {
        "django": {"handlers": [], "level": "INFO"},
        # Scanners ask for hosts that are not ours all day; the answer's code says enough.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
