"""What a worker has done before its first request."""

import os
import subprocess
import sys

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
