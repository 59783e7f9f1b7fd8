"""An example of each answer and of each event. Each answer is made, and so checked, by its model."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from chat.api.hits import HitOut, HitsOut, MarkOut, MessageDetailOut
from chat.api.serializers import (
    ChangeOut,
    ChangesOut,
    ConversationListOut,
    ConversationOut,
    ConversationRowOut,
    DeliveriesOut,
    DeliveryDetailOut,
    DeliveryOut,
    LastMessageOut,
    MessagePageOut,
    OutcomeOut,
)
from chat.models import Change, Delivery
from chat.refusals import (
    REFUSALS,
    BadParameters,
    FieldError,
    InvalidEvent,
    Refusal,
    Subject,
)
from chat.statistics import DayFigures, Durations, HourFigures, Statistics

CONVERSATION_ID = UUID("6a41b347-8d80-4ce9-84ba-7af66f369f6a")
MESSAGE_ID = UUID("49108c71-4dca-4af3-9f32-61bc745926e2")
REQUEST_ID = UUID("0b6f8f52-6a0e-4f0f-8a51-0d5f6ff0d8a4")
OPENED = datetime(2026, 2, 21, 10, 20, 41, 349308, tzinfo=UTC)
WRITTEN = datetime(2026, 2, 21, 10, 20, 42, 349308, tzinfo=UTC)
TEXT = "Olá, tudo bem?"

# Events

EVENTS: dict[str, dict[str, Any]] = {
    "NEW_CONVERSATION": {
        "type": "NEW_CONVERSATION",
        "timestamp": "2026-02-21T10:20:41.349308",
        "data": {"id": str(CONVERSATION_ID)},
    },
    "NEW_MESSAGE": {
        "type": "NEW_MESSAGE",
        "timestamp": "2026-02-21T10:20:42.349308Z",
        "data": {
            "id": str(MESSAGE_ID),
            "direction": "RECEIVED",
            "content": TEXT,
            "conversation_id": str(CONVERSATION_ID),
        },
    },
    "CLOSE_CONVERSATION": {
        "type": "CLOSE_CONVERSATION",
        "timestamp": "2026-02-21T07:20:45-03:00",
        "data": {"id": str(CONVERSATION_ID)},
    },
}

# Answers

APPLIED = OutcomeOut(outcome="applied", type="NEW_MESSAGE", id=MESSAGE_ID)
DUPLICATE = OutcomeOut(outcome="duplicate", type="NEW_MESSAGE", id=MESSAGE_ID)

CONVERSATION = ConversationOut(
    id=CONVERSATION_ID,
    state="OPEN",
    opened_at=OPENED,
    closed_at=None,
    messages=[{"id": MESSAGE_ID, "direction": "RECEIVED", "content": TEXT, "timestamp": WRITTEN}],
)

CONVERSATIONS = ConversationListOut(
    conversations=[
        ConversationRowOut(
            id=CONVERSATION_ID,
            state="OPEN",
            opened_at=OPENED,
            closed_at=None,
            needs_reply=True,
            waiting_since=WRITTEN,
            activity_at=WRITTEN,
            updated_at=WRITTEN + timedelta(seconds=1),
            erased_at=None,
            wrote_after_closing_at=None,
            dealt_with_at=None,
            message_count=1,
            last_message=LastMessageOut(direction="RECEIVED", preview=TEXT, timestamp=WRITTEN),
        )
    ],
    next=None,
)

MESSAGES = MessagePageOut(
    messages=[
        {
            "id": MESSAGE_ID,
            "direction": "RECEIVED",
            "content": TEXT,
            "timestamp": WRITTEN,
            "received_at": WRITTEN + timedelta(seconds=1),
            "late": False,
        }
    ],
    has_older=False,
    has_newer=False,
)

PAGE = f"https://support.example/ui/{CONVERSATION_ID}/?message={MESSAGE_ID}"
HITS = HitsOut(
    messages=[
        HitOut(
            id=MESSAGE_ID,
            conversation_id=CONVERSATION_ID,
            direction="RECEIVED",
            timestamp=WRITTEN,
            snippet=TEXT,
            marks=[MarkOut(start=5, end=9)],
            url=PAGE,
        )
    ],
    next=None,
)
MESSAGE = MessageDetailOut(
    id=MESSAGE_ID,
    conversation_id=CONVERSATION_ID,
    direction="RECEIVED",
    content=TEXT,
    timestamp=WRITTEN,
    url=PAGE,
)

TRANSCRIPT = f"""\
Conversation {CONVERSATION_ID}
State: OPEN
Opened: 2026-02-21T10:20:41.349308Z
Messages: 1

2026-02-21T10:20:42.349308Z RECEIVED
    {TEXT}
"""

TRANSCRIPT_CSV = (
    "\ufefftimestamp,direction,content,id\r\n"
    f'2026-02-21T10:20:42.349308Z,RECEIVED,"{TEXT}",{MESSAGE_ID}\r\n'
)

CHANGES = ChangesOut(
    changes=[
        ChangeOut(
            type=Change.Type.MESSAGE,
            at=WRITTEN + timedelta(seconds=1),
            conversation_id=CONVERSATION_ID,
            message_id=MESSAGE_ID,
        )
    ],
    next="5f0c2a91-1482",
)

DELIVERY = DeliveryOut(
    id=1207,
    received_at=WRITTEN + timedelta(seconds=1),
    type=Delivery.Type.NEW_MESSAGE,
    conversation_id=CONVERSATION_ID,
    message_id=MESSAGE_ID,
    timestamp=WRITTEN,
    outcome=Delivery.Outcome.REFUSED,
    code="conversation_closed",
    request_id=REQUEST_ID,
    caller_request_id=None,
    webhook_id="msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
    replays=None,
    replayed_by=[],
)

DELIVERIES = DeliveriesOut(deliveries=[DELIVERY], next=None)

INVALID_ID = FieldError("/data/id", "invalid_id", "Must be a UUID in the form 8-4-4-4-12.")
DELIVERY_DETAIL = DeliveryDetailOut(
    **DELIVERY.model_dump()
    | {"type": "NEW_CONVERSATION", "conversation_id": None, "message_id": None}
    | {"timestamp": OPENED, "code": "invalid_event"},
    errors=[INVALID_ID],
    can_be_replayed=True,
    body=None,
    body_base64=None,
)

EXPORT = (
    f'{{"cursor":"5f0c2a91-m1481","id":"{MESSAGE_ID}","conversation_id":"{CONVERSATION_ID}",'
    f'"direction":"RECEIVED","content":"{TEXT}","timestamp":"2026-02-21T10:20:42.349308Z",'
    '"received_at":"2026-02-21T10:20:43.349308Z"}\n{"next":"5f0c2a91-m1481"}\n'
)

SECONDS = Durations(count=1, median_seconds=42.5)
NO_SECONDS = Durations(count=0, median_seconds=None)
STATISTICS = Statistics(
    days=7,
    first=date(2026, 2, 15),
    last=date(2026, 2, 21),
    time_zone="America/Sao_Paulo",
    as_of=WRITTEN,
    open_now=3,
    needs_reply_now=1,
    conversations_opened=1,
    messages_received=2,
    messages_sent=1,
    first_reply=SECONDS,
    reply=SECONDS,
    time_to_close=NO_SECONDS,
    by_day=[
        DayFigures(
            date=date(2026, 2, 21),
            conversations_opened=1,
            messages_received=2,
            messages_sent=1,
            first_reply=SECONDS,
            reply=SECONDS,
            time_to_close=NO_SECONDS,
        )
    ],
    by_hour=[HourFigures(hour=7, messages_received=2, messages_sent=1)],
)

METRICS = 'realmate_deliveries_total{outcome="applied"} 1482.0\n'

# Problems

REFUSED: dict[str, Refusal | type[Refusal]] = REFUSALS | {
    "invalid_event": InvalidEvent((INVALID_ID,), Subject()),
    "bad_parameters": BadParameters(
        FieldError("/limit", "invalid_limit", "Must be a number from 1 to 100.")
    ),
}
