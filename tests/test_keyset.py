"""Keyset pages: every row once, in order, from any cursor given out, and from no other."""

import json
import re
from base64 import urlsafe_b64encode
from collections import Counter

import pytest
from django.db import connection, transaction

from chat.database.keyset import BadCursor, page_of, rows_of, tag_of
from chat.events.bulk import ingest_many
from chat.models import Conversation, Filter, Sort, ordering_of
from tests.conftest import NOW, C, id_of, make_event

pytestmark = pytest.mark.both_engines("indexes and the order of values")

ORDERINGS = {(filter, sort): ordering_of(filter, sort) for filter in Filter for sort in Sort}
every_ordering = pytest.mark.parametrize("listed", ORDERINGS, ids=lambda pair: "-".join(pair))


@pytest.fixture
def a_new_table(db):
    """Empty the table and its statistics, because PostgreSQL's planner picks any index for a few rows.

    Nobody can count its rows before the test is over.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE chat_conversation CASCADE")
            cursor.execute(
                "DELETE FROM pg_statistic WHERE starelid = 'chat_conversation'::regclass"
            )


@pytest.fixture
def conversations(a_new_table):
    """Conversations: some at the same instant, some closed, some waiting, some with a message after closing."""
    events = [event for n in range(23) for event in events_of(n)]
    results = ingest_many((json.dumps(event).encode(), NOW) for event in events)
    assert Counter(result.code for result in results) == {"": 49, "conversation_closed": 11}


def events_of(n):
    yield make_event("NEW_CONVERSATION", id=id_of(n), at=f"2025-02-21T10:{n // 3:02}:00")
    about = {"conversation_id": id_of(n), "at": f"2025-02-21T11:{n // 4:02}:00"}
    if n % 3:
        yield make_event("NEW_MESSAGE", id=id_of(100 + n), **about)
    if n % 2:
        yield make_event("CLOSE_CONVERSATION", id=id_of(n), at="2025-02-21T12:00:00")
        yield make_event("NEW_MESSAGE", id=id_of(200 + n), **about)


def pages(filter, sort, size):
    cursor, found, ordering = "", [], ORDERINGS[filter, sort]
    while True:
        page = page_of(
            Conversation.objects.filtered(filter, sort), ordering, size=size, cursor=cursor
        )
        found.append(page.rows)
        cursor = page.next
        if not cursor:
            return found


@every_ordering
def test_pages_have_every_row_once_in_order(conversations, listed):
    expected = list(Conversation.objects.filtered(listed[0]).order_by(*ORDERINGS[listed]))
    assert expected
    for size in (1, 4, 23, 50):
        found = pages(*listed, size)
        assert [row for rows in found for row in rows] == expected, size
        assert all(len(rows) == size for rows in found[:-1]), size


def test_of_those_who_wait_the_longest_is_first_and_the_others_follow(conversations):
    found = Conversation.objects.order_by(*ordering_of(Filter.ALL, Sort.WAITING))
    waiting = [row.waiting_since for row in found if row.needs_reply]
    assert waiting == sorted(waiting)
    assert not any(row.needs_reply for row in list(found)[len(waiting) :])


def test_of_those_who_wrote_after_closing_the_longest_waiting_wrote_first(conversations):
    listed = Filter.WROTE_AFTER_CLOSING, Sort.WAITING
    found = [row.wrote_after_closing_at for row in pages(*listed, 50)[0]]
    assert len(set(found)) > 1
    assert found == sorted(found)


def test_every_filter_has_its_count(conversations):
    counts = Conversation.objects.counts()
    assert counts == {f: Conversation.objects.filtered(f).count() for f in Filter}
    assert 0 < counts[Filter.WROTE_AFTER_CLOSING] < counts[Filter.ALL]


def test_nothing_is_counted_as_nothing(db):
    assert set(Conversation.objects.counts().values()) == {0}


def test_counting_stops_where_it_says(conversations, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("chat.models.lists.COUNTED_TO", 5)
    with django_assert_num_queries(1):
        assert Conversation.objects.counts()[Filter.ALL] == 6


LATEST = ("-activity_at", "-id")


def cursor(*values):
    """Return a cursor made by hand, valid except for its order."""
    tagged = [tag_of(Conversation, LATEST), *values]
    return urlsafe_b64encode(json.dumps(tagged).encode()).decode().rstrip("=")


ID = id_of(1)
BAD_CURSORS = [
    "x",
    "é",
    "\0",
    "====",
    "A" * 10_000,
    "W1tbW1tbW1tbW1s",
    urlsafe_b64encode(b"\xff\xfe").decode(),
    urlsafe_b64encode(b"null").decode(),
    urlsafe_b64encode(b'"2025"').decode(),
    cursor(),
    cursor("2025-02-21T10:20:41+00:00"),
    cursor("2025-02-21T10:20:41", ID),
    cursor("0001-01-01T00:00:00+14:00", ID),
    cursor("9999-12-31T23:59:59-12:00", ID),
    cursor("now", ID),
    cursor(5, ID),
    cursor(None, None),
    cursor([], {}),
    cursor("2025-02-21T10:20:41+00:00", 5),
    cursor("2025-02-21T10:20:41+00:00", "x"),
    cursor("2025-02-21T10:20:41+00:00", ID, ID),
]


@pytest.mark.parametrize("cursor", BAD_CURSORS, ids=range(len(BAD_CURSORS)))
def test_what_is_no_cursor_is_refused(db, cursor):
    with pytest.raises(BadCursor):
        page_of(Conversation.objects.all(), ("-activity_at", "-id"), size=5, cursor=cursor)


INDEXES = {
    (Filter.ALL, Sort.LATEST): "conversation_inbox",
    (Filter.ALL, Sort.WAITING): "conversation_waiting",
    (Filter.ALL, Sort.NEWEST): "conversation_by_opening",
    (Filter.ALL, Sort.OLDEST): "conversation_by_opening",
    (Filter.OPEN, Sort.LATEST): "conversation_by_state",
    (Filter.OPEN, Sort.WAITING): "conversation_waiting",
    (Filter.OPEN, Sort.NEWEST): "conversation_state_opening",
    (Filter.OPEN, Sort.OLDEST): "conversation_state_opening",
    (Filter.NEEDS_REPLY, Sort.LATEST): "conversation_needs_reply",
    (Filter.NEEDS_REPLY, Sort.WAITING): "conversation_waiting",
    (Filter.NEEDS_REPLY, Sort.NEWEST): "conversation_waits_opening",
    (Filter.NEEDS_REPLY, Sort.OLDEST): "conversation_waits_opening",
    (Filter.CLOSED, Sort.LATEST): "conversation_by_state",
    (Filter.CLOSED, Sort.WAITING): "conversation_by_state",
    (Filter.CLOSED, Sort.NEWEST): "conversation_state_opening",
    (Filter.CLOSED, Sort.OLDEST): "conversation_state_opening",
    (Filter.WROTE_AFTER_CLOSING, Sort.LATEST): "conversation_wrote_after",
    (Filter.WROTE_AFTER_CLOSING, Sort.WAITING): "conversation_wrote_after",
    (Filter.WROTE_AFTER_CLOSING, Sort.NEWEST): "conversation_wrote_opening",
    (Filter.WROTE_AFTER_CLOSING, Sort.OLDEST): "conversation_wrote_opening",
}


@pytest.fixture
def plans(db):
    """Return the plans of a list's first page and of the next one; on PostgreSQL as for a large table."""

    def plans(rows, ordering):
        first = page_of(rows, ordering, size=1)
        with transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                for dear in ("seqscan", "bitmapscan", "sort", "incremental_sort"):
                    cursor.execute(f"SET LOCAL enable_{dear} = off")
            return [rows_of(rows, ordering, cursor=at)[:51].explain() for at in ("", first.next)]

    return plans


@every_ordering
def test_a_page_of_the_list_is_read_from_the_index_of_its_order(conversations, plans, listed):
    rows = Conversation.objects.filtered(*listed)
    for plan in plans(rows, ORDERINGS[listed]):
        assert re.search(rf"\b{INDEXES[listed]}\b", plan)
        assert not re.search("TEMP B-TREE|Sort", plan)


NARROWED = [
    (state, needs_reply)
    for state in (None, *Conversation.State)
    for needs_reply in (None, True, False)
    if (state, needs_reply) != (Conversation.State.CLOSED, True)  # of these there are none
]


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize(("state", "needs_reply"), NARROWED)
def test_what_machines_ask_for_is_read_from_an_index(
    conversations, plans, state, needs_reply, sort
):
    asked = Conversation.objects.filtered_with_order(
        state=state, needs_reply=needs_reply, sort=sort
    )
    for plan in plans(*asked):
        assert re.search("USING INDEX|Index Scan", plan)
        assert not re.search("TEMP B-TREE|Sort", plan)


@pytest.mark.parametrize("at", ["2999-12-31T23:59:59-23:59", "1970-01-01T00:00:00+23:59"])
def test_a_cursor_of_any_offset_is_an_instant(db, at):
    """PostgreSQL takes no offset of 16 hours or more."""
    page = page_of(Conversation.objects.all(), LATEST, size=5, cursor=cursor(at, C))
    assert page.rows == []


def test_a_cursor_of_one_order_is_none_of_another(conversations):
    rows = Conversation.objects.all()
    orders = [
        ("-activity_at", "-id"),
        ("-opened_at", "-id"),
        ("opened_at", "id"),
        ("activity_at", "id"),
    ]
    cursors = [page_of(rows, order, size=1).next for order in orders]
    assert all(cursors)
    for order in orders:
        for given, other in zip(cursors, orders, strict=True):
            if order == other:
                page_of(rows, order, size=1, cursor=given)
            else:
                with pytest.raises(BadCursor):
                    page_of(rows, order, size=1, cursor=given)
