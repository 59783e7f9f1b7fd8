"""The state of a conversation: the inbox's columns, and the JSON of one conversation."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from chat.models import Conversation, ConversationQuerySet, Filter, Message
from chat.views.listing import NOBODY, Listing, stamp_sql
from tests.conftest import NOW, OTHER_C, C, M, make_event

pytestmark = pytest.mark.both_engines("what a rule leaves on the conversation")

OPEN = make_event("NEW_CONVERSATION", id=C, at="2025-02-21T10:20:00")
CLOSE = make_event("CLOSE_CONVERSATION", id=C, at="2025-02-21T10:21:00")


def message(n, direction="RECEIVED", *, at=None, content=None):
    """The n-th message, written n seconds after 10:20 unless told otherwise."""
    return make_event(
        "NEW_MESSAGE",
        id=f"{n:08x}-4dca-4af3-9f32-61bc745926e2",
        at=at or f"2025-02-21T10:20:{n:02}",
        direction=direction,
        content=content or f"text {n}",
    )


def received(n, **more):
    return message(n, "RECEIVED", **more)


def sent(n, **more):
    return message(n, "SENT", **more)


def at(second):
    return datetime(2025, 2, 21, 10, 20, second, tzinfo=UTC)


@pytest.fixture
def after(deliver):
    """Open the conversation, and deliver these events. Return the stored conversation."""

    def after(*events):
        deliver(OPEN)
        for event in events:
            deliver(event)
        return Conversation.objects.get(id=C)

    return after


# The last message


def test_an_empty_conversation_has_no_last_message(after):
    conversation = after()
    assert conversation.last_message_at is None
    assert (conversation.last_message_direction, conversation.last_message_preview) == ("", "")


def test_the_last_message_is_the_last_by_timestamp(after):
    conversation = after(received(5), sent(7), received(6))
    assert conversation.last_message_at == at(7)
    assert conversation.last_message_direction == "SENT"
    assert conversation.last_message_preview == "text 7"


def test_of_one_instant_the_last_message_is_the_last_to_arrive(after):
    conversation = after(sent(9), received(1, at="2025-02-21T10:20:09"))
    assert conversation.last_message_preview == "text 1"
    assert conversation.waiting_since == at(9)


def test_the_last_message_stays_when_the_conversation_closes(after):
    conversation = after(received(5), CLOSE)
    assert (conversation.last_message_at, conversation.last_message_preview) == (at(5), "text 5")


@pytest.mark.parametrize(
    ("content", "preview"),
    [
        (" Olá,\n\ntudo   bem?\t", "Olá, tudo bem?"),
        ("a" * 500, "a" * 200),
        ("\n" * 100 + "text", "text"),
        ("👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"),
        ("a" + "🇧🇷" * 150, "a" + "🇧🇷" * 99),
        ("👩‍👩‍👧‍👦" * 40, "👩‍👩‍👧‍👦" * 28),
        ("a" + "e\u0301" * 150, "a" + "e\u0301" * 99),
    ],
    ids=["one line", "cut", "from the first word", "emoji", "flags", "families", "accents"],
)
def test_the_preview_is_the_beginning_on_one_line(after, content, preview):
    assert after(received(5, content=content)).last_message_preview == preview


# Activity


def test_activity_begins_with_the_opening(after):
    assert after().activity_at == at(0)


def test_activity_is_the_time_of_the_last_message(after):
    assert after(received(5), received(9), received(7)).activity_at == at(9)


def test_a_close_is_no_activity(after):
    assert after(received(5), CLOSE).activity_at == at(5)


def test_a_message_older_than_its_conversation_is_the_activity_too(after):
    old = received(5, at="2025-02-20T00:00:00")
    assert after(old).activity_at == datetime(2025, 2, 20, tzinfo=UTC)


def test_a_clock_set_wrong_does_not_lead_the_inbox_for_ever(after, deliver):
    conversation = after(received(1, at="2999-01-01T00:00:00"))
    assert conversation.activity_at == NOW
    assert conversation.last_message_at.year == 2999
    deliver(
        make_event("NEW_CONVERSATION", id=OTHER_C, at="2025-02-21T12:00:01"), after=timedelta(1)
    )
    assert str(Conversation.objects.order_by("-activity_at").first().id) == OTHER_C


def test_a_conversation_opened_in_the_future_does_not_lead_either(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C, at="2999-01-01T00:00:00"))
    assert Conversation.objects.get().activity_at == NOW


def test_a_message_in_the_future_counts_from_its_arrival(deliver):
    deliver(OPEN)
    deliver(received(1, at="2026-01-01T00:00:00"), after=timedelta(minutes=1))
    deliver(received(2, at="2026-01-01T00:00:01"), after=timedelta(minutes=2))
    deliver(received(3, at="2025-12-31T00:00:00"), after=timedelta(minutes=3))
    assert Conversation.objects.get().activity_at == NOW + timedelta(minutes=2)


# Counts and revisions


def test_messages_are_counted_wherever_they_land(after):
    assert after().message_count == 0
    assert after(received(5), sent(3), received(4)).message_count == 3


def test_every_applied_event_raises_the_revision_by_one(deliver):
    revisions = []
    for event in (OPEN, received(5), sent(3), received(4), CLOSE):
        deliver(event)
        revisions.append(Conversation.objects.get().revision)
    assert revisions == [1, 2, 3, 4, 5]


def test_early_events_raise_it_too(deliver):
    for event in (received(5), received(6), CLOSE, OPEN):
        deliver(event)
    assert Conversation.objects.get().revision == 4


def test_duplicates_and_refusals_leave_everything_as_it_is(after, deliver):
    after(received(5), CLOSE)
    before = Conversation.objects.values().get()
    refused = [message(5, "SENT"), sent(9), {**OPEN, "timestamp": "2025-02-21T00:00:00"}, b"{"]
    for event in (OPEN, received(5), CLOSE, *refused):
        deliver(event)
    assert Conversation.objects.values().get() == before


# Customers writing after closing


def test_a_customer_who_writes_after_closing_is_noted_and_nothing_else_changes(after, deliver):
    after(received(5), CLOSE)
    before = Conversation.objects.values().get()
    deliver(received(9), after=timedelta(minutes=5))
    noted = {
        "wrote_after_closing_at": at(9),
        "wrote_after_closing_count": 1,
        "activity_at": at(9),
        "updated_at": NOW + timedelta(minutes=5),
    }
    assert Conversation.objects.values().get() == before | noted


def test_the_last_time_counts(after):
    assert after(CLOSE, received(7), received(9), received(8)).wrote_after_closing_at == at(9)


def test_a_redelivery_of_what_was_refused_does_not_count_again(after, deliver):
    noted = after(CLOSE, received(9))
    deliver(received(9), after=timedelta(days=2))
    assert Conversation.objects.get().wrote_after_closing_at == noted.wrote_after_closing_at


def test_a_customer_with_a_clock_set_wrong_wrote_when_it_arrived(after):
    future = received(9, at="2999-01-01T00:00:00")
    assert after(CLOSE, future).wrote_after_closing_at == NOW


def test_an_agent_who_writes_after_closing_is_not(after):
    assert after(CLOSE, sent(9)).wrote_after_closing_at is None


def test_a_customer_whose_early_message_came_after_the_close_is(deliver):
    deliver(CLOSE)
    deliver(received(5, at="2025-02-21T11:00:00"))
    deliver(OPEN)
    assert str(Conversation.objects.get().wrote_after_closing_at) == "2025-02-21 11:00:00+00:00"


# Waiting customers, and the start of their wait

WAITING = {
    "nobody wrote": ([], None),
    "the customer wrote": ([received(5)], 5),
    "the customer wrote on": ([received(5), received(7)], 5),
    "the company answered": ([received(5), sent(6)], None),
    "the company wrote first": ([sent(5)], None),
    "the customer wrote again": ([received(5), sent(6), received(7), received(8)], 7),
    "a late question before the first": ([received(5), received(3)], 3),
    "a late question between": ([received(5), received(8), received(7)], 5),
    "a late question before the answer": ([sent(6), received(8), received(3)], 8),
    "a late question after the answer": ([sent(6), received(8), received(7)], 7),
    "a late question before an answer that is last": ([sent(6), received(3)], None),
    "a late answer before the question": ([received(5), sent(3)], 5),
    "a late answer between the questions": ([received(5), received(8), sent(6)], 8),
    "a late answer above the last answer": ([received(2), sent(6), received(8), sent(4)], 8),
    "late ones of both": ([received(9), sent(4), received(2), received(6)], 6),
    "an answer of the same instant": ([received(5), sent(1, at="2025-02-21T10:20:05")], None),
    "a question of the same instant": ([sent(5), received(1, at="2025-02-21T10:20:05")], 5),
    "late, and of the same instant as the answer": (
        [sent(5), received(9), received(1, at="2025-02-21T10:20:05")],
        5,
    ),
    "a late answer of the same instant as the question": (
        [received(5), received(9), sent(1, at="2025-02-21T10:20:05")],
        9,
    ),
    "closed": ([received(5), CLOSE], None),
}


@pytest.mark.parametrize(("events", "second"), WAITING.values(), ids=WAITING)
def test_waiting_since_is_the_first_received_after_the_last_sent(after, events, second):
    conversation = after(*events)
    assert conversation.waiting_since == (at(second) if second else None)
    assert conversation.needs_reply == (second is not None)


def test_other_conversations_do_not_count(after, deliver):
    after(received(5))
    deliver(make_event("NEW_CONVERSATION", id=OTHER_C))
    deliver(make_event("NEW_MESSAGE", id=M, direction="SENT", conversation_id=OTHER_C))
    deliver(received(3))
    assert Conversation.objects.get(id=C).waiting_since == at(3)
    assert not Conversation.objects.get(id=OTHER_C).needs_reply


# Late


@pytest.mark.parametrize(
    ("seconds", "late"),
    [
        ([5, 6, 7], []),
        ([5, 7, 6], [6]),
        ([7, 6, 5], [6, 5]),
        ([5, 7, 6, 8], [6]),
    ],
)
def test_late_is_what_lands_above_a_message_that_arrived_before_it(after, seconds, late):
    after(*map(received, seconds))
    stored = Message.objects.filter(late=True).order_by("arrival")
    assert [row.timestamp.second for row in stored] == late


def test_the_same_instant_is_not_late(after):
    after(received(5), received(1, at="2025-02-21T10:20:05"))
    assert not Message.objects.filter(late=True).exists()


# GET /conversations/{id}


@pytest.mark.parametrize("path", [C, f"{C}/", C.upper(), f"{C.upper()}/"])
def test_a_conversation_is_served_under_either_form_of_its_address(after, client, path):
    after(received(5))
    response = client.get(f"/conversations/{path}")
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert response.json() == {
        "id": C,
        "state": "OPEN",
        "opened_at": "2025-02-21T10:20:00.000000Z",
        "closed_at": None,
        "messages": [
            {
                "id": "00000005-4dca-4af3-9f32-61bc745926e2",
                "direction": "RECEIVED",
                "content": "text 5",
                "timestamp": "2025-02-21T10:20:05.000000Z",
            }
        ],
    }


def test_head_says_what_get_says_without_the_body(after, client):
    after(received(5))
    get, head = client.get(f"/conversations/{C}"), client.head(f"/conversations/{C}")
    assert (head.status_code, head.content) == (200, b"")
    assert head["ETag"] == get["ETag"]
    assert head["Content-Type"] == get["Content-Type"]


def test_messages_are_served_by_timestamp_then_arrival(after, client):
    tie = "2025-02-21T10:20:05"
    after(received(9), received(5), received(4, at=tie), received(7), received(3, at=tie))
    served = client.get(f"/conversations/{C}").json()["messages"]
    assert [line["content"] for line in served] == [
        "text 5",
        "text 4",
        "text 3",
        "text 7",
        "text 9",
    ]


def test_all_messages_are_served(after, client):
    after(*(received(n, at=f"2025-02-21T10:{n // 60:02}:{n % 60:02}") for n in range(300)))
    assert len(client.get(f"/conversations/{C}").json()["messages"]) == 300


UNKNOWN = [
    OTHER_C,
    "abc",
    "1",
    C[:-1],
    C.replace("-", ""),
    f"{{{C}}}",
    f"{C}%00",
    "%F0%9F%91%8D",
    "%20",
]


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("id", UNKNOWN)
def test_an_unknown_or_malformed_id_is_not_found(after, client, id, method):
    after()
    response = getattr(client, method)(f"/conversations/{id}")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    if method == "get":
        assert response.json()["code"] == "conversation_not_found"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_conversation_is_only_read(after, client, method):
    after()
    response = getattr(client, method)(f"/conversations/{C}")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert {"GET", "HEAD"} <= set(response["Allow"].split(", "))


def test_reading_takes_three_queries_however_long(
    after, client, generation, django_assert_num_queries
):
    after(*map(received, range(1, 31)))
    with django_assert_num_queries(3):
        client.get(f"/conversations/{C}")


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_304_reads_no_message(after, client, django_assert_num_queries, method):
    after(received(5))
    etag = client.get(f"/conversations/{C}")["ETag"]
    with django_assert_num_queries(2) as queries:
        response = getattr(client, method)(f"/conversations/{C}/", headers={"If-None-Match": etag})
    assert (response.status_code, response.content, response["ETag"]) == (304, b"", etag)
    assert not any("chat_message" in query["sql"] for query in queries)


def test_every_applied_event_changes_the_etag_and_no_other_does(deliver, client):
    etags = []
    for event in (OPEN, received(5), sent(3), CLOSE):
        for _ in range(2):
            deliver(event)
        deliver(received(9, content="\0"))
        response = client.get(
            f"/conversations/{C}", headers={"If-None-Match": etags[-1] if etags else '"0"'}
        )
        assert response.status_code == 200
        etags.append(response["ETag"])
        assert client.get(f"/conversations/{C}")["ETag"] == etags[-1]
    assert len(set(etags)) == 4


def test_what_is_served_is_not_kept_by_shared_caches(after, client):
    after()
    cached = client.get(f"/conversations/{C}")["Cache-Control"]
    assert {"private", "no-cache"} <= set(cached.split(", "))


def test_a_precondition_that_fails_is_said_to_be_one(after, client):
    after()
    response = client.get(f"/conversations/{C}", headers={"if-match": '"other"'})
    assert (response.status_code, response.json()["code"]) == (412, "precondition_failed")


@pytest.mark.postgresql
@pytest.mark.parametrize("filter", Filter)
def test_an_idle_poll_looks_up_the_rows_that_the_list_shows_and_no_others(filter, db):
    sql, params = stamp_sql(Listing(filter), 50)
    with connection.cursor() as cursor:
        # A sequential scan is otherwise the cheapest plan for an empty table.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql}", [*params, NOBODY])
        assert "Seq Scan" not in str(cursor.fetchall())


def test_a_change_while_a_page_is_made_is_told_by_its_next_poll(deliver, held, client, monkeypatch):
    deliver(make_event("NEW_CONVERSATION", id=C))
    find = ConversationQuerySet.find

    def find_and_close(rows, id):
        found = find(rows, id)
        monkeypatch.undo()
        deliver(make_event("CLOSE_CONVERSATION", id=C))
        return found

    monkeypatch.setattr(ConversationQuerySet, "find", find_and_close)
    poll = held(f"/ui/{C}/")
    assert client.get("/ui/fragments/poll", poll | {"conversation": C}).status_code == 200
