"""Logging in and out in a real browser."""

import pytest
from playwright.sync_api import expect

from chat.models import User
from tests.conftest import C, make_event

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


def test_from_the_login_to_the_logout_and_what_another_tab_then_says(
    page, failures, deliver, row, settings
):
    settings.LOGIN_REQUIRED = True
    User.objects.create_user("ana", password="correct horse")
    deliver(make_event("NEW_CONVERSATION", id=C))
    page.goto(f"/ui/{C}/?filter=open")
    page.get_by_label("Username").fill("ana")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Log in").click()
    expect(row(C)).to_have_attribute("aria-current", "page")
    assert page.url.endswith(f"/ui/{C}/?filter=open")

    other = page.context.new_page()
    other.goto("/ui/account/")
    other.get_by_role("button", name="Log out").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Log in")

    expect(page.get_by_role("alert")).to_contain_text("Your session is over.")
    expect(row(C)).to_be_visible()
    page.get_by_role("link", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
