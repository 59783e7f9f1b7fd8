"""The commit of the running code."""

from functools import cache
from pathlib import Path

from django.conf import settings


@cache
def commit() -> str:
    """Return the first 12 digits of the checked-out commit, or "" where the code is no checkout of git."""
    try:
        return commit_of(Path(settings.BASE_DIR) / ".git")[:12]
    except (OSError, ValueError):
        return ""


def commit_of(folder: Path) -> str:
    """Read the commit without git. Raises OSError and ValueError."""
    if folder.is_file():  # a worktree
        folder = folder.parent / folder.read_text().removeprefix("gitdir: ").strip()
    head = (folder / "HEAD").read_text().strip()
    if not head.startswith("ref: "):
        return head
    named = head.removeprefix("ref: ")
    shared = folder / "commondir"
    common = folder / shared.read_text().strip() if shared.exists() else folder
    loose = common / named
    if loose.exists():
        return loose.read_text().strip()
    packed = (common / "packed-refs").read_text().splitlines()
    return next((line.split()[0] for line in packed if line.endswith(f" {named}")), "")
