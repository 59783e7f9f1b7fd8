"""The product owner's card: four events in, one conversation out, as JSON and as a live page.

On real servers with the settings of production, static files and login included.
"""

import json
import re
import subprocess
import sys
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import pytest

from tests.conftest import M2, C, M, make_event, polled
from tests.servers import ROOT, running, set_up

pytestmark = pytest.mark.sqlite

SAMPLES = [
    """{"type": "NEW_CONVERSATION", "timestamp": "2025-02-21T10:20:41.349308",
 "data": {"id": "6a41b347-8d80-4ce9-84ba-7af66f369f6a"}}""",
    """{"type": "NEW_MESSAGE", "timestamp": "2025-02-21T10:20:42.349308",
 "data": {"id": "49108c71-4dca-4af3-9f32-61bc745926e2", "direction": "RECEIVED", "content": "Olá, tudo bem?",
          "conversation_id": "6a41b347-8d80-4ce9-84ba-7af66f369f6a"}}""",
    """{"type": "NEW_MESSAGE", "timestamp": "2025-02-21T10:20:44.349308",
 "data": {"id": "16b63b04-60de-4257-b1a1-20a5154abc6d", "direction": "SENT", "content": "Tudo ótimo e você?",
          "conversation_id": "6a41b347-8d80-4ce9-84ba-7af66f369f6a"}}""",
    """{"type": "CLOSE_CONVERSATION", "timestamp": "2025-02-21T10:20:45.349308",
 "data": {"id": "6a41b347-8d80-4ce9-84ba-7af66f369f6a"}}""",
]
CONVERSATION = {
    "id": C,
    "state": "CLOSED",
    "opened_at": "2025-02-21T10:20:41.349308Z",
    "closed_at": "2025-02-21T10:20:45.349308Z",
    "messages": [
        {
            "id": M,
            "direction": "RECEIVED",
            "content": "Olá, tudo bem?",
            "timestamp": "2025-02-21T10:20:42.349308Z",
        },
        {
            "id": M2,
            "direction": "SENT",
            "content": "Tudo ótimo e você?",
            "timestamp": "2025-02-21T10:20:44.349308Z",
        },
    ],
}
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "tests.collected",
    "REALMATE_ENV_FILE": "",
    "DEBUG": "false",
    "SECRET_KEY": "long-random-secret-" * 4,
    "ALLOWED_HOSTS": "127.0.0.1",
    "WEBHOOK_ALLOW_UNSIGNED": "true",
    "SECURE_SSL_REDIRECT": "false",
    "DJANGO_SUPERUSER_PASSWORD": "correct horse",
}
HASHED = r"/static/[\w/.-]+\.[0-9a-f]{12}\.(?:css|js|svg|png|webmanifest)"


@pytest.fixture(scope="module")
def static_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("static")
    of_no_use = "sqlite:////none"
    manage("collectstatic", "-v0", **PRODUCTION, DATABASE_URL=of_no_use, STATIC_ROOT=str(folder))
    return folder


@pytest.fixture(scope="module", params=["granian", "runserver"])
def server(request, static_files, tmp_path_factory):
    environ = set_up(
        request.param,
        tmp_path_factory.mktemp(request.param),
        **PRODUCTION,
        STATIC_ROOT=str(static_files),
    )
    manage("createsuperuser", "--username=ana", "--email=", **environ)
    with running(request.param, environ) as server:
        yield server


def manage(command, *arguments, **environ):
    command = [sys.executable, "manage.py", command, "--no-input", *arguments]
    subprocess.run(command, cwd=ROOT, env=environ, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def answers(server):
    """Return the answers to the four events."""
    return [server.post(sample.encode()) for sample in SAMPLES]


@pytest.fixture(scope="module")
def get(server, answers):
    """Return a function for reading as a logged-in user, after the four events."""
    form = server.ask("GET", "/ui/login/")
    cookies = cookies_of(form)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.content.decode())[1]
    fields = {"username": "ana", "password": "correct horse", "csrfmiddlewaretoken": token}
    as_a_form = {"Content_Type": "application/x-www-form-urlencoded", "Cookie": cookies}
    cookies = cookies_of(server.ask("POST", "/ui/login/", urlencode(fields), **as_a_form))
    return lambda path: server.ask("GET", path, Cookie=cookies)


def cookies_of(answer):
    set_cookies = SimpleCookie("; ".join(answer.headers.get_all("Set-Cookie")))
    return "; ".join(f"{name}={morsel.value}" for name, morsel in set_cookies.items())


def test_the_four_events_are_taken(answers):
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (201, {"outcome": "applied", "type": "NEW_CONVERSATION", "id": C}),
        (201, {"outcome": "applied", "type": "NEW_MESSAGE", "id": M}),
        (201, {"outcome": "applied", "type": "NEW_MESSAGE", "id": M2}),
        (200, {"outcome": "applied", "type": "CLOSE_CONVERSATION", "id": C}),
    ]


def test_the_conversation_is_served_as_json(get):
    answer = get(f"/conversations/{C}")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json() == CONVERSATION


def test_the_list_shows_the_conversation(get):
    answer = get("/ui/")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/html; charset=utf-8")
    (row,) = re.findall(r'<a class="row" .*?</a>', answer.content.decode(), re.DOTALL)
    assert f'href="/ui/{C}/"' in row
    assert "Tudo ótimo e você?" in row
    assert '<span class="tag">Fechada</span>' in row


def test_the_thread_shows_both_messages_and_that_it_is_closed(get):
    html = get(f"/ui/{C}/").content.decode()
    shown = re.findall(
        r'<li class="message message--(\w+)".*?class="message-text".*?>(.*?)<', html, re.S
    )
    assert shown == [("received", "Olá, tudo bem?"), ("sent", "Tudo ótimo e você?")]
    (banner,) = re.findall(r'<p class="closed-banner".*?>', html)
    assert "hidden" not in banner


@pytest.mark.parametrize("page", ["/ui/", f"/ui/{C}/"])
def test_every_static_file_of_a_page_is_served_under_the_name_of_its_content(
    get, page, static_files
):
    links = re.findall(r'(?:href|src)="(/static/[^"]+)"', get(page).content.decode())
    for link in links:
        assert re.fullmatch(HASHED, link)
        answer = get(link)
        assert (answer.status_code, answer["Content-Type"]) == (200, type_of(link))
        assert answer.content == (static_files / link.removeprefix("/static/")).read_bytes()
        assert "immutable" in answer["Cache-Control"]
    names = {re.sub(r"\.[0-9a-f]{12}", "", link) for link in links}
    assert {"/static/chat/conversations.css", "/static/django_htmx/htmx-2.min.js"} <= names


def type_of(link):
    others = {"png": "image/png", "webmanifest": "application/manifest+json"}
    if kind := others.get(link.rpartition(".")[2]):
        return kind
    types = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    kind = types[link.rpartition(".")[2]]
    return f"{kind}; charset=utf-8" if kind == "image/svg+xml" else f'{kind}; charset="utf-8"'


def test_the_list_polls_in_vain_until_a_message_arrives(get, server):
    send(server, make_event("NEW_CONVERSATION", id=M))
    address = poll_of(get("/ui/"))
    idle = get(address)
    assert (idle.status_code, idle.content) == (204, b"")
    send(server, make_event("NEW_MESSAGE", id=C, conversation_id=M, content="Chegou agora"))
    news = get(address)
    assert news.status_code == 200
    assert "Chegou agora" in news.content.decode()
    assert get(poll_of(get("/ui/"))).status_code == 204


def test_an_open_thread_polls_in_vain_until_a_message_arrives(get, server):
    send(server, make_event("NEW_CONVERSATION", id=M2))
    address = poll_of(get(f"/ui/{M2}/"))
    assert get(address).status_code == 204
    send(
        server,
        make_event("NEW_MESSAGE", id=M2[:-1] + "0", conversation_id=M2, content="Chegou aqui"),
    )
    assert 'class="message-text" dir="auto">Chegou aqui<' in get(address).content.decode()


def poll_of(page):
    return f"/ui/fragments/poll/?{urlencode(polled(page.content.decode()))}"


def send(server, event):
    assert server.post(json.dumps(event).encode()).status_code in (200, 201)
