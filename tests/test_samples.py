"""The four sample events, through the webhook and out again."""

import json

import pytest

from tests.conftest import C, M

pytestmark = pytest.mark.both_engines("the first test, on each engine")

from tests.test_the_card import CONVERSATION, SAMPLES


def test_the_samples_in_and_the_conversation_out(post, client):
    answers = [post(sample.encode()) for sample in SAMPLES]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 200]
    assert answers[1].json() == {"outcome": "applied", "type": "NEW_MESSAGE", "id": M}
    assert client.get(f"/conversations/{C}").json() == CONVERSATION


def test_the_samples_again_are_duplicates(post):
    for sample in SAMPLES:
        post(sample.encode())
    again = [post(sample.encode()) for sample in SAMPLES]
    assert [answer.status_code for answer in again] == [200] * 4
    assert {json.loads(answer.content)["outcome"] for answer in again} == {"duplicate"}
