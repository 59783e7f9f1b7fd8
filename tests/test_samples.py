"""The four sample events, through the webhook and out again."""

import json

import pytest

from tests.conftest import C, M

pytestmark = pytest.mark.both_engines("the first test, on each engine")

M2 = "16b63b04-60de-4257-b1a1-20a5154abc6d"
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


def test_the_samples_in_and_the_conversation_out(post, client):
    answers = [post(sample.encode()) for sample in SAMPLES]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 200]
    assert answers[1].json() == {"outcome": "applied", "type": "NEW_MESSAGE", "id": M}
    assert client.get(f"/conversations/{C}").json() == {
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


def test_the_samples_again_are_duplicates(post):
    for sample in SAMPLES:
        post(sample.encode())
    again = [post(sample.encode()) for sample in SAMPLES]
    assert [answer.status_code for answer in again] == [200] * 4
    assert {json.loads(answer.content)["outcome"] for answer in again} == {"duplicate"}
