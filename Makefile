# What people type. Every target sets up .venv by itself; only Python 3.11, make and git are needed.

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin

.PHONY: help demo run serve migrate test proofs deploy-test coverage lint lock bundles env-example licences errors openapi pictures bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/run ## an inbox with months of made-up conversations, and new ones as you watch; PORT=8080 too
	$(BIN)/python -m realmate.demo --port $(PORT) $(ARGS)

run: migrate ## the development server on http://127.0.0.1:8000; PORT=8080 for another port
	$(BIN)/python manage.py runserver 127.0.0.1:$(PORT)

# Not by manage.py, which turns DEBUG on in a clone without settings.
serve: .venv/run ## the production server, as the environment or the env file configures it; PORT=8080 too
	$(BIN)/python -m django migrate -v0 --settings realmate.settings
	$(BIN)/python -m django collectstatic --noinput -v0 --settings realmate.settings
	$(if $(filter file,$(origin PORT)),,GRANIAN_PORT=$(PORT)) $(BIN)/python -m realmate.server

migrate: .venv/run ## the database brought up to date with the code
	$(BIN)/python manage.py migrate -v0

test: .venv/dev ## every test; ARGS="-k close" for some
	$(BIN)/python -m tests $(ARGS)

proofs: .venv/dev ## what is too long for every landing: kills, random events, hostile input, proxies; an hour
	TEST_PROCESSES=0 $(BIN)/python -m tests --proofs long -m 'proof or by_hand' --timeout 0 -s $(ARGS)

deploy-test: ## the commands of docs/install.md in a new Debian; needs root, debootstrap and a mirror
	deploy/test

coverage: .venv/dev ## branch coverage of every test on SQLite; half as long again as make test
	rm -f .coverage
	$(BIN)/python -m tests --cov --cov-append --cov-report= $(ARGS)
	$(BIN)/coverage report

lint: .venv/dev ## style, types, layers of imports, templates, missing migrations; styles and scripts with biome
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djade --check --target-version 5.2 $$(git ls-files 'templates/*.html')
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m tests.styles
	$(BIN)/python -m tests.bundles --check

lock: ## after a change to pyproject.toml; needs Poetry with poetry-plugin-export
	poetry lock
	poetry export -f requirements.txt -o requirements.txt
	poetry export -f requirements.txt -o requirements-dev.txt --with dev

bundles: .venv/dev ## bundles/, after a change to the scripts or styles; needs esbuild
	$(BIN)/python -m tests.bundles

env-example: .venv/dev ## .env.example and docs/settings.md, after a change to realmate/settings.py or server.py
	$(BIN)/python -m tests.env_example

licences: .venv/dev ## docs/licences.md, after a change of the lock
	$(BIN)/python -m tests.licences

errors: .venv/dev ## docs/errors.md, after a change to chat/refusals.py
	$(BIN)/python -m tests.errors_document

openapi: .venv/dev ## docs/openapi.yaml, after a change to what a view says of itself
	$(BIN)/python -m tests.openapi_document

pictures: .venv/dev ## docs/pictures, after a change of the inbox; two minutes; needs Chromium and two fonts
	$(BIN)/python -m tests.pictures

bench: .venv/dev ## how fast it is, beside its floors; half an hour; needs wrk, and PostgreSQL
	$(BIN)/python -m bench $(ARGS)

clean: ## delete .venv, caches and collected files; databases stay
	rm -rf .venv staticfiles .metrics .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# pip, with the hashes of the exported lock: what is installed is what was tested.
.venv/bin/python:
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/run: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements.txt
	touch $@

.venv/dev: requirements-dev.txt | .venv/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements-dev.txt
	touch $@ .venv/run
