"""The page of the API: Swagger UI, from files of this host, for every logged-in user."""

import re

import pytest
from playwright.sync_api import expect

from chat.models import User
from tests.servers import through_wsgi

OURS = "default-src 'none'; script-src 'self'; style-src 'self'"
browser = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


def test_it_is_in_english_and_runs_nothing_of_its_own():
    answer = through_wsgi("GET", "/docs", HTTP_ACCEPT_LANGUAGE="pt-BR")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert '<html lang="en" ' in page
    assert page.count("<script") == len(re.findall(r"<script [^>]*src=[^>]*></script>", page))
    assert "style=" not in page
    assert not re.search(r'(?:src|href)="https?:', page)


def test_its_policy_loosens_styles_only():
    of_docs = through_wsgi("GET", "/docs")["Content-Security-Policy"]
    of_others = through_wsgi("GET", "/schema")["Content-Security-Policy"]
    assert "'unsafe-inline'" not in of_others
    loosened = "style-src 'self' 'unsafe-inline'"
    assert of_docs == of_others.replace("style-src 'self'", loosened) != of_others


@pytest.mark.django_db
def test_it_leads_to_the_login_and_back(client, settings):
    settings.LOGIN_REQUIRED = True
    User.objects.create_user("ana", password="correct horse")
    led = client.get("/docs")
    assert (led.status_code, led["Location"]) == (302, "/ui/login/?next=/docs")
    back = client.post(led["Location"], {"username": "ana", "password": "correct horse"})
    assert (back.status_code, back["Location"]) == (302, "/docs")
    assert client.get("/docs").status_code == 200


class TestInABrowser:
    pytestmark = browser

    def test_it_lists_every_operation_and_asks_this_service(self, page):
        schema = page.request.get("/schema").json()
        page.goto("/docs")
        operations = page.locator(".opblock")
        named = sum(len(methods.keys() - {"parameters"}) for methods in schema["paths"].values())
        expect(operations).to_have_count(named)
        for path in schema["paths"]:
            expect(page.locator(f'[data-path="{path}"]').first).to_be_visible()

        health = page.locator("#operations-Service-getHealth")
        health.click()
        health.get_by_role("button", name="Execute").click()
        answer = health.locator(".live-responses-table")
        expect(answer).to_contain_text("200")
        expect(answer).to_contain_text('"status": "ok"')
