"""The files of the service are private to its user, whichever command made them first."""

import os
from contextlib import closing
from pathlib import Path
from stat import S_IMODE

import pytest
from django.core.management import call_command
from django.db import connection

from chat.management.maintenance import MaintenanceCommand
from chat.upkeep import erasure_list
from realmate.sqlite.base import DatabaseWrapper, queue_for
from tests.servers import serving

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db]
as_root = pytest.mark.usefixtures("_as_root")
SOMEBODY = 65534


@pytest.fixture
def path(tmp_path):
    return tmp_path / "db.sqlite3"


@pytest.fixture
def _umask():
    """Set the usual umask, which lets everybody read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def write_into(path):
    """Write like the service. Return the stat of each database file while the database is open."""
    wrapper = DatabaseWrapper(connection.settings_dict | {"NAME": str(path)}, "other")
    with closing(wrapper):
        wrapper.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
        with wrapper.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS line (number INTEGER)")
            cursor.execute("INSERT INTO line VALUES (1)")
        wrapper.commit()
        wrapper.set_autocommit(True)
        return {each.name: each.stat() for each in path.parent.iterdir()}


def modes(stats):
    return {name: S_IMODE(each.st_mode) for name, each in stats.items()}


ALL_PRIVATE = dict.fromkeys(
    ["db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm", "db.sqlite3-writer"], 0o600
)


@pytest.mark.usefixtures("_umask")
def test_new_files_are_private(path):
    assert modes(write_into(path)) == ALL_PRIVATE


@pytest.mark.usefixtures("_umask")
def test_files_that_others_may_read_become_private(path):
    write_into(path)
    for each in path.parent.iterdir():
        each.chmod(0o664)
    queue_for.cache_clear()
    assert modes(write_into(path)) == ALL_PRIVATE


@as_root
def test_what_root_makes_is_of_the_owner_of_the_folder(path):
    os.chown(path.parent, SOMEBODY, SOMEBODY)
    assert {each.st_uid for each in write_into(path).values()} == {SOMEBODY}


@as_root
def test_what_root_opens_stays_of_the_owner_of_the_database(path):
    path.touch()
    os.chown(path, SOMEBODY, SOMEBODY)
    write_into(path)
    Path(f"{path}-writer").unlink()
    queue_for.cache_clear()
    assert {each.st_uid for each in write_into(path).values()} == {SOMEBODY}


@as_root
def test_the_list_of_erasures_is_of_the_owner_of_its_folder(settings, tmp_path):
    os.chown(tmp_path, SOMEBODY, SOMEBODY)
    settings.ERASURES_FILE = str(tmp_path / "erasures")
    erasure_list.create()
    assert (tmp_path / "erasures").stat().st_uid == SOMEBODY


@pytest.mark.usefixtures("_umask")
def test_what_a_command_writes_is_private(tmp_path):
    class Writes(MaintenanceCommand):
        def handle(self, *args, **options):
            (tmp_path / "written").touch()

    call_command(Writes())
    assert S_IMODE((tmp_path / "written").stat().st_mode) == 0o600
    assert os.umask(0o022) == 0o022


@pytest.mark.usefixtures("_umask")
def test_the_server_makes_private_files(tmp_path):
    with serving("granian", tmp_path) as server:
        assert server.post(b"{").status_code == 400
        counters = [each for pid in server.workers() for each in tmp_path.glob(f"*_{pid}.db")]
        assert counters
        assert {S_IMODE(each.stat().st_mode) for each in counters} == {0o600}
