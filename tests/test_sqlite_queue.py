"""The queue before SQLite's one writer: in turn, within a deadline, and free after each writer."""

import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from django.db import OperationalError, connection, connections, transaction

from chat.models import Conversation
from realmate.sqlite.base import DatabaseWrapper, WriterQueue, queue_for
from tests.conftest import NOW, C

pytestmark = [
    pytest.mark.sqlite,
    pytest.mark.django_db(transaction=True),
    pytest.mark.alone("waits of tenths of seconds"),
]


def write() -> None:
    with transaction.atomic():
        Conversation.objects.create(id=C, opened_at=NOW, activity_at=NOW, updated_at=NOW)


@pytest.fixture
def in_another_thread():
    """Runs a function to its end in a thread with a connection of its own; answers its error."""

    def run(function):
        errors = []

        def target():
            try:
                function()
            except Exception as error:
                errors.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=target)
        thread.start()
        thread.join(timeout=10)
        assert not thread.is_alive()
        return errors[0] if errors else None

    return run


def with_timeout(seconds, function):
    def run():
        connection.settings_dict = connection.settings_dict | {
            "OPTIONS": connection.settings_dict["OPTIONS"] | {"timeout": seconds}
        }
        function()

    return run


def test_a_writer_waits_no_longer_than_its_deadline(in_another_thread):
    with transaction.atomic():
        started = time.monotonic()
        error = in_another_thread(with_timeout(0.3, write))
        assert 0.2 < time.monotonic() - started < 3
    assert isinstance(error, OperationalError)
    assert "locked" in str(error)


@pytest.mark.parametrize("leave", ["commit", "rollback", "close"])
def test_the_next_writer_gets_in_when_the_one_before_leaves(in_another_thread, leave):
    connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    try:
        getattr(connection, leave)()
        assert in_another_thread(with_timeout(2, write)) is None
    finally:
        connection.close()
    assert Conversation.objects.count() == 1


def test_a_failed_transaction_leaves_the_queue(in_another_thread):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        _ = 1 / 0
    assert in_another_thread(with_timeout(2, write)) is None


def test_a_writer_that_gave_up_does_not_keep_its_turn(in_another_thread):
    with transaction.atomic():
        assert in_another_thread(with_timeout(0.1, write)) is not None
    assert in_another_thread(with_timeout(2, write)) is None


def test_a_queue_that_could_not_be_locked_can_be_once_its_cause_is_gone(tmp_path):
    queue = WriterQueue(tmp_path / "missing" / "db.sqlite3")
    with pytest.raises(OperationalError, match="No such file"):
        queue.enter(until=time.monotonic() + 1)
    (tmp_path / "missing").mkdir()
    assert queue.enter(until=time.monotonic() + 1)
    queue.leave()


def test_a_child_process_waits_for_its_parent():
    """The child must not wait for a mutex held at the fork, because nobody would release the mutex."""
    path = Path(connection.settings_dict["NAME"])
    with transaction.atomic():
        if (child := os.fork()) == 0:
            os._exit(queue_for(path).enter(until=time.monotonic() + 0.2))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        if (child := os.fork()) == 0:
            entered = queue_for(path).enter(until=time.monotonic() + 5)
            os._exit(entered)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


@pytest.fixture
def other(tmp_path):
    """A connection to another database file, which the test may move."""
    settings = connection.settings_dict | {"NAME": str(tmp_path / "other.sqlite3")}
    wrapper = DatabaseWrapper(settings, "other")
    with wrapper.cursor() as cursor:
        cursor.execute("CREATE TABLE line (number INTEGER)")
    yield wrapper
    wrapper.close()


def begin(wrapper):
    wrapper.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)


def test_nothing_is_written_into_a_file_that_was_replaced(other, tmp_path):
    path = Path(other.settings_dict["NAME"])
    shutil.copy(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)
    with pytest.raises(OperationalError, match="replaced"):
        begin(other)
    begin(other)  # the next writer opens the new file
    other.rollback()


def test_nothing_is_written_into_a_file_that_was_deleted(other):
    Path(other.settings_dict["NAME"]).unlink()
    with pytest.raises(OperationalError, match="replaced"):
        begin(other)


def test_nothing_is_written_into_a_file_that_was_replaced_during_the_wait(other, tmp_path):
    path = Path(other.settings_dict["NAME"])
    queue = queue_for(path)
    assert queue.enter(until=time.monotonic() + 1)
    errors = []

    def wait_and_begin():
        try:
            begin(other)
        except OperationalError as error:
            errors.append(str(error))

    other.inc_thread_sharing()
    waiting = threading.Thread(target=wait_and_begin)
    waiting.start()
    time.sleep(0.2)
    shutil.copy(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)
    queue.leave()
    waiting.join(timeout=10)
    assert errors == ["the database file was replaced"]


def test_no_file_is_begun_in_the_place_of_one_whose_wal_is_still_there(other, tmp_path):
    """A new file would empty the WAL, and lose the events in the WAL when the old file comes back."""
    path = Path(other.settings_dict["NAME"])
    with other.cursor() as cursor:
        cursor.execute("INSERT INTO line VALUES (1)")
    path.rename(tmp_path / "away")
    for why in ("replaced", "gone", "gone"):
        with pytest.raises(OperationalError, match=why):
            begin(other)
    assert not path.exists()
    (tmp_path / "away").rename(path)
    with other.cursor() as cursor:
        assert cursor.execute("SELECT number FROM line").fetchall() == [(1,)]
