"""Put a backup in the place of the database, and repeat the erasures since the backup.

SQLite: everything is done in a copy beside the database, and one rename puts the copy in place.
PostgreSQL: `pg_restore` fills the empty database of DATABASE_URL in one transaction.
"""

from contextlib import suppress
from pathlib import Path

from django.db import connection
from django.utils import timezone

from chat.upkeep import erasure_list
from chat.upkeep.erasure_list import Happened
from chat.upkeep.restored import Checked, Progress, Restored
from chat.upkeep.restoring_postgresql import check_dump, fill_the_empty_database
from chat.upkeep.restoring_sqlite import check_file, replace_the_file


def check(file: Path) -> Checked:
    """Check the backup: it can be read, is ours, and is not of a newer version than the code.

    Raises RestoreFailed, and OSError.
    """
    file.open("rb").close()  # because the databases' programs give less clear errors
    return check_dump(file) if connection.vendor == "postgresql" else check_file(file)


def restore(file: Path, *, on_progress: Progress) -> Restored:
    """Restore the backup, begin a generation, and erase the conversations of the list of erasures.

    `on_progress` gets the pages done and their total (SQLite). Raises RestoreFailed, OSError, and
    Django's `Error`.
    """
    check(file)
    if connection.vendor == "postgresql":
        restored = fill_the_empty_database(file)
    else:
        restored = replace_the_file(file, on_progress=on_progress)
    if restored.erased and restored.is_scrubbed:
        with suppress(OSError):  # the next upkeep then scrubs once more
            erasure_list.note(Happened.SCRUBBED, *restored.erased, at=timezone.now())
    return restored
