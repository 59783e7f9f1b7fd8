"""The eight digits shown for a conversation."""

from uuid import UUID, uuid1

import pytest
from django.db import connection

from chat.database.digits import LastDigits
from chat.models import Conversation, short_id_of
from tests.conftest import M, make_event

# Ids of one minute, because UUIDv7 ids of the same time begin alike.
SEVENTH = [f"01957c4e-8f{n:02x}-7a{n:02x}-8b3c-5d1f{n * 7919:08x}" for n in range(1, 7)]


def test_ids_of_one_minute_are_told_apart():
    assert len({id[:8] for id in SEVENTH}) == 1
    assert len({short_id_of(UUID(id)) for id in SEVENTH}) == len(SEVENTH)


def test_ids_of_one_machine_are_told_apart():
    ids = [uuid1(node=0x0242AC110002, clock_seq=7) for _ in range(6)]
    assert len({str(id)[-8:] for id in ids}) == 1
    assert len({short_id_of(id) for id in ids}) == len(ids)


@pytest.fixture
def stored(deliver):
    for id in SEVENTH:
        deliver(make_event("NEW_CONVERSATION", id=id))


@pytest.mark.both_engines("the engine makes the digits of an id")
def test_each_is_found_by_what_it_is_shown_by(stored, client):
    for id in SEVENTH:
        answer = client.get("/ui/search/", {"q": f" {short_id_of(UUID(id)).upper()} "})
        assert answer["Location"] == f"/ui/{id}/"


def test_what_is_shown_comes_before_what_once_was(stored, deliver):
    shown = short_id_of(UUID(SEVENTH[0]))
    other = f"{shown}{M[8:]}"
    deliver(make_event("NEW_CONVERSATION", id=other))
    assert Conversation.objects.find_short(shown).pk == UUID(SEVENTH[0])


def test_digits_that_two_are_shown_by_lead_to_neither(stored, deliver):
    deliver(make_event("NEW_CONVERSATION", id=f"{M[:28]}{SEVENTH[0][28:]}"))
    assert Conversation.objects.find_short(SEVENTH[0][-8:]) is None


def test_a_version_1_is_found_by_its_first_digits(db, deliver):
    ids = [str(uuid1(node=0x0242AC110002, clock_seq=7)) for _ in range(3)]
    for id in ids:
        deliver(make_event("NEW_CONVERSATION", id=id))
    assert [str(Conversation.objects.find_short(id[:8]).pk) for id in ids] == ids
    assert Conversation.objects.find_short(ids[0][-8:]) is None


@pytest.mark.both_engines("the planner decides")
def test_the_last_digits_are_looked_up_in_their_index(stored):
    found = Conversation.objects.alias(digits=LastDigits("pk")).filter(digits=SEVENTH[0][-8:])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert "conversation_last_digits" in found.explain()
