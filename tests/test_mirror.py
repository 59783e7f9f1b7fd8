"""Programs following `GET /changes` while twelve senders write: nothing missed, twice or out of order.

State at any moment + the changes after it = the state later.
"""

import json
import random
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from uuid import UUID

import pytest
from django.db import IntegrityError, OperationalError, connection, connections
from django.test import Client
from django.utils import timezone

from chat.events.ingest import ingest
from chat.events.unit_of_work import UnitOfWork
from chat.models import Change, Conversation, Delivery, Message, begin_generation
from chat.upkeep import erasure
from tests.conftest import make_event

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("commits come in another order than ids on PostgreSQL"),
    pytest.mark.proof,
]

WRITERS = 12


def conversation(number):
    return f"{number:08}-8d80-4ce9-84ba-7af66f369f6a"


@dataclass
class Mirror:
    """A program's copy of the conversations. Applying an entry twice does no harm."""

    states: dict = field(default_factory=dict)
    messages: dict = field(default_factory=lambda: defaultdict(set))
    wrote_after_closing: dict = field(default_factory=lambda: defaultdict(set))
    erased: set = field(default_factory=set)
    cursor: str = ""

    def apply(self, change):
        id = change["conversation_id"]
        match change["type"]:
            case "opened":
                self.states.setdefault(id, "OPEN")
            case "message":
                self.messages[id].add(change["message_id"])
            case "closed":
                self.states[id] = "CLOSED"
            case "wrote_after_closing":
                self.wrote_after_closing[id].add(change["message_id"])
            case "erased":
                self.states[id] = "CLOSED"
                self.erased.add(id)

    def known(self):
        return self.states, {id: ids for id, ids in self.messages.items() if ids}, self.erased


class Reader:
    """Begins by docs/changes.md, and goes on from its stored cursor."""

    def __init__(self, chance):
        self.chance, self.client, self.begun = chance, Client(), 0
        self.begin()

    def begin(self):
        """Steps 1 and 2: take a cursor, and then read all stored conversations."""
        while not self.has_begun():
            pass

    def has_begun(self):
        """Start anew. Return False if a restore came in between."""
        self.begun += 1
        self.mirror = Mirror(cursor=self.ask(after="now")["next"])
        cursor = None
        while True:
            page = {"cursor": cursor} if cursor else {}
            answer = self.get("/conversations", ordering="oldest", limit="7", **page)
            if answer is None:
                return False
            for row in answer["conversations"]:
                self.read(row["id"])
                if row["erased_at"]:
                    self.mirror.erased.add(row["id"])
            cursor = answer["next"]
            if cursor is None:
                return True

    def read(self, id):
        found = self.get(f"/conversations/{id}")
        self.mirror.states[id] = found["state"]
        self.mirror.messages[id] = {message["id"] for message in found["messages"]}

    def follow(self):
        """Step 3, once. Now and then the program dies before it has stored the entries."""
        limit = self.chance.choice([3, 100, 1000])
        answer = self.ask(after=self.mirror.cursor, limit=limit)
        if answer is None:
            self.begin()
        elif self.chance.random() < 0.8:
            for change in answer["changes"]:
                self.mirror.apply(change)
            self.mirror.cursor = answer["next"]
        return bool(answer is None or answer["changes"])

    def ask(self, **parameters):
        return self.get("/changes", **parameters)

    def get(self, path, **parameters):
        """Return the answer, or None if the cursor has expired."""
        answer = self.client.get(path, parameters)
        if answer.status_code == 410:
            return None
        assert answer.status_code == 200, answer.content
        return answer.json()


class Senders:
    """Twelve threads delivering random events. Now and then a thread holds a transaction open."""

    def __init__(self, *, seed, events, conversations):
        self.errors, self.done, self.conversations = [], Counter(), conversations
        self.threads = [
            Thread(target=self.run, args=(random.Random(seed * 100 + number), events))
            for number in range(WRITERS)
        ]
        for thread in self.threads:
            thread.start()

    def run(self, chance, events):
        try:
            for _ in range(events):
                self.deliver(chance)
        except Exception as error:
            self.errors.append(error)
        finally:
            connections.close_all()

    def deliver(self, chance):
        """Deliver one event or erasure. Retry after a lost race or a lock, as a sender does."""
        id = conversation(chance.randrange(self.conversations))
        kind = chance.choices(
            ["NEW_MESSAGE", "NEW_CONVERSATION", "CLOSE_CONVERSATION", "erase"], [70, 20, 8, 1]
        )[0]
        for _ in range(20):
            with suppress(IntegrityError, OperationalError):
                self.done[self.deliver_once(kind, id, chance)] += 1
                return
        raise AssertionError("twenty tries")

    def deliver_once(self, kind, id, chance):
        if kind == "erase":
            erasure.erase(UUID(id), at=timezone.now())
            return "erased"
        event = make_event(kind, id=id)
        if kind == "NEW_MESSAGE":
            new = str(UUID(int=chance.getrandbits(128), version=4))
            event = make_event(kind, id=new, conversation_id=id, direction="RECEIVED")
        result = ingest(json.dumps(event).encode(), received_at=timezone.now())
        return result.code or result.outcome.value

    def are_at_work(self):
        return any(thread.is_alive() for thread in self.threads)

    def join(self):
        for thread in self.threads:
            thread.join()
        assert self.errors == []


@pytest.fixture
def slow_commits(monkeypatch):
    """Keep transactions open for a while after they took their ids, so that they end in another order."""
    write, chance = UnitOfWork.write, random.Random(7)

    def write_and_wait(work):
        write(work)
        if connection.vendor == "postgresql":
            time.sleep(chance.choice([0, 0, 0.002, 0.03]))

    monkeypatch.setattr(UnitOfWork, "write", write_and_wait)


class Follower(Thread):
    """Follows in a thread of its own, from some moment on until the last change."""

    def __init__(self, senders, number):
        super().__init__()
        self.senders, self.chance = senders, random.Random(number)
        self.errors = []
        self.start()

    def run(self):
        try:
            time.sleep(self.chance.random() / 10)
            self.reader = Reader(self.chance)
            while self.senders.are_at_work():
                self.reader.follow()
            while self.reader.follow():
                pass
        except BaseException as error:
            self.errors.append(error)
        finally:
            connections.close_all()


def stored():
    states = dict(Conversation.objects.values_list("pk", "state"))
    messages = defaultdict(set)
    for id, message in Message.objects.values_list("conversation_id", "id"):
        messages[str(id)].add(str(message))
    erased = Conversation.objects.exclude(erased_at=None).values_list("pk", flat=True)
    return {str(id): state for id, state in states.items()}, dict(messages), set(map(str, erased))


def all_changes():
    """Return all changes, as a reader sees them, and the number of answers."""
    reader, found, cursor = Client(), [], {}
    while True:
        answer = reader.get("/changes", {"limit": 50, **cursor}).json()
        if not answer["changes"]:
            return found
        found += answer["changes"]
        cursor = {"after": answer["next"]}


def in_order(changes):
    """Whether a conversation's changes can have happened in this order."""
    kinds = [change["type"] for change in changes]
    closings = [kinds.index(kind) for kind in ("closed", "erased") if kind in kinds]
    last_message = max((n for n, kind in enumerate(kinds) if kind == "message"), default=-1)
    wrote = kinds.index("wrote_after_closing") if "wrote_after_closing" in kinds else len(kinds)
    return (
        kinds[0] in ("opened", "erased")
        and last_message < min([*closings, wrote])
        and ("closed" not in kinds or kinds.index("closed") < wrote)
    )


@pytest.fixture
def a_first_change(deliver):
    """Store a change. Otherwise the first change, far behind place 1 after earlier tests, could come while a program
    asks for `now`, and the answer would be a 410. In a new database the first place is 1.
    """
    deliver(make_event("NEW_CONVERSATION", id=conversation(99_999_999)))


def test_who_follows_has_what_is_stored(a_first_change, slow_commits, rounds):
    events = rounds(quick=30, ci=40, long=1_000)
    senders = Senders(seed=1, events=events, conversations=events)
    followers = [Follower(senders, number) for number in range(3)]
    while Change.objects.count() < 2 * events and senders.are_at_work():
        time.sleep(0.01)
    begin_generation()
    senders.join()
    for follower in followers:
        follower.join()
        assert follower.errors == []
        assert follower.reader.mirror.known() == stored()
    assert_each_change_once(all_changes(), senders)


def assert_each_change_once(found, senders):
    by_conversation = defaultdict(list)
    for change in found:
        by_conversation[change["conversation_id"]].append(change)
    assert [id for id, changes in by_conversation.items() if not in_order(changes)] == []
    told = Counter(change["type"] for change in found)
    messages = [change["message_id"] for change in found if change["type"] == "message"]
    assert sorted(messages) == sorted(
        str(id) for id in Message.objects.values_list("id", flat=True)
    )
    applied = Delivery.objects.filter(outcome="applied")
    for type, change in (("NEW_CONVERSATION", "opened"), ("CLOSE_CONVERSATION", "closed")):
        assert told[change] == applied.filter(type=type).count()
    refused = Delivery.objects.filter(code="conversation_closed").values_list("message_id")
    assert told["wrote_after_closing"] <= refused.distinct().count()
    assert told["erased"] == senders.done["erased"]
    print(
        f"{connection.vendor}: {sum(senders.done.values())} deliveries, {len(found)} changes: {told}"
    )
