"""The query parameters of each address with parameters."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from chat.api.parameters import (
    MAX_CHANGES,
    MAX_WAIT,
    Cursor,
    Days,
    Flag,
    Limit,
    OnlyTrue,
    Ordering,
    Parameters,
    Search,
    State,
    contradiction,
    many_parameter,
    one_of,
    refuse_backwards,
    wait_parameter,
)
from chat.events.payloads import Id, Timestamp
from chat.models import Conversation, Direction, HitFilters, Sort, Within
from chat.statistics import DEFAULT_PERIOD

DEFAULT_LIMIT = 50
DEFAULT_CHANGES = 100
COUNTED_UP_TO = 10_000


class PageParameters(Parameters):
    """The length and the start of a page."""

    limit: Limit = Field(DEFAULT_LIMIT, description="Rows per page.")
    cursor: Cursor = Field(
        "", description="`next` of the previous page. Keep the other parameters unchanged."
    )


ENDS = ("from", "to")
# The times that may have bounds: the column of each, and the orders with an index by this column.
BOUNDED: dict[str, tuple[Any, tuple[Sort, ...]]] = {
    "opened": ("opened_at", (Sort.OLDEST, Sort.NEWEST)),
    "closed": ("closed_at", (Sort.OLDEST,)),
    "active": ("activity_at", (Sort.LATEST,)),
    "waiting": ("waits_from", (Sort.WAITING,)),
}


def bound(kind: str, order: str) -> Any:
    times = {
        "opened": "`opened_at`",
        "closed": "`closed_at`",
        "active": "`activity_at`",
        "waiting": "`waiting_since`",
    }
    return Field(
        None,
        description=f"Bounds of {times[kind]}: from `{kind}_from`, before `{kind}_to`. Only one time may "
        f"have bounds, without `q` and `updated_since`. The order is {order}.",
    )


def refuse_none_of_these(kind: str, others: dict[str, Any]) -> None:
    """Raise a contradiction if no conversation can have such a time and fit the other filters."""
    state, needs_reply = others.get("state"), others.get("needs_reply")
    wrote_after_closing = others.get("wrote_after_closing")
    if kind == "closed" and (state == Conversation.State.OPEN or needs_reply):
        raise contradiction("An OPEN conversation has no time of closing.")
    if kind == "waiting" and (state == Conversation.State.CLOSED or needs_reply is False):
        raise contradiction("None of these conversations waits for a reply.")
    if wrote_after_closing and kind != "opened":
        raise contradiction("With wrote_after_closing only opened_from and opened_to are bounds.")


class ConversationParameters(PageParameters):
    """Filters and order of conversations. Contradictory combinations are refused."""

    state: State | None = Field(
        None,
        description="Only conversations in this state. CLOSED conversations never need a reply.",
    )
    needs_reply: Flag | None = Field(
        None, description="Only conversations that need a reply, or only the others."
    )
    wrote_after_closing: OnlyTrue | None = Field(
        None,
        description="`true`: only conversations whose customer wrote after closing, as long as nobody "
        "has dealt with it. `latest` and `waiting` are by the time of that text.",
    )
    q: Search = Field(
        "",
        description="Only conversations with a message that contains all of these words. Case and "
        "accents do not matter; the last word matches as a prefix. The latest hit comes first, and "
        "`ordering` is refused. A page lists a conversation once; a later page lists it again for "
        "older hits. A page may be short or empty and still have a `next`.",
    )
    updated_since: Timestamp | None = Field(
        None,
        description="Only conversations whose `updated_at` is this time or later, by `updated_at`, "
        "oldest first; `q` and `ordering` are refused. To miss nothing follow /changes.",
    )
    opened_from: Timestamp | None = bound("opened", "`oldest` (default) or `newest`")
    opened_to: Timestamp | None = bound("opened", "`oldest` (default) or `newest`")
    closed_from: Timestamp | None = bound("closed", "the closing, oldest first")
    closed_to: Timestamp | None = bound("closed", "the closing, oldest first")
    active_from: Timestamp | None = bound("active", "`latest`")
    active_to: Timestamp | None = bound("active", "`latest`")
    waiting_from: Timestamp | None = bound("waiting", "`waiting`")
    waiting_to: Timestamp | None = bound("waiting", "`waiting`")
    ordering: Ordering = Field(
        Sort.LATEST,
        description="`latest`: by activity, newest first. `waiting`: by the longest wait for a reply, "
        "then by activity. `newest`, `oldest`: by opening. Export by `oldest`: no conversation moves "
        "in it. In the others a conversation that changes may move past the cursor.",
    )
    count: OnlyTrue | None = Field(
        None,
        description=f"`true`: also give `count`, how many conversations match on all pages. It is "
        f"exact up to {COUNTED_UP_TO:,}; then it is {COUNTED_UP_TO} and `more` is true.",
    )

    @property
    def within(self) -> Within | None:
        """The bounds, if any. All bounds are of the same time."""
        for kind, (field, _) in BOUNDED.items():
            since, until = (getattr(self, f"{kind}_{side}") for side in ("from", "to"))
            if since or until:
                return Within(field, since, until)
        return None

    @property
    def sort(self) -> Sort:
        """The given order, or the one of the bounds."""
        if "ordering" in self.model_fields_set or self.within is None:
            return self.ordering
        return next(sorts for field, sorts in BOUNDED.values() if field == self.within.field)[0]

    @field_validator("wrote_after_closing")
    @classmethod
    def these_are_closed(cls, value: bool, info: ValidationInfo) -> bool:
        if info.data.get("state") == Conversation.State.OPEN or info.data.get("needs_reply"):
            raise contradiction("A customer who wrote after closing is in a CLOSED conversation.")
        return value

    @field_validator(*(f"{kind}_{side}" for kind in BOUNDED for side in ("from", "to")))
    @classmethod
    def bounds_fit(cls, value: datetime, info: ValidationInfo) -> datetime:
        others: dict[str, Any] = info.data
        kind, _, side = str(info.field_name).partition("_")
        if others.get("q") or others.get("updated_since"):
            raise contradiction("q and updated_since have orders of their own.")
        if any(others.get(f"{other}_{end}") for other in BOUNDED for end in ENDS if other != kind):
            raise contradiction("Only one of the times may have bounds.")
        if side == "to":
            refuse_backwards(others.get(f"{kind}_from"), value, begins=f"{kind}_from")
        refuse_none_of_these(kind, others)
        return value

    @field_validator("updated_since")
    @classmethod
    def order_is_that_of_the_updates(cls, value: datetime, info: ValidationInfo) -> datetime:
        if info.data.get("q"):
            raise contradiction("With q, the order is that of the hits, the latest arrival first.")
        if info.data.get("wrote_after_closing"):
            raise contradiction("With wrote_after_closing, the order is not that of the updates.")
        return value

    @field_validator("count")
    @classmethod
    def hits_are_not_counted(cls, value: bool, info: ValidationInfo) -> bool:
        if info.data.get("q"):
            raise contradiction("The conversations of a search are not counted.")
        return value

    @field_validator("needs_reply")
    @classmethod
    def closed_ones_need_no_reply(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("state") == Conversation.State.CLOSED:
            raise contradiction("A CLOSED conversation never needs a reply.")
        return value

    @field_validator("ordering")
    @classmethod
    def order_is_one_of_these(cls, value: Sort, info: ValidationInfo) -> Sort:
        others: dict[str, Any] = info.data
        if others.get("q"):
            raise contradiction("With q, the order is that of the hits, the latest arrival first.")
        if others.get("updated_since"):
            raise contradiction("With updated_since, the order is that of the updates.")
        for kind, (_, sorts) in BOUNDED.items():
            if any(others.get(f"{kind}_{end}") for end in ENDS) and value not in sorts:
                raise contradiction(f"Bounds of {kind} have another order.")
        nobody_waits = others.get("state") == Conversation.State.CLOSED
        if value == Sort.WAITING and (nobody_waits or others.get("needs_reply") is False):
            raise contradiction("None of these conversations waits for a reply.")
        return value


class ChangeParameters(Parameters):
    """The start of the changes, their number, and how long to wait for the first one."""

    after: Cursor = Field(
        "",
        description="`next` of an earlier answer: the changes after it. `now`: no change, and a "
        "`next` to follow from. Without it: from the oldest change that is kept.",
    )
    limit: Annotated[
        int,
        BeforeValidator(many_parameter),
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_CHANGES}),
    ] = Field(DEFAULT_CHANGES, description="Changes per answer.")
    wait: Annotated[
        int,
        BeforeValidator(wait_parameter),
        WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_WAIT}),
    ] = Field(
        0,
        description="Seconds to wait if there is no change yet. The answer comes with the first "
        "change, and at once if too many others wait, or if the server stops.",
    )


class WrittenParameters(Parameters):
    """Bounds of the times of messages."""

    since: Timestamp | None = Field(
        None, alias="from", description="Only messages whose `timestamp` is this time or later."
    )
    until: Timestamp | None = Field(
        None, alias="to", description="Only messages whose `timestamp` is before this time."
    )

    @field_validator("until")
    @classmethod
    def time_runs_forward(cls, value: datetime, info: ValidationInfo) -> datetime:
        refuse_backwards(info.data.get("since"), value, begins="from")
        return value


class ExportParameters(WrittenParameters):
    """The messages of an export, and the cursor to continue from."""

    after: Cursor = Field(
        "",
        description="`cursor` of the last line that came, or `next` of a whole export: the messages "
        "that arrived after it. Keep the other parameters unchanged.",
    )


class FindParameters(WrittenParameters, PageParameters):
    """Without `q`: all messages that match the filters. A page looks at 1,000 messages at most, so a
    short or empty page may still have a `next`.
    """

    q: Search = Field(
        "",
        description="Only messages that contain all of these words. Case and accents do not matter; "
        "the last word matches as a prefix.",
    )
    direction: Annotated[Direction, one_of(*Direction.values)] | None = Field(
        None, description="Only messages of this direction."
    )
    state: State | None = Field(
        None, description="Only messages of conversations that are in this state now."
    )
    conversation: Id | None = Field(
        None,
        description="Only messages of this conversation. Without `q` the order is that of the thread, "
        "newest first.",
    )
    exact: OnlyTrue | None = Field(
        None, description="`true`: the words of `q` stand side by side, each as a whole."
    )

    @property
    def filters(self) -> HitFilters:
        return HitFilters(
            since=self.since,
            until=self.until,
            direction=self.direction or "",
            state=self.state or "",
            conversation=self.conversation,
            is_exact=bool(self.exact),
        )

    @field_validator("exact")
    @classmethod
    def exact_are_words(cls, value: bool, info: ValidationInfo) -> bool:
        if info.data.get("q") == "":
            raise contradiction("Without q there is no phrase.")
        return value


class StatsParameters(Parameters):
    """The period of the statistics."""

    days: Days = Field(DEFAULT_PERIOD, description="The number of days up to and including today.")


class MessageParameters(Parameters):
    """Without before, after and around: the newest messages. At most one of the three."""

    limit: Limit = Field(DEFAULT_LIMIT, description="Rows per page.")
    before: Id | None = Field(None, description="The messages before this one.")
    after: Id | None = Field(None, description="The messages after this one.")
    around: Id | None = Field(None, description="This message, and messages on both sides.")

    @field_validator("after", "around")
    @classmethod
    def one_place_only(cls, value: UUID, info: ValidationInfo) -> UUID:
        if any(info.data.get(name) for name in ("before", "after")):
            raise contradiction("At most one of before, after and around.")
        return value
