"""Hostile input: every answer is a 4xx with its reason, and no stored row changes."""

import gzip
import json
import sys
import zlib
from io import BytesIO
from urllib.parse import quote

import pytest

from chat.models import Conversation, Delivery, Message
from tests.conftest import C, M, make_event
from tests.servers import assert_page, assert_problem, through_wsgi

# For input reaching the database. Other input is refused earlier, or leaves the same row on each engine.
stored = pytest.mark.both_engines("what breaks one engine is text to the other")

MIB = 1024 * 1024
NEW_M = "16b63b04-60de-4257-b1a1-20a5154abc6d"
MEMBERS = {
    "type": '"NEW_MESSAGE"',
    "timestamp": '"2025-02-21T10:20:44.349308"',
    "id": f'"{NEW_M}"',
    "direction": '"SENT"',
    "content": '"Tudo ótimo e você?"',
    "conversation_id": f'"{C}"',
}


def body(*, ignored: str = "", **members: str) -> bytes:
    """Return a new message with these members, as raw JSON. `ignored` is raw JSON after the members."""
    given = MEMBERS | members
    data = ", ".join(f'"{name}": {given[name]}' for name in list(MEMBERS)[2:])
    text = f'{{"type": {given["type"]}, "timestamp": {given["timestamp"]}, "data": {{{data}}}{ignored}}}'
    return text.encode("utf-8", "surrogatepass")


def cases(**named):
    """Return parameters with readable ids."""
    return [pytest.param(value, id=name.replace("_", " ").strip()) for name, value in named.items()]


def texts(*values):
    """Return parameters with themselves as ids, in printable form."""
    return [pytest.param(value, id=ascii(value)[:60]) for value in values]


def tables():
    """Return all stored rows, except the log."""
    return [
        list(Conversation.objects.order_by("id").values()),
        list(Message.objects.order_by("arrival").values()),
    ]


@pytest.fixture(autouse=True)
def thread(deliver):
    """An open conversation with one message. Hostile input must not change either."""
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))


@pytest.fixture
def refused():
    """Post a body. Check the refusal, the unchanged tables, and the one row in the log."""

    def refused(sent, code, *, pointers=()):
        before, rows = tables(), Delivery.objects.count()
        answer = through_wsgi("POST", "/webhook/", sent)
        assert_problem(answer, 400, code)
        assert [error["pointer"] for error in answer.json().get("errors", [])] == list(pointers)
        assert tables() == before
        assert Delivery.objects.count() == rows + 1
        row = Delivery.objects.latest("id")
        assert (row.outcome, row.code) == ("refused", code)
        assert str(row.request_id) == answer["X-Request-Id"]
        assert bytes(row.body) == sent[: 64 * 1024]

    return refused


@pytest.fixture
def accepted():
    """Post a new message with odd JSON around its members. Return the stored message."""

    def accepted(sent):
        answer = through_wsgi("POST", "/webhook/", sent)
        assert answer.status_code == 201, answer.content
        assert answer.json() == {"outcome": "applied", "type": "NEW_MESSAGE", "id": NEW_M}
        return Message.objects.get(id=NEW_M)

    return accepted


def unrecorded(answer, status, code, before):
    """Check a refusal from before the body was read. The log has no row either."""
    assert_problem(answer, status, code)
    assert everything() == before


def everything():
    return [*tables(), Delivery.objects.count()]


# Encoding

PLAIN = body()
TEXT = PLAIN.decode()


@stored
@pytest.mark.parametrize(
    "sent",
    cases(
        latin_1=TEXT.encode("latin-1"),
        windows_1252=body(content='"€"').decode().encode("cp1252"),
        utf_16_with_its_mark=TEXT.encode("utf-16"),
        utf_16_little_endian=TEXT.encode("utf-16-le"),
        utf_16_big_endian=TEXT.encode("utf-16-be"),
        utf_32=TEXT.encode("utf-32"),
        utf_7=TEXT.replace("{", "+AHs-").encode(),
        utf_8_cut_short=PLAIN.replace("você?".encode(), b"voc\xc3"),
        utf_8_without_its_start=PLAIN.replace("ó".encode(), b"\xb3"),
        overlong_slash=PLAIN.replace(b"Tudo", b"\xc0\xaf"),
        overlong_nul=PLAIN.replace(b"Tudo", b"\xc0\x80"),
        overlong_euro=PLAIN.replace(b"Tudo", b"\xf0\x82\x82\xac"),
        a_surrogate_as_bytes=PLAIN.replace(b"Tudo", b"\xed\xa0\x80"),
        a_pair_of_surrogates_as_bytes=PLAIN.replace(b"Tudo", b"\xed\xa0\xbd\xed\xb8\x80"),
        past_the_last_code_point=PLAIN.replace(b"Tudo", b"\xf4\x90\x80\x80"),
        byte_fe=PLAIN.replace(b"Tudo", b"\xfe"),
        byte_ff_in_a_name=body(ignored=', "x": 1').replace(b'"x"', b'"\xff"'),
        byte_order_mark_twice=b"\xef\xbb\xbf" * 2 + PLAIN,
        byte_order_mark_at_the_end=PLAIN + b"\xef\xbb\xbf",
        half_a_byte_order_mark=b"\xef\xbb" + PLAIN,
        gzip=gzip.compress(PLAIN),
        deflate=zlib.compress(PLAIN),
        random_bytes=bytes(range(256)),
    ),
)
def test_what_is_not_utf_8_is_no_json(refused, sent):
    refused(sent, "invalid_json")


@stored
def test_a_byte_order_mark_is_accepted(accepted):
    assert accepted(b"\xef\xbb\xbf" + PLAIN).content == "Tudo ótimo e você?"


# JSON


@stored
@pytest.mark.parametrize(
    "sent",
    cases(
        empty=b"",
        blank=b" \r\n\t",
        a_byte_order_mark_alone=b"\xef\xbb\xbf",
        nul=b"\0",
        two_values=PLAIN + PLAIN,
        two_lines=PLAIN + b"\n" + PLAIN,
        nul_after_it=PLAIN + b"\0",
        cut_short=PLAIN[:-1],
        comma_at_the_end=body(ignored=","),
        comment=PLAIN + b"// hello",
        single_quotes=PLAIN.replace(b'"', b"'"),
        names_without_quotes=b"{type: 1}",
        a_form=b"type=NEW_MESSAGE&id=1",
        xml=b"<?xml version='1.0'?><type>NEW_MESSAGE</type>",
        vertical_tab=b"\x0b" + PLAIN,
        no_break_space="\u00a0".encode() + PLAIN,
        line_break_in_a_string=body(content='"a\nb"'),
        nul_in_a_string=body(content='"a\0b"'),
        tab_in_a_string=body(content='"a\tb"'),
        unknown_escape=body(content=r'"\x41"'),
        escape_cut_short=body(content=r'"\u00e"'),
        escape_with_a_sign=body(content=r'"\u+0e9"'),
        number_with_leading_zero=body(ignored=', "x": 01'),
        number_with_plus=body(ignored=', "x": +1'),
        number_without_decimals=body(ignored=', "x": 1.'),
        hexadecimal=body(ignored=', "x": 0x1'),
        arabic_digits=body(ignored=', "x": ١'),
        nan=body(ignored=', "x": NaN'),
        infinity=body(ignored=', "x": Infinity'),
        minus_infinity=body(ignored=', "x": -Infinity'),
        nan_in_lower_case=body(ignored=', "x": nan'),
        nan_as_content=body(content="NaN"),
        true_in_capitals=body(ignored=', "x": True'),
    ),
)
def test_what_is_not_one_json_value_is_refused(refused, sent):
    refused(sent, "invalid_json")


@pytest.mark.parametrize(
    "sent", texts(b"[]", b"{}", b"null", b"true", b"5", b'"NEW_MESSAGE"', b"[" + PLAIN + b"]")
)
def test_json_that_is_no_event_is_refused(post, sent):
    before = tables()
    assert_problem(post(sent), 400, "invalid_event")
    assert tables() == before


# Depth


def array(levels: int) -> str:
    return "[" * levels + "]" * levels


def object_(levels: int) -> str:
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


def mixed(levels: int) -> str:
    return '[{"a":' * (levels // 2) + "1" + "}]" * (levels // 2)


@pytest.mark.parametrize("levels", [1_000, 1_001, 5_000, 100_000])
@pytest.mark.parametrize("nested", [array, object_, mixed])
def test_from_a_thousand_levels_on_it_is_no_json(refused, nested, levels):
    refused(nested(levels).encode(), "invalid_json")


@pytest.mark.parametrize("levels", [999, 1_000, 100_000])
@pytest.mark.parametrize("nested", [array, object_])
@pytest.mark.parametrize("beside", ["{}", '{{"type": "NEW_MESSAGE", "data": {}}}', "[1, {}, 2]"])
def test_the_levels_around_it_count_too(refused, beside, nested, levels):
    refused(beside.format(nested(levels + 1)).encode(), "invalid_json")


@pytest.mark.parametrize("levels", [999, 1_000, 100_000])
@pytest.mark.parametrize("nested", [array, object_])
def test_a_thousand_levels_in_an_ignored_member_are_no_json(refused, nested, levels):
    refused(body(ignored=f', "x": {nested(levels)}'), "invalid_json")


@pytest.mark.parametrize("opened", texts("[", '{"a":', '[{"a":'))
def test_what_opens_and_never_closes_is_no_json(refused, opened):
    refused((opened * 100_000).encode(), "invalid_json")


@stored
@pytest.mark.parametrize("nested", [array, object_, mixed])
def test_an_ignored_member_may_be_nested_well(accepted, nested):
    accepted(body(ignored=f', "x": {nested(498)}'))


@pytest.mark.parametrize("levels", [500, 700, 900, 947, 998])
@pytest.mark.parametrize("nested", [array, object_])
def test_the_limit_does_not_move_with_the_stack(refused, nested, levels):
    refused(body(ignored=f', "x": {nested(levels)}'), "invalid_json")


@pytest.fixture
def deep_parser():
    """A more generous parser than ours, like those of other Python versions."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(usual)


@pytest.mark.parametrize("nested", [array, object_, mixed])
def test_the_limit_is_ours_where_the_parser_takes_more(deep_parser, refused, accepted, nested):
    refused(body(ignored=f', "x": {nested(1_000)}'), "invalid_json")
    refused(nested(1_000).encode(), "invalid_json")
    accepted(body(ignored=f', "x": {nested(498)}'))


def test_brackets_in_a_text_are_no_levels(accepted):
    assert accepted(body(content=f'"{"[{" * 2_000}"')).content == "[{" * 2_000


def test_many_brackets_side_by_side_are_no_levels(accepted):
    accepted(body(ignored=f', "x": [{", ".join(["[]"] * 5_000)}]'))


# Duplicate names


@pytest.mark.parametrize(
    "sent",
    cases(
        type_twice=body(ignored=', "type": "NEW_MESSAGE"'),
        another_type=body(ignored=', "type": "CLOSE_CONVERSATION"'),
        timestamp_twice=body(ignored=', "timestamp": null'),
        data_twice=body(ignored=', "data": {}'),
        id_twice=body(id=f'"{NEW_M}", "id": "{NEW_M}"'),
        another_id=body(id=f'"{NEW_M}", "id": "{M}"'),
        content_twice=body(content='"a", "content": "b"'),
        direction_twice=body(direction='"SENT", "direction": "RECEIVED"'),
        conversation_id_twice=body(conversation_id=f'"{C}", "conversation_id": "{C}"'),
        an_ignored_member=body(ignored=', "x": 1, "x": 1'),
        nested_in_an_ignored_member=body(ignored=', "x": [{"y": {"a": 1, "b": 2, "a": 3}}]'),
        the_empty_name=body(ignored=', "": 1, "": 2'),
        escaped_spelling_of_type=body(ignored=', "\\u0074ype": "NEW_MESSAGE"'),
        escaped_spelling_of_id=body(id=f'"{NEW_M}", "\\u0069d": "{NEW_M}"'),
        escaped_spelling_in_an_ignored_member=body(ignored=', "x": {"é": 1, "\\u00E9": 2}'),
        a_surrogate_as_name=body(ignored=', "\\ud800": 1, "\\uD800": 2'),
        in_what_is_no_event=b'{"a": 1, "a": 1}',
    ),
)
def test_a_name_twice_in_an_object_is_no_json(refused, sent):
    refused(sent, "invalid_json")


@stored
@pytest.mark.parametrize(
    "ignored",
    texts(', "Type": "CLOSE_CONVERSATION"', ', "id": 5', ', "x": {"type": 1}', ', "tуpe": 1'),
)
def test_names_that_only_look_alike_are_two_names(accepted, ignored):
    accepted(body(ignored=ignored))


# Types

WRONG = ("0", "5", "-1", "1.5", "1e999", "true", "false", "null", "[]", "[1]", "{}", '{"a": 1}')
WRONG_TYPES = texts(*WRONG, "9" * 5_000)
POINTERS = {
    "type": "/type",
    "timestamp": "/timestamp",
    "id": "/data/id",
    "direction": "/data/direction",
    "content": "/data/content",
    "conversation_id": "/data/conversation_id",
}


@pytest.mark.parametrize("value", WRONG_TYPES)
@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_of_another_json_type_is_refused(refused, member, value):
    refused(body(**{member: value}), "invalid_event", pointers=[POINTERS[member]])


@pytest.mark.parametrize("value", [*texts(*WRONG[:-2]), *texts('"text"', '"{}"', "9" * 5_000)])
def test_data_that_is_no_object_is_refused(refused, value):
    sent = f'{{"type": "NEW_MESSAGE", "timestamp": {MEMBERS["timestamp"]}, "data": {value}}}'
    refused(sent.encode(), "invalid_event", pointers=["/data"])


@stored
@pytest.mark.parametrize(
    "value",
    texts("9" * 5_000, "-" + "9" * 5_000, "0." + "3" * 5_000, "1e999", "-1e999", "1e-999", "-0")
    + texts("1E+2", "1e" + "9" * 5_000, str(2**63), "{}", "null", '"\\u0000"', '"\\ud800"'),
)
def test_an_ignored_member_may_hold_any_json(accepted, value):
    accepted(body(ignored=f', "x": {value}, "y": [{{"z": {value}}}]'))


@stored
def test_everything_wrong_is_said_at_once(refused):
    wrong = dict.fromkeys(MEMBERS, "5") | {"type": '"NEW_MESSAGE"'}
    pointers = [pointer for member, pointer in POINTERS.items() if member != "type"]
    refused(body(**wrong), "invalid_event", pointers=pointers)


# Ids

ODD_IDS = texts(
    "",
    " ",
    "abc",
    f"urn:uuid:{NEW_M}",
    f"{{{NEW_M}}}",
    f"({NEW_M})",
    NEW_M.replace("-", ""),
    NEW_M.replace("-", "_"),
    NEW_M.replace("-", "\u2010"),
    f" {NEW_M}",
    f"{NEW_M} ",
    f"{NEW_M}\n",
    f"{NEW_M}\r\n",
    f"\t{NEW_M}",
    f"{NEW_M}\0",
    f"{NEW_M}0",
    NEW_M[:-1],
    NEW_M[:-1] + "g",
    NEW_M.replace("1", "\uff11"),
    NEW_M.replace("1", "\u0661"),
    NEW_M.replace("a", "\u0430"),
    NEW_M.replace("b", "\U0001d51f"),
    f"0x{NEW_M}",
    "16b63b0-460de-4257-b1a1-20a5154abc6d",
    f"{NEW_M},{NEW_M}",
    f"{NEW_M}'; DROP TABLE chat_message; --",
    "16b63b04-60de-4257-b1a1-" + "2" * 100_000,
)


@pytest.mark.parametrize("id", ODD_IDS)
@pytest.mark.parametrize("member", ["id", "conversation_id"])
def test_an_id_in_another_form_is_refused(refused, member, id):
    refused(body(**{member: json.dumps(id)}), "invalid_event", pointers=[POINTERS[member]])


@pytest.mark.parametrize("type", ["NEW_CONVERSATION", "CLOSE_CONVERSATION"])
@pytest.mark.parametrize("id", ODD_IDS)
def test_a_conversation_id_in_another_form_is_refused(refused, type, id):
    sent = json.dumps(make_event(type, id=id)).encode()
    refused(sent, "invalid_event", pointers=["/data/id"])


@stored
@pytest.mark.parametrize(
    "id", ["0" * 8 + "-0000-0000-0000-" + "0" * 12, "f" * 8 + "-ffff-ffff-ffff-" + "f" * 12]
)
def test_the_first_and_the_last_id_are_ids(post, client, id):
    assert post(make_event("NEW_CONVERSATION", id=id.upper())).status_code == 201
    assert client.get(f"/conversations/{id}").json()["id"] == id


# Times


@pytest.mark.parametrize(
    "timestamp",
    texts(
        "",
        "now",
        "0000-01-01T00:00:00",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59",
        "9999-12-31T23:59:59-23:59",
        "10000-01-01T00:00:00",
        "-2025-02-21T10:20:41",
        "1969-12-31T23:59:59",
        "1970-01-01T00:00:00+00:01",
        "2999-12-31T23:59:59-00:01",
        "3000-01-01T00:00:00",
        "2025-02-21T10:20:41+24:00",
        "2025-02-21T10:20:41+23:60",
        "2025-02-21T10:20:41+99:99",
        "2025-02-21T10:20:41+1:00",
        "2025-02-21T10:20:41+0100",
        "2025-02-21T10:20:41+01",
        "2025-02-21T10:20:41+01:00:00",
        "2025-02-21T10:20:41\u221201:00",
        "2025-02-21T10:20:60",
        "2016-12-31T23:59:60Z",
        "2025-02-21T24:00:00",
        "2025-02-21T10:60:00",
        "2025-02-30T10:20:41",
        "2025-02-29T10:20:41",
        "2025-13-01T10:20:41",
        "2025-00-10T10:20:41",
        "2025-02-00T10:20:41",
        "2025-02-21 10:20:41",
        "2025-02-21t10:20:41",
        "2025-02-21T10:20:41z",
        "2025-02-21T10:20:41 Z",
        "2025-02-21T10:20:41ZZ",
        "2025-02-21T10:20:41,349308",
        "2025-02-21T10:20:41.",
        "2025-02-21T10:20:41.Z",
        "2025-02-21T10:20:41.1234567890",
        "2025-02-21T10:20",
        "2025-02-21",
        "2025-2-21T10:20:41",
        "20250221T102041",
        "2025-W08-5T10:20:41",
        "2025-052T10:20:41",
        " 2025-02-21T10:20:41",
        "2025-02-21T10:20:41 ",
        "2025-02-21T10:20:41\n",
        "2025-02-21T10:20:41Z\n",
        "2025-02-21T10:20:41\0",
        "\u0662\u0660\u0662\u0665-02-21T10:20:41",
        "2025-02-21T10:20:\uff14\uff11",
        "2025-02-21T10:20:41.\u0663",
        "2025-02-21T10:20:41[America/Sao_Paulo]",
        "Fri, 21 Feb 2025 10:20:41 GMT",
        "1740133241",
        "2025-02-21T10:20:41." + "1" * 100_000,
        "\ud800",
    ),
)
def test_a_time_in_another_form_or_out_of_range_is_refused(refused, timestamp):
    refused(body(timestamp=json.dumps(timestamp)), "invalid_event", pointers=["/timestamp"])


@stored
@pytest.mark.parametrize(
    ("timestamp", "shown"),
    [
        ("1970-01-01T00:00:00", "1970-01-01T00:00:00.000000Z"),
        ("1969-12-31T23:59:59-23:59", "1970-01-01T23:58:59.000000Z"),
        ("2999-12-31T23:59:59.999999999Z", "2999-12-31T23:59:59.999999Z"),
        ("3000-01-01T00:00:00+00:01", "2999-12-31T23:59:00.000000Z"),
        ("2024-02-29T12:00:00.5-03:00", "2024-02-29T15:00:00.500000Z"),
        ("2025-02-21T10:20:41-00:00", "2025-02-21T10:20:41.000000Z"),
    ],
)
def test_the_ends_of_the_range_are_stored_and_shown(accepted, client, timestamp, shown):
    accepted(body(timestamp=json.dumps(timestamp)))
    messages = client.get(f"/conversations/{C}").json()["messages"]
    assert [message["timestamp"] for message in messages if message["id"] == NEW_M] == [shown]
    assert client.get(f"/ui/{C}/").status_code == 200


# Surrogates and NUL


@stored
@pytest.mark.parametrize(
    "text",
    texts(r"\ud800", r"\udfff", r"a\ud83d", r"\ude00\ud83d", r"\ud83dx\ude00", r"\ud83d\n\ude00")
    + texts(r"\u0000", r"a\u0000", r"\u0000a", r"\uDBFF", r"SENT\u0000", r"SENT\udc00"),
)
@pytest.mark.parametrize("member", MEMBERS)
def test_no_member_takes_nul_or_a_lone_surrogate(refused, member, text):
    refused(body(**{member: f'"{text}"'}), "invalid_event", pointers=[POINTERS[member]])


@stored
@pytest.mark.parametrize(
    "ignored", texts(r'"\ud800": 1', r'"\u0000": 1', r'"x": "\udfff"', r'"x": ["\u0000\ud800"]')
)
def test_an_ignored_member_may_have_both(accepted, ignored):
    accepted(body(ignored=f", {ignored}"))


@stored
@pytest.mark.parametrize(
    "text",
    texts("\U0001f600", "\ufffe\uffff", "\u202eolé", "\u200b", "e\u0301", "<script>", "\x7f\x01")
    + texts("{{ 7 }}{% x %}", "\r\n a \t", "'; --", "\U0010ffff", "\ufeff", "a" * MIB),
)
def test_any_other_text_is_kept_and_shown_as_it_came(accepted, client, text):
    accepted(body(content=json.dumps(text)))
    messages = client.get(f"/conversations/{C}").json()["messages"]
    assert messages[-1]["content"] == text
    assert b"<script>\xc2" not in client.get(f"/ui/{C}/").content


# Headers

HOSTILE_PARAMETERS = texts(
    "a*=nosuch''%41",
    "charset=rot13",
    "charset=nosuch",
    "charset=utf-16",
    "charset*=idna''%ff",
    "a*=punycode''x%ff",
    "a*0*=x; a*=y",
    "charset*=x; charset*0*=y",
    "a*9=1; a*0=x",
    "a*" + "9" * 5_000 + "*=x",
    "a*=''",
    "a*='",
    'a="',
    'a="\\',
    "; ;; =",
    "boundary=\x00",
    "a=\xe9",
    "a*=utf-8''%",
    "x=" + "y" * 20_000,
    ";" * 20_000,
    "a=1\n b=2",
)


@pytest.mark.parametrize("parameters", HOSTILE_PARAMETERS)
def test_parameters_of_the_content_type_mean_nothing(parameters):
    answer = through_wsgi(
        "POST", "/webhook/", PLAIN, CONTENT_TYPE=f"application/json; {parameters}"
    )
    assert answer.status_code == 201
    assert Message.objects.get(id=NEW_M).content == "Tudo ótimo e você?"


@pytest.mark.parametrize("parameters", HOSTILE_PARAMETERS)
@pytest.mark.parametrize("path", ["/nothing/here", f"/conversations/{C}/x", "/ui/nothing/here"])
def test_parameters_of_the_content_type_break_no_path(path, parameters):
    answer = through_wsgi("POST", path, CONTENT_TYPE=f"multipart/form-data; {parameters}")
    assert answer.status_code == 404


HOSTILE_HEADERS = {
    "accept xml": {"HTTP_ACCEPT": "application/xml"},
    "accept junk": {"HTTP_ACCEPT": "\xff;;q=x,*/*;q=9"},
    "accept version": {"HTTP_ACCEPT": "application/json; version=\x00"},
    "accept-charset": {"HTTP_ACCEPT_CHARSET": "utf-7"},
    "accept-encoding": {"HTTP_ACCEPT_ENCODING": "identity;q=0, *;q=0"},
    "basic junk": {"HTTP_AUTHORIZATION": "Basic \xff\xff"},
    "basic without a colon": {"HTTP_AUTHORIZATION": "Basic YWJj"},
    "bearer junk": {"HTTP_AUTHORIZATION": "Bearer " + "x" * 20_000},
    "authorization of no scheme": {"HTTP_AUTHORIZATION": " "},
    "cookie junk": {"HTTP_COOKIE": "sessionid; =; ;;a=\xff\xfe"},
    "session of nul": {"HTTP_COOKIE": 'sessionid="' + "\\000" * 32 + '"'},
    "session of surrogates": {"HTTP_COOKIE": "sessionid=\xed\xa0\x80aaaaaaaa"},
    "session of 20 kB": {"HTTP_COOKIE": "sessionid=" + "a" * 20_000},
    "csrf junk": {"HTTP_COOKIE": "csrftoken=\xff", "HTTP_X_CSRFTOKEN": "\xff"},
    "messages junk": {"HTTP_COOKIE": "messages=[[]]:x:y"},
    "language cookie": {"HTTP_COOKIE": "language=" + "x-" * 5_000},
    "accept-language junk": {"HTTP_ACCEPT_LANGUAGE": "\xff,;q=,*,pt;q=nan,xx-" + "y" * 5_000},
    "accept-language of one tag": {"HTTP_ACCEPT_LANGUAGE": "a" * 20_000},
    "accept-language traversal": {"HTTP_ACCEPT_LANGUAGE": "../../etc/passwd"},
    "method override": {"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE"},
    "expect": {"HTTP_EXPECT": "200-maybe"},
    "request id": {"HTTP_X_REQUEST_ID": "mine\r\nSet-Cookie: a=b"},
    "forwarded": {"HTTP_X_FORWARDED_HOST": "evil", "HTTP_X_FORWARDED_PROTO": "gopher"},
    "range": {"HTTP_RANGE": "bytes=99999999999-"},
    "origin": {"HTTP_ORIGIN": "null", "HTTP_REFERER": "http://[::"},
    "if-none-match": {"HTTP_IF_NONE_MATCH": '"' * 999, "HTTP_IF_MATCH": "junk"},
    "if-modified-since": {"HTTP_IF_MODIFIED_SINCE": "Fri, 99 Feb 99999999999 99:99:99 GMT"},
    "htmx": {"HTTP_HX_REQUEST": "true", "HTTP_HX_CURRENT_URL": "http://[::\xff"},
    "htmx autoencoded": {"HTTP_HX_CURRENT_URL": "%ff", "HTTP_HX_CURRENT_URL_URI_AUTOENCODED": "x"},
    "user agent": {"HTTP_USER_AGENT": "\xff" * 20_000},
}
headers = pytest.mark.parametrize("headers", HOSTILE_HEADERS.values(), ids=HOSTILE_HEADERS)


@stored
@headers
def test_no_header_changes_what_an_event_gets(headers):
    answer = through_wsgi("POST", "/webhook/", PLAIN, **headers)
    assert (answer.status_code, answer["Content-Type"]) == (201, "application/json")
    assert answer.json() == {"outcome": "applied", "type": "NEW_MESSAGE", "id": NEW_M}
    assert Message.objects.filter(id=NEW_M).exists()


@headers
def test_no_header_changes_what_a_refusal_says(headers):
    before = tables()
    assert_problem(through_wsgi("POST", "/webhook/", b"{", **headers), 400, "invalid_json")
    assert_problem(through_wsgi("GET", "/nothing", **headers), 404, "not_found")
    assert tables() == before


@stored
@headers
def test_no_header_breaks_a_page(headers):
    for path in ["/ui/", f"/ui/{C}/", "/admin/", "/admin/login/"]:
        assert through_wsgi("GET", path, **headers).status_code in (200, 302, 412)
    assert_page(through_wsgi("GET", "/ui/fragments/nothing/here", **headers), 404)


@pytest.mark.parametrize(
    "host",
    texts("evil.example", "a b", "", "localhost:x", "local_host", "[::1", "localhost/", "\xff")
    + texts("localhost@evil", "x" * 20_000, "localhost, evil", "127.0.0.1:99:99", "\0"),
)
def test_a_bad_host_is_refused(host):
    before = everything()
    sent = {"HTTP_HOST": host, "SERVER_NAME": "evil"}
    unrecorded(through_wsgi("POST", "/webhook/", PLAIN, **sent), 400, "bad_request", before)
    assert_problem(through_wsgi("GET", f"/conversations/{C}", **sent), 400, "bad_request")
    assert_page(through_wsgi("GET", "/ui/", **sent), 400)


# Media types


@pytest.mark.parametrize(
    "type",
    [
        *texts("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
        *texts("multipart/form-data", "text/plain", "text/json", "application/xml"),
        *texts("application/octet-stream", "application/jsonp", "application/json5", "json"),
        *texts("application/x-ndjson", "application/json, text/plain", "*/*", "", "/", ";", None),
        *texts("; application/json", "application/json\x00", "x" * 20_000, "\xff/\xff"),
    ],
)
def test_another_media_type_is_refused_unread(type):
    before = everything()
    answer = through_wsgi("POST", "/webhook/", PLAIN, CONTENT_TYPE=type)
    unrecorded(answer, 415, "unsupported_media_type", before)


@pytest.mark.parametrize("coding", texts("gzip", "deflate", "br", "zstd", "identity", "x", "\xff"))
def test_a_content_encoding_is_refused_unread(coding):
    before = everything()
    answer = through_wsgi("POST", "/webhook/", gzip.compress(PLAIN), HTTP_CONTENT_ENCODING=coding)
    unrecorded(answer, 415, "unsupported_media_type", before)


@pytest.mark.parametrize(
    "type", texts("Application/JSON", " application/json ", "application/json;charset=utf-8")
)
def test_json_may_be_spelt_in_either_case(type):
    assert through_wsgi("POST", "/webhook/", PLAIN, CONTENT_TYPE=type).status_code == 201


# Length and chunks


def padded(size: int) -> bytes:
    return PLAIN + b" " * (size - len(PLAIN))


def in_chunks(sent: bytes, **environ):
    """Hand a body over like a server with chunks: without a length, and ended by the stream."""
    chunked = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}
    return through_wsgi("POST", "/webhook/", sent, **chunked | environ)


TERMINATED = {"wsgi.input_terminated": True}


@stored
@pytest.mark.parametrize("size", [4 * MIB - 1, 4 * MIB])
def test_four_mib_are_taken(size):
    assert through_wsgi("POST", "/webhook/", padded(size)).status_code == 201
    assert in_chunks(padded(size), **TERMINATED).status_code == 200


@pytest.mark.parametrize("size", [4 * MIB + 1, 5 * MIB])
def test_more_than_four_mib_are_refused(size):
    before = everything()
    too_large = padded(size)
    unrecorded(through_wsgi("POST", "/webhook/", too_large), 413, "body_too_large", before)
    unrecorded(in_chunks(too_large, **TERMINATED), 413, "body_too_large", before)


@pytest.mark.parametrize("declared", texts(*map(str, (4 * MIB + 1, 2**31, 2**63, 2**64, 9**999))))
def test_a_length_declared_too_large_is_refused_unread(declared):
    before = everything()
    answer = through_wsgi("POST", "/webhook/", CONTENT_LENGTH=declared)
    unrecorded(answer, 413, "body_too_large", before)


@pytest.mark.parametrize("length", texts("abc", "1.5", "0x10", "1e3", "5, 5", "\xb2", "9" * 5_000))
def test_a_length_that_is_no_number_is_refused(length):
    before = everything()
    answer = through_wsgi("POST", "/webhook/", PLAIN, CONTENT_LENGTH=length)
    unrecorded(answer, 400, "bad_request", before)


@pytest.mark.parametrize("length", texts(None, "", "0", "-1", str(-(2**64)), "1", "100"))
def test_what_is_not_the_whole_body_is_no_json(length):
    before = tables()
    answer = through_wsgi("POST", "/webhook/", PLAIN, CONTENT_LENGTH=length)
    assert_problem(answer, 400, "invalid_json")
    assert tables() == before


def test_a_length_past_the_end_takes_what_came():
    assert through_wsgi("POST", "/webhook/", PLAIN, CONTENT_LENGTH="9999").status_code == 201


def test_a_chunked_body_is_taken():
    assert in_chunks(PLAIN, **TERMINATED).status_code == 201
    assert Message.objects.get(id=NEW_M).content == "Tudo ótimo e você?"


def test_an_empty_chunked_body_is_no_json():
    assert_problem(in_chunks(b"", **TERMINATED), 400, "invalid_json")


@pytest.mark.parametrize("coding", texts("chunked", "gzip, chunked", "identity", "\xff", ""))
def test_a_body_whose_end_nobody_tells_is_refused(coding):
    before = everything()
    answer = in_chunks(PLAIN, HTTP_TRANSFER_ENCODING=coding)
    unrecorded(answer, 411, "length_required", before)


class Gone(BytesIO):
    """A body whose sender hangs up during the read."""

    def read(self, *size):
        raise ConnectionResetError


@pytest.mark.parametrize("more", [{}, TERMINATED | {"HTTP_TRANSFER_ENCODING": "chunked"}])
def test_a_sender_that_hangs_up_leaves_nothing(more):
    before = everything()
    answer = through_wsgi("POST", "/webhook/", PLAIN, **more | {"wsgi.input": Gone()})
    unrecorded(answer, 503, "try_again", before)


# Paths

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"]
NOWHERE = texts(
    "//webhook",
    "//webhook/",
    "/webhook//",
    "/webhook/x",
    "/webhook/%00",
    "/webhook%00",
    "/webhook%0a",
    "/webhook%20",
    "/webhook;x",
    "/./webhook",
    "/x/../webhook",
    "/%2e%2e/webhook",
    "/Webhook/",
    "/WEBHOOK",
    "/webhook\\",
    "/webhook%ff",
    "/%00",
    "/%ff",
    "/%c3%a9",
    quote("/\U0001f600"),
    "/" + "x" * 100_000,
    "/" * 5_000,
    "/conversations/a/b",
    f"/conversations//{C}",
    f"/conversations/{C}/messages/x/y",
    "/static/../manage.py",
    "/static/%2e%2e/%2e%2e/etc/passwd",
    "/static//etc/passwd",
    "/static/%00",
    "/static/" + "x/" * 3_000,
    "/.env",
    "/favicon.ico",
    "/uix",
    "/admin.php",
)


@pytest.mark.parametrize("path", NOWHERE)
def test_what_is_not_a_place_of_ours_is_not_found(path):
    before = everything()
    for method in METHODS:
        unrecorded(through_wsgi(method, path, PLAIN), 404, "not_found", before)


NO_IDS = texts("abc", "%00", "%ff", "%2e%2e", "0", f"{C}%00", f"{C}%0a", f"%20{C}", f"urn:uuid:{C}")
NO_IDS += texts(f"{{{C}}}", C.replace("-", ""), "%d9%a1", "x" * 100_000, "' OR 1=1 --", NEW_M)


@stored
@pytest.mark.parametrize("id", NO_IDS)
@pytest.mark.parametrize("end", ["", "/"])
def test_no_conversation_is_found_under_what_is_no_id(id, end):
    answer = through_wsgi("GET", f"/conversations/{id}{end}")
    assert_problem(answer, 404, "conversation_not_found")
    assert_page(through_wsgi("GET", f"/ui/{id}{end}"), 404)


@pytest.mark.parametrize(
    "path",
    texts("/ui//", "/ui/x/y/z", "/ui/%00/%00", "/ui/fragments/x/", "/ui/%ff/%fe", "/ui/./x/"),
)
def test_what_is_not_a_page_is_a_page_that_says_so(path):
    before = everything()
    for method in METHODS:
        assert_page(through_wsgi(method, path, PLAIN), 404)
    assert everything() == before


HOSTILE_QUERIES = texts(
    "revision=junk",
    "inbox=%00&revision=%00&conversation=%00",
    "conversation=%ff",
    "conversation=" + "x" * 20_000,
    f"conversation={C}&revision=-1",
    f"conversation={C}&revision=" + "9" * 5_000,
    f"conversation={C}&conversation=x",
    "inbox=%ed%a0%80",
    "=&=&&;;%",
    "%u0041",
    "format=xml",
    "next=//evil",
    "\xff\xfe",
)


@stored
@pytest.mark.parametrize("query", HOSTILE_QUERIES)
@pytest.mark.parametrize("path", ["/ui/fragments/poll/", "/ui/", f"/ui/{C}/"])
def test_a_hostile_query_is_only_a_query(path, query):
    assert through_wsgi("GET", f"{path}?{query}").status_code == 200


@pytest.mark.parametrize("query", HOSTILE_QUERIES)
def test_json_without_parameters_takes_none(query):
    assert_problem(through_wsgi("GET", f"/conversations/{C}?{query}"), 400, "bad_request")


def test_too_many_members_of_a_query_are_a_bad_request():
    query = "&".join(map("a{}=1".format, range(5_000)))
    assert_page(through_wsgi("GET", f"/ui/fragments/poll/?{query}"), 400)


@pytest.mark.parametrize("query", HOSTILE_QUERIES)
def test_a_query_changes_nothing_of_what_an_event_gets(query):
    assert through_wsgi("POST", f"/webhook?{query}", PLAIN).status_code == 201


# DEBUG is on, because Django would then show its own pages


@pytest.fixture
def debug(settings):
    settings.DEBUG = True


@stored
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (TEXT.encode("utf-16"), "invalid_json"),
        (b"\xff", "invalid_json"),
        (array(100_000).encode(), "invalid_json"),
        (body(ignored=', "x": NaN'), "invalid_json"),
        (body(ignored=', "type": 1'), "invalid_json"),
        (b"[]", "invalid_event"),
        (body(type="[]"), "invalid_event"),
        (body(type=r'"\ud800"'), "invalid_event"),
        (body(id="5"), "invalid_event"),
        (body(timestamp='"0001-01-01T00:00:00"'), "invalid_event"),
        (body(content=r'"\ud800"'), "invalid_event"),
    ],
)
def test_hostile_bodies_with_debug_on(debug, post, sent, code):
    before = tables()
    assert_problem(post(sent), 400, code)
    assert tables() == before


@pytest.mark.parametrize(
    ("environ", "status", "code"),
    [
        ({"HTTP_HOST": "evil.example"}, 400, "bad_request"),
        ({"HTTP_HOST": "\xff"}, 400, "bad_request"),
        ({"CONTENT_TYPE": "text/plain"}, 415, "unsupported_media_type"),
        ({"CONTENT_LENGTH": "abc"}, 400, "bad_request"),
        ({"CONTENT_LENGTH": str(5 * MIB)}, 413, "body_too_large"),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411, "length_required"),
        ({"wsgi.input": Gone()}, 503, "try_again"),
        ({"REQUEST_METHOD": "FOO"}, 405, "method_not_allowed"),
        ({"PATH_INFO": "//webhook"}, 404, "not_found"),
        ({"PATH_INFO": "/static/\0"}, 404, "not_found"),
        ({"PATH_INFO": "/\xff"}, 404, "not_found"),
    ],
)
def test_hostile_requests_with_debug_on(debug, environ, status, code):
    before = everything()
    unrecorded(through_wsgi("POST", "/webhook/", PLAIN, **environ), status, code, before)


@pytest.mark.parametrize("path", ["/ui/%00", "/ui/x/y/z", "/ui/fragments/x", "/ui/%ff/%ff"])
def test_pages_with_debug_on_are_ours(debug, path):
    answer = through_wsgi("GET", path)
    assert_page(answer, 404)
    assert b"DEBUG" not in answer.content
    assert b"urlpatterns" not in answer.content


# Input is never echoed


@pytest.mark.parametrize("member", MEMBERS)
def test_what_was_sent_does_not_come_back(post, member):
    answer = post(body(**{member: '"seen-before\\u0000"'}, ignored=', "seen-before": 1'))
    assert answer.status_code == 400
    assert b"seen-before" not in answer.content


@pytest.mark.parametrize(
    ("path", "status"),
    [("/seen-before", 404), ("/conversations/seen-before", 400), ("/ui/seen-before/x", 404)],
)
def test_an_unknown_path_does_not_come_back(path, status):
    answer = through_wsgi("GET", f"{path}?seen-before", HTTP_X_REQUEST_ID="seen-before")
    assert answer.status_code == status
    assert "seen-before" not in str(answer)
