"""Pages of a thread: every message once, in order, in both directions of reading."""

import pytest

from chat.models import Conversation, Message

pytestmark = pytest.mark.both_engines("keyset pages of a thread")

from tests.conftest import C, id_of, make_event


@pytest.fixture
def thread(deliver):
    """23 messages, several at the same instant, some late. Another conversation beside them."""
    other = "0e1d2c3b-4a59-4687-9706-f5e4d3c2b1a0"
    for id in (C, other):
        deliver(make_event("NEW_CONVERSATION", id=id))
    for n in [*range(0, 23, 2), *range(1, 23, 2)]:
        at = f"2025-02-21T11:00:{n // 3:02}"
        deliver(make_event("NEW_MESSAGE", id=id_of(n), at=at))
        deliver(make_event("NEW_MESSAGE", id=id_of(100 + n), at=at, conversation_id=other))
    return Conversation.objects.get(id=C).messages


sizes = pytest.mark.parametrize("size", [1, 2, 3, 7, 22, 23, 24])


@sizes
def test_backwards_from_the_newest_everything_is_read_once(thread, size):
    page = thread.newest(size)
    found = page.messages
    while page.has_older:
        page = thread.page_before(found[0], size)
        assert page.has_newer
        found = page.messages + found
    assert found == list(thread.in_order())


@sizes
def test_forwards_from_the_first_everything_is_read_once(thread, size):
    found = [thread.in_order().first()]
    more = True
    while more:
        page = thread.page_after(found[-1], size)
        found, more = found + page.messages, page.has_newer
    assert found == list(thread.in_order())


@sizes
def test_around_any_message_stands_it_and_what_is_beside_it(thread, size):
    everything = list(thread.in_order())
    for number, message in enumerate(everything):
        page = thread.page_around(message, size)
        first = everything.index(page.messages[0])
        assert message in page.messages
        assert page.messages == everything[first : first + len(page.messages)]
        assert len(page.messages) <= size
        assert page.has_older == (first > 0)
        assert page.has_newer == (first + len(page.messages) < len(everything))
        assert number - first <= size // 2


def test_a_page_takes_few_queries(thread, django_assert_num_queries):
    message = thread.all()[5]
    for queries, read in [(1, thread.page_before), (1, thread.page_after), (2, thread.page_around)]:
        with django_assert_num_queries(queries):
            read(message, 5)


@pytest.mark.sqlite
def test_a_page_is_read_from_the_index(thread):
    message = thread.all()[5]
    plan = thread.filter(timestamp__lte=message.timestamp).order_by("-timestamp", "-arrival")
    assert "TEMP B-TREE" not in plan.explain()


def test_an_empty_thread_has_a_page(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    page = Message.objects.filter(conversation_id=C).newest(50)
    assert (page.messages, page.has_older, page.has_newer) == ([], False, False)


# The print


@pytest.fixture
def long_thread(deliver, monkeypatch):
    """Seven messages of two days, in pages of three."""
    monkeypatch.setattr("chat.models.messages.CHUNK", 3)
    deliver(make_event("NEW_CONVERSATION", id=C))
    for n in range(7):
        at = f"2025-02-2{1 + n // 4}T10:21:0{n}"
        deliver(make_event("NEW_MESSAGE", id=id_of(n), at=at, content=f"Mensagem {n}"))


def test_the_print_is_streamed_as_one_page(client, long_thread):
    answer = client.get(f"/ui/{C}/print/", headers={"accept-language": "en"})
    assert answer.streaming
    assert "no-store" in answer["Cache-Control"]
    page = b"".join(answer).decode()
    assert [f"Mensagem {n}" in page for n in range(7)] == [True] * 7
    assert page.count('<li class="day">') == 2
    assert page.index("Opened") < page.index("Mensagem 0") < page.index("Mensagem 6")
    assert page.index("Mensagem 6") < page.index("closed-line") < page.index("</html>")
    assert page.count("<h1>") == 1
    assert "<!-- messages -->" not in page
    # The last message of one query and the first of the next stand together.
    assert page.count("message--joined") == 5


def test_the_print_reads_what_its_reader_has_taken(
    client, long_thread, django_assert_max_num_queries
):
    with django_assert_max_num_queries(4):
        answer = client.get(f"/ui/{C}/print/")
        pieces = iter(answer)
        assert b"Mensagem 2" in next(pieces) + next(pieces)


def test_head_of_the_print_reads_no_message(client, long_thread, django_assert_max_num_queries):
    with django_assert_max_num_queries(2):
        answer = client.head(f"/ui/{C}/print/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
