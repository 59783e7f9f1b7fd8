"""Group commit: waiting requests are served together, answered after the commit, and safe from each other's faults."""

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DataError, OperationalError, connections, transaction
from django.utils import timezone

from chat.database.group_commit import GroupCommit
from chat.events import rules
from chat.events.ingest import ingest, ingest_in_group
from chat.models import Delivery, Message
from tests.conftest import C, make_event

pytestmark = pytest.mark.both_engines("commits are shared on SQLite only")

SECONDS = 10


class Work:
    """The work of a group. The first turn lasts until `may_end` is set. The turns keep their items."""

    def __init__(self, *, fails=lambda items: None):
        self.fails = fails
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.turns, self.alone_with = [], []

    def together(self, waiting):
        items = waiting()
        self.turns.append(items)
        self.begun.set()
        if len(self.turns) == 1:
            assert self.may_end.wait(SECONDS)
        self.fails(items)
        return [f"{item}!" for item in items]

    def alone(self, item):
        self.alone_with.append(item)
        self.fails([item])
        return f"{item} alone"


@pytest.fixture
def threads():
    with ThreadPoolExecutor(8) as pool:
        yield pool


def first_then(group, work, threads, items):
    """Add the other items once the first item's turn has begun. Return the future of each item."""
    first, *others = items
    ends = [threads.submit(group, first)]
    assert work.begun.wait(SECONDS)
    ends += [threads.submit(group, item) for item in others]
    until(lambda: len(group._waiting) == len(others))
    return ends


def until(holds):
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def results(ends):
    return [end.exception(SECONDS) or end.result() for end in ends]


def test_who_waits_is_served_together(threads):
    work = Work()
    ends = first_then(GroupCommit(work.together, work.alone), work, threads, "abcd")
    assert not any(end.done() for end in ends)
    work.may_end.set()
    assert results(ends) == ["a!", "b!", "c!", "d!"]
    assert [sorted(items) for items in work.turns] == [["a"], ["b", "c", "d"]]
    assert work.alone_with == []


def test_one_leads_at_a_time_and_each_item_is_served_once(threads):
    leading, served = threading.Lock(), []

    def together(waiting):
        assert leading.acquire(blocking=False)
        items = waiting()
        time.sleep(0.0001)  # others come
        served.extend(items)
        leading.release()
        return items

    group = GroupCommit(together, alone=lambda item: f"{item} alone")
    assert list(threads.map(group, range(2_000))) == list(range(2_000))
    assert sorted(served) == list(range(2_000))


def test_an_error_of_the_database_is_everybodys(threads):
    def full(items):
        if "c" in items:
            raise OperationalError("database or disk is full")

    work = Work(fails=full)
    ends = first_then(GroupCommit(work.together, work.alone), work, threads, "abcd")
    work.may_end.set()
    first, *others = results(ends)
    assert first == "a!"
    assert {(type(error), str(error)) for error in others} == {
        (OperationalError, "database or disk is full")
    }
    assert work.alone_with == []


def test_an_error_of_one_event_costs_the_others_nothing_and_is_logged(threads, caplog):
    def spoiled(items):
        if "c" in items:
            raise DataError("no such value")

    work = Work(fails=spoiled)
    ends = first_then(GroupCommit(work.together, work.alone), work, threads, "abcd")
    work.may_end.set()
    first, second, third, fourth = results(ends)
    assert (first, second, fourth) == ("a!", "b alone", "d alone")
    assert isinstance(third, DataError)
    (line,) = caplog.records
    assert line.getMessage() == "A group of 3 is served one by one"
    assert (line.levelname, line.exc_info[0]) == ("WARNING", DataError)


@pytest.mark.parametrize("error", [OperationalError("locked"), DataError("spoiled")])
def test_nobody_waits_for_a_leader_that_failed_before_it_asked_who_waits(threads, error, caplog):
    failing, begun = threading.Event(), threading.Event()

    def together(waiting):
        if not failing.is_set():
            begun.set()
            assert failing.wait(SECONDS)
            raise error
        return waiting()

    group = GroupCommit(together, alone=lambda item: f"{item} alone")
    ends = [threads.submit(group, "a")]
    assert begun.wait(SECONDS)
    ends.append(threads.submit(group, "b"))
    until(lambda: len(group._waiting) == 2)
    failing.set()
    found = results(ends)
    if isinstance(error, OperationalError):
        assert [str(end) for end in found] == ["locked", "locked"]
    else:
        assert found == ["a alone", "b alone"]
        assert caplog.messages == ["A group of 2 is served one by one"]
    assert group("c") == "c"


def test_nobody_waits_for_a_leader_that_was_ended(threads):
    def exits(items):
        if items == ["a"]:
            raise SystemExit

    work = Work(fails=exits)
    group = GroupCommit(work.together, work.alone)
    ends = first_then(group, work, threads, "abc")
    work.may_end.set()
    first, *others = results(ends)
    assert isinstance(first, SystemExit)
    assert others == ["b!", "c!"]


def test_a_child_does_not_wait_for_its_parents_leader(threads):
    work = Work()
    group = GroupCommit(work.together, work.alone)
    leading = threads.submit(group, "a")
    assert work.begun.wait(SECONDS)
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        os._exit(0 if group("b") == "b!" else 1)
    assert os.waitpid(child, 0) == (child, 0)
    work.may_end.set()
    assert leading.result(SECONDS) == "a!"


# The webhook's


def message(n):
    id = f"{n:08x}-4dca-4af3-9f32-61bc745926e2"
    return make_event("NEW_MESSAGE", id=id, direction="RECEIVED", content=str(n), conversation_id=C)


def take_in(event):
    try:
        return ingest(json.dumps(event).encode(), received_at=timezone.now())
    finally:
        connections.close_all()


@pytest.fixture
def ingested_together(threads):
    """Ingest events that all wait while another transaction writes. Return their outcomes."""

    def run(happening):
        with transaction.atomic():
            ends = [threads.submit(take_in, event) for event in happening]
            until(lambda: len(ingest_in_group._waiting) == len(happening))
        return results(ends)

    return run


@pytest.fixture
def commits(monkeypatch):
    """The number of events in each transaction."""
    taken = []
    real = ingest_in_group._together

    def counting(waiting):
        results = real(waiting)
        taken.append(len(results))
        return results

    monkeypatch.setattr(ingest_in_group, "_together", counting)
    return taken


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_events_that_wait_share_a_commit(ingested_together, commits):
    take_in(make_event("NEW_CONVERSATION", id=C))
    happening = [message(n) for n in range(6)] + [message(0), {"type": "NO_SUCH"}]
    found = ingested_together(happening)
    assert commits == [1, 8]
    assert sorted(result.outcome for result in found) == sorted(
        [Delivery.Outcome.APPLIED] * 6 + [Delivery.Outcome.DUPLICATE, Delivery.Outcome.REFUSED]
    )
    assert Message.objects.count() == 6
    assert Delivery.objects.count() == 9


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_an_event_that_cannot_be_stored_fails_alone(ingested_together, commits, monkeypatch):
    take_in(make_event("NEW_CONVERSATION", id=C))
    apply = rules.apply

    def spoiled(event, work, **times):
        outcome = apply(event, work, **times)
        if event.data.content == "3":
            raise DataError("string or blob too big")
        return outcome

    monkeypatch.setattr("chat.events.ingest.apply", spoiled)
    found = ingested_together([message(n) for n in range(6)])
    assert isinstance(found[3], DataError)
    assert [result.outcome for result in found if result is not found[3]] == [
        Delivery.Outcome.APPLIED
    ] * 5
    assert sorted(Message.objects.values_list("content", flat=True)) == ["0", "1", "2", "4", "5"]
    assert Delivery.objects.filter(outcome=Delivery.Outcome.APPLIED).count() == 6
