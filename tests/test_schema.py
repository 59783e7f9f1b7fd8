"""The schema: it names every address, what each takes and every answer, and is true of the answers."""

import json
import re
from html import unescape

import pytest
from django.urls import get_resolver

from chat.refusals import REFUSALS
from tests.conftest import C, M, make_event
from tests.servers import through_wsgi

LOCAL_REF = re.compile(r'"\$ref": "#/([^"]+)"')


@pytest.fixture
def schema():
    """Without a database: it is made of the code."""
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
    assert all(at(schema, reference)["type"] for reference in references)
    named = {reference.rpartition("/")[2] for reference in references}
    assert named == set(schema["components"]["schemas"])


def test_the_page_has_all_of_it_in_english_and_runs_nothing_of_its_own(schema):
    answer = through_wsgi("GET", "/docs", HTTP_ACCEPT_LANGUAGE="pt-BR")
    page = unescape(answer.content.decode())
    assert answer.status_code == 200
    assert '<html lang="en">' in page
    assert page.count("<script") == len(re.findall(r"<script [^>]*src=[^>]*></script>", page))
    assert "style=" not in page
    for path, methods in schema["paths"].items():
        assert f"{path}</code>" in page
        for parameter in methods.get("get", {}).get("parameters", []):
            assert parameter["description"] in page
    for code in REFUSALS:
        assert code in page
    for name in schema["components"]["schemas"]:
        assert f"<h3>{name}</h3>" in page


def routes_of_machines():
    """As OpenAPI writes them, without the pages, the admin and the last resorts."""
    (ours,) = [r for r in get_resolver().url_patterns if "chat.urls" in str(r)]
    routes = {str(pattern.pattern).rstrip("/") for pattern in ours.url_patterns}
    return {
        "/" + re.sub("<str:[a-z]+>", "{id}", route)
        for route in routes
        if route and not route.startswith(("^", "ui"))
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
    """The codes of its answers, by status."""
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
    "/export/messages.jsonl": ["from", "to", "after"],
    "/conversations/{id}/messages": ["limit", "before", "after", "around"],
}


@pytest.mark.parametrize("path", PARAMETERS)
def test_every_parameter_is_described(schema, path):
    parameters = schema["paths"][path]["get"]["parameters"]
    assert [parameter["name"] for parameter in parameters] == PARAMETERS[path]
    assert all(parameter["description"] for parameter in parameters)


def assert_fits(value, expected, schema):
    """As far as the schemas of ours go: references, alternatives, objects, lists and enums."""
    if "$ref" in expected:
        assert_fits(value, at(schema, expected["$ref"][2:]), schema)
    elif "anyOf" in expected:
        possible = [
            one for one in expected["anyOf"] if (one.get("type") == "null") == (value is None)
        ]
        assert_fits(value, possible[0], schema)
    elif expected["type"] == "object":
        assert set(expected["required"]) <= set(value) <= set(expected["properties"])
        for name, member in value.items():
            assert_fits(member, expected["properties"][name], schema)
    elif expected["type"] == "array":
        for item in value:
            assert_fits(item, expected["items"], schema)
    else:
        types = {"string": str, "integer": int, "boolean": bool, "null": type(None)}
        assert type(value) is types[expected["type"]]
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
    ("/deliveries/0", "/deliveries/{id}", 404),
    ("/healthz", "/healthz", 200),
    ("/readyz", "/readyz", 200),
]


@pytest.mark.parametrize(("target", "path", "status"), ANSWERS)
def test_answers_are_as_described(deliver, schema, target, path, status):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))
    answer = through_wsgi("GET", target)
    assert answer.status_code == status
    described = schema["paths"][path]["get"]["responses"][str(status)]["content"]
    expected = described[answer["Content-Type"]]["schema"]
    assert_fits(answer.json(), expected.get("allOf", [expected])[0], schema)
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
        expected = described_answer["content"][answer["Content-Type"]]["schema"]
        assert_fits(answer.json(), expected.get("allOf", [expected])[0], schema)
        if answer.status_code >= 400:
            assert answer.json()["code"] in codes_of(described)[answer.status_code]
