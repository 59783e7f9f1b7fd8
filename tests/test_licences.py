"""docs/licences.md agrees with the lock and the packages."""

import pytest

from tests.licences import PAGE, REASONS, ROOT, page, pinned, table


def test_the_page_is_what_the_packages_say():
    assert PAGE.read_text() == page(), "run `make licences`"


def test_every_package_of_the_lock_is_on_it():
    told = PAGE.read_text()
    locked = pinned(ROOT / "requirements-dev.txt")
    assert [name for name in locked if f"{name} {locked[name]}" not in told] == []


def test_a_licence_that_nobody_has_judged_is_refused(monkeypatch):
    monkeypatch.delitem(REASONS, "BSD-3-Clause")
    with pytest.raises(KeyError):
        table(pinned(ROOT / "requirements.txt"))
