# The server in a container: `docker build -t realmate .`; compose.yaml runs it. docs/containers.md has the rest.
# Another base, such as a mirror: --build-arg BASE=… It needs Python 3.11 with venv, of Debian 12.
ARG BASE=docker.io/library/python:3.11.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /srv/realmate
COPY requirements.txt ./
# Before the code, so that a change of the code alone installs nothing again.
RUN python3 -m venv .venv \
    && .venv/bin/python -m pip install --disable-pip-version-check --no-cache-dir -q --require-hashes -r requirements.txt
COPY . ./
# collectstatic reads the settings. These values are in no layer and in no environment of the image.
RUN SECRET_KEY=of-this-one-command-and-of-nothing-else-0123456789-abcdef ALLOWED_HOSTS=none \
    WEBHOOK_ALLOW_UNSIGNED=true DATABASE_URL=sqlite:////none .venv/bin/python manage.py collectstatic --noinput -v0 \
    # Bytecode, because the root file system is read-only and each start would compile again.
    && .venv/bin/python -m compileall -q chat realmate

FROM ${BASE}
# pg_dump and pg_restore, for backups of PostgreSQL. They must not be older than the server.
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/*
# A number, so that an orchestrator can see that it is not root.
RUN groupadd --gid 10001 realmate \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/realmate --shell /usr/sbin/nologin realmate \
    && install -d -m 700 -o 10001 -g 10001 /var/lib/realmate
COPY --from=build /srv/realmate /srv/realmate
WORKDIR /srv/realmate
# The variables of the container are the settings. 0.0.0.0, because a container has a network of its own.
ENV PATH=/srv/realmate/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    REALMATE_ENV_FILE= GRANIAN_HOST=0.0.0.0 DATABASE_URL=sqlite:////var/lib/realmate/db.sqlite3
USER 10001:10001
VOLUME /var/lib/realmate
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# The exec form: the server is process 1 and gets SIGTERM itself. It ends within 30 s.
CMD ["python", "-m", "realmate.server"]
