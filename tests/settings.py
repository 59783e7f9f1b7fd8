"""The settings of a fresh clone, without the variables of the shell and .env. DATABASE_URL chooses the engine."""

import os

os.environ |= {"DEBUG": "true", "REALMATE_ENV_FILE": ""}
for name in ("WEBHOOK_SECRETS", "WEBHOOK_SCHEME", "WEBHOOK_ALLOW_UNSIGNED"):
    os.environ.pop(name, None)

# A program with a database of its own keeps that database.
if os.environ.get("DATABASE_URL") in (servers := os.environ.get("TEST_SERVERS", "").split()):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    os.environ["DATABASE_URL"] = servers[int(worker.removeprefix("gw"))]

from realmate.settings import *

# Parallel runs share nothing: each run and each of its workers has databases of its own.
RUN = os.environ.setdefault("TEST_RUN", str(os.getpid()))
if DATABASES["default"]["ENGINE"] == "realmate.sqlite":
    DATABASES["default"]["TEST"] = {"NAME": BASE_DIR / f"test-{RUN}.sqlite3"}
else:
    DATABASES["default"]["TEST"] = {"NAME": f"test_{DATABASES['default']['NAME']}_{RUN}"}

# Static files as in development: served from their sources. The folder of collected files is empty, because
# the live server would otherwise serve old files of `make serve`.
STATIC_ROOT = str(BASE_DIR / "nothing-collected")
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True

# The real hashers are slow on purpose: a third of a second for every user of a test.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
