"""Each statement of each kind of event fails once: nothing is half applied, and the retry succeeds."""

from contextlib import contextmanager
from itertools import count
from uuid import uuid4

import pytest
from django.db import OperationalError, connection

from chat.models import Conversation, Delivery, Message, MessageWords
from tests.conftest import make_event
from tests.servers import assert_problem

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("an error at every statement"),
]

LATER = "2025-02-21T10:20:50"


class Failing:
    """The driver's connection, with a failing n-th statement. BEGIN and COMMIT count as statements."""

    def __init__(self, connection, number):
        vars(self).update(real=connection, left=number)

    def __getattr__(self, name):
        return getattr(self.real, name)

    def __setattr__(self, name, value):
        if name == "autocommit" and value is False:  # PostgreSQL's driver begins so
            self.step()
        setattr(self.real, name, value)

    def commit(self):
        self.step()
        self.real.commit()

    def execute(self, *statement):
        self.step()
        return self.real.execute(*statement)

    def step(self):
        vars(self)["left"] -= 1
        if self.left == 0:
            raise OperationalError("injected")

    @property
    def has_failed(self):
        return self.left <= 0


@contextmanager
def failing_at(number):
    """Fail the n-th statement. Yield the connection, whose `has_failed` says whether there was one."""
    connection.ensure_connection()
    failing = Failing(connection.connection, number)

    def step(execute, *statement):
        failing.step()
        return execute(*statement)

    connection.connection = failing
    try:
        with connection.execute_wrapper(step):
            yield failing
    finally:
        if connection.connection is failing:  # and not closed meanwhile
            connection.connection = failing.real


def everything():
    models = (Conversation, Message, MessageWords, Delivery)
    return [list(model.objects.order_by("pk").values()) for model in models]


# Each makes a new story: some events, and a last event, in which the failure comes.


def an_opening(c, m):
    return [make_event("NEW_CONVERSATION", id=c)]


def a_message(c, m):
    return [*an_opening(c, m), make_event("NEW_MESSAGE", id=m, conversation_id=c, at=LATER)]


def a_late_message(c, m):
    late = make_event("NEW_MESSAGE", id=str(uuid4()), conversation_id=c)
    return [*a_message(c, m), late]


def a_closing(c, m):
    return [*a_message(c, m), make_event("CLOSE_CONVERSATION", id=c, at=LATER)]


def a_duplicate(c, m):
    return [*a_message(c, m), a_message(c, m)[-1]]


def a_second_closing(c, m):
    return [*a_closing(c, m), a_closing(c, m)[-1]]


def a_conflict(c, m):
    return [*a_message(c, m), make_event("NEW_MESSAGE", id=m, conversation_id=c, content="other")]


def a_message_after_the_closing(c, m):
    return [*a_closing(c, m), make_event("NEW_MESSAGE", id=str(uuid4()), conversation_id=c)]


def an_early_message(c, m):
    return [a_message(c, m)[-1]]


def an_opening_with_early_events(c, m):
    opening, *early = a_closing(c, m)
    return [*early, opening]


def a_malformed_event(c, m):
    return [make_event("NEW_CONVERSATION", id=5)]


STORIES = {
    an_opening: 201,
    a_message: 201,
    a_late_message: 201,
    a_closing: 200,
    a_duplicate: 200,
    a_second_closing: 200,
    a_conflict: 409,
    a_message_after_the_closing: 400,
    an_early_message: 404,
    an_opening_with_early_events: 201,
    a_malformed_event: 400,
}


@pytest.mark.parametrize(
    ("story", "status"), STORIES.items(), ids=[story.__name__ for story in STORIES]
)
def test_whichever_statement_fails_nothing_is_half_applied(post, story, status):
    for number in count(1):
        *before, last = story(str(uuid4()), str(uuid4()))
        for event in before:
            post(event)
        stored = everything()
        with failing_at(number) as failing:
            answer = post(last)
        if not failing.has_failed:
            break
        assert_problem(answer, 503, "try_again")
        assert int(answer["Retry-After"]) > 0
        assert everything() == stored
        assert post(last).status_code == status
    assert answer.status_code == status
    assert number > 3  # to begin, to write the row of the log, to commit
