"""The hits of a search: the same on both engines, for any query."""

from urllib.parse import quote

import pytest
from django.db import connection

from chat.models import Message, MessageWords
from chat.text.expressions import MAX_ATOMS, Term, expression_of, terms_of
from chat.text.folding import fold, words_of
from chat.text.snippets import Piece, snippet
from tests.conftest import OTHER_C, C, M, id_of, make_event

pytestmark = pytest.mark.both_engines("two full-text engines give the same hits")


@pytest.fixture
def tell(deliver):
    """Stores these texts as one conversation, in this order."""

    def tell(*texts):
        deliver(make_event("NEW_CONVERSATION", id=C))
        for n, text in enumerate(texts):
            deliver(make_event("NEW_MESSAGE", id=id_of(n), content=text))

    return tell


def test_a_text_of_signs_that_fold_into_many_letters_is_stored(tell):
    """PostgreSQL takes no text of over 1 MB into its index: the message would never be stored."""
    sizes = "㌖㍇㌶㌠㌗㉼㍿㍑㍍㍈"
    words = ("".join(sizes[int(digit)] for digit in f"{n:012}") for n in range(8_000))
    tell(" ".join(word[::-1] for word in words))
    assert Message.objects.count() == 1


def found(query):
    return [hit.message.content for hit in MessageWords.objects.search(query)]


TEXTS = [
    "Não recebi o boleto",
    "O pagamento caiu, obrigado!",
    "PAGUEI ontem às 10h30",
    "Meu pedido é o 123456-7",
    "e-mail: joao.silva@mail.example",
    "snake_case e d'água",
    "Добрый день, мир",
    "ﬁnal ﬂuxo ①②",
    "o" * 10_000 + " fim",
    "日本語のテキスト",
]

# A query, and the numbers of the found texts, newest first.
HITS = {
    "nao": [0],
    "NÃO": [0],
    "nã": [0],
    "não boleto": [0],
    "boleto não": [0],
    "pag": [2, 1],
    "pagamento": [1],
    "pagamentos": [],
    "pag obrigado": [],
    "pagamento obrig": [1],
    "paguei": [2],
    "agua": [5],
    "d'agua": [5],
    "snake_case": [5],
    "case": [5],
    "123456": [3],
    "123456-7": [3],
    "7 123": [3],
    "10h": [2],
    "joao.silva@mail.example": [4],
    "example": [4],
    "добр": [6],
    "МИР": [6],
    "final": [7],
    "12": [7, 3],
    "o" * 70: [8],
    "日本": [9],
    "zzz": [],
    "": [],
    "   ": [],
    "***": [],
    "👍": [],
    '"': [],
    "NEAR": [],
    "NEAR(nao boleto)": [],
    "nao AND boleto": [],
    "nao OR boleto": [],
    "nao*": [0],
    '"nao" "boleto"': [0],
    "words:nao": [],
    "-nao": [0],
    "^nao": [0],
    "nao & !boleto": [0],
    "nao:*": [0],
    "nao\\": [0],
    "' OR 1=1 --": [],
    "nao\0boleto": [0],
    "nao\ud800boleto": [0],
    "a" * 50_000: [],
    "a " * 25_000: [5, 2],
}


@pytest.mark.parametrize(("query", "numbers"), HITS.items(), ids=range(len(HITS)))
def test_a_query_finds_the_same_on_both_engines(tell, query, numbers):
    tell(*TEXTS)
    assert found(query) == [TEXTS[number] for number in numbers]


def test_a_text_is_searched_up_to_its_bound_and_stored_whole(tell):
    tell("x " * 49_999 + "dentro fora")
    assert Message.objects.get().content.endswith("fora")
    assert len(found("dentro")) == 0
    assert len(found("x")) == 1


def test_a_text_of_many_different_words_fits_either_index(tell):
    tell(" ".join(chr(0x4E00 + n % 20_000) * (1 + n // 20_000) for n in range(60_000)))
    assert len(found(chr(0x4E00))) == 1


def test_a_message_that_is_refused_is_not_found(tell, deliver):
    tell("primeiro")
    deliver(make_event("NEW_MESSAGE", id=id_of(0), content="outro"))
    assert found("outro") == []


def test_a_search_is_one_query(tell, django_assert_num_queries):
    tell(*TEXTS)
    with django_assert_num_queries(1):
        assert [hit.message.conversation.short_id for hit in MessageWords.objects.search("pag")]


@pytest.mark.sqlite
def test_the_newest_hits_are_read_without_sorting_all(tell):
    tell(*TEXTS)
    sql, params = MessageWords.objects.search("pag")[:20].query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        assert "TEMP B-TREE" not in str(cursor.fetchall())


# Pasted ids


@pytest.fixture
def lead(deliver, client):
    """Search for a text. Return the target of a redirect, or None for a page of hits."""
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))

    def lead(text):
        answer = client.get("/ui/search/", {"q": text})
        assert answer.status_code in (200, 302)
        return answer["Location"] if answer.status_code == 302 else None

    return lead


@pytest.mark.parametrize("change", [str, str.upper, " {} ".format, "\t{}\r\n".format])
@pytest.mark.parametrize(
    ("id", "address"),
    [(C, f"/ui/{C}/"), (C[-8:], f"/ui/{C}/"), (C[:8], f"/ui/{C}/"), (M, f"/ui/{C}/?message={M}")],
    ids=["conversation", "its last eight", "its first eight", "message"],
)
def test_a_pasted_id_leads_to_what_it_names(lead, id, address, change):
    assert lead(change(id)) == address


@pytest.mark.parametrize(
    "dress",
    [
        *("{{{}}}", '"{}"', "'{}'", '"{}",', "{},", "({}).", "<{}>", "[{}]", "`{}`", "#{}", "“{}”"),
        *("urn:uuid:{}", "URN:UUID:{}", "uuid:{}", "\u200b{}\ufeff", "%7B{}%7D", "id: {}", "ID={}"),
        *(
            '"conversation_id": "{}",',
            "'id': '{}'",
            "message={}",
            "Mensagem: {}",
            "UUID: {}",
            "id：{}",
        ),
        *(
            "_{}_",
            "~{}~",
            "*{}*",
            "```{}```",
            "「{}」",
            "{}/",
            "/{}/",
            "- {}",
            "> {}",
            "| {} |",
            "{}…",
        ),
    ],
    ids=ascii,
)
def test_an_id_leads_in_any_dress(lead, dress):
    assert lead(dress.format(C)) == f"/ui/{C}/"
    assert lead(dress.format(M)) == f"/ui/{C}/?message={M}"
    assert lead(dress.format(C.replace("-", ""))) == f"/ui/{C}/"
    assert lead(dress.format(C.replace("-", "\u2013").upper())) == f"/ui/{C}/"


@pytest.mark.parametrize(
    "start", ["", "http://127.0.0.1:8000", "veja https://chat.example.com", " ", "GET ", "[a]("]
)
@pytest.mark.parametrize(
    ("path", "address"),
    [
        (f"/ui/{C}/", f"/ui/{C}/"),
        (f"/ui/{C}/?filter=OPEN#end", f"/ui/{C}/"),
        (f"/ui/{C}/?q=a&message={M}", f"/ui/{C}/?message={M}"),
        (f"/ui/{C}/?message={OTHER_C}", f"/ui/{C}/"),
        (f"/ui/{C.upper()}/print/", f"/ui/{C}/"),
        (f"/ui/{C}/?a=b&amp;message={M}", f"/ui/{C}/?message={M}"),
        (f"/ui/{C}/ por favor", f"/ui/{C}/"),
        (f"/ui/{C}/).", f"/ui/{C}/"),
        (f"/ui/deliveries/?outcome=applied&conversation={C}", f"/ui/{C}/"),
        (f"/admin/chat/conversation/{C}/change/", f"/ui/{C}/"),
        (f"/conversations/{C}/", f"/ui/{C}/"),
        (f"/messages/{M}", f"/ui/{C}/?message={M}"),
        (quote(f"/ui/{C}/?message={M}", safe=""), f"/ui/{C}/?message={M}"),
    ],
)
def test_a_pasted_address_leads_to_its_conversation_or_message(lead, start, path, address):
    assert lead(f"{start}{path}") == address


@pytest.mark.parametrize(
    "text",
    [
        *(OTHER_C, OTHER_C[:8], M[:8], f"{C} {M}", f"/ui/{OTHER_C}/", f"/ui/{C}0/"),
        *(C[:-1], f"{C}0", C[:7], C[:9], C[:13], C[9:], C[-9:]),
        *(C.replace("-", " "), f"o id {C}", f"{C}0".replace("-", ""), f"urn:{C}"),
        *(f"g{C[1:]}", f"g{C[1:8]}", "%", "________", "0" * 8, "f" * 36),
        *(C.replace("6", "\u0666"), C[:8].replace("6", "\uff16"), f"{C}\x00", f"{C[:4]} {C[4:8]}"),
    ],
    ids=ascii,
)
def test_what_only_looks_like_an_id_is_searched_for(lead, text):
    assert lead(text) is None


def test_eight_characters_that_two_conversations_share_lead_to_neither(lead, deliver):
    deliver(make_event("NEW_CONVERSATION", id=f"{C[:8]}{OTHER_C[8:]}"))
    assert lead(C[:8]) is None
    assert lead(C) == f"/ui/{C}/"


# Folding


def test_folding_takes_accents_and_case_away():
    assert fold("ÀÉÎõü ÇÑ Straße ſ İ") == "aeiou cn strasse s i"


def test_folding_goes_character_by_character():
    text = "Ação ﬁ Å ½ 가 ǅ"
    assert fold(text) == "".join(fold(char) for char in text)


def test_each_word_is_held_once():
    assert words_of("sim, sim e Sim!") == ["sim", "e"]


def test_a_query_has_bounded_terms():
    for query in (" ".join(map(str, range(500))), "a-" * 500, "東京" * 500, "1я" * 500, "1." * 500):
        assert len(terms_of(expression_of(query))) <= 3 * MAX_ATOMS


# Snippets


def marked(text, query):
    return "".join(
        f"[{piece.text}]" if piece.is_hit else piece.text
        for piece in snippet(text, terms_of(expression_of(query)))
    )


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("Não recebi", "nao", "[Não] recebi"),
        ("O pagamento caiu", "pag", "O [pag]amento caiu"),
        ("Olá, é o boleto, o boleto", "boleto", "Olá, é o [boleto], o [boleto]"),
        ("ﬁnal feliz", "fin", "[ﬁn]al feliz"),
        ("ação é ação", "acao e", "[ação] [é] [ação]"),
        ("nada disto", "zzz", "nada disto"),
        (
            "a" * 100 + " boleto " + "b" * 200,
            "boleto",
            "…" + "a" * 39 + " [boleto] " + "b" * 113 + "…",
        ),
    ],
)
def test_a_snippet_marks_what_was_found_as_it_was_written(text, query, expected):
    assert marked(text, query) == expected


@pytest.mark.parametrize("length", [100, 119, 120, 121, 160, 200, 9_000])
@pytest.mark.parametrize("before", ["", "olá, " * 100])
def test_a_hit_in_a_long_word_is_marked(length, before):
    word = "x" * length
    pieces = snippet(f"{before}{word} fim", terms_of(expression_of(word)))
    [hit] = [piece.text for piece in pieces if piece.is_hit]
    assert hit == word[: len(hit)]
    assert len(hit) == length or len(hit) >= 120


def test_no_override_turns_a_hit_round_on_the_page(client, tell):
    tell("veja \u202egpj.otof\u202d no boleto")
    shown = client.get("/ui/search/", {"q": "boleto"}).content.decode()
    assert "veja gpj.otof no " in shown


def test_a_snippet_of_a_long_text_is_bounded():
    assert len(marked("palavra " * 12_000, "palavra")) < 300
    assert Piece("…") in snippet("x" * 100_000, [Term("y")])


def test_a_sign_that_holds_two_of_the_words_is_shown_once():
    assert (
        "".join(piece.text for piece in snippet("usar ½ xícara", [Term("1"), Term("2")]))
        == "usar ½ xícara"
    )


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("CPF 123.456.789-09, ok", "12345678909", "CPF [123.456.789-09], ok"),
        ("ligue (11) 98765-4321", "987654321", "ligue (11) [98765-4321]"),
        ("um e-mail", "email", "um [e-mail]"),
        ("a placa ABC1D23.", "abc-1d23", "a placa [ABC1D23]."),
        ("às 14h30", "14:30", "às [14]h[30]"),
        ("paga\u200bmento feito", "pagamento", "[paga\u200bmento] feito"),
        ("pago na cafe\u0301", "cafe", "pago na [cafe\u0301]"),
        ("東京タワーへ", "タワー", "東京[タワー]へ"),
        ("em Łódź", "lodz", "em [Łódź]"),
    ],
    ids=ascii,
)
def test_a_snippet_marks_another_notation_as_it_was_written(text, query, expected):
    assert marked(text, query) == expected


def test_a_snippet_shows_every_word_where_they_stand_far_apart():
    text = f"{'a ' * 200}boleto {'b ' * 200}pago {'c ' * 200}"
    shown = marked(text, "boleto pago")
    assert "[boleto]" in shown
    assert "[pago]" in shown
    assert shown.count("…") == 3
    assert len(shown) < 300


@pytest.mark.parametrize(
    "cluster",
    ["e\u0301", "👩\u200d👩\u200d👧", "👍🏽", "🇧🇷", "각", "กำ", "❤\ufe0f", "🙂\u200d↔\ufe0f"],
    ids=ascii,
)
@pytest.mark.parametrize("moved", range(8))
def test_a_snippet_is_cut_between_characters_as_readers_see_them(cluster, moved):
    text = "x" * moved + cluster * 60 + " boleto " + cluster * 200
    for piece in snippet(text, terms_of(expression_of("boleto"))):
        rest = piece.text.strip("x…").replace(" ", "")
        assert piece.is_hit or rest == cluster * (len(rest) // len(cluster))
