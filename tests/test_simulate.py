"""`manage.py simulate`: its made-up conversations, and its requests."""

import _thread
import json
import signal
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from itertools import islice
from threading import Thread
from urllib.request import urlopen

import pytest
from django.core.management import CommandError, call_command
from django.core.servers.basehttp import WSGIRequestHandler
from django.db import OperationalError, connection

from chat.management.commands.simulate import webhook_url
from chat.management.simulation import postings
from chat.management.simulation.history import DAYS, history
from chat.models import Conversation, Delivery, Message, MessageWords

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOON = datetime(2025, 2, 21, 15, 0, tzinfo=UTC)


def ticking():
    """Return a clock that moves on by a second at each call."""
    ticks = iter(range(10**9))
    return lambda: NOON + timedelta(seconds=next(ticks))


def take(number, *, seed=1, conversations=8):
    return list(islice(postings(conversations=conversations, seed=seed, clock=ticking()), number))


def data(posting):
    return json.loads(posting.body)["data"]


def messages_by_conversation(stream):
    """Return each message once, in the order of the clock, by conversation."""
    threads = defaultdict(list)
    for posting in sorted(stream, key=lambda posting: json.loads(posting.body)["timestamp"]):
        if posting.type == "NEW_MESSAGE" and posting.expected in APPLIED_IN_THE_END:
            threads[data(posting)["conversation_id"]].append(data(posting))
    return threads


APPLIED_IN_THE_END = ("applied", "conversation_not_found")


@pytest.fixture(scope="module")
def long_stream():
    return take(6000)


# Made-up conversations


def test_the_same_seed_tells_the_same():
    assert take(300) == take(300)
    assert take(300) != take(300, seed=2)


def test_without_a_seed_no_id_comes_in_two_runs():
    first, second = ({data(posting)["id"] for posting in take(50, seed=None)} for _ in "ab")
    assert not first & second


def test_an_event_has_the_time_at_which_it_is_made_in_the_form_of_the_samples():
    assert json.loads(take(1)[0].body)["timestamp"] == "2025-02-21T15:00:01.000000"


def test_every_event_gets_the_answer_that_it_expects(deliver):
    for posting in take(500):
        result = deliver(posting.body)
        assert (result.code or result.outcome) == posting.expected
    assert Message.objects.filter(late=True).exists()
    assert Conversation.objects.filter(waiting_since__isnull=False).exists()


def test_few_events_are_out_of_the_ordinary():
    kinds = Counter(posting.expected for posting in take(5000))
    assert 100 < kinds["duplicate"] < 200
    assert 5 < kinds["conversation_not_found"] < 50
    assert 5 < kinds["conversation_closed"] < 50


def test_a_duplicate_has_the_very_body_of_an_event_before_it():
    stream = take(1000)
    for at, posting in enumerate(stream):
        if posting.expected == "duplicate":
            assert posting.body in [earlier.body for earlier in stream[:at]]


def test_several_conversations_go_on_at_once():
    ids = [data(posting).get("conversation_id") for posting in take(100, conversations=5)]
    assert len(set(ids) - {None}) >= 5


def test_the_customer_writes_first_and_a_whole_conversation_has_4_to_20_messages(long_stream):
    closed = {
        data(posting)["id"] for posting in long_stream if posting.type == "CLOSE_CONVERSATION"
    }
    threads = messages_by_conversation(long_stream)
    assert len(closed) > 300
    assert {thread[0]["direction"] for thread in threads.values()} == {"RECEIVED"}
    assert {len(threads[id]) for id in closed} <= set(range(4, 21))


def test_most_conversations_close_and_some_wait_for_a_reply(long_stream):
    opened = Counter(posting.type for posting in long_stream if posting.expected == "applied")
    share = opened["CLOSE_CONVERSATION"] / opened["NEW_CONVERSATION"]
    assert 0.75 < share < 0.95


def test_a_text_has_no_placeholder_left_and_the_texts_have_all_that_people_write(long_stream):
    texts = [
        text["content"]
        for thread in messages_by_conversation(long_stream).values()
        for text in thread
    ]
    assert not [text for text in texts if "{" in text or "}" in text]
    for something in ("ç", "😊", "\n", "https://", "*", "R$ "):
        assert any(something in text for text in texts)
    assert min(map(len, texts)) <= 2
    assert max(map(len, texts)) > 400


# Requests


def simulate(url, **options):
    """Run the command. Return its output."""
    out, err = StringIO(), StringIO()
    call_command("simulate", url=url, stdout=out, stderr=err, **({"rate": 0, "seed": 1} | options))
    return out.getvalue() + err.getvalue()


@pytest.fixture
def serve():
    """A server with these answers, and then 201 for ever. Keeps bodies, and counts connections."""
    servers = []

    def serve(*answers):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
        server.answers, server.bodies, server.connections = list(answers), [], 0
        server.headers = []
        server.url = f"http://127.0.0.1:{server.server_port}/webhook/"
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


class Scripted(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.server.connections += 1

    def do_POST(self):
        self.server.headers.append(self.headers)
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.server.answers.pop(0) if self.server.answers else 201
        answer() if callable(answer) else None
        if not isinstance(answer, int):
            self.close_connection = True
            return
        self.send_response(answer)
        if answer in (301, 503):
            self.send_header("Retry-After", "0")
            self.send_header("Location", "/elsewhere/")
        body = b'{"outcome": "applied"}' if answer == 201 else b"<h1>Sorry</h1>"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.mark.django_db(transaction=True)
def test_the_events_are_in_the_database(live_server, monkeypatch):
    # Django's server writes an answer in two pieces; Nagle would hold the second for 40 ms.
    monkeypatch.setattr(WSGIRequestHandler, "disable_nagle_algorithm", True)
    printed = simulate(f"{live_server.url}/webhook/", count=40)
    stream = list(islice(postings(conversations=8, seed=1), 40))
    assert Delivery.objects.filter(replays=None).count() == 40
    assert {str(id) for id in Message.objects.values_list("id", flat=True)} == {
        data(posting)["id"]
        for posting in stream
        if posting.type == "NEW_MESSAGE" and posting.expected == "applied"
    }
    assert printed.startswith("40 events in ")
    assert "UNEXPECTED" not in printed


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost:8123", "http://localhost:8123/webhook/"),
        ("127.0.0.1:8123", "http://127.0.0.1:8123/webhook/"),
        ("inbox.example", "http://inbox.example/webhook/"),
        ("[::1]:8123/", "http://[::1]:8123/webhook/"),
        ("https://inbox.example/in/#x", "https://inbox.example/in/"),
    ],
)
def test_a_host_and_a_port_are_enough_of_a_url(text, url):
    assert webhook_url(text) == url


def test_without_a_server_it_says_how_to_start_one(serve):
    server = serve()
    server.shutdown()
    server.server_close()
    with pytest.raises(CommandError, match=r"no server at http://127\.0\.0\.1:.*make run"):
        simulate(server.url)


@pytest.mark.parametrize("failure", [503, "hangs up"])
def test_an_event_that_gets_no_answer_is_posted_again_and_nothing_is_lost(serve, failure):
    calm, rough = serve(), serve(201, 201, failure)
    simulate(calm.url, count=10)
    simulate(rough.url, count=10)
    assert len(rough.bodies) == 11
    assert rough.bodies[2] == rough.bodies[3]
    assert ids_in(rough.bodies[:2] + rough.bodies[3:]) == ids_in(calm.bodies)


@pytest.mark.django_db(transaction=True)
def test_events_are_signed_where_there_are_secrets(live_server, settings, monkeypatch):
    monkeypatch.setattr(WSGIRequestHandler, "disable_nagle_algorithm", True)
    settings.WEBHOOK_SECRETS = [SECRET]
    assert "UNEXPECTED" not in simulate(f"{live_server.url}/webhook/", count=5)
    assert len(set(Delivery.objects.values_list("webhook_id", flat=True)) - {""}) == 5


def test_each_attempt_is_signed_anew_under_the_one_id(serve, settings, monkeypatch):
    settings.WEBHOOK_SECRETS = [SECRET]
    monkeypatch.setattr("django.utils.timezone.now", ticking())
    server = serve(503)
    simulate(server.url, count=1)
    first, second = server.headers
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) == int(first["webhook-timestamp"]) + 1
    assert first["webhook-signature"] != second["webhook-signature"]


def test_it_waits_for_as_long_as_retry_after_says(serve):
    assert "HTTP 503; the same event again in 0 s" in simulate(serve(503).url, count=1)


def ids_in(bodies):
    return [json.loads(body)["data"]["id"] for body in bodies]


def test_one_connection_is_kept(serve):
    server = serve()
    simulate(server.url, count=30)
    assert server.connections == 1


@pytest.mark.parametrize("status", [500, 301])
def test_an_unexpected_answer_is_shown(serve, status):
    server = serve(201, status)
    printed = simulate(server.url, count=3)
    assert len(server.bodies) == 3
    assert f"UNEXPECTED: HTTP {status}, 1 times" in printed
    assert f"unexpected: HTTP {status} to " in printed


@pytest.fixture
def ctrl_c():
    """As from a terminal: a background job of a shell, and so of CI, ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield _thread.interrupt_main
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_it_with_the_summary(serve, ctrl_c):
    server = serve(201, 201, 201, ctrl_c)
    assert simulate(server.url).startswith("3 events in ")


def test_the_rate_is_kept(serve):
    url = serve().url
    posting = seconds_of(lambda: [urlopen(url, b"{}") for _ in range(10)])
    assert 0.18 < seconds_of(lambda: simulate(url, count=10, rate=50)) < 1 + posting


def seconds_of(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


def test_a_bare_host_and_port_is_enough(serve):
    server = serve()
    simulate(f"127.0.0.1:{server.server_port}", count=1)
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"rate": -1}, "--rate"),
        ({"rate": float("nan")}, "--rate"),
        ({"rate": float("inf")}, "--rate"),
        ({"count": 0}, "--count"),
        ({"conversations": 0}, "--conversations"),
        ({"url": "ftp://127.0.0.1/"}, "--url"),
        ({"url": ""}, "--url"),
        ({"url": "http://127.0.0.1:99999/"}, "--url"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(options, rule):
    with pytest.raises(CommandError, match=rule):
        simulate(**({"url": "127.0.0.1:1"} | options))


# Loading


UNTIL = datetime(2025, 2, 21, 18, 0, tzinfo=UTC)


def told(number, *, seed=1, until=UNTIL):
    return list(history(conversations=number, until=until, seed=seed))


def test_a_history_has_so_many_conversations_spread_over_months():
    arrivals = told(200)
    opened = [at for at, posting in arrivals if posting.type == "NEW_CONVERSATION"]
    assert len({data(posting)["id"] for _, posting in arrivals}) > 1000
    assert len({at.date() for at in opened}) > 100
    assert UNTIL - timedelta(days=DAYS + 1) < min(opened) < max(opened) <= UNTIL


def test_a_history_comes_in_order_and_each_event_soon_after_it_happened():
    arrivals = told(200)
    times = [at for at, _ in arrivals]
    assert times == sorted(times)
    for at, posting in arrivals:
        written = datetime.fromisoformat(json.loads(posting.body)["timestamp"] + "+00:00")
        assert timedelta() < at - written < timedelta(minutes=25)


def test_the_same_seed_tells_the_same_history_whenever_it_is_told():
    ids = {data(posting)["id"] for _, posting in told(50)}
    assert ids == {data(posting)["id"] for _, posting in told(50, until=UNTIL + timedelta(hours=9))}
    assert ids != {data(posting)["id"] for _, posting in told(50, seed=2)}


def test_a_conversation_may_have_no_end_yet_but_has_its_beginning():
    assert len(told(1)) >= 1
    for until in (UNTIL, UNTIL + timedelta(hours=6), UNTIL + timedelta(hours=12)):
        opened = {
            data(posting)["id"] for _, posting in told(40, until=until)
            if (posting.type, posting.expected) == ("NEW_CONVERSATION", "applied")
        }  # fmt: skip
        assert len(opened) == 40


def load(**options):
    out, err = StringIO(), StringIO()
    call_command("simulate", stdout=out, stderr=err, **({"seed": 1, "yes": True} | options))
    return out.getvalue() + err.getvalue()


@pytest.mark.django_db(transaction=True)
def test_bulk_loads_conversations_with_the_answers_that_are_expected():
    printed = load(bulk=30)
    assert Conversation.objects.count() == 30
    assert 200 < Message.objects.count() < 600
    assert Conversation.objects.filter(state="CLOSED").count() > 15
    assert f"{Delivery.objects.filter(replays=None).count()} events in " in printed
    assert "UNEXPECTED" not in printed
    assert MessageWords.objects.search("pedido").exists()


@pytest.mark.django_db(transaction=True)
def test_what_a_seed_has_loaded_already_is_not_loaded_again_and_said():
    load(bulk=5)
    messages = Message.objects.count()
    assert "UNEXPECTED: " in load(bulk=5)
    assert (Conversation.objects.count(), Message.objects.count()) == (5, messages)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"bulk": 0}, "--bulk is at least 1"),
        ({"bulk": 1, "url": "127.0.0.1:1"}, "--url"),
        ({"bulk": 1, "rate": 0.0}, "--rate"),
        ({"bulk": 1, "count": 1}, "--count"),
        ({"bulk": 1, "conversations": 8}, "--conversations"),
    ],
)
def test_a_bulk_option_that_makes_no_sense_is_named(options, rule):
    with pytest.raises(CommandError, match=rule):
        load(**options)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_cannot_be_written_is_said_in_one_line():
    def refuse(execute, sql, params, many, context):
        raise OperationalError("no such table: chat_conversation")

    with (
        connection.execute_wrapper(refuse),
        pytest.raises(CommandError, match=r"no such table.*migrated\?"),
    ):
        load(bulk=1)
