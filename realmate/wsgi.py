"""The WSGI door, for runserver and for production servers alike."""

import os
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters


class Request(WSGIRequest):
    """A request that no Content-Type header can break.

    Django parses the header before any middleware runs: a hostile parameter raises there, and
    `charset` chooses the codec of the query string. Ours is always UTF-8.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        header = meta.get("CONTENT_TYPE", "")
        try:
            self.content_type, self.content_params = parse_header_parameters(header)
        except ValueError:
            self.content_type, self.content_params = "", {}


class Application(WSGIHandler):
    request_class = Request


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "realmate.settings")
django.setup(set_prefix=False)
application = Application()
