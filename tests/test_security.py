"""Claims of docs/security.md without another test, and the form of the page."""

import re
from collections import Counter

import pytest
from django.test import Client

from chat.models import User
from tests.servers import ROOT

PASSWORD = "correct horse battery"
PAGE = (ROOT / "docs" / "security.md").read_text()
ROW = re.compile(
    r"^\| (\d[\d., ]*) \| (.+?) \| (holds|n\.a\.|open)(?:: (.+?))? \| (.*?) ?\|$", re.M
)
# The last requirement of level 1 or 2 of each section of ASVS 5.0.0. Requirements of level 3 come after.
LAST = re.findall(
    r"\S+",
    """
1.1.2 1.2.9 1.3.11 1.4.3 1.5.2 2.1.3 2.2.3 2.3.4 2.4.1 3.2.2 3.3.4 3.4.6 3.5.5 3.7.2 4.1.3 4.2.1 4.3.2 4.4.4
5.1.1 5.2.3 5.3.2 5.4.3 6.1.3 6.2.12 6.3.4 6.4.4 6.5.5 6.6.3 6.8.4 7.1.3 7.2.4 7.3.2 7.4.5 7.5.2 7.6.2
8.1.2 8.2.3 8.3.1 8.4.1 9.1.3 9.2.4 10.1.2 10.2.2 10.3.4 10.4.11 10.5.5 10.6.2 10.7.3 11.1.2 11.2.3 11.3.3
11.4.4 11.5.1 11.6.1 12.1.3 12.2.2 12.3.4 13.1.1 13.2.5 13.3.2 13.4.5 14.1.2 14.2.4 14.3.3 15.1.3 15.2.3
15.3.7 16.1.1 16.2.5 16.3.4 16.4.3 16.5.3 17.1.1 17.2.4 17.3.2
""",
)
LEVEL_2 = [
    f"{section}.{number}"
    for section, last in (name.rsplit(".", 1) for name in LAST)
    for number in range(1, int(last) + 1)
]


# The page


def numbers_of(row):
    return row[0].split(", ")


def test_the_page_judges_each_requirement_of_levels_1_and_2_once():
    assert len(LEVEL_2) == 253
    judged = [number for row in ROW.findall(PAGE) for number in numbers_of(row)]
    assert sorted(judged) == sorted(LEVEL_2)


def test_the_page_counts_its_verdicts():
    verdicts = Counter()
    for row in ROW.findall(PAGE):
        verdicts[row[2]] += len(numbers_of(row))
    told = re.search(
        r"253 requirements: (\d+) hold, (\d+) are not applicable, (\d+) are open", PAGE
    )
    assert told.groups() == tuple(str(verdicts[verdict]) for verdict in ("holds", "n.a.", "open"))


def test_what_holds_has_its_proof_and_anything_else_its_reason():
    for numbers, _, verdict, reason, shown_by in ROW.findall(PAGE):
        assert shown_by if verdict == "holds" else reason, numbers


# Headers for browsers


@pytest.mark.parametrize("file", ["inbox.css", "inbox.js", "icon.svg"])
def test_each_text_says_its_encoding(client, file):
    answer = client.get(f"/static/chat/{file}")
    assert answer.status_code == 200
    assert "charset=utf-8" in answer["Content-Type"].replace('"', "")


@pytest.mark.parametrize("path", ["/static/", "/static/chat/", "/.git/config", "/static/../.env"])
def test_no_folder_is_listed_and_no_file_of_the_checkout_is_served(admin_client, path):
    assert admin_client.get(path).status_code == 404


def test_no_script_makes_html_or_code_of_a_text():
    dangerous = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|postMessage"
    )
    scripts = [path.read_text() for path in (ROOT / "static" / "chat").glob("*.js")]
    assert len(scripts) > 10
    assert [found for script in scripts for found in re.findall(dangerous, script)] == []


def test_no_other_origin_may_read_an_answer(admin_client):
    answer = admin_client.get("/conversations", headers={"origin": "https://elsewhere.example"})
    assert not [name for name in answer.headers if name.startswith("Access-Control-")]


# Logins


@pytest.fixture
def ana(settings, db):
    settings.LOGIN_REQUIRED = True
    return User.objects.create_user("ana", password=PASSWORD)


def log_in(client, password=PASSWORD):
    client.post("/ui/login/", {"username": "ana", "password": password})
    return client.get("/ui/account/").status_code == 200


def test_a_login_begins_a_session_under_a_new_key(ana):
    client = Client()
    keys = set()
    for _ in range(2):
        client.get("/ui/login/")
        assert log_in(client)
        keys.add(client.cookies["sessionid"].value)
        client.post("/ui/logout/")
    assert len(keys) == 2
    assert all(len(key) == 32 for key in keys)


def test_a_key_that_was_planted_before_the_login_is_not_kept(ana):
    client = Client()
    client.session.save()  # an anonymous session, with a key known to somebody else
    planted = client.cookies["sessionid"].value
    other = Client()
    other.cookies["sessionid"] = planted
    assert log_in(client)
    assert client.cookies["sessionid"].value != planted
    assert other.get("/ui/account/").status_code == 302


def test_a_password_is_taken_exactly_as_typed(ana):
    long = "  Ação e reação, " * 6
    ana.set_password(long)
    ana.save()
    assert log_in(Client(), long)
    for other in (long.strip(), long.lower(), long[:64], long + " "):
        assert not log_in(Client(), other)


def test_a_form_hides_passwords_and_lets_password_managers_fill_them(ana, client):
    client.force_login(ana)
    forms = [Client().get("/ui/login/"), client.get("/ui/account/")]
    fields = [
        field
        for form in forms
        for field in re.findall(r"<input[^>]*password[^>]*>", form.content.decode())
    ]
    assert len(fields) == 4
    for field in fields:
        assert 'type="password"' in field
        assert re.search(r'autocomplete="(current|new)-password"', field)
        assert "maxlength" not in field


def test_nobody_can_log_in_to_a_new_database(db):
    assert not User.objects.exists()


def test_a_form_changes_no_field_but_its_own(ana, client):
    client.force_login(ana)
    new = {"new_password1": "another horse entirely", "new_password2": "another horse entirely"}
    rights = {"is_staff": "on", "is_superuser": "on", "username": "root"}
    answer = client.post("/ui/account/", {"old_password": PASSWORD} | new | rights)
    assert answer.status_code == 302
    ana.refresh_from_db()
    assert (ana.username, ana.is_staff, ana.is_superuser) == ("ana", False, False)
