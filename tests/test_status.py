"""`/ui/status/` for staff: faults, figures, and refusals."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.utils import timezone

from chat.health.diagnosis import CHECKS
from chat.health.vitals import VITALS
from chat.models import Backup, Delivery
from chat.views.status import FIGURES, NOT_HERE, PARTS
from tests.conftest import C, M, make_event

pytestmark = pytest.mark.both_engines("the figures are SQL of each engine")


@pytest.fixture
def status(db, client, django_user_model):
    client.force_login(django_user_model.objects.create_user("ana", is_staff=True))

    def status(language="en"):
        cache.clear()
        answer = client.get("/ui/status/", headers={"accept-language": language})
        assert answer.status_code == 200
        return re.sub(r"\s+", " ", answer.content.decode())

    return status


def test_it_is_for_staff(db, client, django_user_model):
    client.force_login(django_user_model.objects.create_user("bia"))
    assert client.get("/ui/status/").status_code == 403
    assert "/ui/status/" not in client.get("/ui/").content.decode()


def test_without_a_login_it_leads_to_one(db, client):
    assert client.get("/ui/status/")["Location"] == "/ui/login/?next=/ui/status/"


def test_staff_find_it_on_every_page(status, client):
    assert 'href="/ui/status/"' in client.get("/ui/").content.decode()


def test_each_part_of_the_diagnosis_has_a_name():
    assert {*PARTS, *NOT_HERE} == CHECKS.keys()
    assert FIGURES.keys() <= VITALS.keys()


def test_what_is_wrong_is_told_with_what_to_type(status):
    page = status()
    assert "Something is wrong." in page
    assert "There was no backup yet. <code>manage.py backup FILE</code>" in page
    Backup.objects.note(at=timezone.now())
    page = status()
    assert "no backup yet" not in page
    assert "Nothing wrong was found." in page


def test_it_speaks_portuguese(status):
    assert "Ainda não houve backup." in status("pt-BR")


def test_it_says_since_when_the_server_runs(status, monkeypatch):
    monkeypatch.setenv("REALMATE_STARTED_AT", "1764399600.5")
    assert re.search(r'Running since: <time datetime="2025-11-29T07:00:00', status())
    assert "No ar desde <time" in status("pt-BR")


def test_figures_are_shown(status, deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))
    assert "<dt>Customers who wait for a reply</dt> <dd>1</dd>" in status()


def test_refusals_are_counted_by_reason_in_the_last_hour_and_day(status, post):
    for _ in range(3):
        post(b"{")
    _newest, older, oldest = Delivery.objects.order_by("-id")
    Delivery.objects.filter(pk=older.pk).update(received_at=timezone.now() - timedelta(hours=2))
    Delivery.objects.filter(pk=oldest.pk).update(received_at=timezone.now() - timedelta(hours=25))
    page = status()
    assert re.search(r'Last hour"><div>1</div>.*Last 24 hours"><div>2</div>', page)
    assert 'href="/ui/deliveries/?code=invalid_json"' in page


def test_without_refusals_it_says_so(status):
    assert "No event was refused in the last 24 hours." in status()


def test_a_database_that_fails_leaves_a_page(status):
    def broken(execute, sql, *statement):
        if "chat_delivery" in sql:
            raise OperationalError("gone")
        return execute(sql, *statement)

    status()
    with connection.execute_wrapper(broken):
        page = status()
    assert "could not be judged: gone" in page
    assert "does not give them within a second" in page
