"""What the first load of a thread costs in a real Chromium with an empty cache."""

import gzip
from datetime import timedelta

import pytest

from tests.conftest import NOW, C, id_of, make_event

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

MOST_BYTES = 60_000
MOST_REQUESTS = 26  # a module of JavaScript each, because there is no build step


@pytest.fixture
def answers(page):
    found = []
    page.on("response", lambda answer: found.append(answer))
    return found


def test_the_first_load_of_a_full_thread_is_small(page, deliver, answers):
    deliver(make_event("NEW_CONVERSATION", id=C))
    for n in range(60):
        at = (NOW + timedelta(minutes=n)).isoformat()
        deliver(make_event("NEW_MESSAGE", id=id_of(n), at=at))
    page.goto(f"/ui/{C}/", wait_until="load")
    page.wait_for_function("document.getElementById('open-help').hidden === false")
    loaded = [answer for answer in answers if "/fragments/" not in answer.url]
    assert sum(len(gzip.compress(answer.body())) for answer in loaded) < MOST_BYTES
    assert len(loaded) <= MOST_REQUESTS
