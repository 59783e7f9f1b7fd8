"""The start of a worker before its first request, and streamed answers."""

import os
import subprocess
import sys

from django.http import StreamingHttpResponse

from tests.servers import ROOT

COUNTS = """
import gc, sys, realmate.wsgi
print(gc.get_freeze_count(), len(gc.get_objects()), "chat.views.inbox" in sys.modules)
"""


def test_a_look_for_garbage_leaves_out_all_that_was_loaded():
    environ = os.environ | {"DEBUG": "true", "DJANGO_SETTINGS_MODULE": "realmate.settings"}
    printed = subprocess.check_output(
        [sys.executable, "-c", COUNTS], cwd=ROOT, env=environ, text=True
    )
    left_out, looked_through, has_views = printed.split()
    assert int(left_out) > 50 * int(looked_through)
    assert has_views == "True"


START = """
from realmate import stopping
stopping.watch_signals()
import realmate.wsgi
"""


def test_a_worker_starts_where_the_database_cannot_be_looked_for(tmp_path):
    """A folder closed to the service's user fails in the same way, but root may enter every folder."""
    path = tmp_path / ("x" * 300)
    environ = os.environ | {"DEBUG": "true", "DATABASE_URL": f"sqlite:///{path}"}
    command = [sys.executable, "-c", START]
    started = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert started.returncode == 0, started.stderr
    assert "Not ready: The database does not answer." in started.stderr


def test_an_empty_piece_of_an_answer_is_not_sent():
    """Some servers take an empty piece for the end of the body."""
    from realmate.wsgi import Stream

    response = StreamingHttpResponse([b"", b"a", b"", b"", b"b", b""])
    assert list(Stream(response)) == [b"a", b"b"]
