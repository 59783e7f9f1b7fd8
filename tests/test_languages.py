"""Both languages: every text is marked and translated, and nothing is guessed."""

import gettext
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.utils.translation import trans_real

from chat.models import Delivery
from tests.missing import missing
from tests.servers import ROOT, copy_of_the_checkout

CATALOG = Path("locale/pt_BR/LC_MESSAGES/django.po")
C = "00000000-0000-4000-8000-000000000001"
CLOSED = "00000000-0000-4000-8000-000000000002"
NOWHERE = "00000000-0000-4000-8000-000000000009"


# The catalog


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Return the catalog as `makemessages` would write it from the current sources."""
    if shutil.which("msgattrib") is None:
        missing("no gettext on this machine (Debian: apt-get install gettext)")
    root = tmp_path_factory.mktemp("sources")
    copy_of_the_checkout(root, "chat", "realmate", "templates", "locale", "manage.py")
    command = ["makemessages", "-l", "pt_BR", "--no-obsolete", "--no-wrap", "--no-location"]
    environ = os.environ | {"DJANGO_SETTINGS_MODULE": "realmate.settings"}
    subprocess.run([sys.executable, "manage.py", *command], cwd=root, check=True, env=environ)
    return root / CATALOG


def entries(*command):
    return subprocess.check_output(["msgattrib", "--no-wrap", *command], text=True)


@pytest.mark.parametrize("wrong", ["--untranslated", "--only-fuzzy", "--only-obsolete"])
def test_every_string_is_translated_and_none_is_guessed(fresh, wrong):
    assert entries(wrong, fresh) == ""


def test_the_catalog_has_what_the_sources_have(fresh):
    assert msgids(fresh) == msgids(ROOT / CATALOG)


def msgids(catalog):
    return set(re.findall(r'^msgid "(.*)"$', catalog.read_text(), re.M))


def test_the_compiled_catalog_is_the_catalog(fresh, tmp_path):
    compiled = tmp_path / "django.mo"
    subprocess.run(["msgfmt", "--check", "-o", compiled, ROOT / CATALOG], check=True)
    assert catalog_of(compiled) == catalog_of((ROOT / CATALOG).with_suffix(".mo"))


def catalog_of(path):
    with path.open("rb") as file:
        return gettext.GNUTranslations(file)._catalog


# A made-up language shows unmarked texts


class Pseudo(trans_real.DjangoTranslation):
    """Puts every marked text in brackets."""

    def gettext(self, message):
        text = message.rpartition(trans_real.CONTEXT_SEPARATOR)[2]
        return f"⟦{text}⟧" if text else ""

    def ngettext(self, one, other, number):
        return self.gettext(one if number == 1 else other)


class Texts(HTMLParser):
    """Collects all texts for readers and screen readers, except times, keys and machine values."""

    SPOKEN = ("aria-label", "title", "placeholder", "alt", "data-one", "data-other", "data-title")
    NO_WORDS = ("time", "kbd", "script", "style", "code")

    def __init__(self, html):
        super().__init__()
        self.found, self.inside = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag in self.NO_WORDS:
            self.inside.append(tag)
        said = dict(attrs)
        self.found += [said[name] for name in self.SPOKEN if said.get(name)]
        if tag in ("input", "button") and said.get("type") in ("submit", "button"):
            self.found.append(said.get("value") or "")

    def handle_endtag(self, tag):
        if self.inside[-1:] == [tag]:
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside:
            self.found.append(data)


def unmarked(html):
    """Return the texts with letters outside of brackets."""
    texts = Texts(html).found
    bare = [re.sub(rf"⟦[^⟦⟧]*⟧|{NAMES}", "", text).strip() for text in texts]
    return [text for text in bare if re.search(r"[^\W\d_]", text)]


# Names and ids are the same in every language. A language is called by its own name.
NAMES = "Realmate|Português|English|America/Sao_Paulo|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture
def stored(deliver):
    """Conversations with texts without letters."""

    def message(n, id, **data):
        data |= {"id": f"00000000-0000-4000-8000-{n:012}", "conversation_id": id}
        return {"type": "NEW_MESSAGE", "timestamp": f"2025-02-21T10:{n:02}:00", "data": data}

    for id in (C, CLOSED):
        opening = {"type": "NEW_CONVERSATION", "timestamp": "2025-02-21T10:00:00"}
        deliver(opening | {"data": {"id": id}})
    for n in range(5, 58):
        deliver(message(n, C, direction="RECEIVED", content="12345"))
    deliver(message(4, C, direction="SENT", content="678"))
    deliver(message(58, CLOSED, direction="SENT", content="12345"))
    closing = {"type": "CLOSE_CONVERSATION", "timestamp": "2025-02-21T11:00:00"}
    deliver(closing | {"data": {"id": CLOSED}})
    deliver(message(59, CLOSED, direction="RECEIVED", content="910"))
    deliver(b"{")


PAGES = [
    "/ui/",
    "/ui/?filter=needs-reply&sort=waiting",
    "/ui/?filter=wrote-after-closing",
    "/ui/?filter=nothing&cursor=0",
    f"/ui/{C}/",
    f"/ui/{C}/?message=00000000-0000-4000-8000-000000000004",
    f"/ui/{C}/?message={NOWHERE}",
    f"/ui/{C}/print/",
    f"/ui/{CLOSED}/",
    f"/ui/{NOWHERE}/",
    "/ui/search/",
    "/ui/search/?q=123",
    "/ui/search/?q=000",
    "/ui/search/?q=123&hits_cursor=0",
    f"/ui/{C}/?q=123",
    "/ui/deliveries/",
    "/ui/deliveries/?outcome=refused",
    "/ui/deliveries/?outcome=x&received_from=x&id=%C2%AB%C2%BB",
    "/ui/deliveries/{last}/",
    "/ui/stats/?days=90",
    "/ui/stats/?days=5",
    "/ui/a/b/c",
    "/ui/login/",
]


@pytest.mark.parametrize("page", PAGES)
def test_no_page_shows_text_that_was_never_marked(stored, client, monkeypatch, page):
    monkeypatch.setitem(trans_real._translations, "en", Pseudo("en"))
    address = page.format(last=Delivery.objects.latest("id").pk)
    html = client.get(address, headers={"accept-language": "en"}).getvalue().decode()
    assert "⟦" in html
    assert unmarked(html) == []


def test_what_is_for_those_who_have_logged_in_shows_none_either(
    client, monkeypatch, django_user_model
):
    client.force_login(django_user_model.objects.create_user("1"))
    monkeypatch.setitem(trans_real._translations, "en", Pseudo("en"))
    for data in ({}, {"old_password": "2", "new_password1": "3"}):
        html = client.post("/ui/account/", data, headers={"accept-language": "en"})
        assert unmarked(html.content.decode()) == []


def test_the_status_shows_none_either(stored, client, monkeypatch, django_user_model):
    client.force_login(django_user_model.objects.create_user("1", is_staff=True))
    monkeypatch.setitem(trans_real._translations, "en", Pseudo("en"))
    html = client.get("/ui/status/", headers={"accept-language": "en"}).content.decode()
    assert unmarked(html) == []


def test_an_empty_inbox_shows_none_either(db, client, monkeypatch):
    monkeypatch.setitem(trans_real._translations, "en", Pseudo("en"))
    for page in ("/ui/", "/ui/?filter=closed", "/ui/deliveries/", "/ui/stats/"):
        assert unmarked(client.get(page, headers={"accept-language": "en"}).content.decode()) == []


# The choice of the language


def lang_of(answer):
    return re.search(r'<html lang="(.*?)"', answer.content.decode())[1]


def test_a_language_that_is_chosen_is_remembered(db, client):
    assert lang_of(client.get("/ui/?lang=en")) == "en"
    assert lang_of(client.get("/ui/", headers={"accept-language": "pt-BR"})) == "en"
    assert lang_of(client.get("/ui/?lang=pt-BR", headers={"accept-language": "en"})) == "pt-BR"
    assert lang_of(client.get("/ui/", headers={"accept-language": "en"})) == "pt-BR"


@pytest.mark.parametrize("lang", ["", "xx", "de", "pt", "../en", "en\0", "e" * 5_000])
def test_a_language_that_is_none_of_ours_chooses_nothing(db, client, lang):
    answer = client.get("/ui/", {"lang": lang}, headers={"accept-language": "en"})
    assert (answer.status_code, lang_of(answer)) == (200, "en")
    assert not answer.cookies


def test_the_switch_keeps_the_rest_of_the_address(db, client):
    html = client.get("/ui/?filter=open&sort=oldest").content.decode()
    assert 'href="?filter=open&amp;sort=oldest&amp;lang=en"' in html
