"""Every way to say no. One refusal is one class: code, status, words, and whether a retry helps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from django_stubs_ext import StrPromise


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong member of a body, or one wrong parameter. `pointer` is an RFC 6901 path."""

    pointer: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The type, time and ids of an event, as far as they can be read."""

    type: str | None = None
    timestamp: datetime | None = None
    conversation_id: UUID | None = None
    message_id: UUID | None = None

    @property
    def id(self) -> UUID | None:
        """Return the id of the message or conversation created or changed by the event."""
        return self.message_id or self.conversation_id


# By code: the first class with the code, in the order of this file.
REFUSALS: dict[str, type[Refusal]] = {}


class Refusal(Exception):
    """A declined request. Each subclass is one rule; problems.py makes the answers.

    No text of a refusal quotes the request.
    """

    code: ClassVar[str]  # for programs; never changes
    status: ClassVar[HTTPStatus]
    detail: ClassVar[str]  # English, for developers of clients
    reason: StrPromise | str = _("This request cannot be answered.")  # for people
    # What helps: English, for docs/errors.md.
    remedy: ClassVar[str] = "Send it again after a while."
    retry: ClassVar[bool] = False  # whether the same request can succeed later
    is_recorded: ClassVar[bool] = False  # whether the delivery log records it
    headers: Mapping[str, str] = {}
    errors: tuple[FieldError, ...] = ()
    logged: Mapping[str, object] = {}  # for the log only

    def __init_subclass__(cls) -> None:
        if hasattr(cls, "code"):
            REFUSALS.setdefault(cls.code, cls)


# The events: recorded in the delivery log


class InvalidPayload(Refusal):
    """A body that is not an event. `subject` holds its readable type, time and ids."""

    status = HTTPStatus.BAD_REQUEST
    subject = Subject()


class InvalidJSON(InvalidPayload):
    """Not one RFC 8259 value in UTF-8, duplicate names in an object, or nested too deeply."""

    code = "invalid_json"
    detail = "The body is not one well-formed JSON value in UTF-8 without duplicate names."
    reason = _("The body is not valid JSON.")
    remedy = "Mend the program that writes the body."
    is_recorded = True


class InvalidEvent(InvalidPayload):
    """JSON, but not an event. `errors` lists every wrong member at once."""

    code = "invalid_event"
    detail = "The body is not a valid event; errors lists what is wrong."
    reason = _("The body is JSON, but not a valid event.")
    remedy = "Mend what `errors` names. Staff can apply the delivery again after an upgrade."
    is_recorded = True

    def __init__(self, errors: tuple[FieldError, ...], subject: Subject) -> None:
        super().__init__(self.code)
        self.errors = errors
        self.subject = subject


class IdConflict(Refusal):
    """The id belongs to a different conversation or message. The first one stays."""

    code = "id_conflict"
    status = HTTPStatus.CONFLICT
    detail = "This id already stands for something else; the first stays as it is."
    reason = _("The id already stands for something else; the first stays.")
    remedy = "Give each conversation and each message an id of its own."
    is_recorded = True


class ReplayCannotHelp(Refusal):
    """The delivery was not refused, is settled, or would be refused again for the same reason."""

    code = "replay_cannot_help"
    status = HTTPStatus.CONFLICT
    detail = "Applying this delivery again cannot help: it is applied, erased, or refused for good."
    reason = _("Nothing was done: applying this again cannot help.")
    remedy = "Nothing. `can_be_replayed` of `GET /deliveries/{id}` says which deliveries can be replayed."


class ConversationNotFound(Refusal):
    """No conversation has this id."""

    code = "conversation_not_found"
    status = HTTPStatus.NOT_FOUND
    detail = "No conversation has this id."
    reason = _("The conversation was not known.")
    remedy = (
        "An event is kept, and applied when its conversation arrives; a repetition does no harm. "
        "For a read check the id."
    )
    retry = True
    is_recorded = True


class EventTooEarly(ConversationNotFound):
    """An event for a conversation not opened yet. Kept, and applied after the opening."""

    detail = (
        "No conversation has this id yet. The event is kept, and applied if its NEW_CONVERSATION "
        "arrives in time."
    )


class EarlierEventsWait(ConversationNotFound):
    """An event behind early events of its conversation still to be applied. Kept, and applied next."""

    detail = (
        "Earlier events of this conversation are still being applied. The event is kept, and "
        "applied after them."
    )


class ConversationClosed(Refusal):
    """A CLOSED conversation takes no message, whatever the message's timestamp."""

    code = "conversation_closed"
    status = HTTPStatus.BAD_REQUEST
    detail = "The conversation is closed; sending the message again cannot help."
    reason = _("The conversation was closed.")
    remedy = "Open a new conversation. The agents see the text of a customer."
    is_recorded = True


class ConversationErased(Refusal):
    """Answered like a closed conversation, but without noting that the customer wrote."""

    code = ConversationClosed.code
    status = ConversationClosed.status
    detail = ConversationClosed.detail
    reason = ConversationClosed.reason
    remedy = ConversationClosed.remedy
    is_recorded = True


# The request: refused before anything is recorded


class BadRequest(Refusal):
    code = "bad_request"
    status = HTTPStatus.BAD_REQUEST
    detail = "The request cannot be understood."
    remedy = "Mend what `errors` names."


class BadLength(BadRequest):
    """The Content-Length is not a number. The servers we know refuse such a request themselves."""


class HostNotAllowed(BadRequest):
    """The Host header is missing, or its name is not in ALLOWED_HOSTS."""

    detail = "The host name of the request is not in ALLOWED_HOSTS."

    def __init__(self) -> None:
        super().__init__(self.code)
        self.logged = {"why": "host"}


class BadParameters(BadRequest):
    """Wrong query parameters. A pointer is `/` and a parameter's name, or "" for the whole query."""

    detail = "The query parameters are wrong; errors lists what is."

    def __init__(self, *errors: FieldError) -> None:
        super().__init__(self.code)
        self.errors = errors


class InvalidSignature(Refusal):
    """No sender of ours signed this body, or the signature is older than the scheme allows."""

    code = "invalid_signature"
    status = HTTPStatus.UNAUTHORIZED
    detail = "The signature is missing or wrong, or its time is more than five minutes off."
    remedy = "Check the secret, the clock, and that the signed bytes are the sent ones. Then send it again."
    headers = {"WWW-Authenticate": "Webhook-Signature"}

    def __init__(self, why: str, seconds_off: int | None = None, *, address: str = "") -> None:
        super().__init__(self.code)
        self.why = why
        self.logged = {"why": why, "address": address}
        if seconds_off is not None:
            self.logged = {**self.logged, "seconds_off": seconds_off}


class NotAuthenticated(Refusal):
    code = "not_authenticated"
    status = HTTPStatus.UNAUTHORIZED
    detail = "Log in, or send a token: Authorization: Bearer."
    reason = _("Your session is over.")
    remedy = "Log in, or send a token of `manage.py createtoken`."
    headers = {"WWW-Authenticate": "Bearer"}


class Forbidden(Refusal):
    code = "forbidden"
    status = HTTPStatus.FORBIDDEN
    detail = "This is not allowed."
    reason = _(
        "You may not do this, or the page was open for too long. Go back, reload it, and try again."
    )
    remedy = "Ask the operator for the right. In a browser, load the page again."


class SenderNotAllowed(Forbidden):
    """A delivery from an address outside WEBHOOK_ALLOWED_NETWORKS. Refused unread."""

    detail = "Events are not accepted from this address."

    def __init__(self, *, address: str) -> None:
        super().__init__(self.code)
        self.logged = {"address": address}


class HttpsRequired(Refusal):
    """A token in plain text, where https is meant (SECURE_SSL_REDIRECT)."""

    code = "https_required"
    status = HTTPStatus.FORBIDDEN
    detail = "Send a token over https only. Revoke this one, because others may have read it."
    remedy = "Use https, and let the operator revoke the token."


class InsufficientScope(Refusal):
    """A valid token, but not for this address. The challenge is RFC 6750's, section 3.1."""

    code = "insufficient_scope"
    status = HTTPStatus.FORBIDDEN
    detail = "The token does not open this address. WWW-Authenticate names the scope that does."
    remedy = "Ask the operator for a token with the scope."

    def __init__(self, scope: str) -> None:
        super().__init__(self.code)
        self.headers = {"WWW-Authenticate": f'Bearer error="{self.code}", scope="{scope}"'}


class NotFound(Refusal):
    code = "not_found"
    status = HTTPStatus.NOT_FOUND
    detail = "There is nothing at this address."
    reason = _("There is nothing at this address.")
    remedy = "Check the address."


class MethodNotAllowed(Refusal):
    code = "method_not_allowed"
    status = HTTPStatus.METHOD_NOT_ALLOWED
    detail = "This address does not take that method; Allow names those it takes."
    remedy = "Use a method that the header `Allow` names."


class LengthRequired(Refusal):
    """A chunked body, on a server without a sign of the body's end (RFC 9112, section 6.3)."""

    code = "length_required"
    status = HTTPStatus.LENGTH_REQUIRED
    detail = "This server cannot read a body without a Content-Length."
    remedy = "Send a `Content-Length`."


class CursorExpired(Refusal):
    """The changes after the cursor were pruned, or the database was restored or copied since."""

    code = "cursor_expired"
    status = HTTPStatus.GONE
    detail = (
        "What comes after this cursor is not kept, or the database was restored. Begin again: take "
        "`next` of /changes?after=now, read all of /conversations?ordering=oldest, then follow from "
        "that `next`."
    )
    remedy = "Begin again as [changes.md](changes.md) says."


class PreconditionFailed(Refusal):
    code = "precondition_failed"
    status = HTTPStatus.PRECONDITION_FAILED
    detail = "The conversation is not in the state that the request asks for."
    remedy = "Read it again, then decide again."


class BodyTooLarge(Refusal):
    """More than MAX_BODY_BYTES, by its Content-Length or by count."""

    code = "body_too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    detail = "The body is larger than 4 MiB."
    remedy = "Send less than the limit."


class FormTooLarge(BodyTooLarge):
    """A form of more than MAX_FORM_BYTES, by its Content-Length or by count."""

    detail = "The form is larger than 64 KiB."
    reason = _("The form is too large.")


class UnsupportedMediaType(Refusal):
    """Not application/json, or with a Content-Encoding."""

    code = "unsupported_media_type"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    detail = "Send application/json, without a Content-Encoding."
    remedy = "Send `Content-Type: application/json`, and no `Content-Encoding`."


class RangeNotSatisfiable(Refusal):
    code = "range_not_satisfiable"
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    detail = "There is no such range of this file."
    remedy = "Ask for the whole file."


class TooManyAttempts(Refusal):
    code = "too_many_attempts"
    status = HTTPStatus.TOO_MANY_REQUESTS
    detail = "There were too many attempts; Retry-After says when to go on."
    retry = True


class LockedOut(TooManyAttempts):
    """Too many wrong passwords for one name from one address."""

    def __init__(self, remaining: timedelta) -> None:
        super().__init__(self.code)
        seconds = math.ceil(remaining.total_seconds())
        minutes = math.ceil(seconds / 60)
        self.headers = {"Retry-After": str(seconds)}
        self.reason = ngettext_lazy(
            "The password of this name was wrong too often from here. Nobody can log in with it for "
            "%(minutes)s minute, not even with the right password.",
            "The password of this name was wrong too often from here. Nobody can log in with it for "
            "%(minutes)s minutes, not even with the right password.",
            minutes,
        ) % {"minutes": minutes}


class RateLimited(Refusal):
    """More reads within a minute than READS_PER_MINUTE_BY_TOKEN or READS_PER_MINUTE_BY_ADDRESS."""

    code = "rate_limited"
    status = HTTPStatus.TOO_MANY_REQUESTS
    detail = "There were too many reads within a minute; Retry-After says when to go on."
    retry = True

    def __init__(self, wait: float | None) -> None:
        super().__init__(self.code)
        self.headers = {"Retry-After": str(math.ceil(wait or 60))}


class TooManyLogins(Refusal):
    """Other passwords are being checked, and no turn came in time. Nothing was counted."""

    code = "too_many_logins"
    status = HTTPStatus.TOO_MANY_REQUESTS
    detail = "Too many passwords are being checked at this moment."
    reason = _("Too many people are logging in at this moment. Try again in a few seconds.")
    retry = True
    headers = {"Retry-After": "5"}


class TryAgain(Refusal):
    """The database is locked, full or gone, or the service has a bug.

    Nothing was stored, unless only the answer to COMMIT was lost.
    """

    code = "try_again"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    detail = "It is not certain that this was stored. Send it again after a while."
    reason = _("The service cannot answer right now. Nothing is lost; try again in a moment.")
    retry = True
    headers = {"Retry-After": "5"}


class TooManyBodies(Refusal):
    """There are MAX_BODIES_BYTES of large bodies in this process. This one was not read."""

    code = "too_many_bodies"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    detail = "Too many large bodies are being received. Nothing was stored; send it again."
    retry = True
    headers = {"Retry-After": "1"}


class BodyTooSlow(TooManyBodies):
    """A large body took longer than SECONDS_FOR_A_MIB allow, and others get its room."""

    detail = "The body came too slowly. Nothing was stored; send it again."


class TooManyReads(Refusal):
    """Other long conversations or statistics are being read, and no turn came in time."""

    code = "too_many_reads"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    detail = "Too many long answers are being made at this moment. Send the request again."
    reason = _(
        "Other long conversations or statistics are being read at this moment. Try again in a few "
        "seconds."
    )
    retry = True
    headers = {"Retry-After": "5"}


class PeriodTooLong(Refusal):
    """The statistics of the period take longer to read than a request may."""

    code = "period_too_long"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    detail = "Reading this period takes too long. Ask for a shorter one, or at a quiet hour."
    reason = _(
        "The statistics of this period take too long to read. Choose a shorter period, or try again "
        "at a quiet hour."
    )
    retry = True
    headers = {"Retry-After": "60"}


class NotMigrated(TryAgain):
    """The code is older or newer than the schema of the database. /readyz names the migrations."""

    detail = "This version of the service does not fit its database. Nothing was stored; try again."


class NotReady(TryAgain):
    """This process cannot take events. `errors` has every reason."""

    detail = "This process cannot take events; errors says why."

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__(self.code)
        self.errors = errors


ALL: tuple[type[Refusal], ...] = tuple(REFUSALS.values())
OF_EVENTS: tuple[type[Refusal], ...] = tuple(each for each in ALL if each.is_recorded)
# For answers made by Django or a library, because these carry only a status.
OF_STATUS: dict[int, type[Refusal]] = {
    400: BadRequest,
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    410: CursorExpired,
    411: LengthRequired,
    412: PreconditionFailed,
    413: BodyTooLarge,
    415: UnsupportedMediaType,
    416: RangeNotSatisfiable,
    429: TooManyAttempts,
    503: TryAgain,
}


def refusal_for(status: int) -> type[Refusal]:
    """Return the refusal for an answer with only a status."""
    return OF_STATUS.get(status) or (TryAgain if status >= 500 else BadRequest)


def reason_of(code: str) -> str:
    """Return the words for a person, or the code itself if only an older version had this code."""
    return str(REFUSALS[code].reason) if code in REFUSALS else code
