"""Customers' messages after closing: shown, raised, marked as dealt with, kept until then, erased."""

import json
from datetime import timedelta
from importlib import import_module
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.database.keyset import rows_of
from chat.events import dealing
from chat.events.ingest import ingest
from chat.models import Change, Conversation, Dealing, Delivery, Filter, Sort, ordering_of
from chat.models.conversations import MOST_OF_BODY
from chat.upkeep import erasure
from chat.views import after_closing
from tests.conftest import M2, NOW, OTHER_C, C, M, make_event

pytestmark = pytest.mark.both_engines("a mark beside the log, and lists by partial indexes")

HOUR = timedelta(hours=1)
WRONG_ADDRESS = "O endereço está errado"


def wrote(content=WRONG_ADDRESS, id=M, at="2025-02-21T11:00:00", **data):
    return make_event("NEW_MESSAGE", id=id, at=at, content=content, **data)


@pytest.fixture
def closed(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("CLOSE_CONVERSATION", id=C))


@pytest.fixture
def written(closed, deliver):
    assert deliver(wrote()).refusal


@pytest.fixture
def get(agent):
    return lambda address: agent.get(address).getvalue().decode()


@pytest.fixture
def thread(get):
    """Return the page of the conversation without its list."""
    return lambda: get(f"/ui/{C}/").partition('id="thread-pane"')[2]


def stored():
    return Conversation.objects.get(pk=C)


def mark(client, seen=1, **data):
    return client.post(f"/ui/{C}/dealt-with/", {"seen": seen} | data)


def counted():
    return Conversation.objects.counts()[Filter.WROTE_AFTER_CLOSING]


def shown(html):
    return html.count('class="message message--received message--refused"')


# On the pages


def test_the_refused_text_stands_under_the_thread_with_its_reason(written, thread):
    html = thread()
    assert html.index('id="closed-line"') < html.index(WRONG_ADDRESS)
    assert shown(html) == 1
    assert "A conversa estava fechada" in html[html.index(WRONG_ADDRESS) :]


def test_whoever_may_read_the_conversation_reads_it_on_paper_too(written, get):
    assert WRONG_ADDRESS in get(f"/ui/{C}/print/")


def test_a_text_is_shown_once_however_often_it_is_redelivered(written, deliver, thread):
    for n in range(3):
        deliver(wrote(), after=n * HOUR)
    deliver(wrote("Outra coisa"))
    html = thread()
    assert shown(html) == 2
    assert html.index(WRONG_ADDRESS) < html.index("Outra coisa")
    assert Change.objects.filter(type="wrote_after_closing").count() == 2


def test_what_the_company_wrote_after_closing_is_not_shown_here(closed, deliver, get):
    deliver(wrote(direction="SENT"))
    assert shown(get(f"/ui/{C}/")) == 0
    assert stored().wrote_after_closing_count == 0


def test_of_many_texts_the_newest_are_shown_and_the_others_are_counted(
    closed, deliver, thread, monkeypatch
):
    monkeypatch.setattr(after_closing, "MOST_TEXTS", 2)
    for n in range(5):
        deliver(wrote(f"texto {n}"))
    html = thread()
    assert "texto 2" not in html
    assert html.index("texto 3") < html.index("texto 4")
    assert "3 textos mais antigos" in html


def test_a_text_that_is_too_large_leads_to_its_delivery(closed, deliver, get):
    deliver(wrote("x" * MOST_OF_BODY))
    delivery = Delivery.objects.latest("id")
    html = get(f"/ui/{C}/")
    assert "xxx" not in html
    assert f'<a href="/ui/deliveries/{delivery.id}/">Grande demais' in html


def test_a_long_text_is_cut_on_the_page_and_whole_on_paper(closed, deliver, get):
    deliver(wrote("e\u0301" * 8_000))
    before, after = get(f"/ui/{C}/").split('<details class="message-rest">')
    assert "e\u0301" * 1_500 in before
    assert "e\u0301" * 1_501 not in before
    assert after.count('<div class="message-piece">') == 1
    assert "e\u0301" * 8_000 in get(f"/ui/{C}/print/")


def test_the_rest_of_a_long_text_is_escaped_and_not_formatted(closed, deliver, get):
    deliver(wrote("*a* <b>\u202e " * 1_000))
    before, after = get(f"/ui/{C}/").split('<details class="message-rest">')
    assert "<strong>a</strong> &lt;b&gt;" in before
    rest = after.split('<div class="message-piece">')[1].split("</div>")[0]
    assert set(rest.split()) == {"*a*", "&lt;b&gt;"}


def test_a_thread_without_such_texts_asks_nothing_more(
    closed, agent, django_assert_max_num_queries
):
    agent.get(f"/ui/{C}/")
    with django_assert_max_num_queries(11) as queries:
        agent.get(f"/ui/{C}/")
    log = [query["sql"] for query in queries if query["sql"].startswith('SELECT "chat_delivery"')]
    assert not [sql for sql in log if "text_digest" in sql.partition("WHERE")[2]]


def test_the_poll_brings_it(closed, deliver, agent, held):
    asked = held(f"/ui/{C}/")
    assert agent.get("/ui/fragments/poll/", asked).status_code == 204
    deliver(wrote())
    assert WRONG_ADDRESS in agent.get("/ui/fragments/poll/", asked).content.decode()


def test_the_row_is_raised_and_counts_as_unread(written, deliver, get):
    deliver(make_event("NEW_CONVERSATION", id=OTHER_C, at="2025-02-21T10:30:00"))
    html = get("/ui/")
    assert html.index(f'id="row-{C}"') < html.index(f'id="row-{OTHER_C}"')
    row = html[html.index(f'id="row-{C}"') :]
    assert 'data-count="1"' in row[: row.index(">")]


def test_a_text_with_an_earlier_time_does_not_lower_the_row(written, deliver):
    deliver(wrote("antes", at="2025-02-21T10:59:00"))
    assert stored().activity_at.isoformat() == "2025-02-21T11:00:00+00:00"


def test_it_is_erased_with_the_rest(written, get):
    erasure.erase(UUID(C), at=NOW)
    assert WRONG_ADDRESS not in get(f"/ui/{C}/")
    assert not Delivery.objects.exclude(text_digest=None).exists()
    assert (stored().wrote_after_closing_count, stored().dealt_with_at) == (0, None)


# The row


@pytest.fixture
def preview(agent, get):
    """Return the first words of the conversation's row, at an address of the list."""

    def preview(address="/ui/"):
        html = get(address)
        row = html[html.index(f'id="row-{C}"') :]
        start = row.index('class="row-preview')
        return row[start : row.index("<time", start)]

    return preview


@pytest.mark.parametrize(
    "address", ["/ui/", "/ui/?filter=wrote-after-closing", "/ui/fragments/list/?sort=newest"]
)
def test_the_refused_words_lead_the_row(closed, deliver, preview, address):
    deliver(wrote())
    deliver(wrote("*E a segunda*\nlinha"))
    assert ">E a segunda linha<" in preview(address)
    assert "icon" in preview(address)
    assert "Recebida após o fechamento:" in preview(address)


def test_a_redelivery_of_an_older_text_does_not_lead_the_row(written, deliver, preview):
    deliver(wrote("Outra coisa"))
    deliver(wrote())
    assert "Outra coisa" in preview()


def test_once_dealt_with_the_last_message_leads_the_row(deliver, agent, preview):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(wrote("A última", id=M2, at="2025-02-21T10:30:00", direction="SENT"))
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    deliver(wrote())
    assert WRONG_ADDRESS in preview()
    mark(agent)
    assert "A última" in preview()
    assert "row-preview--sent" in preview()
    agent.post(f"/ui/{C}/dealt-with/undo/")
    assert WRONG_ADDRESS in preview()


def test_what_is_erased_leads_no_row(written, preview):
    erasure.erase(UUID(C), at=NOW)
    assert WRONG_ADDRESS not in preview()
    assert "row-preview--none" in preview()


def test_a_body_that_is_too_large_for_a_row_is_not_read(closed, deliver, preview):
    deliver(wrote("x" * MOST_OF_BODY))
    assert "xxx" not in preview()


@pytest.mark.parametrize("address", ["/ui/", "/ui/fragments/poll/?rows=50", "/ui/fragments/list/"])
def test_the_words_of_the_rows_take_no_query_of_their_own(
    closed, deliver, agent, address, django_assert_num_queries
):
    agent.get(address)  # this request gives the changes their places
    with CaptureQueriesContext(connection) as before:
        agent.get(address)
    count = len(before)
    deliver(wrote())
    agent.get(address)
    with django_assert_num_queries(count):
        assert WRONG_ADDRESS in agent.get(address).content.decode()


@pytest.mark.sqlite
@pytest.mark.parametrize("filter", Filter)
@pytest.mark.parametrize("sort", Sort)
def test_the_words_are_read_from_an_index_for_the_rows_of_the_page(written, filter, sort):
    rows = Conversation.objects.filtered(filter, sort).with_refused_body()
    plan = rows_of(rows, ordering_of(filter, sort))[:51].explain()
    assert "delivery_after_closing" in plan
    assert "TEMP B-TREE" not in plan


# Dealt with


def test_a_mark_says_who_and_when_and_takes_the_row_off_the_filter(written, agent, get):
    before = stored()
    assert mark(agent).status_code == 302
    made = Dealing.objects.get()
    assert (made.by.username, stored().dealt_with_at) == ("bia", made.at)
    assert (stored().revision, stored().updated_at) == (before.revision, made.at)
    assert counted() == 0
    assert f'id="row-{C}"' not in get("/ui/?filter=wrote-after-closing")
    assert "Resolvido por bia" in get(f"/ui/{C}/")
    assert "row-alert" not in get("/ui/")


def test_a_mark_is_a_change_and_a_news_of_the_poll(written, agent, held):
    asked = held(f"/ui/{C}/")
    mark(agent)
    assert Change.objects.latest("id").type == "dealt_with"
    assert "Resolvido por bia" in agent.get("/ui/fragments/poll/", asked).content.decode()


def test_the_customer_who_writes_again_is_listed_again(written, agent, deliver):
    mark(agent)
    deliver(wrote())  # a redelivery
    assert counted() == 0
    deliver(wrote("Alguém aí?"))
    assert counted() == 1
    assert stored().dealt_with_at is None
    assert Dealing.objects.get().undone_at is None


def test_a_mark_can_be_taken_back(written, agent):
    mark(agent)
    assert agent.post(f"/ui/{C}/dealt-with/undo/").status_code == 302
    undone = Dealing.objects.get()
    assert undone.undone_at >= undone.at
    assert undone.undone_by.username == "bia"
    assert counted() == 1
    mark(agent)
    assert counted() == 0


def test_nobody_marks_what_was_not_on_the_page(written, agent, deliver):
    deliver(wrote("Alguém aí?"))
    assert mark(agent, seen=1).status_code == 302
    assert "Nada foi marcado" in agent.get(f"/ui/{C}/").content.decode()
    assert (
        agent.post(f"/ui/{C}/dealt-with/", {"seen": 1}, headers={"HX-Request": "true"}).status_code
        == 409
    )
    assert counted() == 1
    assert not Dealing.objects.exists()


@pytest.mark.parametrize("seen", ["", "x", "-1", "1.0", "9" * 5000, "\u0661", "\u00b9"])
def test_a_form_that_no_page_sends_marks_nothing(written, agent, seen):
    assert mark(agent, seen=seen).status_code == 302
    assert counted() == 1


@pytest.mark.parametrize("action", ["dealt-with", "dealt-with/undo"])
def test_what_has_nothing_to_mark_stays_as_it_is(closed, agent, action):
    before = Conversation.objects.values().get()
    assert agent.post(f"/ui/{C}/{action}/", {"seen": 0}).status_code == 302
    assert Conversation.objects.values().get() == before
    assert agent.post(f"/ui/{OTHER_C}/{action}/", {"seen": 0}).status_code == 404
    assert agent.post(f"/ui/x/{action}/", {"seen": 0}).status_code == 404


def test_in_an_open_service_nobody_is_named(written, client):
    assert mark(client).status_code == 302
    assert Dealing.objects.get().by is None
    assert "Resolvido" in client.get(f"/ui/{C}/").content.decode()


def test_a_mark_needs_a_token_of_the_page(written, django_user_model):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(django_user_model.objects.create_user("bia"))
    assert mark(strict).status_code == 403
    assert counted() == 1


@pytest.mark.parametrize(
    ("sent", "leads_to"),
    [
        ({}, f"/ui/{C}/"),
        ({"filter": "closed", "sort": "oldest"}, f"/ui/{C}/?filter=closed&sort=oldest"),
        ({"q": "a b"}, f"/ui/{C}/?q=a+b"),
        ({"from": "list", "filter": "wrote-after-closing"}, "/ui/?filter=wrote-after-closing"),
        ({"from": "list", "filter": "//evil.example"}, "/ui/"),
    ],
    ids=["thread", "thread beside a list", "thread beside a search", "list", "hostile"],
)
def test_the_button_leads_back_to_where_it_was_pressed(written, agent, sent, leads_to):
    assert mark(agent, **sent).url == leads_to


def test_both_buttons_stand_where_they_are_needed(written, get, agent):
    assert f'action="/ui/{C}/dealt-with/"' in get("/ui/?filter=wrote-after-closing")
    assert f'action="/ui/{C}/dealt-with/"' not in get("/ui/")
    assert 'id="deal-with">' in get(f"/ui/{C}/")
    mark(agent)
    assert 'id="deal-with" hidden>' in get(f"/ui/{C}/")
    assert 'id="dealt-with">' in get(f"/ui/{C}/")


def test_the_json_of_the_list_knows_the_mark(written, agent):
    def listed():
        return agent.get("/conversations").json()["conversations"][0]

    assert (listed()["wrote_after_closing_at"], listed()["dealt_with_at"]) == (
        "2025-02-21T11:00:00.000000Z",
        None,
    )
    mark(agent)
    assert listed()["dealt_with_at"] == listed()["updated_at"] is not None


def test_a_user_who_goes_leaves_the_mark(written, agent, django_user_model):
    mark(agent)
    django_user_model.objects.all().delete()
    assert Dealing.objects.get().by is None
    assert counted() == 0


# The log


@pytest.mark.usefixtures("scratch_database")
def test_the_check_is_silent_after_marks(written, agent, capsys):
    mark(agent)
    agent.post(f"/ui/{C}/dealt-with/undo/")
    mark(agent)
    call_command("replay", "--check")
    assert "1 conversations are equal" in capsys.readouterr().out


def test_a_prune_keeps_the_text_until_somebody_has_dealt_with_it(db, get):
    old = timezone.now() - timedelta(days=200)
    for event in (
        make_event("NEW_CONVERSATION", id=C),
        make_event("CLOSE_CONVERSATION", id=C),
        wrote(),
        wrote(),
    ):
        ingest(json.dumps(event).encode(), received_at=old)
    call_command("prune", "--yes")
    assert Delivery.objects.get().text_digest
    assert WRONG_ADDRESS in get(f"/ui/{C}/")
    assert dealing.deal_with(UUID(C), by=None, seen=1, at=timezone.now())
    call_command("prune", "--yes")
    assert not Delivery.objects.exists()
    assert "1 texto mais antigo" in get(f"/ui/{C}/")


@pytest.mark.django_db(transaction=True)
def test_an_upgrade_finds_the_texts_that_were_written_before(deliver, get):
    for event in (
        make_event("NEW_CONVERSATION", id=C),
        make_event("CLOSE_CONVERSATION", id=C),
        *(wrote(), wrote(), wrote("Outra coisa", at="2025-02-21T11:30:00")),
        wrote("da empresa", id=OTHER_C, direction="SENT"),
    ):
        deliver(event)
    expected = Conversation.objects.values().get()
    Delivery.objects.update(text_digest=None)
    Conversation.objects.update(
        wrote_after_closing_count=0,
        wrote_after_closing_at=expected["wrote_after_closing_at"] - HOUR / 2,
        activity_at=NOW - 2 * HOUR,
    )
    migration = import_module("chat.migrations.0012_fill_after_closing")
    apps = (
        MigrationExecutor(connection).loader.project_state(("chat", "0012_fill_after_closing")).apps
    )
    with connection.schema_editor() as editor:
        migration.fill(apps, editor)
        migration.fill(apps, editor)
    assert Conversation.objects.values().get() == expected
    assert shown(get(f"/ui/{C}/")) == 2
