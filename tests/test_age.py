"""The age of a row in words."""

from datetime import timedelta

import pytest
from django.utils.translation import override

from chat.templatetags import chat
from tests.conftest import NOW


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(days=-1), "now"),
        (timedelta(seconds=-1), "now"),
        (timedelta(seconds=59), "now"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=23, minutes=59), "23 h"),
        (timedelta(days=1), "1 d"),
        (timedelta(days=400), "400 d"),
    ],
)
def test_an_age_is_in_its_largest_unit_and_never_negative(monkeypatch, age, words):
    monkeypatch.setattr(chat, "now", lambda: NOW)
    with override("en"):
        assert chat.age(NOW - age) == words
