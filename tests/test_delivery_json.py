"""`GET /deliveries/{id}` and `POST /deliveries/{id}/replay`: one delivery for machines, and its replay."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.middleware.csrf import _get_new_csrf_string
from django.test import Client

from chat.models import KEPT_OF_INVALID_BODY, Delivery, Message
from chat.upkeep import erasure
from tests.conftest import NOW, C, M, make_event
from tests.servers import assert_problem

pytestmark = pytest.mark.both_engines("reads bodies, and applies them again")

MESSAGE = make_event("NEW_MESSAGE", id=M)
OPEN = make_event("NEW_CONVERSATION", id=C)


@pytest.fixture
def staff(django_user_model):
    """A client with a staff session. Django's checks of forms are on."""
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(django_user_model.objects.create_user("ana", is_staff=True))
    client.cookies["csrftoken"] = _get_new_csrf_string()
    return client


@pytest.fixture
def came_too_early(deliver):
    deliver(MESSAGE)
    deliver(OPEN, after=timedelta(days=30))
    return Delivery.objects.earliest("id")


def shown(client, delivery):
    answer = client.get(f"/deliveries/{delivery.pk}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def replay(client, delivery):
    token = client.cookies["csrftoken"].value if "csrftoken" in client.cookies else ""
    path = f"/deliveries/{delivery.pk}/replay"
    return client.post(path, content_type="application/json", headers={"x-csrftoken": token})


def test_it_has_all_of_the_list_and_more(staff, came_too_early):
    [row] = [row for row in staff.get("/deliveries").json()["deliveries"] if row["message_id"]]
    assert shown(staff, came_too_early) == row | {
        "errors": [],
        "can_be_replayed": True,
        "body": json.dumps(MESSAGE),
        "body_base64": None,
    }


def test_only_staff_get_the_body(agent, came_too_early, settings):
    settings.LOGIN_REQUIRED = True
    found = shown(agent, came_too_early)
    assert (found["body"], found["body_base64"]) == (None, None)
    token = token_of("mirror")
    answer = Client().get(f"/deliveries/{came_too_early.pk}", headers=token)
    assert answer.status_code == 200
    assert answer.json()["body"] is None
    assert Client().get(f"/deliveries/{came_too_early.pk}").status_code == 401


def token_of(name, *options):
    out = StringIO()
    call_command("createtoken", name, *options, stdout=out, stderr=StringIO())
    return {"authorization": f"Bearer {out.getvalue().split()[-1]}"}


def test_a_body_that_is_no_text_comes_in_base64(staff, deliver):
    deliver(b"\xff{}")
    found = shown(staff, Delivery.objects.get())
    assert (found["body"], found["body_base64"], found["errors"]) == (None, "/3t9", [])


def test_an_invalid_event_has_its_errors(agent, deliver):
    deliver({**OPEN, "timestamp": "yesterday", "data": {}})
    errors = shown(agent, Delivery.objects.get())["errors"]
    assert [error["pointer"] for error in errors] == ["/timestamp", "/data/id"]
    assert set(errors[0]) == {"pointer", "code", "detail"}


def test_a_body_that_was_cut_has_no_errors(agent, deliver):
    deliver({**OPEN, "data": {"id": "x" * KEPT_OF_INVALID_BODY}})
    assert shown(agent, Delivery.objects.get())["errors"] == []


def test_an_erased_body_is_null(staff, came_too_early):
    erasure.erase(came_too_early.conversation_id, at=NOW)
    found = shown(staff, came_too_early)
    assert (found["body"], found["can_be_replayed"]) == (None, False)


@pytest.mark.parametrize("number", ["0", "999", "x", "1e3", "9" * 30])
def test_an_unknown_number_is_a_404(staff, db, number):
    assert_problem(staff.get(f"/deliveries/{number}"), 404, "not_found")


# Replay


def test_a_replay_answers_as_the_webhook_does(staff, came_too_early):
    answer = replay(staff, came_too_early)
    assert answer.status_code == 201
    assert answer.json() == {"outcome": "applied", "type": "NEW_MESSAGE", "id": M}
    assert Message.objects.get().received_at == NOW
    row = Delivery.objects.latest("id")
    assert row.replays == came_too_early
    assert str(row.request_id) == answer["X-Request-Id"]


def test_a_replay_that_is_refused_says_why(staff, deliver):
    deliver(MESSAGE)
    assert_problem(replay(staff, Delivery.objects.get()), 404, "conversation_not_found")


def test_what_a_replay_cannot_help_is_left(staff, came_too_early):
    assert replay(staff, came_too_early).status_code == 201
    count = Delivery.objects.count()
    assert_problem(replay(staff, came_too_early), 409, "replay_cannot_help")
    assert Delivery.objects.count() == count


def test_only_staff_and_tokens_with_the_scope_replay(agent, came_too_early, settings):
    assert_problem(replay(agent, came_too_early), 403, "forbidden")
    settings.LOGIN_REQUIRED = True
    assert_problem(replay(Client(), came_too_early), 401, "not_authenticated")
    path = f"/deliveries/{came_too_early.pk}/replay"
    answer = Client().post(path, content_type="application/json", headers=token_of("mirror"))
    assert_problem(answer, 403, "insufficient_scope")
    assert not Message.objects.exists()
    may_replay = token_of("support", "--scope", "replay")
    answer = Client().post(path, content_type="application/json", headers=may_replay)
    assert answer.status_code == 201


def test_a_replay_needs_the_token_of_a_form(staff, came_too_early):
    del staff.cookies["csrftoken"]
    assert_problem(replay(staff, came_too_early), 403, "forbidden")
    assert not Message.objects.exists()


def test_a_replay_takes_no_get(staff, came_too_early):
    answer = staff.get(f"/deliveries/{came_too_early.pk}/replay")
    assert_problem(answer, 405, "method_not_allowed")
