"""The list of conversations as a CSV file: every row of the filter, in the order of the sort."""

import csv
from html import unescape
from io import StringIO

import pytest

from chat.views import listing
from tests.conftest import id_of, make_event

pytestmark = pytest.mark.both_engines("keyset pages, one after another")


@pytest.fixture
def told(deliver, monkeypatch):
    """Five conversations with one message each, in chunks of two. The third is closed."""
    monkeypatch.setattr(listing, "CHUNK", 2)

    def told(content="Olá"):
        for n in range(5):
            deliver(make_event("NEW_CONVERSATION", id=id_of(n), at=f"2025-02-21T10:00:{n:02}"))
            ids = {"id": id_of(100 + n), "conversation_id": id_of(n)}
            at = f"2025-02-21T10:20:{n:02}"
            deliver(make_event("NEW_MESSAGE", at=at, content=content, **ids))
        deliver(make_event("CLOSE_CONVERSATION", id=id_of(2), at="2025-02-21T11:00:00"))

    return told


@pytest.fixture
def table(client):
    def table(query=""):
        answer = client.get(f"/ui/list.csv{query}")
        assert answer.status_code == 200
        text = answer.getvalue().decode()
        assert text.startswith("\ufeff")
        return list(csv.DictReader(StringIO(text.removeprefix("\ufeff"), newline="")))

    return table


def ids(rows):
    return [int(row["id"][-12:]) for row in rows]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [4, 3, 2, 1, 0]),
        ("?sort=oldest", [0, 1, 2, 3, 4]),
        ("?filter=open&sort=oldest", [0, 1, 3, 4]),
        ("?filter=closed", [2]),
        ("?filter=wrote-after-closing", []),
    ],
)
def test_every_row_of_the_filter_stands_there_once_in_order(told, table, query, numbers):
    told()
    assert ids(table(query)) == numbers


def test_a_row_says_what_the_list_knows(told, table):
    told()
    assert table("?filter=closed") == [
        {
            "id": id_of(2),
            "state": "CLOSED",
            "opened_at": "2025-02-21T10:00:02Z",
            "closed_at": "2025-02-21T11:00:00Z",
            "activity_at": "2025-02-21T10:20:02Z",
            "waiting_since": "",
            "message_count": "1",
            "received_count": "1",
            "last_message_direction": "RECEIVED",
            "last_message_preview": "Olá",
            "wrote_after_closing_at": "",
            "erased_at": "",
        }
    ]


def test_no_preview_runs_as_a_formula(told, table):
    told("=HYPERLINK(A1);=1+1")
    previews = {row["last_message_preview"] for row in table()}
    assert previews == {"'=HYPERLINK(A1);'=1+1"}


def test_the_page_leads_to_the_list_it_shows(told, client):
    told()
    html = unescape(client.get("/ui/?filter=open&sort=oldest").content.decode())
    assert 'href="/ui/list.csv/?filter=open&sort=oldest"' in html
    answer = client.get("/ui/list.csv?filter=open")
    assert answer["Content-Disposition"] == 'attachment; filename="conversations-open.csv"'
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    answer.getvalue()


def test_an_unknown_list_is_a_400(db, client):
    for query in ("filter=x", "sort=x"):
        assert client.get(f"/ui/list.csv?{query}").status_code == 400


def test_each_chunk_is_one_query(told, client, django_assert_num_queries):
    told()
    with django_assert_num_queries(3):
        client.get("/ui/list.csv").getvalue()


def test_head_reads_nothing(told, client, django_assert_num_queries):
    told()
    with django_assert_num_queries(0):
        assert client.head("/ui/list.csv").status_code == 200
