"""The schema names every address with its parameters and answers, and real answers agree with the schema."""

import json
import re
from datetime import timedelta

import pytest
from django.urls import get_resolver

from chat.api.base import JSONView
from chat.api.schema import patterns
from chat.events.payloads import EVENTS, TIMESTAMP_PATTERN, parse, parse_timestamp
from chat.models import Delivery, Scope, Token
from chat.refusals import REFUSALS
from tests.conftest import NOW, C, M, make_event
from tests.openapi_document import DOCUMENT, openapi_document
from tests.servers import through_wsgi

LOCAL_REF = re.compile(r'"\$ref": "#/([^"]+)"')
SCHEMAS = "components/schemas/"


@pytest.fixture
def schema():
    """The schema, made from the code without a database."""
    answer = through_wsgi("GET", "/schema")
    assert answer.status_code == 200
    return answer.json()


def at(schema, path):
    for name in path.split("/"):
        schema = schema[name]
    return schema


def test_it_is_openapi_without_loose_ends(schema):
    assert schema["openapi"] == "3.1.0"
    references = set(LOCAL_REF.findall(json.dumps(schema)))
    assert all(at(schema, reference) for reference in references)
    of_schemas = {reference for reference in references if reference.startswith(SCHEMAS)}
    assert all(at(schema, reference)["type"] for reference in of_schemas)
    named = {reference.rpartition("/")[2] for reference in of_schemas}
    assert named == set(schema["components"]["schemas"])


def test_the_committed_document_is_the_one_that_the_service_gives():
    assert DOCUMENT.read_text(encoding="utf-8") == openapi_document()


def routes_of_machines():
    """Return the routes in OpenAPI's notation, without the pages, the admin and the last resorts."""
    (ours,) = [r for r in get_resolver().url_patterns if "chat.urls" in str(r)]
    routes = {str(pattern.pattern).rstrip("/") for pattern in ours.url_patterns}
    return {
        "/" + re.sub("<str:[a-z]+>", "{id}", route)
        for route in routes
        if route and not route.startswith(("^", "ui", "docs"))
    }


def test_it_names_every_address_of_machines(schema):
    assert {path.rstrip("/") for path in schema["paths"]} == routes_of_machines()


def test_it_says_what_is_open_to_all_and_what_to_a_token_or_a_login(schema):
    operations = {
        path: methods.get("get") or methods["post"] for path, methods in schema["paths"].items()
    }
    is_open = {path for path, operation in operations.items() if operation["security"] == []}
    assert is_open == {"/webhook/", "/healthz", "/readyz"}
    for path in operations.keys() - is_open:
        scopes = {
            "/deliveries": "deliveries",
            "/deliveries/{id}": "deliveries",
            "/deliveries/{id}/replay": "replay",
            "/metrics": "metrics",
        }
        scope = scopes.get(path, "read")
        assert operations[path]["security"] == [{"token": [scope]}, {"session": []}]
        assert "insufficient_scope" in codes_of(operations[path])[403]
        assert codes_of(operations[path])[401] == ["not_authenticated"]


def test_the_webhook_takes_the_three_events(schema):
    body = schema["paths"]["/webhook/"]["post"]["requestBody"]
    mapping = body["content"]["application/json"]["schema"]["discriminator"]["mapping"]
    assert list(mapping) == ["NEW_CONVERSATION", "NEW_MESSAGE", "CLOSE_CONVERSATION"]
    members = at(schema, mapping["NEW_MESSAGE"][2:])
    assert members["required"] == ["type", "timestamp", "data"]
    data = at(schema, members["properties"]["data"]["$ref"][2:])
    assert data["required"] == ["id", "direction", "content", "conversation_id"]


def codes_of(operation):
    """Return the codes of the operation's answers, by status."""
    return {
        int(status): answer["content"]["application/problem+json"]["schema"]["allOf"][1][
            "properties"
        ]["code"]["enum"]
        for status, answer in operation["responses"].items()
        if int(status) >= 400
    }


def test_every_problem_is_described_where_it_can_come(schema):
    operations = [
        operation
        for path in schema["paths"].values()
        for method, operation in path.items()
        if method in ("get", "post")
    ]
    for operation in operations:
        for status, codes in codes_of(operation).items():
            assert {REFUSALS[code].status for code in codes} == {status}
            for code in codes:
                assert f"{code}: " in operation["responses"][str(status)]["description"]
    assert schema["components"]["schemas"]["ProblemOut"]["properties"]["code"]["enum"] == [
        *REFUSALS
    ]


PARAMETERS = {
    "/conversations": [
        *("limit", "cursor", "state", "needs_reply", "wrote_after_closing", "q", "updated_since"),
        *("opened_from", "opened_to", "closed_from", "closed_to", "active_from", "active_to"),
        *("waiting_from", "waiting_to", "ordering", "count"),
    ],
    "/messages": [
        *("limit", "cursor", "from", "to", "q", "direction", "state", "conversation", "exact")
    ],
    "/export/messages.jsonl": ["from", "to", "after"],
    "/conversations/{id}/messages": ["limit", "before", "after", "around"],
}


@pytest.mark.parametrize("path", PARAMETERS)
def test_every_parameter_is_described(schema, path):
    parameters = schema["paths"][path]["get"]["parameters"]
    in_query = [parameter["name"] for parameter in parameters if parameter["in"] == "query"]
    assert in_query == PARAMETERS[path]
    assert all(parameter["description"] for parameter in parameters)


def assert_fits(value, expected, schema):
    """Check a value as far as our schemas go: references, alternatives, objects, lists and enums."""
    if "$ref" in expected:
        assert_fits(value, at(schema, expected["$ref"][2:]), schema)
    elif "anyOf" in expected:
        possible = [
            one for one in expected["anyOf"] if (one.get("type") == "null") == (value is None)
        ]
        assert_fits(value, possible[0], schema)
    elif expected["type"] == "object":
        if "properties" not in expected:
            assert isinstance(value, dict)
            return
        assert set(expected["required"]) <= set(value) <= set(expected["properties"])
        for name, member in value.items():
            assert_fits(member, expected["properties"][name], schema)
    elif expected["type"] == "array":
        for item in value:
            assert_fits(item, expected["items"], schema)
    else:
        types = {
            "string": str,
            "integer": int,
            "boolean": bool,
            "null": type(None),
            "number": float,
        }
        assert type(value) is types[expected["type"]]
        assert re.search(expected.get("pattern", ""), str(value))
        assert value in expected.get("enum", [value])
        assert value == expected.get("const", value)


ANSWERS = [
    ("/conversations", "/conversations", 200),
    ("/conversations?q=ola", "/conversations", 200),
    ("/conversations?count=true", "/conversations", 200),
    ("/conversations?limit=0&x=y", "/conversations", 400),
    (f"/conversations/{C}", "/conversations/{id}", 200),
    (f"/conversations/{M}", "/conversations/{id}", 404),
    (f"/conversations/{C}/messages", "/conversations/{id}/messages", 200),
    (f"/conversations/{C}/messages?before=x", "/conversations/{id}/messages", 400),
    (f"/conversations/{M}/transcript.txt", "/conversations/{id}/transcript.txt", 404),
    ("/messages?q=ola", "/messages", 200),
    ("/messages?exact=true", "/messages", 400),
    (f"/messages/{M}", "/messages/{id}", 200),
    (f"/messages/{C}", "/messages/{id}", 404),
    ("/deliveries/0", "/deliveries/{id}", 404),
    ("/deliveries/{number}", "/deliveries/{id}", 200),
    ("/healthz", "/healthz", 200),
    ("/readyz", "/readyz", 200),
]


@pytest.mark.parametrize(("target", "path", "status"), ANSWERS)
def test_answers_are_as_described(deliver, schema, target, path, status):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))
    number = Delivery.objects.latest("id").pk
    answer = through_wsgi("GET", target.replace("{number}", str(number)))
    assert answer.status_code == status
    described = schema["paths"][path]["get"]["responses"][str(status)]["content"]
    expected = described[answer["Content-Type"]]["schema"]
    assert_fits(answer.json(), expected.get("allOf", [expected])[0], schema)
    assert_has_headers(answer, schema["paths"][path]["get"])
    if status >= 400:
        codes = codes_of(schema["paths"][path]["get"])
        assert answer.json()["code"] in codes[status]


def test_answers_of_the_webhook_are_as_described(post, schema):
    described = schema["paths"]["/webhook/"]["post"]
    opening, closing = (
        make_event(type, id=C) for type in ("NEW_CONVERSATION", "CLOSE_CONVERSATION")
    )
    message = make_event("NEW_MESSAGE", id=M)
    for sent in (b"{", {}, message, opening, opening, message, closing, closing, message):
        answer = post(sent)
        described_answer = described["responses"][str(answer.status_code)]
        assert_has_headers(answer, described)
        expected = described_answer["content"][answer["Content-Type"]]["schema"]
        assert_fits(answer.json(), expected.get("allOf", [expected])[0], schema)
        if answer.status_code >= 400:
            assert answer.json()["code"] in codes_of(described)[answer.status_code]


SOMETIMES = {"Link", "Content-Encoding"}


def assert_has_headers(answer, operation):
    named = operation["responses"][str(answer.status_code)]["headers"]
    assert "X-Request-Id" in named
    assert set(named) - SOMETIMES <= set(answer.headers)
    assert SOMETIMES & set(answer.headers) <= set(named)


def test_only_headers_that_come_sometimes_are_not_required(schema):
    headers = schema["components"]["headers"].items()
    assert {name for name, header in headers if not header["required"]} == SOMETIMES


PAGES = ["/conversations", "/messages", "/deliveries", "/changes"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_describes_the_address_of_the_next_one(deliver, schema, path):
    for id in (C, M):
        deliver(make_event("NEW_CONVERSATION", id=id))
        deliver(make_event("NEW_MESSAGE", id=id))
    answer = through_wsgi("GET", f"{path}?limit=1")
    assert answer["Link"].endswith('rel="next"')
    assert_has_headers(answer, schema["paths"][path]["get"])


def test_only_pages_describe_a_next_one(schema):
    described = {
        path
        for path, methods in schema["paths"].items()
        if "Link" in methods.get("get", methods.get("post"))["responses"]["200"]["headers"]
    }
    assert described == set(PAGES)


def test_an_export_that_is_packed_describes_it(deliver, schema):
    deliver(make_event("NEW_CONVERSATION", id=C))
    path = "/export/messages.jsonl"
    answer = through_wsgi("GET", path, HTTP_ACCEPT_ENCODING="gzip")
    assert answer["Content-Encoding"] == "gzip"
    assert_has_headers(answer, schema["paths"][path]["get"])


def test_answers_of_a_replay_are_as_described(deliver, schema):
    described = schema["paths"]["/deliveries/{id}/replay"]["post"]
    deliver(make_event("NEW_MESSAGE", id=M))
    deliver(make_event("NEW_CONVERSATION", id=C), after=timedelta(days=30))
    early = Delivery.objects.earliest("id").pk
    token = f"Bearer {Token.objects.issue(name='support', at=NOW, scopes=[Scope.REPLAY])}"
    for target, status in (
        (f"/deliveries/{early}/replay?x=y", 400),
        (f"/deliveries/{early}/replay", 201),
        (f"/deliveries/{early}/replay", 409),
        ("/deliveries/0/replay", 404),
    ):
        answer = through_wsgi("POST", target, HTTP_AUTHORIZATION=token)
        assert answer.status_code == status
        assert_has_headers(answer, described)
        content = described["responses"][str(status)]["content"][answer["Content-Type"]]
        expected = content["schema"]
        assert_fits(answer.json(), expected.get("allOf", [expected])[0], schema)
        if status >= 400:
            assert answer.json()["code"] in codes_of(described)[status]


def operations_of(schema):
    return [
        (method, operation)
        for methods in schema["paths"].values()
        for method, operation in methods.items()
        if method != "parameters"
    ]


def test_every_view_for_programs_describes_itself():
    views = {
        getattr(pattern.callback, "cls", None) for pattern in patterns(get_resolver().url_patterns)
    }
    for view in (view for view in views if view and issubclass(view, JSONView)):
        assert "described" in vars(view), f"{view.__name__} has no description of its own"
        assert view.__doc__


def test_every_method_of_a_view_is_an_operation_with_a_name_of_its_own(schema):
    operations = operations_of(schema)
    names = [operation["operationId"] for _, operation in operations]
    assert len(set(names)) == len(names)
    for path, methods in schema["paths"].items():
        read_or_post = {"get", "head"} if "get" in methods else {"post"}
        assert methods.keys() - {"parameters"} == read_or_post, path
    for method, operation in operations:
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"][0] in {tag["name"] for tag in schema["tags"]}
        has_content = {"content" in answer for answer in operation["responses"].values()}
        assert method != "head" or has_content == {False}


def examples_of(content, schema):
    """Resolve the examples of a media type."""
    if "example" in content:
        return [content["example"]]
    return [
        (at(schema, example["$ref"][2:]) if "$ref" in example else example)["value"]
        for example in content["examples"].values()
    ]


def test_every_answer_with_a_body_has_examples_that_are_as_described(schema):
    for method, operation in operations_of(schema):
        for status, answer in operation["responses"].items():
            if method == "head" or status == "304":
                continue
            ((media_type, content),) = answer["content"].items()
            if content["schema"].get("format") == "binary":
                continue  # a file of Excel is no text
            expected = content["schema"]
            for example in examples_of(content, schema):
                assert_fits(example, expected.get("allOf", [expected])[0], schema)
                if media_type == "application/problem+json":
                    assert example["status"] == int(status)
                    assert example["code"] in codes_of(operation)[int(status)]


def test_the_examples_of_events_are_events(schema):
    body = schema["paths"]["/webhook/"]["post"]["requestBody"]["content"]["application/json"]
    assert list(body["examples"]) == list(EVENTS)
    for type, example in body["examples"].items():
        assert_fits(
            example["value"],
            at(schema, body["schema"]["discriminator"]["mapping"][type][2:]),
            schema,
        )
        assert parse(json.dumps(example["value"]).encode()).type == type


ETAGS = ["/conversations", f"/conversations/{C}", "/messages", f"/messages/{M}", "/deliveries"]


def path_of(target):
    return target.replace(C, "{id}").replace(M, "{id}")


@pytest.mark.parametrize("target", ETAGS)
def test_an_address_with_an_etag_describes_304_and_412(deliver, schema, target):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))
    operation = schema["paths"][path_of(target)]["get"]
    etag = through_wsgi("GET", target)["ETag"]
    unchanged = through_wsgi("GET", target, HTTP_IF_NONE_MATCH=etag)
    changed = through_wsgi("GET", target, HTTP_IF_MATCH='"another"')
    assert (unchanged.status_code, changed.status_code) == (304, 412)
    for answer in (unchanged, changed):
        assert_has_headers(answer, operation)


def test_only_addresses_with_an_etag_describe_304(schema):
    described = {
        path
        for path, methods in schema["paths"].items()
        if "304" in methods.get("get", {}).get("responses", {})
    }
    assert described == set(map(path_of, ETAGS))


def test_every_address_sends_the_headers_that_are_described(deliver, schema, settings):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))
    ids = {"conversations": C, "messages": M, "deliveries": str(Delivery.objects.latest("id").pk)}
    for path, methods in schema["paths"].items():
        target = path.replace("{id}", ids.get(path.split("/")[1], ""))
        operation = methods.get("get") or methods["post"]
        assert_has_headers(through_wsgi("DELETE", target), operation)
        if "get" in methods:
            answer = through_wsgi("GET", target)
            assert answer.status_code == 200
            assert_has_headers(answer, operation)
            assert answer["Content-Type"] in operation["responses"]["200"]["content"]
            assert_has_headers(through_wsgi("HEAD", target), methods["head"])
    settings.LOGIN_REQUIRED = True
    for path, methods in schema["paths"].items():
        method = "get" if "get" in methods else "post"
        if methods[method]["security"]:
            answer = through_wsgi(method.upper(), path.replace("{id}", C))
            assert answer.status_code == 401
            assert_has_headers(answer, methods[method])


def test_a_503_says_when_to_try_again(schema):
    for refusal in REFUSALS.values():
        if refusal.status == 503:
            assert "Retry-After" in refusal.headers
    for _, operation in operations_of(schema):
        assert "Retry-After" in operation["responses"]["503"]["headers"]


TIMES = [
    "2026-02-21T10:20:41",
    "2026-02-21T10:20:41.349308",
    "2026-02-21T10:20:41.123456789Z",
    "1970-01-02T00:00:00Z",
    "2999-12-30T23:59:59+23:59",
    "2026-02-21T07:20:45-03:00",
    "1969-12-30T00:00:00",
    "3000-01-02T00:00:00",
    "0000-00-00T00:00:00",
    "2026-13-01T00:00:00",
    "2026-00-01T00:00:00",
    "2026-01-32T00:00:00",
    "2026-01-01T24:00:00",
    "2026-01-01T00:60:00",
    "2026-01-01T00:00:60",
    "2026-01-01T00:00:00.",
    "2026-01-01T00:00:00.1234567890",
    "2026-01-01T00:00:00+24:00",
    "2026-01-01T00:00:00+03",
    "2026-01-01T00:00:00z",
    "2026-01-01t00:00:00",
    "2026-01-01",
]


@pytest.mark.parametrize("text", TIMES)
def test_the_pattern_of_timestamps_says_what_is_read(text):
    try:
        parse_timestamp(text)
        is_read = True
    except ValueError:
        is_read = False
    assert bool(re.search(TIMESTAMP_PATTERN, text)) == is_read
