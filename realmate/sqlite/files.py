"""The files of an SQLite database are for their owner alone, whichever program made or opened them first.

A user able to open a file can lock it, and thereby stop all writing.
"""

import os
from contextlib import suppress
from pathlib import Path
from stat import S_IFREG, S_IMODE

# SQLite gives the WAL and its index the owner and the mode of the database.
SUFFIXES = ("", "-wal", "-shm", "-writer")
PRIVATE = 0o600
# The last option of a mount that ext4 has made read-only after an error.
EMERGENCY = ",emergency_ro"


def make(database: Path) -> None:
    """Make an empty database file, unless there is one. A file made by root is the folder's owner's.

    If that fails, SQLite says why.
    """
    with suppress(OSError):
        # Not open(): closing a descriptor of the database would drop SQLite's locks on it.
        os.mknod(database, S_IFREG | PRIVATE)
        own_as(database, database.parent)


def own_as(path: Path | int, example: Path) -> None:
    """Give a file or descriptor the owner of another file. Only root can, and only root needs to."""
    with suppress(FileNotFoundError):  # the example was moved away
        if os.geteuid() == 0:
            status = example.stat()
            os.chown(path, status.st_uid, status.st_gid)


def are_writable(database: Path) -> bool:
    """Whether this user may write to the files, on a disk that takes writes."""
    files = [file for suffix in SUFFIXES if (file := Path(f"{database}{suffix}")).exists()]
    if any(on_a_read_only_disk(path) for path in (database.parent, database)):
        return False
    return all(os.access(file, os.W_OK) for file in files)


def on_a_read_only_disk(path: Path) -> bool:
    """Whether the disk is mounted read-only, or the kernel has made it so after an error.

    Newer kernels leave the flag of the mount as it was, and name the state in mountinfo only.
    """
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return True
    device = path.stat().st_dev
    own = f" {os.major(device)}:{os.minor(device)} "
    with suppress(OSError):  # another system than Linux
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        return any(own in line and line.endswith(EMERGENCY) for line in mounts)
    return False


def take_rights_of_others(database: Path) -> None:
    """Leave only the owner's rights on the files, as far as this process may change them."""
    for suffix in SUFFIXES:
        path = database.with_name(database.name + suffix)
        with suppress(OSError):
            mode = S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                path.chmod(mode & 0o700)
