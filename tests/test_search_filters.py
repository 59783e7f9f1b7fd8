"""The filters of a search, the same on both engines."""

import re

import pytest

from chat.models import HitFilters, find_messages
from tests.conftest import OTHER_C, C, id_of, make_event

pytestmark = pytest.mark.both_engines("two full-text engines give the same hits")


ENGLISH = {"accept-language": "en"}


@pytest.fixture
def told(deliver, client):
    """Two conversations with two messages each. One conversation is closed."""
    for number, (conversation, day, direction) in enumerate(
        [
            (C, "2025-02-20T23:30:00-03:00", "RECEIVED"),
            (C, "2025-02-21T00:00:00-03:00", "SENT"),
            (OTHER_C, "2025-02-22T12:00:00-03:00", "RECEIVED"),
            (OTHER_C, "2025-02-23T12:00:00-03:00", "SENT"),
        ]
    ):
        if number % 2 == 0:
            deliver(make_event("NEW_CONVERSATION", id=conversation, at="2025-02-20T10:00:00-03:00"))
        content = f"recebi o boleto {number}" if number < 3 else "o boleto recebi 3"
        deliver(
            make_event(
                "NEW_MESSAGE",
                id=id_of(number),
                conversation_id=conversation,
                at=day,
                direction=direction,
                content=content,
            )
        )
    deliver(make_event("CLOSE_CONVERSATION", id=OTHER_C, at="2025-02-24T12:00:00-03:00"))


def found(client, **parameters):
    answer = client.get("/ui/search/", {"q": "boleto"} | parameters)
    assert answer.status_code == 200
    text = re.sub("</?mark>", "", answer.content.decode())
    return [int(number) for number in re.findall(r"(?:boleto|recebi) (\d)</span>", text)]


FILTERS = [
    ({}, [3, 2, 1, 0]),
    ({"from": "2025-02-21"}, [3, 2, 1]),
    ({"to": "2025-02-20"}, [0]),
    ({"from": "2025-02-21", "to": "2025-02-22"}, [2, 1]),
    ({"direction": "SENT"}, [3, 1]),
    ({"direction": "RECEIVED", "from": "2025-02-22"}, [2]),
    ({"state": "OPEN"}, [1, 0]),
    ({"state": "CLOSED"}, [3, 2]),
    ({"conversation": C}, [1, 0]),
    ({"conversation": id_of(77)}, []),
    ({"q": "recebi o boleto", "exact": "on"}, [2, 1, 0]),
    ({"q": "RECEBI, o BOLETO", "exact": "on", "conversation": OTHER_C}, [2]),
    ({"q": "recebi o bol", "exact": "on"}, []),
    ({"q": "recebi boleto", "exact": ""}, [3, 2, 1, 0]),
]


@pytest.mark.parametrize(("parameters", "numbers"), FILTERS, ids=str)
def test_only_hits_that_fit_are_listed(told, client, settings, parameters, numbers):
    settings.DISPLAY_TIME_ZONE = "America/Sao_Paulo"
    assert found(client, **parameters) == numbers


@pytest.mark.parametrize(
    "parameters",
    [
        *({"from": text} for text in ("x", "21/02/2025", "0001-01-01", "9999-12-31", "2025-02-30")),
        *({name: "x"} for name in ("to", "direction", "state", "conversation")),
        {"from": "2025-02-22", "to": "2025-02-21"},
        {"conversation": "\0"},
    ],
    ids=str,
)
def test_a_bad_filter_is_a_400_with_the_error_in_the_form(told, client, parameters):
    answer = client.get("/ui/search/", {"q": "boleto"} | parameters)
    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.content.decode()
    assert client.get(f"/ui/{C}/", {"q": "boleto"} | parameters).status_code == 400


def test_the_addresses_keep_the_filters(told, client, monkeypatch):
    monkeypatch.setattr("chat.views.searching.SEARCH_PAGE", 1)
    page = client.get("/ui/search/", {"q": "boleto", "direction": "SENT", "from": "2025-02-01"})
    text = page.content.decode()
    assert "?message=" in text
    kept = "q=boleto&amp;from=2025-02-01&amp;direction=SENT"
    assert f"{kept}&amp;hits_cursor=" in text
    assert text.count(kept) >= 2


@pytest.mark.parametrize("is_exact", [False, True])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_short_pages_lead_to_every_hit_once(told, monkeypatch, size, is_exact):
    monkeypatch.setattr("chat.models.hits.HITS_A_PAGE", 2)
    filters = HitFilters(state="OPEN", is_exact=is_exact)
    cursor, ids, pages = "", [], 0
    while pages == 0 or cursor:
        page = find_messages("boleto", filters, size=size, cursor=cursor)
        ids += [str(message.id) for message in page.rows]
        cursor, pages = page.next, pages + 1
    assert ids == [id_of(1), id_of(0)]
    assert pages > 1


def test_an_empty_page_with_more_behind_it_says_so(told, client, monkeypatch):
    monkeypatch.setattr("chat.models.hits.HITS_A_PAGE", 2)
    text = client.get(
        "/ui/search/", {"q": "boleto", "state": "OPEN"}, headers=ENGLISH
    ).content.decode()
    assert "None of the newest messages" in text
    assert "hits_cursor=" in text


def test_a_filtered_page_is_of_bounded_queries(told, django_assert_max_num_queries):
    filters = HitFilters(state="OPEN", is_exact=True)
    with django_assert_max_num_queries(3):
        assert len(find_messages("boleto", filters, size=30).rows) == 2


def test_a_phrase_is_found_inside_a_script_without_spaces(deliver, client):
    deliver(make_event("NEW_CONVERSATION", id=C))
    for number, content in enumerate(["東京タワー", "タワーワ 東京"]):
        deliver(make_event("NEW_MESSAGE", id=id_of(number), content=content))
    filters = HitFilters(is_exact=True)
    [found] = find_messages("京タワ", filters, size=30).rows
    assert found.content == "東京タワー"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("🙏", "Signs and emoji are not searched. Write letters or digits."),
        ("***", "Signs and emoji are not searched. Write letters or digits."),
        ("c++", "Signs and emoji are not searched, only letters and digits."),
        ("C#", "Signs and emoji are not searched, only letters and digits."),
        ("R$ 10", None),
        ("e-mail", None),
    ],
)
def test_the_page_says_that_signs_are_not_searched(client, told, query, said):
    text = client.get("/ui/search/", {"q": query}, headers=ENGLISH).content.decode()
    assert (said in text) if said else ("Signs and emoji" not in text)


def test_a_thread_leads_to_its_own_search(client, told):
    assert f"/ui/search/?conversation={C}" in client.get(f"/ui/{C}/").content.decode()
