"""The makers of the pictures in the README and the guide: `make pictures`."""

import json
from collections import Counter

import pytest
from PIL import Image

from tests.pictures import __main__ as pictures
from tests.pictures.images import animate, in_few_colours
from tests.pictures.talk import talk

GROUND, INK, RARE = (255, 255, 255), (11, 122, 91), (163, 34, 44)


def drawing(*, height=40):
    """Return a white image with a line, and one pixel each of 400 other colours."""
    image = Image.new("RGB", (400, height), GROUND)
    image.paste(INK, (0, 0, 400, 4))
    for n in range(400):
        image.putpixel((n, 20), (n % 256, 90 + n % 7, n // 2))
    image.paste(RARE, (30, 30, 33, 31))
    return image


def test_common_colours_stay_exact_and_rare_ones_stay_near():
    few = in_few_colours(drawing()).convert("RGB")
    assert few.getpixel((5, 10)) == GROUND
    assert few.getpixel((5, 2)) == INK
    assert all(abs(a - b) < 24 for a, b in zip(few.getpixel((31, 30)), RARE, strict=True))
    assert len(few.getcolors()) <= 256


def test_a_film_has_each_frame_for_its_time(tmp_path):
    frames = [(drawing(), 1.5), (Image.new("RGB", (400, 40), INK), 0.35)]
    with Image.open(animate(frames, tmp_path / "film.gif")) as film:
        assert film.n_frames == 2
        assert film.info["loop"] == 0
        assert film.info["duration"] == 1500
        film.seek(1)
        assert film.info["duration"] == 350
        assert film.convert("RGB").getpixel((5, 10)) == INK


@pytest.mark.parametrize("language", pictures.LANGUAGES)
@pytest.mark.django_db
def test_the_made_up_talk_follows_the_rules(post, language):
    answers = [post(json.dumps(event).encode()) for event in talk(language)]
    refused = [answer.json()["code"] for answer in answers if answer.status_code >= 400]
    assert refused == ["conversation_closed"]  # the picture of a text after closing
    assert Counter(answer.status_code for answer in answers)[200] == 4  # closings


@pytest.mark.browser
@pytest.mark.sqlite
@pytest.mark.by_hand("it waits for polls, a minute")
@pytest.mark.parametrize("what", [pictures.GUIDE, "dark"])
def test_the_pictures_are_those_that_the_documents_show(what, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "FOLDER", tmp_path)
    made = {file.name for file in pictures.make("pt-BR", what)}
    files = {file.name for file in (pictures.ROOT / "docs/pictures/pt-BR").iterdir()}
    films = {name for name in files if name.startswith("film-")}
    assert made == (files - films if what == pictures.GUIDE else {"film-dark.gif", "film-dark.png"})
