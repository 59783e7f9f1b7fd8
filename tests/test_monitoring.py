"""The alerts and the dashboard of deploy/: their metrics exist, and each alert rings and is quiet.

The quick tests read the files. `make proofs` runs them: apt-get install prometheus.
"""

import json
import re
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from urllib.parse import quote

import pytest
from django.core.cache import cache

from chat.refusals import ALL
from tests.conftest import C, M, make_event
from tests.missing import missing
from tests.servers import ROOT, free_port, serving, through_wsgi

ALERTS = ROOT / "deploy" / "alerts.yml"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana.json").read_text())
NAMES = re.findall(r"^ +- alert: (\w+)$", ALERTS.read_text(), re.MULTILINE)
EXPRESSIONS = re.findall(r"^ +expr: (.+)$", ALERTS.read_text(), re.MULTILINE)
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]

by_hand = pytest.mark.by_hand("needs the Debian package of Prometheus")


# For each alert, over so many minutes: a series that rings the alert, a series that does not, and the labels. In
# promtool's notation `0+1x9` is 0, 1 … 9, a minute apart.

MINUTES = 300
DAY = 24 * 60
KiB = 1024
CODES = 'realmate_deliveries_total{code="%s"}'
WHY = 'realmate_signatures_refused_total{why="%s"}'
GROWS, STANDS = f"0+1x{MINUTES}", f"7x{MINUTES}"


def steady(value):
    return f"{value}x{MINUTES}"


def restarts(count):
    """Return the starts of two workers, counted anew by each restart of the server within an hour."""
    return f"2x180 {'0 2x12 ' * count}2x{MINUTES}"


def histogram(name, labels, *, over):
    """Return the buckets of one observation a minute, over the alert's bound or under the bound."""
    bucket = f"{name}_bucket{{{labels}le=" + '"%s"}'
    bound, larger = over
    return lambda is_over: {
        bucket % bound: steady(0) if is_over else GROWS,
        bucket % larger: GROWS,
        bucket % "+Inf": GROWS,
    }


def one(series, ringing, quiet):
    return lambda rings: {series: ringing if rings else quiet}


OF_WEBHOOK = 'route="/webhook",'
CASES = {
    "RealmateDown": one('up{job="realmate"}', steady(0), steady(1)),
    "RealmateDatabaseDown": one("realmate_database_up", steady(0), steady(1)),
    "RealmateRefusesForNow": one(CODES % "try_again", GROWS, STANDS),
    "RealmateSlow": histogram("realmate_request_duration_seconds", OF_WEBHOOK, over=("1", "2.5")),
    "RealmateDiskFull": one("realmate_disk_free_bytes", steady(60 * KiB**2), steady(65 * KiB**2)),
    "RealmateDiskFilling": one("realmate_disk_free_bytes", steady(KiB**3 - 1), steady(KiB**3)),
    "RealmateWalGrows": one("realmate_database_wal_bytes", steady(KiB**3 + 1), steady(KiB**3)),
    "RealmateNoEvents": one("realmate_last_event_timestamp_seconds", steady(-12 * 3600), steady(0)),
    "RealmateEventsLate": histogram("realmate_event_lag_seconds", "", over=("900", "3600")),
    "RealmateEarlyEventsWait": one(
        "realmate_early_events_oldest_seconds", steady(3601), steady(3600)
    ),
    "RealmateSignaturesWrong": one(WHY % "wrong_signature", GROWS, STANDS),
    "RealmateClocksDiffer": one(WHY % "time_off", GROWS, STANDS),
    "RealmateEventsInvalid": one(CODES % "invalid_event", GROWS, STANDS),
    "RealmateWriterQueue": histogram("realmate_sqlite_writer_wait_seconds", "", over=("1", "2.5")),
    "RealmatePoolWaits": histogram("realmate_pool_wait_seconds", "", over=("1", "2.5")),
    "RealmateWorkersDie": one("realmate_worker_starts_total", restarts(4), restarts(3)),
    "RealmateUpkeepMissing": one(
        "realmate_changes_overdue_seconds", steady(2 * 86400 + 1), steady(2 * 86400)
    ),
    "RealmateBackupOld": one(
        "realmate_last_backup_timestamp_seconds", steady(-36 * 3600), steady(0)
    ),
    "RealmateLoginsGuessed": one(
        'realmate_logins_total{outcome="wrong_password"}', f"0+9x{MINUTES}", f"0+1x{MINUTES}"
    ),
    "RealmateCustomersWait": one("realmate_longest_wait_seconds", steady(86401), steady(86400)),
}
# The labels of a ringing alert, besides its severity.
KEPT = {"RealmateDown": {"job": "realmate"}, "RealmateSignaturesWrong": {"why": "wrong_signature"}}
PAGES = {
    "RealmateDown",
    "RealmateDatabaseDown",
    "RealmateRefusesForNow",
    "RealmateSlow",
    "RealmateDiskFull",
}


def metrics_in(expression):
    """Return the names of metrics, without the suffix of a histogram's buckets."""
    found = re.findall(r"\b(?:realmate|process)_\w+", expression)
    return {re.sub("_(bucket|sum|count|total)$", "", name) for name in found}


def test_every_alert_is_in_the_guide_and_has_a_case():
    guide = (ROOT / "docs" / "faults.md").read_text()
    assert re.findall(r"^\| (Realmate\w+) \|", guide, re.MULTILINE) == NAMES
    assert list(CASES) == NAMES


def test_every_refusal_is_in_the_guide():
    guide = (ROOT / "docs" / "faults.md").read_text()
    assert [refusal.code for refusal in ALL if f"`{refusal.code}`" not in guide] == []


@pytest.mark.parametrize("expression", [*EXPRESSIONS, *QUERIES])
def test_what_is_asked_for_is_told(post, expression):
    """SQLite has the metrics of both engines, except the histograms of waits."""
    post(make_event("NEW_CONVERSATION", id=C))
    cache.clear()
    told = through_wsgi("GET", "/metrics").content.decode()
    kinds = set(re.findall(r"^# TYPE (\w+) ", told, re.MULTILINE))
    assert metrics_in(expression) <= {re.sub("_total$", "", kind) for kind in kinds}


@by_hand
@pytest.mark.parametrize("rings", [True, False], ids=["rings", "quiet"])
def test_each_alert_rings_and_is_quiet(tmp_path, rings):
    rules = tmp_path / "test.yml"
    rules.write_text(json.dumps(cases_for_promtool(rings=rings)))  # JSON is YAML
    program = shutil.which("promtool") or missing(
        "no promtool (Debian: apt-get install prometheus)"
    )
    tested = subprocess.run([program, "test", "rules", rules], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def cases_for_promtool(*, rings):
    return {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [case_for_promtool(name, rings=rings) for name in NAMES],
    }


def case_for_promtool(name, *, rings):
    series = CASES[name](rings)
    severity = "page" if name in PAGES else "ticket"
    labels = {"severity": severity} | KEPT.get(name, {})
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{MINUTES - 60}m",
                "alertname": name,
                "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations_of(name)}]
                if rings
                else [],
            }
        ],
    }


def annotations_of(name):
    _, _, rest = ALERTS.read_text().partition(f"alert: {name}\n")
    summary = re.search(r'summary: "(.*)"', rest)[1]
    return {"summary": summary, "runbook": "docs/faults.md#alerts"}


# The dashboard, in a real Prometheus scraping a real server


@contextmanager
def prometheus(folder, target):
    program = shutil.which("prometheus") or missing(
        "no Prometheus (Debian: apt-get install prometheus)"
    )
    config = {
        "global": {"scrape_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [{"job_name": "realmate", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    port = free_port()
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = (folder / "prometheus.log").open("w")
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield port
        finally:
            process.terminate()


def ask(port, query):
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", f"/api/v1/query?query={quote(query)}")
    return json.load(connection.getresponse())


def wait_until_scraped(port):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if len(ask(port, "count_over_time(realmate_database_up[1m]) > 3")["data"]["result"]):
                return
        except OSError:
            pass
        time.sleep(0.5)
    pytest.fail("nothing was scraped")


# Without an event of this kind in the test, or on SQLite, a query has no result.
EMPTY = ("pool_wait",)


@by_hand
def test_every_query_of_the_dashboard_and_of_the_alerts_runs(tmp_path):
    with ExitStack() as stack:
        server = stack.enter_context(serving("granian", tmp_path))
        # Before the first scrape, because figures of the database are kept for 15 seconds.
        server.post(json.dumps(make_event("NEW_CONVERSATION", id=C)).encode())
        server.post(json.dumps(make_event("NEW_MESSAGE", id=M)).encode())
        port = stack.enter_context(prometheus(tmp_path, f"127.0.0.1:{server.port}"))
        wait_until_scraped(port)
        for query in EXPRESSIONS:
            assert ask(port, query)["status"] == "success", query
        for query in QUERIES:
            answer = ask(port, query.replace("$__rate_interval", "1m"))
            assert answer["status"] == "success", (query, answer)
            if not any(name in query for name in EMPTY):
                assert answer["data"]["result"], query
