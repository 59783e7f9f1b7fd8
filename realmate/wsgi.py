"""The WSGI door, for runserver and for production servers alike."""

import gc
import os
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.urls import get_resolver
from granian.utils.proxies import wrap_wsgi_with_proxy_headers

from realmate.postgresql.base import a_request


class Request(WSGIRequest):
    """A request that no Content-Type header can break.

    Django parses the header before any middleware runs: a hostile parameter raises there, and
    `charset` chooses the codec of the query string. Here no parameter means anything.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type = meta.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        self.content_params = {}


class Application(WSGIHandler):
    """Django's, but that no request waits for PostgreSQL for ever."""

    request_class = Request

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with a_request(seconds=settings.DATABASE_SECONDS):
            response = super().__call__(environ, start_response)
        return Stream(response) if getattr(response, "streaming", False) else response


class Stream:
    """The body of a streamed answer: each piece of it is waited for as long as a whole answer."""

    def __init__(self, response: Any) -> None:
        self.close = response.close
        self._pieces = iter(response)

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> Any:
        with a_request(seconds=settings.DATABASE_SECONDS):
            return next(self._pieces)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "realmate.settings")
django.setup(set_prefix=False)
# Nothing else looks at X-Forwarded headers.
application = wrap_wsgi_with_proxy_headers(Application(), settings.TRUSTED_PROXIES)


def load_all_for_good() -> None:
    """Python looks for garbage among all that it holds, now and then, and nobody has an answer meanwhile.

    What is loaded by now stays until the end. Looked through with the rest, it takes some 60 ms each time.
    """
    get_resolver().url_patterns  # noqa: B018 - Django would load them with the first request
    gc.collect()
    gc.freeze()


load_all_for_good()
