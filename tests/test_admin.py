"""The admin: stored rows can be looked at, and not changed."""

import pytest
from django.contrib.auth.models import Group, Permission

from chat.models import Conversation, Delivery, Message, User
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


# Users


@pytest.fixture
def manager(django_user_model):
    """Staff with every permission on users, but no superuser."""
    manager = django_user_model.objects.create_user("manager", is_staff=True)
    manager.user_permissions.set(Permission.objects.filter(codename__endswith="_user"))
    return manager


def form_of(user, **fields):
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    return {"username": user.username, "is_active": "on", **joined, **fields}


@pytest.fixture
def right(db):
    """Return the key of a permission. A test with real transactions gives all permissions new keys."""
    return str(Permission.objects.earliest("pk").pk)


@pytest.fixture
def rights(right):
    return {"is_superuser": "on", "is_staff": "on", "user_permissions": [right]}


def test_only_a_superuser_gives_rights_away(
    client, admin_client, manager, django_user_model, rights
):
    agent = django_user_model.objects.create_user("agent")
    client.force_login(manager)
    for user in (agent, manager):
        address = f"/admin/chat/user/{user.pk}/change/"
        answer = client.post(address, form_of(user, first_name="Ana", **rights))
        assert answer.status_code == 302  # the permitted field is changed
    agent.refresh_from_db()
    manager.refresh_from_db()
    assert (agent.first_name, agent.is_superuser, agent.is_staff) == ("Ana", False, False)
    assert not agent.user_permissions.exists()
    assert not manager.is_superuser
    assert manager.user_permissions.count() == 4
    admin_client.post(f"/admin/chat/user/{agent.pk}/change/", form_of(agent, **rights))
    agent.refresh_from_db()
    assert agent.is_superuser


@pytest.mark.parametrize("place", ["change/", "delete/", "password/"])
def test_only_a_superuser_changes_a_superuser(client, admin_user, manager, place):
    client.force_login(manager)
    fields = {"password1": "a long new one 1", "password2": "a long new one 1", "post": "yes"}
    before = admin_user.password
    form = form_of(admin_user, first_name="Ana", **fields)
    assert client.post(f"/admin/chat/user/{admin_user.pk}/{place}", form).status_code == 403
    admin_user.refresh_from_db()
    assert (admin_user.password, admin_user.first_name) == (before, "")


def test_nor_does_the_action_on_many_delete_a_superuser(client, admin_user, manager):
    client.force_login(manager)
    action = {"action": "delete_selected", "_selected_action": [admin_user.pk], "post": "yes"}
    client.post("/admin/chat/user/", action)
    admin_user.refresh_from_db()


ADDED = {"password1": "another horse entirely", "password2": "another horse entirely"}


def test_a_new_user_has_no_rights(client, manager, rights):
    client.force_login(manager)
    form = {"username": "new", "usable_password": "true", **ADDED, **rights}
    client.post("/admin/chat/user/add/?is_superuser=1&is_staff=1", form)
    new = User.objects.get(username="new")
    assert (new.is_superuser, new.is_staff, new.user_permissions.count()) == (False, False, 0)


@pytest.mark.parametrize("place", ["change/", "delete/", "password/"])
@pytest.mark.parametrize("through", ["user_permissions", "groups"])
@pytest.mark.parametrize("is_active", [True, False])
def test_nor_a_user_with_more_rights(client, manager, place, through, is_active):
    other = User.objects.create_user("bia", is_staff=True, is_active=is_active)
    rights = Permission.objects.filter(codename="change_token")
    if through == "groups":
        group = Group.objects.create(name="more")
        group.permissions.set(rights)
        other.groups.add(group)
    else:
        other.user_permissions.set(rights)
    client.force_login(manager)
    form = form_of(other, post="yes", **ADDED)
    assert client.post(f"/admin/chat/user/{other.pk}/{place}", form).status_code == 403
    manager.user_permissions.add(*rights)
    assert client.post(f"/admin/chat/user/{other.pk}/{place}", form).status_code == 302


@pytest.mark.parametrize("place", ["add/", "{pk}/change/", "{pk}/delete/"])
def test_only_a_superuser_changes_groups(client, admin_client, manager, right, place):
    group = Group.objects.create(name="managers")
    manager.groups.add(group)
    manager.user_permissions.add(*Permission.objects.filter(codename__endswith="_group"))
    client.force_login(manager)
    address = "/admin/auth/group/" + place.format(pk=group.pk)
    form = {"name": "managers 2", "permissions": [right], "post": "yes"}
    assert client.post(address, form).status_code == 403
    assert Group.objects.get().name == "managers"
    assert not group.permissions.exists()
    assert admin_client.post(address, form).status_code == 302


def test_a_user_whose_name_another_one_has_in_another_case_can_be_changed(admin_client):
    """0.1.0 allowed such names."""
    User.objects.create(username="Ana")
    User.objects.bulk_create([User(username="ana", folded_name=None)])
    ana = User.objects.get(username="ana")
    form = form_of(ana)
    del form["is_active"]
    assert admin_client.post(f"/admin/chat/user/{ana.pk}/change/", form).status_code == 302
    ana.refresh_from_db()
    assert not ana.is_active
