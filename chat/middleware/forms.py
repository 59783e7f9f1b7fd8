"""Forms of people: their size, their files, CSRF, and the schema for their writes."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware

from chat.bodies import declared_length, is_chunked, read_up_to
from chat.database.migrated import WrongSchema, refuse_wrong_schema
from chat.middleware.edge import is_for_people, refused
from chat.refusals import BadRequest, FormTooLarge, NotMigrated, Refusal


class WritesOfThisSchema:
    """Refuse forms of people while the code is older or newer than the schema: 503.

    Events are judged in their own transaction.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        if request.method in {"GET", "HEAD", "OPTIONS"} or not is_for_people(request):
            return None
        try:
            refuse_wrong_schema()
        except WrongSchema:
            return HttpResponse(status=NotMigrated.status)
        return None


class SmallForms:
    """Refuses a form of more than MAX_FORM_BYTES before it is read, even for its CSRF token.

    Django's own DATA_UPLOAD_MAX_MEMORY_SIZE does not count the bytes of files.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_for_people(request) and request.method == "POST":
            try:
                receive_form(request)
            except Refusal as refusal:
                return refused(refusal)
        return self.get_response(request)


def receive_form(request: HttpRequest) -> None:
    """Refuse a large form, and read a chunked form to count its bytes.

    Raises FormTooLarge, BadLength and LengthRequired.
    """
    if declared_length(request) > settings.MAX_FORM_BYTES:
        raise FormTooLarge
    if not is_chunked(request):
        return
    try:
        form = read_up_to(settings.MAX_FORM_BYTES + 1, request.META["wsgi.input"])
    except OSError:  # the client has hung up
        raise BadRequest from None
    if len(form) > settings.MAX_FORM_BYTES:
        raise FormTooLarge
    # Django would ignore a body without Content-Length.
    request._stream = BytesIO(form)
    request.META["CONTENT_LENGTH"] = str(len(form))


class NoFiles(FileUploadHandler):
    """The handler of uploaded files: no form of ours has any, and none reaches the disk."""

    def new_file(self, *args: Any, **options: Any) -> None:
        """Raises MultiPartParserError. Django answers with 400."""
        raise MultiPartParserError("No form takes a file.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        return None

    def file_complete(self, file_size: int) -> None:
        return None


class CsrfForAllowedMethods(CsrfViewMiddleware):
    """Django's CSRF protection, after the check of the method.

    A method undeclared in urls.py changes nothing. So its answer is 405 or 404, not a 403 about a
    missing token.
    """

    def process_view(
        self,
        request: HttpRequest,
        callback: Callable[..., HttpResponseBase],
        callback_args: tuple[Any, ...],
        callback_kwargs: dict[str, Any],
    ) -> Any:
        methods = getattr(callback, "methods", None)
        if methods is not None and request.method not in methods:
            return None
        return super().process_view(request, callback, callback_args, callback_kwargs)
