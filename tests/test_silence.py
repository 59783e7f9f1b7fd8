"""A silence of the sender longer than usual."""

from datetime import timedelta

import pytest
from django.core.cache import cache

from chat.health.silence import look
from chat.models import latest_cursor
from tests.conftest import NOW, id_of, make_event

pytestmark = pytest.mark.both_engines("spans of an index of times")

WEEK = timedelta(weeks=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def came(deliver):
    """Deliveries came at these ages before the last delivery, at NOW."""

    def came(*ages):
        for n, age in enumerate([*sorted(ages, reverse=True), timedelta()]):
            deliver(make_event("NEW_CONVERSATION", id=id_of(n)), after=-age)

    return came


def weeks_ago(*weeks, later=5 * MINUTE):
    return [week * WEEK - later for week in weeks]


def test_a_long_silence_is_not_compared_with_itself(came):
    came()
    assert look(NOW + 90 * WEEK) is None
    came(*weeks_ago(1, 2, 3))
    assert look(NOW + 90 * WEEK) == NOW


@pytest.mark.parametrize(
    ("weeks", "is_unusual"), [([1, 2, 3], True), ([2, 3, 4], True), ([1, 2], False), ([], False)]
)
def test_a_silence_is_unusual_if_something_came_in_three_of_four_weeks(came, weeks, is_unusual):
    came(*weeks_ago(*weeks))
    assert look(NOW + 40 * MINUTE) == (NOW if is_unusual else None)


def test_other_minutes_of_the_week_do_not_count(came):
    came(*weeks_ago(1, 2, 3, 4, later=-5 * MINUTE), *weeks_ago(1, 2, 3, 4, later=45 * MINUTE))
    assert look(NOW + 40 * MINUTE) is None


def test_a_short_silence_is_never_unusual(came):
    came(*weeks_ago(1, 2, 3, 4))
    assert look(NOW + 9 * MINUTE) is None


def test_a_service_without_deliveries_says_nothing(db):
    assert look(NOW) is None


def test_a_poll_tells_it_without_a_body_and_asks_once_in_half_a_minute(
    came, client, held, django_assert_num_queries
):
    came(*weeks_ago(1, 2, 3))
    cache.set("silence", NOW, 30)
    asked = held("/ui/") | {"after": str(latest_cursor())}
    with django_assert_num_queries(2):
        answer = client.get("/ui/fragments/poll/", asked)
    assert answer.status_code == 204
    assert answer["X-Silent-Since"] == NOW.isoformat()
    cache.delete("silence")
