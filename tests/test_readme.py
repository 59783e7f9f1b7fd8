"""Both READMEs and both guides for agents: short, true, and with their pictures."""

import json
import re
import tomllib

import pytest
from django.utils import translation

from tests.conftest import C
from tests.pictures.talk import LINE, OPENING
from tests.servers import ROOT

READMES = ["README.md", "README.pt-BR.md"]
GUIDES = {"docs/agents.md": "en", "docs/agents.pt-BR.md": "pt-br"}
PICTURES = ROOT / "docs" / "pictures"
LANGUAGES = ("en", "pt-BR")
# A figure, and then the document with the figure.
CLAIM = re.compile(r"\*\*(\d[\d.,]*)\*\*(?=.*?\]\(([^)#]+))", re.DOTALL)
MOST_OF_A_FILM, MOST_OF_THE_GUIDES = 1_500_000, 1_000_000

each_readme = pytest.mark.parametrize("readme", READMES)


def text_of(path):
    return (ROOT / path).read_text()


@each_readme
def test_a_readme_is_read_in_a_few_minutes(readme):
    assert len(text_of(readme).splitlines()) < 100


@each_readme
def test_each_figure_stands_in_the_document_behind_it(readme):
    claims = CLAIM.findall(text_of(readme))
    assert len(claims) == 3
    for figure, document in claims:
        written = figure.replace(".", ",")
        assert re.search(rf"(?<![\d,]){written}(?![\d,])", text_of(document)), figure


@each_readme
def test_each_target_of_make_exists(readme):
    targets = re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", text_of(readme), re.MULTILINE)
    named = {one or other for one, other in targets}
    assert {"demo", "run", "test"} < named
    assert named <= set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))


@each_readme
def test_the_badges_say_what_the_project_says(readme):
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    badges = re.findall(r"img\.shields\.io/badge/(\w+)-(.+?)-\w+\)", text_of(readme))
    said = {name: value.replace("%2B", "+") for name, value in badges}
    assert said["python"] == project["requires-python"].removeprefix(">=") + "+"
    assert said["license"] == project["license"]
    assert any(each.startswith(f"django (>={said['django']}.") for each in project["dependencies"])


@each_readme
@pytest.mark.both_engines("it stores and reads")
def test_the_commands_by_hand_open_a_conversation_and_read_it(readme, post, client):
    text = text_of(readme)
    body = re.search(r"-d '(.*?)'", text, re.DOTALL)[1]
    assert post(body.encode()).status_code == 201
    path = re.search(r"^curl localhost:8000(/conversations/\S+)$", text, re.MULTILINE)[1]
    assert client.get(path).json()["id"] == C
    assert json.loads(body)["type"] == "NEW_CONVERSATION"


def pictures_of(document):
    """Return the pictures of a document, as paths in docs/pictures."""
    return set(re.findall(r"pictures/([\w.-]+/[\w.-]+\.(?:png|gif))", text_of(document)))


def test_each_picture_is_shown_and_each_shown_one_is_there():
    shown = {picture for page in (*READMES, *GUIDES) for picture in pictures_of(page)}
    files = {str(file.relative_to(PICTURES)) for file in PICTURES.glob("*/*")}
    assert shown == files


@pytest.mark.parametrize(("english", "portuguese"), [READMES, list(GUIDES)])
def test_both_languages_show_the_same_in_their_own_words(english, portuguese):
    shown = {picture.removeprefix("en/") for picture in pictures_of(english)}
    assert {f"pt-BR/{name}" for name in shown} == pictures_of(portuguese)


def test_the_pictures_are_small():
    films = [*PICTURES.glob("*/*.gif")]
    assert max(film.stat().st_size for film in films) < MOST_OF_A_FILM
    guides = [PICTURES / name for page in GUIDES for name in pictures_of(page)]
    assert sum(file.stat().st_size for file in guides) < MOST_OF_THE_GUIDES


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_calls_each_thing_as_the_inbox_does(guide):
    catalog = translation.trans_real.DjangoTranslation("pt-br")._catalog
    labels = set()
    for (msgid, _), msgstr in plain(catalog):
        labels |= {msgid.rpartition("\x04")[2]} if GUIDES[guide] == "en" else {msgstr}
    named = set(re.findall(r"\*\*(.+?)\*\*", text_of(guide)))
    assert named - labels == set()


def plain(catalog):
    """Yield the entries, with and without plural forms."""
    for key, msgstr in catalog.items():
        yield (key if isinstance(key, tuple) else (key, 0)), msgstr


def test_the_made_up_talk_is_the_same_in_both_languages():
    def outline(language):
        text = text_of(f"tests/pictures/talk.{language}.txt")
        lines = [line for line in text.splitlines() if line]
        assert all(OPENING.fullmatch(line) or LINE.fullmatch(line) for line in lines)
        return [line if line.startswith("#") else line.partition(":")[0] for line in lines]

    assert outline("en") == outline("pt-BR")
