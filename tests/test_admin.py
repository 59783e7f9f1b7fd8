"""The admin: a look at what is stored, and nothing to change it with."""

import pytest

from chat.models import Conversation, Delivery, Message
from tests.conftest import C, M, make_event

PLACES = ["conversation", "message", "delivery"]


@pytest.fixture
def stored(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))
    deliver(b"\xff not JSON")


def first(place):
    return {"conversation": Conversation, "message": Message, "delivery": Delivery}[
        place
    ].objects.first()


@pytest.mark.parametrize("place", PLACES)
def test_it_lists_and_shows_what_is_stored(admin_client, stored, place):
    assert str(first(place).pk) in admin_client.get(f"/admin/chat/{place}/").content.decode()
    assert admin_client.get(f"/admin/chat/{place}/{first(place).pk}/change/").status_code == 200


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("change", ["add/", "{pk}/delete/"])
def test_it_adds_and_deletes_nothing(admin_client, stored, place, change):
    address = f"/admin/chat/{place}/" + change.format(pk=first(place).pk)
    assert admin_client.post(address, {"post": "yes"}).status_code == 403
    assert first(place) is not None


@pytest.mark.parametrize("place", PLACES)
def test_it_changes_nothing(admin_client, stored, place):
    before = type(first(place)).objects.values().first()
    address = f"/admin/chat/{place}/{first(place).pk}/change/"
    assert admin_client.post(address, {"content": "other", "state": "CLOSED"}).status_code == 403
    assert type(first(place)).objects.values().first() == before


def test_it_shows_a_body_that_is_not_text(admin_client, stored):
    refused = Delivery.objects.get(code="invalid_json")
    page = admin_client.get(f"/admin/chat/delivery/{refused.pk}/change/").content.decode()
    assert "\\xff not JSON" in page


@pytest.mark.parametrize("place", PLACES)
def test_an_agent_who_is_not_staff_sees_nothing(client, django_user_model, stored, place):
    client.force_login(django_user_model.objects.create_user("agent"))
    assert client.get(f"/admin/chat/{place}/").status_code == 302


def test_search_finds_by_id_and_survives_junk(admin_client, stored):
    assert C in admin_client.get(f"/admin/chat/conversation/?q={C}").content.decode()
    assert admin_client.get("/admin/chat/conversation/?q=não-é-id").status_code == 200
