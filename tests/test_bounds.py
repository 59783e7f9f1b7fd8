"""Bounds of `GET /conversations`, `wrote_after_closing` and `count`: the listed rows, and the index."""

import re

import pytest

from chat.api import query_parameters, reads
from chat.models import Conversation
from tests.conftest import id_of, make_event
from tests.servers import errors_of
from tests.test_keyset import a_new_table, plans  # noqa: F401 - fixtures
from tests.test_reads import get, ids, listed, pages

pytestmark = pytest.mark.both_engines("indexes and the order of values")


@pytest.fixture
def conversations(a_new_table, deliver):  # noqa: F811
    """Opened, active and waiting at the minute of their number; every third is closed an hour later."""
    for n in range(9):
        at = f"2025-02-21T10:{n:02}:00"
        deliver(make_event("NEW_CONVERSATION", id=id_of(n), at=at))
        about = {"conversation_id": id_of(n), "at": at}
        direction = "SENT" if n % 3 == 1 else "RECEIVED"
        deliver(make_event("NEW_MESSAGE", id=id_of(100 + n), direction=direction, **about))
        if n % 3 == 0:
            close = make_event("CLOSE_CONVERSATION", id=id_of(n), at=f"2025-02-21T11:{n:02}:00")
            deliver(close)
        if n == 6:
            deliver(make_event("NEW_MESSAGE", id=id_of(200), **about))


def between(kind, first, last, hour=10):
    at = f"2025-02-21T{hour}"
    return {f"{kind}_from": f"{at}:{first:02}:00Z", f"{kind}_to": f"{at}:{last:02}:00Z"}


LISTS = [
    (between("opened", 2, 5), [2, 3, 4]),
    (between("opened", 2, 5) | {"ordering": "newest"}, [4, 3, 2]),
    (between("opened", 2, 5) | {"state": "OPEN"}, [2, 4]),
    (between("opened", 2, 5) | {"needs_reply": "true"}, [2]),
    (between("opened", 2, 5) | {"needs_reply": "false"}, [3, 4]),
    (between("opened", 2, 7) | {"wrote_after_closing": "true"}, [6]),
    ({"opened_from": "2025-02-21T10:07:00Z"}, [7, 8]),
    ({"opened_to": "2025-02-21T10:02:00Z"}, [0, 1]),
    (between("closed", 0, 6, hour=11), [0, 3]),
    (between("closed", 0, 7, hour=11) | {"state": "CLOSED"}, [0, 3, 6]),
    ({"closed_from": "2025-02-21T11:03:00Z"}, [3, 6]),
    (between("active", 2, 5), [4, 3, 2]),
    (between("active", 2, 5) | {"state": "CLOSED"}, [3]),
    (between("active", 2, 9) | {"needs_reply": "true"}, [8, 5, 2]),
    (between("waiting", 2, 6), [2, 5]),
    ({"waiting_from": "2025-02-21T10:03:00Z", "state": "OPEN"}, [5, 8]),
    ({"waiting_to": "2025-02-21T10:08:00Z"}, [2, 5]),
    ({"wrote_after_closing": "true"}, [6]),
    ({"wrote_after_closing": "true", "state": "CLOSED", "ordering": "oldest"}, [6]),
    ({"wrote_after_closing": "true", "q": "tudo"}, [6]),
]


@pytest.mark.parametrize(("given", "found"), LISTS)
def test_bounds_list_what_lies_between_them_in_the_order_of_their_time(conversations, given, found):
    expected = [id_of(n) for n in found]
    assert [id for page in pages(limit=1, **given) for id in page] == expected
    assert ids(listed(**given)) == expected


@pytest.mark.parametrize("given", [given for given, _ in LISTS if "q" not in given])
def test_each_of_them_is_read_from_an_index(conversations, plans, given):  # noqa: F811
    asked = query_parameters.ConversationParameters.model_validate(given)
    for plan in plans(*reads.listed_by(asked)):
        assert re.search("USING INDEX|Index Scan", plan)
        assert not re.search("TEMP B-TREE|Sort", plan)


def test_a_list_of_closings_has_an_index_of_its_own(conversations, plans):  # noqa: F811
    asked = query_parameters.ConversationParameters.model_validate(between("closed", 0, 9, hour=11))
    assert all("conversation_by_closing" in plan for plan in plans(*reads.listed_by(asked)))


AT = "2025-02-21T10:00:00Z"
CONTRADICTIONS = [
    ({"opened_from": AT, "closed_to": AT}, "/closed_to"),
    ({"opened_from": AT, "opened_to": AT}, "/opened_to"),
    ({"opened_from": AT, "q": "tudo"}, "/opened_from"),
    ({"opened_from": AT, "updated_since": AT}, "/opened_from"),
    ({"opened_from": AT, "ordering": "latest"}, "/ordering"),
    ({"active_from": AT, "ordering": "oldest"}, "/ordering"),
    ({"closed_from": AT, "ordering": "newest"}, "/ordering"),
    ({"closed_from": AT, "state": "OPEN"}, "/closed_from"),
    ({"closed_from": AT, "needs_reply": "true"}, "/closed_from"),
    ({"waiting_from": AT, "state": "CLOSED"}, "/waiting_from"),
    ({"waiting_from": AT, "needs_reply": "false"}, "/waiting_from"),
    ({"wrote_after_closing": "true", "state": "OPEN"}, "/wrote_after_closing"),
    ({"wrote_after_closing": "true", "needs_reply": "true"}, "/wrote_after_closing"),
    ({"wrote_after_closing": "true", "active_from": AT}, "/active_from"),
    ({"wrote_after_closing": "true", "updated_since": AT}, "/updated_since"),
    ({"count": "true", "q": "tudo"}, "/count"),
]


@pytest.mark.parametrize(("given", "pointer"), CONTRADICTIONS)
def test_what_contradicts_itself_is_refused(db, given, pointer):
    assert errors_of(get("/conversations", **given)) == [(pointer, "contradiction")]


@pytest.mark.parametrize("name", ["wrote_after_closing", "count"])
def test_only_true_is_taken(db, name):
    assert errors_of(get("/conversations", **{name: "false"})) == [(f"/{name}", "unknown_value")]


# Counts


def test_a_count_is_of_all_pages(conversations):
    page = listed(count="true", limit=2, state="OPEN")
    assert (page["count"], page["more"], len(page["conversations"])) == (6, False, 2)
    assert listed(count="true", **between("opened", 2, 5))["count"] == 3
    assert listed(count="true", limit=2, cursor=listed(limit=2)["next"])["count"] == 9


def test_a_count_stops_where_it_says(conversations, monkeypatch):
    monkeypatch.setattr(reads, "COUNTED_UP_TO", 8)
    page = listed(count="true")
    assert (page["count"], page["more"]) == (8, True)
    monkeypatch.setattr(reads, "COUNTED_UP_TO", 9)
    page = listed(count="true")
    assert (page["count"], page["more"]) == (9, False)
    assert Conversation.objects.count() == 9


def test_nothing_is_counted_unless_asked(conversations):
    assert set(listed()) == {"conversations", "next"}
