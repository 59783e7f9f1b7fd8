"""No address lets another site's form act for somebody who is logged in."""

import re

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver, path
from django.views.decorators.http import require_POST

from chat.api.base import JSONView
from chat.models import Delivery, User
from chat.urls import urlpatterns as ours
from tests.conftest import M2, OTHER_C, C, M, make_event

UNSAFE = ["POST", "PUT", "PATCH", "DELETE"]
HARMLESS = {401, 403, 404, 405}
SAMPLES = {
    "id": C,
    "number": "1",
    "app_label": "chat",
    "object_id": "1",
    "url": "x",
    "content_type_id": "1",
}
# The routes of chat/urls.py and of the admin; fewer means that the walk has lost some.
FEWEST_ROUTES = 70


def routes(patterns, prefix=""):
    for pattern in patterns:
        route = prefix + str(pattern.pattern).removeprefix("^").removesuffix("$")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


def path_of(route):
    """An address of the route: its converters and groups filled in."""
    named = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: SAMPLES[match[1]], route)
    filled = re.sub(r"\(\?P.*\)", "chat", named)
    return "/" + (f"{filled}nothing" if filled in ("", "ui/") else filled)


EVERY = sorted({path_of(route) for route in routes(get_resolver().url_patterns)} | {"/", "/ui/x/y"})


def test_the_walk_meets_every_route():
    assert len(EVERY) >= FEWEST_ROUTES
    assert {"/webhook", "/ui/logout/", "/conversations/", "/healthz", "/admin/login/"} <= set(EVERY)
    assert len({path_of(str(pattern.pattern)) for pattern in ours}) > 50


def logged_in(user):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(user)
    return client


@pytest.fixture
def staff(db):
    return User.objects.create_superuser("root", password="a long one of words")


@pytest.mark.parametrize("method", UNSAFE)
def test_nothing_acts_without_a_token(staff, settings, method):
    """The webhook asks no browser: it asks for a signature."""
    settings.WEBHOOK_SECRETS = ["whsec_" + "A" * 32]
    client = logged_in(staff)
    for address in EVERY:
        answer = client.generic(method, address, b"{}", content_type="application/json")
        led_to_the_login = answer.status_code == 302 and "/ui/login" in answer["Location"]
        # The login form of somebody who is logged in is stale, and does nothing.
        if address.rstrip("/") == "/ui/login":
            led_to_the_login |= answer.status_code == 302 and answer["Location"] == "/ui/"
        assert answer.status_code in HARMLESS or led_to_the_login, (method, address)


def takes_posts(view):
    return "post" in view.cls.http_method_names if hasattr(view, "cls") else "POST" in view.methods


TAKING_POSTS = {path_of(str(one.pattern)) for one in ours if takes_posts(one.callback)}


@pytest.fixture
def stored(deliver):
    """What the forms act on: a closed conversation, and a delivery that may be applied again. Returns its number."""
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))  # after closing, to be dealt with
    deliver(make_event("NEW_MESSAGE", id=M2, conversation_id=OTHER_C))  # too early
    return Delivery.objects.get(message_id=M2).pk


@pytest.mark.parametrize("address", sorted(TAKING_POSTS - {"/webhook", "/webhook/"}))
def test_whatever_takes_a_post_wants_a_token(staff, stored, address):
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    if "/login" not in address:  # the form of somebody who is logged in does nothing
        browser.force_login(staff)
    answer = browser.post(address.replace("/1", f"/{stored}"), {"username": "root"})
    assert answer.status_code == 403


def test_the_walk_meets_every_form():
    assert {"/ui/login", "/ui/logout", "/ui/account", f"/ui/{C}/dealt-with"} <= TAKING_POSTS
    assert {"/ui/fragments/seen", "/ui/deliveries/1/apply", "/deliveries/1/replay"} <= TAKING_POSTS


def test_only_programs_are_exempt():
    """Their sessions are checked by SessionAuthentication."""
    exempt = [one for one in ours if getattr(one.callback, "csrf_exempt", False)]
    assert exempt
    assert all(issubclass(getattr(one.callback, "cls", object), JSONView) for one in exempt)


@require_POST
def forgetful(request):
    """A view that somebody adds without a thought for CSRF."""
    raise AssertionError("it acted")


@pytest.fixture
def with_a_new_view(settings):
    import realmate.urls

    patterns = [path("ui/new/", forgetful), *realmate.urls.urlpatterns]
    settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": patterns})


def test_a_new_view_is_protected_by_default(staff, with_a_new_view):
    assert logged_in(staff).post("/ui/new/").status_code == 403


@pytest.mark.parametrize("address", ["/conversations", "/ui/", "/ui/stats/", "/healthz"])
def test_a_wrong_method_is_a_405_and_not_about_a_token(staff, address):
    answer = logged_in(staff).post(address)
    assert answer.status_code == 405
    assert "POST" not in answer["Allow"]


@pytest.mark.parametrize("address", ["/no/such/path", "/ui/no/such/path"])
def test_a_wrong_path_is_a_404_and_not_about_a_token(staff, address):
    assert logged_in(staff).post(address).status_code == 404
