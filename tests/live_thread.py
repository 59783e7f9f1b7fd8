"""Steps for tests of an open thread in a real Chromium."""

from datetime import timedelta

import pytest

from chat.models import Conversation, Message
from tests.conftest import NOW, C, id_of, make_event

NUMBERS = "() => [...document.querySelectorAll('.message')].map(li => Number(li.id.slice(-12)))"
# Scrolls, and returns the first message in view and its place, before anything can be loaded.
SCROLL = """([scroller, top]) => {
    scroller.scrollTop = top < 0 ? scroller.scrollHeight + top : top;
    const edge = scroller.getBoundingClientRect().top;
    const isInView = li => li.getBoundingClientRect().bottom > edge;
    const first = [...scroller.querySelectorAll(".message")].find(isInView);
    return [first.id, first.getBoundingClientRect().top];
}"""


@pytest.fixture
def store(deliver):
    """Insert messages straight into the table, a minute apart."""

    def store(number):
        deliver(make_event("NEW_CONVERSATION", id=C))
        conversation = Conversation.objects.get(id=C)
        Message.objects.bulk_create(
            Message(
                id=id_of(n),
                conversation=conversation,
                direction="SENT",
                content=f"Mensagem {n}",
                timestamp=NOW + timedelta(minutes=n),
                received_at=NOW,
            )
            for n in range(number)
        )

    return store


def show_at_most(page, limit):
    """Give the page a script with another limit of shown messages."""

    def answer(route):
        given = route.fetch()
        script = given.text()
        if "MOST_SHOWN" in script:
            assert "MOST_SHOWN = 500;" in script
            script = script.replace("MOST_SHOWN = 500", f"MOST_SHOWN = {limit}")
        route.fulfill(response=given, body=script)

    page.route("**/static/chat/*.js", answer)


def bubble(page, n):
    return page.locator(f"#message-{id_of(n)}")


def scroll(page, top):
    """Scroll to this offset, or from the end if negative. Return the first message in view, and its place."""
    return page.evaluate(SCROLL, [page.locator("#thread-scroll").element_handle(), top])


def place_of(page, id):
    return page.locator(f"#{id}").evaluate("element => element.getBoundingClientRect().top")


def ask(page):
    """Let the page poll now, not in 3 s: a page polls when the browser is online again."""
    page.evaluate("dispatchEvent(new Event('online'))")
