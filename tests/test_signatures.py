"""Who may send: both schemes, through the webhook, and the commands that sign as senders do."""

import json
import shlex
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from standardwebhooks import Webhook

from chat.metrics import DELIVERIES, SIGNATURES_REFUSED
from chat.models import Delivery, Message
from chat.refusals import InvalidSignature
from chat.signatures import Hub, Standard
from tests.conftest import C, M, make_event
from tests.servers import assert_problem, through_wsgi

# Published examples: standardwebhooks.com, and GitHub's documentation of its webhooks.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
VECTOR_BODY = b'{"test": 2432232314}'
THEN = datetime.fromtimestamp(1614265330, UTC)
HUB_SECRET = "It's a Secret to Everybody"
HUB_VECTOR = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
NEW_SECRET = "whsec_bmV3ZXIgdGhhbiB0aGUgb3RoZXIgb25lLCBsb25nIGVub3VnaA=="
UNKNOWN_SECRET = "whsec_bm9uZSBvZiB0aGVzZSwgYnV0IHF1aXRlIGxvbmcgZW5vdWdo"

BODY = json.dumps(make_event("NEW_CONVERSATION", id=C)).encode()


def standard_headers(body=BODY, *, secret=SECRET, at=None, id="msg_1"):
    return Standard([secret]).sign(body, id=id, at=at or datetime.now(UTC))


def hub_headers(body=BODY, *, secret=HUB_SECRET):
    return Hub([secret]).sign(body, id="", at=datetime.now(UTC))


@pytest.fixture
def standard(settings):
    settings.WEBHOOK_SECRETS = [SECRET]


@pytest.fixture
def hub(settings):
    settings.WEBHOOK_SCHEME, settings.WEBHOOK_SECRETS = "hub", [HUB_SECRET]


@pytest.fixture
def then(monkeypatch):
    """The clock that our check of the headers reads."""

    class Then(datetime):
        @classmethod
        def now(cls, tz=None):
            return THEN

    monkeypatch.setattr("chat.signatures.timezone.now", Then.now)


def assert_refused(answer):
    assert_problem(answer, 401, "invalid_signature")
    assert answer["WWW-Authenticate"] == "Webhook-Signature"
    assert not Delivery.objects.exists()


# The published examples


def test_standard_webhooks_signs_its_published_example():
    assert Standard([SECRET]).sign(VECTOR_BODY, id=VECTOR["webhook-id"], at=THEN) == VECTOR


def test_the_webhook_takes_the_published_example_of_standard_webhooks(standard, then, post):
    assert_problem(post(VECTOR_BODY, headers=VECTOR), 400, "invalid_event")
    assert Delivery.objects.get().webhook_id == VECTOR["webhook-id"]


def test_a_hub_signs_its_published_example():
    assert hub_headers(b"Hello, World!") == {"X-Hub-Signature-256": HUB_VECTOR}


def test_the_webhook_takes_the_published_example_of_a_hub(hub, post):
    answer = post(b"Hello, World!", headers={"X-Hub-Signature-256": HUB_VECTOR})
    assert_problem(answer, 400, "invalid_json")


# What is taken


def test_a_signed_event_is_applied_and_its_id_is_in_the_log(standard, post):
    assert post(BODY, headers=standard_headers(id="msg_7")).status_code == 201
    assert Delivery.objects.get().webhook_id == "msg_7"


def test_an_event_signed_as_a_hub_does_is_applied(hub, post):
    assert post(BODY, headers=hub_headers()).status_code == 201


def test_every_secret_is_accepted_while_one_replaces_another(settings, post):
    settings.WEBHOOK_SECRETS = [NEW_SECRET, SECRET]
    for secret, status in ((SECRET, 201), (NEW_SECRET, 200), (UNKNOWN_SECRET, 401)):
        assert post(BODY, headers=standard_headers(secret=secret)).status_code == status


def test_every_secret_of_a_hub_is_accepted_too(settings, hub, post):
    settings.WEBHOOK_SECRETS = ["another secret of the hub", HUB_SECRET]
    for secret, status in ((HUB_SECRET, 201), (settings.WEBHOOK_SECRETS[0], 200), ("third", 401)):
        assert post(BODY, headers=hub_headers(secret=secret)).status_code == status


def test_a_right_signature_among_others_is_found(standard, post):
    right = standard_headers()
    for others in (
        "v1,%%% {}",
        "v1, {}",
        "v1a,xx v2,yy {} v1,zz",
        "nonsense {}",
        "{} v1,é",
        " {} ",
    ):
        mixed = others.format(right["webhook-signature"])
        assert post(BODY, headers=right | {"webhook-signature": mixed}).status_code in (200, 201)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_clock_may_be_off_by_five_minutes(standard, then, post, seconds):
    at = THEN + timedelta(seconds=seconds)
    assert post(BODY, headers=standard_headers(at=at)).status_code == 201


def test_a_redelivery_signed_anew_is_a_duplicate(standard, post):
    post(BODY, headers=standard_headers(at=datetime.now(UTC) - timedelta(minutes=4)))
    assert post(BODY, headers=standard_headers()).json()["outcome"] == "duplicate"


def test_without_secrets_everybody_may_send_when_that_is_allowed(settings, post):
    settings.WEBHOOK_SECRETS = []
    assert post(BODY, headers={"webhook-signature": "v1,nonsense"}).status_code == 201


def test_without_secrets_nobody_may_send_when_it_is_not(settings, post):
    settings.WEBHOOK_SECRETS, settings.WEBHOOK_ALLOW_UNSIGNED = [], False
    assert_refused(post(BODY))


def test_secrets_are_checked_even_where_unsigned_events_are_allowed(settings, standard, post):
    settings.WEBHOOK_ALLOW_UNSIGNED = True
    assert_refused(post(BODY))


@pytest.mark.parametrize(
    ("sent", "kept"), [("x" * 300, "x" * 255), ("a b\0ç", "a?b??"), ("", "")], ids=str
)
def test_the_log_keeps_what_its_column_can_of_a_webhook_id(post, sent, kept):
    assert post(BODY, headers={"webhook-id": sent}).status_code == 201
    assert Delivery.objects.get().webhook_id == kept


# What is refused

TOO_MANY = " ".join(["v1,AAAA"] * 2000)
MALFORMED = {
    "nothing": {},
    "no id": {"webhook-id": None},
    "no time": {"webhook-timestamp": None},
    "no signature": {"webhook-signature": None},
    "empty id": {"webhook-id": ""},
    "empty time": {"webhook-timestamp": ""},
    "empty signature": {"webhook-signature": ""},
    "spaces": {"webhook-signature": "   "},
    "another id": {"webhook-id": "msg_2"},
    "an id of Latin-1": {"webhook-id": "ção"},
    "an id of UTF-8": {"webhook-id": "ção".encode().decode("latin-1")},
    "an id with a surrogate": {"webhook-id": "\ud800"},
    "an id with NUL": {"webhook-id": "msg\0"},
    "a huge id": {"webhook-id": "x" * 60_000},
    "a time of words": {"webhook-timestamp": "yesterday"},
    "not a number": {"webhook-timestamp": "nan"},
    "infinity": {"webhook-timestamp": "inf"},
    "a negative time": {"webhook-timestamp": "-1"},
    "a time with a fraction": {"webhook-timestamp": "1614265330.5"},
    "an endless time": {"webhook-timestamp": "9" * 5_000},
    "a time of other digits": {"webhook-timestamp": "١٦١٤٢٦٥٣٣٠"},
    "a time of ISO 8601": {"webhook-timestamp": "2025-02-21T10:20:41Z"},
    "milliseconds": {"webhook-timestamp": "1614265330000"},
    "no version": {"webhook-signature": "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
    "a version alone": {"webhook-signature": "v1"},
    "a version and a comma": {"webhook-signature": "v1,"},
    "three parts": {"webhook-signature": "v1,AAAA,BBBB"},
    "not base64": {"webhook-signature": "v1,%%%%"},
    "base64 cut short": {"webhook-signature": "v1,AAA"},
    "base64 without padding": {"webhook-signature": "v1,A"},
    "another version": {"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
    "a signature of text": {"webhook-signature": "v1,assinatura não é"},
    "a signature with a surrogate": {"webhook-signature": "v1,\udcff"},
    "hexadecimal": {"webhook-signature": "v1," + "ab" * 32},
    "a wrong one": {"webhook-signature": "v1," + "A" * 43 + "="},
    "very many": {"webhook-signature": TOO_MANY},
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_headers_are_refused_and_leave_nothing(standard, post, case):
    headers = standard_headers() | MALFORMED[case] if MALFORMED[case] else {}
    assert_refused(post(BODY, headers={k: v for k, v in headers.items() if v is not None}))


HEX = hub_headers()["X-Hub-Signature-256"]


@pytest.mark.parametrize(
    "given",
    [None, "", "sha256=", "sha256", HEX[7:], f"sha1={HEX[7:]}", f"sha256={HEX}", HEX.upper(),
     HEX[:-1], HEX + "0", HEX[:-1] + "é", HEX[:-1] + "\ud800", f"{HEX},{HEX}", "x" * 60_000],
)  # fmt: skip
def test_malformed_hub_headers_are_refused_and_leave_nothing(hub, post, given):
    assert_refused(post(BODY, headers={} if given is None else {"X-Hub-Signature-256": given}))


@pytest.mark.parametrize("seconds", [-301, 301])
def test_more_than_five_minutes_off_is_refused(standard, then, post, seconds):
    at = THEN + timedelta(seconds=seconds)
    assert_refused(post(BODY, headers=standard_headers(at=at)))


def test_an_old_signature_under_a_new_time_is_refused(standard, post):
    old = standard_headers(at=datetime.now(UTC) - timedelta(hours=1))
    assert_refused(
        post(BODY, headers=old | {"webhook-timestamp": str(int(datetime.now().timestamp()))})
    )


@pytest.mark.parametrize("change", [BODY + b" ", BODY.replace(b"2025", b"2026"), b"{}"])
def test_a_signature_is_of_every_byte_of_its_body(standard, post, change):
    assert_refused(post(change, headers=standard_headers()))


def test_a_hub_s_signature_is_of_every_byte_too(hub, post):
    assert_refused(post(BODY + b" ", headers=hub_headers()))


def test_one_scheme_is_not_the_other(settings, standard, post):
    settings.WEBHOOK_SECRETS = [SECRET]
    assert_refused(post(BODY, headers=hub_headers(secret=SECRET)))


@pytest.mark.parametrize("body", [b'{"a": "\xff"}', b"\xff", b"\x00", b"\xed\xa0\x80"])
@pytest.mark.parametrize("scheme", ["standard", "hub"])
def test_a_signed_body_that_is_no_text_is_no_json_and_recorded(request, post, scheme, body):
    request.getfixturevalue(scheme)
    headers = {"standard": standard_headers, "hub": hub_headers}[scheme](body)
    assert_problem(post(body, headers=headers), 400, "invalid_json")
    assert bytes(Delivery.objects.get().body) == body


@pytest.mark.parametrize("text", ["", "{}", "Olá, tudo bem? 👍", "a.b.c", "\0"])
def test_text_is_signed_as_the_package_signs_it(standard, then, post, text):
    signature = Webhook(SECRET).sign("msg_1", THEN, text)
    assert standard_headers(text.encode(), at=THEN)["webhook-signature"] == signature


def test_a_full_stop_cannot_move_from_the_timestamp_to_the_id(standard, post):
    """`a.1` at 1740133241 and `a` at `1.1740133241` would be signed alike."""
    headers = standard_headers(id="a.1")
    assert_refused(post(BODY, headers=headers))
    moved = {"webhook-id": "a", "webhook-timestamp": f"1.{headers['webhook-timestamp']}"}
    assert_refused(post(BODY, headers=headers | moved))


def test_what_is_malformed_in_a_signed_body_is_told_and_recorded(standard, post):
    assert_problem(post(b"{", headers=standard_headers(b"{")), 400, "invalid_json")
    assert Delivery.objects.get().code == "invalid_json"


TOO_LARGE = 4 * 1024 * 1024 + 1
# The checks in their order: status, code, and a request that fails this check alone.
CHECKS = {
    "method": (405, "method_not_allowed", {"REQUEST_METHOD": "GET"}),
    "address": (403, "forbidden", {"REMOTE_ADDR": "192.0.2.7"}),
    "media type": (415, "unsupported_media_type", {"CONTENT_TYPE": "text/plain"}),
    "no end": (
        411,
        "length_required",
        {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": None},
    ),
    "length": (413, "body_too_large", {"CONTENT_LENGTH": str(TOO_LARGE)}),
    "signature headers": (401, "invalid_signature", {"HTTP_WEBHOOK_SIGNATURE": None}),
    "count": (
        413,
        "body_too_large",
        {
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input_terminated": True,
            "body": b" " * TOO_LARGE,
        },
    ),
    "signature": (401, "invalid_signature", {"signed": b"another body"}),
    "json": (400, "invalid_json", {"body": b"{"}),
}
PAIRS = [
    (first, second)
    for n, first in enumerate(CHECKS)
    for second in list(CHECKS)[n:]
    # A chunked body has no length to judge, and both faults of a signature have one answer.
    if (first, second) not in {("length", "count"), ("signature headers", "signature")}
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_faults_the_earlier_check_answers(standard, settings, db, first, second):
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.1"]
    status, code, fault = CHECKS[first]
    sent = {"body": BODY, "REMOTE_ADDR": "127.0.0.1"} | CHECKS[second][2] | fault
    body = sent.pop("body")
    signature = standard_headers(sent.pop("signed", body))
    signed = {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in signature.items()}
    assert_problem(through_wsgi("POST", "/webhook/", body, **signed | sent), status, code)


def test_what_is_refused_is_counted(standard, post):
    count = DELIVERIES.labels("invalid_signature")._value
    before = count.get()
    post(BODY)
    assert count.get() == before + 1


def refused_why(caplog, answer):
    """What the log says of a refused signature. The answer says the same for each."""
    assert_problem(answer, 401, "invalid_signature")
    assert answer.json()["detail"] == InvalidSignature.detail
    return {name: value for name, value in vars(caplog.records[-1]).items() if name in LOGGED}


LOGGED = {"why", "seconds_off", "address"}


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, {"why": "no_headers"}),
        ({"webhook-id": ""}, {"why": "malformed"}),
        ({"webhook-timestamp": "soon"}, {"why": "malformed"}),
        ({"webhook-signature": "v1,"}, {"why": "malformed"}),
        ({"webhook-timestamp": "1614265631"}, {"why": "time_off", "seconds_off": 301}),
        ({"webhook-timestamp": "1614265029"}, {"why": "time_off", "seconds_off": -301}),
        ({"webhook-timestamp": "1614265029", "webhook-signature": "x"}, {"why": "malformed"}),
        ({"webhook-id": "another"}, {"why": "wrong_signature"}),
    ],
)
def test_the_operator_learns_why_a_signature_was_refused(
    standard, then, post, caplog, headers, why
):
    count = SIGNATURES_REFUSED.labels(why["why"])._value
    before = count.get()
    sent = VECTOR | headers if headers else {}
    answer = post(VECTOR_BODY, headers=sent, REMOTE_ADDR="192.0.2.7")
    assert refused_why(caplog, answer) == why | {"address": "192.0.2.7"}
    assert count.get() == before + 1


@pytest.mark.parametrize(
    ("signature", "why"),
    [(None, "no_headers"), ("sha1=x", "malformed"), ("sha256=" + "0" * 64, "wrong_signature")],
)
def test_the_operator_learns_it_of_a_hub_too(hub, post, caplog, signature, why):
    headers = {"X-Hub-Signature-256": signature} if signature else {}
    assert refused_why(caplog, post(BODY, headers=headers))["why"] == why


# From where


def test_events_are_taken_from_allowed_networks_only(settings, standard, post, caplog):
    settings.WEBHOOK_ALLOWED_NETWORKS = ["192.0.2.0/24", "2001:db8::7"]
    for address, status in (("192.0.2.7", 201), ("2001:db8::7", 200)):
        assert post(BODY, headers=standard_headers(), REMOTE_ADDR=address).status_code == status
    for address in ("198.51.100.7", "2001:db8::8", ""):
        answer = post(BODY, headers=standard_headers(), REMOTE_ADDR=address)
        assert_problem(answer, 403, "forbidden")
        assert caplog.records[-1].address == address
    assert Delivery.objects.count() == 2


def test_a_stranger_is_refused_before_the_body_is_read(settings, db):
    class Unread:
        def read(self, *size):
            raise AssertionError("it was read")

        readline = read

    settings.WEBHOOK_ALLOWED_NETWORKS = ["192.0.2.0/24"]
    environ = {"REMOTE_ADDR": "198.51.100.7", "CONTENT_LENGTH": str(5 * 1024 * 1024)}
    answer = through_wsgi("POST", "/webhook/", **environ, **{"wsgi.input": Unread()})
    assert_problem(answer, 403, "forbidden")


# Signing by hand


def curl(printed):
    """What curl would send: the URL, the headers, and the option that names the body."""
    command, url, *options = shlex.split(printed)
    assert command == "curl"
    pairs = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in pairs if option == "-H")
    return url, headers, pairs[-1]


def sign(*arguments):
    out = StringIO()
    call_command("sign", *arguments, stdout=out)
    return curl(out.getvalue())


def send(headers, body):
    """Through the webhook, with these headers and no others."""
    content_type = headers.pop("Content-Type")
    return Client().post("/webhook/", body, content_type=content_type, headers=headers)


@pytest.mark.parametrize("scheme", ["standard", "hub"])
def test_what_sign_prints_for_a_file_is_accepted(request, db, tmp_path, scheme):
    request.getfixturevalue(scheme)
    file = tmp_path / "an event.json"
    file.write_bytes(BODY + b"\n")
    url, headers, (option, value) = sign(str(file))
    assert url == "http://127.0.0.1:8000/webhook/"
    assert (option, value) == ("--data-binary", f"@{file}")
    assert send(headers, file.read_bytes()).status_code == 201


def from_stdin(monkeypatch, body):
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(body)))


def test_what_sign_prints_for_standard_input_has_the_body_in_it(standard, db, monkeypatch):
    event = make_event("NEW_MESSAGE", id=M, content='It\'s "quoted",\n$HOME and não')
    send(standard_headers() | {"Content-Type": "application/json"}, BODY)
    from_stdin(monkeypatch, json.dumps(event, ensure_ascii=False).encode())
    url, headers, (option, body) = sign("-", "--url", "inbox.example")
    assert url == "http://inbox.example/webhook/"
    assert option == "--data-raw"
    assert send(headers, body.encode()).status_code == 201
    assert Message.objects.get().content == event["data"]["content"]


def test_sign_uses_the_first_secret_and_tells_none(settings, monkeypatch):
    settings.WEBHOOK_SECRETS = [NEW_SECRET, SECRET]
    from_stdin(monkeypatch, BODY)
    _, headers, _ = sign("-")
    assert Standard([NEW_SECRET]).accepts(BODY, headers)
    assert not Standard([SECRET]).accepts(BODY, headers)
    assert NEW_SECRET[6:] not in str(headers)


def test_sign_needs_a_secret(settings):
    settings.WEBHOOK_SECRETS = []
    with pytest.raises(CommandError, match="WEBHOOK_SECRETS is not set"):
        sign("-")


def test_sign_says_when_there_is_no_such_file(standard, tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        sign(str(tmp_path / "none.json"))


@pytest.mark.parametrize("body", [b"\xff", b"a\0b"])
def test_sign_prints_no_body_that_a_shell_would_change(standard, monkeypatch, body):
    from_stdin(monkeypatch, body)
    with pytest.raises(CommandError, match="from a file"):
        sign("-")


def test_sign_signs_a_file_that_is_no_text(standard, tmp_path):
    (tmp_path / "latin-1").write_bytes(b"\xff")
    _, _, data = sign(str(tmp_path / "latin-1"))
    assert data[0] == "--data-binary"
