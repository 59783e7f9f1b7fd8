"""The thread in the server's answers: its pages, its fragments, and its queries."""

import re
from datetime import timedelta
from itertools import count

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.models import Conversation, Delivery, Message
from chat.models.messages import MessageQuerySet
from tests.conftest import NOW, C, M, id_of, make_event

UNKNOWN = "99999999-0000-4000-8000-000000000099"


@pytest.fixture
def say(deliver):
    """Delivers message number `n`, of its own second unless told otherwise."""
    deliver(make_event("NEW_CONVERSATION", id=C))

    def say(n, seconds=None, **data):
        at = (NOW + timedelta(seconds=n if seconds is None else seconds)).isoformat()
        assert not deliver(make_event("NEW_MESSAGE", id=id_of(n), at=at, **data)).refusal

    return say


@pytest.fixture
def get(client):
    return lambda address: client.get(address).getvalue().decode()


def numbers(html):
    return [int(n) for n in re.findall(r'id="message-[-0-9a-f]{24}(\d{12})"', html)]


def link(html, name):
    """Return the fragment behind the link to older or newer messages."""
    shown = re.sub(r"<template .*?</template>", "", html, flags=re.S)
    found = re.search(rf'hx-get="([^"]*[?]{name}=[^"]*)"', shown)
    return found and found[1]


# Pages


def test_a_long_thread_is_read_to_its_first_message_without_gap_or_repeat(deliver, get):
    deliver(make_event("NEW_CONVERSATION", id=C))
    store(1_030)
    html = get(f"/ui/{C}/")
    found = numbers(html)
    while address := link(html, "before"):
        with CaptureQueriesContext(connection) as queries:
            html = get(address)
        assert len(queries) <= 4
        found = numbers(html) + found
    assert found == list(range(1_030))
    assert "opened-line" in html


def store(number):
    """Insert five messages at each instant, straight into the table, because their delivery would take a minute."""
    conversation = Conversation.objects.get(id=C)
    Message.objects.bulk_create(
        Message(
            id=id_of(n),
            conversation=conversation,
            direction="SENT",
            content=f"Mensagem {n}",
            timestamp=NOW + timedelta(seconds=n // 5),
            received_at=NOW,
        )
        for n in range(number)
    )


def test_a_fragment_leads_further_on_only_the_way_that_it_was_asked(say, get):
    for n in range(160):
        say(n)
    older = get(f"/ui/fragments/thread/{C}/?before={id_of(100)}")
    newer = get(f"/ui/fragments/thread/{C}/?after={id_of(50)}")
    assert (numbers(older), numbers(newer)) == (list(range(50, 100)), list(range(51, 101)))
    assert [bool(link(older, name)) for name in ("before", "after")] == [True, False]
    assert [bool(link(newer, name)) for name in ("before", "after")] == [False, True]
    assert "opened-line" not in older + newer


def test_fragments_that_follow_one_another_are_laid_out_as_one_page(say, get):
    for n in range(110):
        say(n, seconds=n * 50 + n % 3 * 15)
    newer = get(f"/ui/fragments/thread/{C}/?after={id_of(49)}")
    everything = get(f"/ui/{C}/print/")
    begin = everything.index(f'id="message-{id_of(51)}"')
    end = everything.index(f'id="message-{id_of(99)}"')
    assert "message--joined" in newer
    assert everything[begin:end] in newer
    assert layout_of(newer, 50) == layout_of(everything, 50)


def layout_of(html, n):
    return re.search(rf'<li class="([^"]*)" id="message-{id_of(n)}"', html)[1]


def test_a_page_asks_the_same_few_queries_however_long_its_thread(say, client):
    asked = []
    for size in (10, 70, 130):
        for n in range(size - 60 if size > 10 else 0, size):
            say(n)
        for address in ("", f"?message={id_of(5)}", f"?before={id_of(9)}", f"?after={id_of(3)}"):
            with CaptureQueriesContext(connection) as queries:
                assert client.get(f"/ui/{C}/{address}").status_code == 200
            asked.append(len(queries))
    assert max(asked) <= 11


@pytest.mark.parametrize("arriving", [0, 1, 2])
def test_a_page_counts_what_it_shows_while_messages_arrive(say, get, monkeypatch, arriving):
    """The count decides above which message the line "New messages" stands."""
    say(0, direction="RECEIVED")
    newest, numbers_to_come = MessageQuerySet.newest, list(range(1, arriving + 1))

    def newest_after_an_arrival(messages, size):
        if numbers_to_come:
            say(numbers_to_come.pop(0), direction="RECEIVED")
        return newest(messages, size)

    monkeypatch.setattr(MessageQuerySet, "newest", newest_after_an_arrival)
    html = get(f"/ui/{C}/")
    assert len(numbers(html)) == arriving + 1
    assert f'data-from-customer="{arriving + 1}"' in html


def test_a_page_never_counts_more_than_it_shows(say, get, monkeypatch):
    say(0, direction="RECEIVED")
    newest, to_come = MessageQuerySet.newest, count(1)

    def newest_between_arrivals(messages, size):
        say(next(to_come), direction="RECEIVED")
        page = newest(messages, size)
        say(next(to_come), direction="RECEIVED")
        return page

    monkeypatch.setattr(MessageQuerySet, "newest", newest_between_arrivals)
    html = get(f"/ui/{C}/")
    counted = int(re.search(r'data-from-customer="(\d+)"', html)[1])
    assert 1 < counted < len(numbers(html))


# The jump to a day


@pytest.mark.both_engines("compares days with instants")
@pytest.mark.parametrize(
    ("day", "number"),
    [("2025-02-20", 0), ("2025-02-21", 0), ("2025-02-22", 1), ("2025-02-23", 2), ("1970-01-01", 0)],
)
def test_a_day_opens_the_thread_at_its_first_message_or_a_later_one(
    deliver, client, settings, day, number
):
    """Three hours behind UTC, the second message belongs to the 22nd."""
    settings.DISPLAY_TIME_ZONE = "America/Sao_Paulo"
    deliver(make_event("NEW_CONVERSATION", id=C))
    for n, at in enumerate(
        ["2025-02-21T10:00:00Z", "2025-02-23T02:59:59Z", "2025-02-23T03:00:00Z"]
    ):
        deliver(make_event("NEW_MESSAGE", id=id_of(n), at=at))
    answer = client.get(f"/ui/{C}/?filter=open&date={day}&before={id_of(2)}")
    assert answer.status_code == 302
    assert answer["Location"] == f"/ui/{C}/?filter=open&message={id_of(number)}"


def test_a_day_after_the_last_message_opens_the_thread_at_its_end(say, client):
    say(1)
    answer = client.get(f"/ui/{C}/?date=2999-12-31", follow=True)
    assert numbers(answer.content.decode()) == [1]
    assert answer.redirect_chain == [(f"/ui/{C}/?", 302)]


@pytest.mark.parametrize(
    "day", ["x", "21/02/2025", "2025-02-30", "1969-12-31", "3000-01-01", "%00"]
)
def test_a_bad_day_is_a_400_that_says_what_to_do(say, client, day):
    say(1)
    answer = client.get(f"/ui/{C}/?date={day}", headers={"accept-language": "en"})
    assert answer.status_code == 400
    assert "Give a date from 1970 on" in answer.content.decode()
    assert 'class="row"' in answer.content.decode()


def test_the_first_message_of_a_day_is_found_by_the_index(say):
    say(1)
    found = Conversation.objects.get(id=C).messages.filter(timestamp__gte=NOW).in_order()
    if connection.vendor == "sqlite":
        assert "message_thread" in found.explain()
        assert "TEMP B-TREE" not in found.explain()


def test_the_form_of_the_jump_keeps_the_list_beside_it(say, get):
    say(1)
    html = get(f"/ui/{C}/?filter=open&sort=oldest")
    assert '<input type="hidden" name="filter" value="open">' in html
    assert '<input type="hidden" name="sort" value="oldest">' in html
    assert '<input type="date" id="jump-date" name="date"' in html


@pytest.mark.parametrize("name", ["message", "before", "after"])
@pytest.mark.parametrize("value", [UNKNOWN, M, "", "x", "0" * 5000, "%00"])
def test_an_unknown_message_is_a_404_that_says_what_to_do(say, deliver, client, name, value):
    say(1)
    elsewhere = "0e1d2c3b-4a59-4687-9706-f5e4d3c2b1a0"
    deliver(make_event("NEW_CONVERSATION", id=elsewhere))
    deliver(make_event("NEW_MESSAGE", id=M, conversation_id=elsewhere))
    answer = client.get(f"/ui/{C}/?{name}={value}", headers={"accept-language": "en"})
    html = answer.content.decode()
    assert answer.status_code == 404
    assert "This conversation has no such message." in html
    assert f'<a href="/ui/{C}/">Open it at its newest message</a>' in html
    assert client.get(f"/ui/fragments/thread/{C}/?{name}={value}").status_code == 404


@pytest.mark.parametrize(
    ("where", "shown"), [(("before", 0), range(50)), (("after", 119), range(94, 120))]
)
def test_beyond_an_end_of_the_thread_a_page_shows_that_end(say, get, where, shown):
    for n in range(120):
        say(n)
    (name, end), others = where, {"before", "after"} - {where[0]}
    html = get(f"/ui/{C}/?{name}={id_of(end)}")
    assert numbers(html) == list(shown)
    assert not link(html, name)
    assert all(link(html, other) for other in others)
    assert numbers(get(f"/ui/fragments/thread/{C}/?{name}={id_of(end)}")) == []


def test_print_has_every_message(say, get):
    for n in range(130):
        say(n)
    html = get(f"/ui/{C}/print/")
    assert numbers(html) == list(range(130))
    assert not link(html, "before")


# History


def test_the_history_says_what_was_refused_when_and_why(say, deliver, client):
    say(1)
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=id_of(2)), after=timedelta(hours=1))
    deliver(make_event("NEW_MESSAGE", id=id_of(1), content="Outra"), after=timedelta(hours=2))
    html = client.get(f"/ui/{C}/", headers={"accept-language": "en"}).content.decode()
    history = html[html.index('<ul class="history-items">') :]
    assert re.findall(r'datetime="([^"]*)"[^>]*>[^<]*</time>\s*<span>(.*?)</span>', history)[
        :2
    ] == [
        ("2025-02-21T14:00:00Z", "The id already stands for something else; the first stays."),
        ("2025-02-21T13:00:00Z", "The conversation was closed."),
    ]


@pytest.mark.parametrize(("refused", "shown"), [(1, "1"), (50, "50"), (51, "50+")])
def test_the_history_counts_as_far_as_it_reaches(say, deliver, client, refused, shown):
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    for n in range(refused):
        deliver(make_event("NEW_MESSAGE", id=id_of(n)))
    html = client.get(f"/ui/{C}/", headers={"accept-language": "en"}).content.decode()
    assert f">{shown} refused</span></summary>" in html
    history = html[html.index('<ul class="history-items">') :]
    assert history[: history.index("</ul>")].count("<li>") == min(refused, 50)


def test_the_history_is_not_polled(say, deliver, client, held):
    say(1)
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    asked = held(f"/ui/{C}/")
    deliver(make_event("NEW_MESSAGE", id=id_of(2)))
    with CaptureQueriesContext(connection) as queries:
        fragments = client.get("/ui/fragments/poll/", asked)
    assert "history" not in fragments.content.decode()
    asked = [query["sql"] for query in queries if "chat_delivery" in query["sql"]]
    # Reads only the customer's messages after closing.
    assert all("text_digest" in sql for sql in asked)


# Arriving messages


def test_a_burst_comes_in_parts_and_whole(say, client, held):
    asked = held(f"/ui/{C}/")
    for n in range(250):
        say(n)
    first = client.get("/ui/fragments/poll/", asked).content.decode()
    asked |= {"stamp": "", "arrival": re.findall(r'data-arrival="(\d+)"', first)[-1]}
    second = client.get("/ui/fragments/poll/", asked).content.decode()
    assert numbers(first) + numbers(second) == list(range(250))
    assert 'name="stamp" value=""' in first
    assert 'name="stamp" value=""' not in second


def test_a_page_that_ends_early_is_brought_no_messages(say, client, held):
    for n in range(120):
        say(n)
    asked = held(f"/ui/{C}/?message={id_of(20)}")
    say(120)
    fragments = client.get("/ui/fragments/poll/", asked).content.decode()
    assert numbers(fragments) == []
    assert 'data-count="121"' in fragments


@pytest.mark.sqlite
def test_the_history_is_read_from_an_index_of_what_was_refused(say):
    say(1)
    plan = Delivery.objects.refused_for(C)[:50].explain()
    assert "delivery_refused" in plan
    assert "TEMP B-TREE" not in plan


def test_a_thread_links_to_what_can_be_taken_away(say, client):
    say(1)
    page = client.get(f"/ui/{C}/").content.decode()
    for address in (
        f"/conversations/{C}/transcript.txt/",
        f"/conversations/{C}/transcript.csv/",
        f"/ui/{C}/print/",
        f"/ui/deliveries/?id={C}",
    ):
        assert f'href="{address}"' in page
        assert client.get(address).status_code == 200


def test_what_came_early_and_was_applied_later_is_no_refusal(deliver, client):
    deliver(make_event("NEW_MESSAGE", id=M))
    deliver(make_event("NEW_CONVERSATION", id=C))
    page = client.get(f"/ui/{C}/").content.decode()
    assert f'id="message-{M}"' in page
    assert "history-items" not in page


# Texts


def test_the_source_of_a_message_is_what_was_stored(client, say):
    text = "\ufeff*a*\r\n> b\u202e `c` <i>\n "
    say(1, content=text)
    answer = client.get(f"/ui/fragments/message/{id_of(1)}/source/")
    assert answer.getvalue().decode() == Message.objects.get(id=id_of(1)).content
    assert answer["content-type"] == "text/plain; charset=utf-8"
    assert "no-store" in answer["cache-control"]


@pytest.mark.parametrize("part", ["", "source/"])
def test_a_text_that_is_not_there_is_not_found(client, say, part):
    say(1)
    Message.objects.filter(id=id_of(1)).update(content="")  # erased
    for id in [UNKNOWN, "no-id", id_of(1)]:
        assert client.get(f"/ui/fragments/message/{id}/{part}").status_code == 404


def test_a_long_text_is_whole_where_the_address_says_so(get, say):
    say(1, content="palavra " * 1000 + "fim")
    assert "fim<" not in get(f"/ui/{C}/")
    assert "fim<" in get(f"/ui/{C}/?message={id_of(1)}&full={id_of(1)}")
    assert "fim<" in get(f"/ui/fragments/message/{id_of(1)}/?from=3000")


def test_a_very_long_text_comes_in_pieces(get, say):
    say(1, content="palavra " * 2000 + "fim")
    piece = f"/ui/fragments/message/{id_of(1)}/?from="
    assert f'hx-get="{piece}3000"' in get(f"/ui/{C}/")
    assert f'hx-get="{piece}9000"' in get(f"{piece}3000")
    assert "fim<" in get(f"{piece}15000")
    assert "hx-get" not in get(f"{piece}15000")


@pytest.mark.parametrize("begin", ["", "-1", "3", "x", "9" * 30])
def test_no_piece_begins_outside_its_text(client, say, begin):
    say(1, content="Olá")
    assert client.get(f"/ui/fragments/message/{id_of(1)}/?from={begin}").status_code == 404
