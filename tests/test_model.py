"""Random events against a small model of the rules, written from docs/requirements.md and not from the code."""

import json
from collections import namedtuple
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import pytest
from django.core.management.color import no_style
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from chat.events.ingest import ingest
from chat.models import Conversation, Dealing, Delivery, Message, MessageWords, Seen
from tests.conftest import NOW

pytestmark = pytest.mark.both_engines("random events, one model, two engines")

CONVERSATIONS = [f"{n}a41b347-8d80-4ce9-84ba-7af66f369f6a" for n in range(3)]
MESSAGES = [*CONVERSATIONS[:1], *(f"{n}9108c71-4dca-4af3-9f32-61bc745926e2" for n in range(8))]
WINDOW = timedelta(hours=24)
READER = Client()

Event = namedtuple("Event", "type at id conversation_id direction content")
Arrived = namedtuple("Arrived", "id direction content at received_at")
Row = namedtuple("Row", "type conversation_id message_id outcome code replays")


# The model


@dataclass
class Thread:
    """A conversation, as the list of its arrived messages."""

    opened_at: datetime
    activity_at: datetime
    closed_at: datetime | None = None
    revision: int = 1
    arrivals: list = field(default_factory=list)
    wrote_after_closing: dict = field(default_factory=dict)  # from (id, text) to its time

    def in_order(self):
        return sorted(
            self.arrivals, key=lambda message: message.at
        )  # a stable sort: then by arrival

    def waiting_since(self):
        since = None
        for message in self.in_order():
            since = None if message.direction == "SENT" else since or message.at
        return None if self.closed_at else since

    def late(self):
        """Return the ids of messages placed above a message with an earlier arrival."""
        return {
            message.id
            for n, message in enumerate(self.arrivals)
            if any(earlier.at > message.at for earlier in self.arrivals[:n])
        }

    def row(self):
        """Return the row of the inbox."""
        last = self.in_order()[-1] if self.arrivals else None
        activity_at = min(last.at, last.received_at) if last else self.activity_at
        return {
            "state": "CLOSED" if self.closed_at else "OPEN",
            "opened_at": self.opened_at,
            "closed_at": self.closed_at,
            "revision": self.revision,
            "message_count": len(self.arrivals),
            "activity_at": max([activity_at, *self.wrote_after_closing.values()]),
            "wrote_after_closing_at": max(self.wrote_after_closing.values(), default=None),
            "wrote_after_closing_count": len(self.wrote_after_closing),
            "waiting_since": self.waiting_since(),
            "last_message_at": last.at if last else None,
            "last_message_direction": last.direction if last else "",
            "last_message_preview": last.content.strip() if last else "",
        }


class Rules:
    """The expected answers and the expected stored rows."""

    def __init__(self):
        self.threads = {}
        self.log = []
        self.early = []

    def deliver(self, event, now, replays=None):
        said = self.said(event, now)
        outcome, code = (said, "") if said in ("applied", "duplicate") else ("refused", said)
        message_id = event.id if event.type == "NEW_MESSAGE" else None
        self.log.append(Row(event.type, event.conversation_id, message_id, outcome, code, replays))
        if said == "conversation_not_found":
            self.early.append((event, now, len(self.log) - 1))
        if said == "applied" and event.type == "NEW_CONVERSATION":
            self.replay_early(event.conversation_id, now)
        return said

    def replay_early(self, id, now):
        waiting = [early for early in self.early if early[0].conversation_id == id]
        in_time = [early for early in waiting if now - early[1] <= WINDOW]
        in_time.sort(key=lambda early: (early[0].at, early[0].type != "NEW_MESSAGE"))
        for event, received_at, number in in_time:
            self.deliver(event, received_at, replays=number)

    def said(self, event, now):
        thread = self.threads.get(event.conversation_id)
        if event.type == "NEW_CONVERSATION":
            if thread:
                return "duplicate" if thread.opened_at == event.at else "id_conflict"
            self.threads[event.conversation_id] = Thread(event.at, min(event.at, now))
            return "applied"
        if event.type == "NEW_MESSAGE" and (first := self.find(event.id)):
            same = first == (event.conversation_id, event.direction, event.content, event.at)
            return "duplicate" if same else "id_conflict"
        if not thread:
            return "conversation_not_found"
        if event.type == "CLOSE_CONVERSATION":
            return self.close(thread, event.at)
        if thread.closed_at:
            if event.direction == "RECEIVED":
                at = min(event.at, now)
                thread.wrote_after_closing.setdefault((event.id, event.content), at)
            return "conversation_closed"
        thread.arrivals.append(Arrived(event.id, event.direction, event.content, event.at, now))
        thread.revision += 1
        return "applied"

    def close(self, thread, at):
        if thread.closed_at:
            return "duplicate"
        thread.closed_at = at
        thread.revision += 1
        return "applied"

    def find(self, message_id):
        for id, thread in self.threads.items():
            for message in thread.arrivals:
                if message.id == message_id:
                    return id, message.direction, message.content, message.at
        return None


# Events of senders: few ids and times, so that ids meet, times tie, and some times are in the future


def instants(*seconds):
    return st.sampled_from([NOW + timedelta(seconds=second) for second in seconds])


def about_a_conversation(type, at):
    return st.builds(
        lambda at, name: Event(type, at, name, name, "", ""), at, st.sampled_from(CONVERSATIONS)
    )


def texts(direction):
    return st.builds(
        Event,
        st.just("NEW_MESSAGE"),
        instants(-5, 0, 0.000001, 1, 2, 3, 90_000),
        st.sampled_from(MESSAGES),
        st.sampled_from(CONVERSATIONS),
        st.just(direction),
        st.sampled_from(["Olá", "Olá "]),
    )


openings = about_a_conversation("NEW_CONVERSATION", instants(0, 2))
closes = about_a_conversation("CLOSE_CONVERSATION", instants(2, 3))
received, sent = texts("RECEIVED"), texts("SENT")
events = st.sampled_from([openings, *[received, sent] * 4, closes]).flatmap(lambda chosen: chosen)
waits = st.sampled_from([timedelta(), timedelta(), timedelta(seconds=2), timedelta(hours=13)])

SPELLINGS = [
    lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
    lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%f999Z"),
    lambda at: at.astimezone(timezone(timedelta(hours=-3))).isoformat(),
    lambda at: at.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat(),
]


def body_of(event, number):
    """Spell the event in another way for each number: equal events may look different."""
    cased = str.upper if number % 2 else str
    data = {"id": cased(event.id)}
    if event.type == "NEW_MESSAGE":
        data["conversation_id"] = cased(event.conversation_id)
        data |= {"direction": event.direction, "content": event.content}
    spelled = SPELLINGS[number % len(SPELLINGS)]
    return json.dumps({"type": event.type, "timestamp": spelled(event.at), "data": data}).encode()


class Senders(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.rules = Rules()
        self.now = NOW
        self.sent = []

    @rule(burst=st.lists(events, min_size=3, max_size=8), wait=waits)
    def deliver(self, burst, wait):
        self.now += wait
        for event in burst:
            self.sent.append(event)
            self.send(event)

    @rule(which=st.lists(st.integers(0, 30), min_size=1, max_size=8))
    def redeliver(self, which):
        for number in which if self.sent else []:
            self.send(self.sent[number % len(self.sent)])

    @rule(event=received, blank=st.sampled_from(["", " \n", "\u2003"]))
    def deliver_malformed(self, event, blank):
        body = body_of(event._replace(content=blank), 0)
        assert ingest(body, received_at=self.now).code == "invalid_event"
        ids = event.conversation_id, event.id
        self.rules.log.append(Row("NEW_MESSAGE", *ids, "refused", "invalid_event", None))

    def send(self, event):
        result = ingest(body_of(event, len(self.rules.log)), received_at=self.now)
        assert (result.code or result.outcome) == self.rules.deliver(event, self.now)

    @invariant()
    def the_inbox_shows_what_the_rules_say(self):
        columns = list(Thread(NOW, NOW).row())
        rows = {str(row.pop("id")): row for row in Conversation.objects.values("id", *columns)}
        assert rows == {id: thread.row() for id, thread in self.rules.threads.items()}

    @invariant()
    def the_messages_are_what_the_rules_say(self):
        stored = {id: [] for id in self.rules.threads}
        for message in Message.objects.order_by("timestamp", "arrival"):
            members = message.direction, message.content, message.timestamp, message.received_at
            stored[str(message.conversation_id)].append(Arrived(str(message.id), *members))
        assert stored == {id: thread.in_order() for id, thread in self.rules.threads.items()}
        late = {str(id) for id in Message.objects.filter(late=True).values_list("id", flat=True)}
        assert late == set().union(*(thread.late() for thread in self.rules.threads.values()))

    @invariant()
    def the_log_says_what_became_of_each(self):
        rows = list(Delivery.objects.order_by("id").values_list("id", *Row._fields))
        number = {row[0]: n for n, row in enumerate(rows)} | {None: None}
        assert [
            Row(
                type,
                str(conversation_id),
                message_id and str(message_id),
                outcome,
                code,
                number[of],
            )
            for _, type, conversation_id, message_id, outcome, code, of in rows
        ] == self.rules.log

    @invariant()
    def applied_message_deliveries_are_the_messages(self):
        applied = Delivery.objects.filter(type="NEW_MESSAGE", outcome="applied")
        assert set(applied.values_list("message_id")) == set(Message.objects.values_list("id"))
        assert applied.count() == Message.objects.count()

    def teardown(self):
        """Compare the conversations with the reader's view. Then empty the tables for the next example."""
        for id, thread in self.rules.threads.items():
            served = READER.get(f"/conversations/{id}").json()
            assert [message["id"] for message in served["messages"]] == [
                message.id for message in thread.in_order()
            ]
            assert served["state"] == thread.row()["state"]
        empty(Delivery, MessageWords, Message, Dealing, Seen, Conversation)


def empty(*models):
    """Truncate the tables, because PostgreSQL still scans deleted rows until the transaction ends."""
    tables = [model._meta.db_table for model in models]
    connection.check_constraints()  # no table can be emptied while some of its rows are unchecked
    with connection.cursor() as cursor:
        for statement in connection.ops.sql_flush(no_style(), tables):
            cursor.execute(statement)


@pytest.mark.django_db
@pytest.mark.proof
def test_random_events_do_what_the_rules_say(rounds):
    run_state_machine_as_test(
        Senders,
        settings=settings(
            max_examples=rounds(quick=20, ci=30, long=2_000),
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
