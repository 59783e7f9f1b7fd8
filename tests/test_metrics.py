"""What Prometheus reads."""

import json

from prometheus_client.parser import text_string_to_metric_families

from realmate.server import counters_of
from tests.conftest import C, M, make_event
from tests.servers import serving, through_wsgi


def samples(answer):
    """Each sample by its name and labels."""
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def read():
    answer = through_wsgi("GET", "/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    return samples(answer)


def grown(before, *name):
    return read()[name] - before.get(name, 0)


def test_deliveries_are_counted_by_what_was_answered(post):
    before = read()
    opening = make_event("NEW_CONVERSATION", id=C)
    for sent in (opening, opening, make_event("CLOSE_CONVERSATION", id=M), b"{"):
        post(sent)
    post(b"{}", content_type="text/plain")
    for code in ("applied", "duplicate", "conversation_not_found", "invalid_json"):
        assert grown(before, "realmate_deliveries_total", code) == 1
    assert grown(before, "realmate_deliveries_total", "unsupported_media_type") == 1


def test_refused_signatures_are_there_before_the_first(db):
    assert ("realmate_deliveries_total", "invalid_signature") in read()


def test_durations_are_of_routes_and_not_of_paths(db):
    before = read()
    for id in (C, M):
        through_wsgi("GET", f"/conversations/{id}")
    through_wsgi("GET", "/nothing")
    name = "realmate_request_duration_seconds_count"
    assert grown(before, name, "/conversations/<str:id>", "404") == 2
    assert grown(before, name, "/", "404") == 1
    assert not [labels for labels in read() if C in str(labels) or "nothing" in str(labels)]


def test_a_bad_host_has_no_route(db):
    before = read()
    through_wsgi("GET", "/stats", HTTP_HOST="evil")
    assert grown(before, "realmate_request_duration_seconds_count", "", "400") == 1


def test_all_processes_are_counted_together(tmp_path):
    with serving("granian", tmp_path) as server:
        sent = 0
        while not all(has_applied(tmp_path / f"counter_{pid}.db") for pid in server.workers()):
            event = make_event("NEW_CONVERSATION", id=f"{sent:08}{C[8:]}")
            assert server.post(json.dumps(event).encode()).status_code == 201
            sent += 1
            assert sent < 5_000, "one of the processes takes no event"
        told = samples(server.ask("GET", "/metrics"))
    assert told["realmate_deliveries_total", "applied"] == sent


def has_applied(counters):
    """Whether the process with this file has applied an event."""
    return counters.exists() and b'"applied"' in counters.read_bytes()


def test_what_counts_is_not_on_a_disk_that_may_be_full():
    """A process that writes to a mapped file there is killed."""
    folder = counters_of("of this test")
    assert folder.is_relative_to("/dev/shm")
    folder.rmdir()
