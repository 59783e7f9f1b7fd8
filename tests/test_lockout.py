"""Guessing at passwords: refused after some attempts, for a while, and costs nobody else anything."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.db.models import F
from django.test import Client

from tests.conftest import C, make_event
from tests.servers import assert_page

pytestmark = pytest.mark.both_engines("attempts are counted in the database")

PASSWORD = "correct horse battery"
WHILE = timedelta(minutes=15, seconds=1)
HERE, ELSEWHERE = "203.0.113.9", "203.0.113.77"


@pytest.fixture(autouse=True)
def ana(django_user_model, db):
    return django_user_model.objects.create_user("ana", password=PASSWORD, is_staff=True)


@pytest.fixture
def guess(settings):
    """One attempt at the login of ana, from here, unless told otherwise."""
    settings.AXES_FAILURE_LIMIT = 3

    def guess(password="wrong", *, name="ana", address=HERE, path="/ui/login/", **form):
        form = {"username": name, "password": password} | form
        client = Client(headers={"accept-language": "en"}, REMOTE_ADDR=address)
        return client.post(path, form)

    return guess


def lock(guess, **where):
    for _ in range(3):
        answer = guess(**where)
    return answer


def test_the_last_attempt_is_answered_by_a_lockout(guess):
    assert [guess().status_code for _ in range(3)] == [200, 200, 429]


def test_then_the_right_password_is_refused_too(guess):
    lock(guess)
    answer = guess(PASSWORD)
    assert_page(answer, 429)
    assert "sessionid" not in answer.cookies


def test_the_lockout_says_for_how_long_to_readers_and_to_programs(guess, settings):
    settings.LOGIN_LOCKOUT_MINUTES = 20
    answer = lock(guess)
    assert "for 20 minutes" in answer.content.decode()
    assert answer["Retry-After"] == "1200"
    assert "no-store" in answer["Cache-Control"]


def test_the_admin_s_login_counts_too(guess):
    lock(guess, path="/admin/login/")
    assert guess(PASSWORD).status_code == 429
    assert_page(guess(PASSWORD, path="/admin/login/"), 429)


@pytest.mark.parametrize("other", [{"address": ELSEWHERE}, {"name": "bia"}])
def test_another_name_or_another_address_is_not_locked_out(guess, django_user_model, other):
    django_user_model.objects.create_user("bia", password=PASSWORD)
    lock(guess)
    assert guess(PASSWORD, **other).status_code == 302


def test_it_is_over_after_a_while(guess, settings):
    lock(guess)
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - WHILE)
    assert guess(PASSWORD).status_code == 302
    assert not AccessAttempt.objects.exists()


def test_who_goes_on_guessing_does_not_make_it_longer(guess):
    lock(guess)
    before = AccessAttempt.objects.values().get()
    lock(guess)
    assert AccessAttempt.objects.values().get() == before


def test_the_right_password_forgets_the_wrong_ones(guess):
    assert [guess(word).status_code for word in ("x", "x", PASSWORD, "x", "x")][-1] == 200


def test_what_is_no_address_is_counted_as_one(guess):
    answers = [guess(address=f"unknown:{port}").status_code for port in range(3)]
    assert answers[-1] == 429


def test_no_attempt_keeps_or_logs_a_password(guess, caplog):
    guess("hunter2-hunter2", name="hunter2-typed-in-the-wrong-field")
    kept = AccessAttempt.objects.values("post_data", "get_data", "path_info").get()
    assert "hunter2" not in str(kept)
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("junk", ["\0", "\ud800".encode("utf-8", "surrogatepass"), "x" * 100_000])
def test_junk_in_the_form_is_only_another_wrong_attempt(guess, junk):
    assert guess(next=junk, other=junk).status_code == 200


def test_a_name_that_nobody_can_have_is_counted_too(guess):
    assert lock(guess, name="x" * 5_000).status_code == 429
    assert AccessAttempt.objects.get().username == "x" * 150


# What it costs


def test_nobody_else_pays_for_it(deliver, client, ana, held, django_assert_max_num_queries):
    deliver(make_event("NEW_CONVERSATION", id=C))
    asked = held("/ui/")
    client.force_login(ana)
    event = make_event("CLOSE_CONVERSATION", id=C)
    with django_assert_max_num_queries(30) as queries:
        client.get("/ui/fragments/poll/", asked)
        client.post("/webhook/", event, content_type="application/json")
    assert not [query for query in queries if "axes" in query["sql"]]
