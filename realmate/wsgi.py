"""The WSGI door, for runserver and for production servers alike."""

import os
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest


class Request(WSGIRequest):
    """A request that no Content-Type header can break.

    Django parses the header before any middleware runs: a hostile parameter raises there, and
    `charset` chooses the codec of the query string. Here no parameter means anything.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type = meta.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        self.content_params = {}


class Application(WSGIHandler):
    request_class = Request


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "realmate.settings")
django.setup(set_prefix=False)
application = Application()
