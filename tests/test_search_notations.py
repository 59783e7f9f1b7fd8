"""A search finds a number or a word in any notation, the same on both engines."""

import pytest
from django.db import connection

from chat.models import MessageWords
from chat.text.folding import WORD, fold, indexed
from tests.conftest import C, id_of, make_event

pytestmark = pytest.mark.both_engines("two full-text engines give the same hits")


@pytest.fixture
def finds(deliver):
    """Whether a query finds the only message, which has this text."""

    def finds(text, query):
        deliver(make_event("NEW_CONVERSATION", id=C))
        deliver(make_event("NEW_MESSAGE", id=id_of(0), content=text))
        return MessageWords.objects.search(query).exists()

    return finds


# Two notations of the same number or word: each finds the other.
ALIKE = [
    ("CPF 123.456.789-09", "12345678909"),
    ("123 456 789 09", "123.456.789-09"),
    ("CNPJ 12.345.678/0001-95", "12345678000195"),
    ("(11) 98765-4321", "11987654321"),
    ("(11) 98765-4321", "98765-4321"),
    ("(11) 98765-4321", "987654321"),
    ("11987654321", "98765-4321"),
    ("+55 21 99876-1234", "5521998761234"),
    ("+55 21 99876-1234", "21998761234"),
    ("5521998761234", "(21) 99876-1234"),
    ("5521998761234", "998761234"),
    ("+55 (11) 3456-7890", "1134567890"),
    ("1134567890", "3456-7890"),
    ("011 98765-4321", "11987654321"),
    ("+1 415 555 2671", "14155552671"),
    ("01310-100", "01310100"),
    ("ABC-1D23", "ABC1D23"),
    ("ABC 1D23", "abc1d23"),
    ("ABC-1234", "ABC1234"),
    ("A1B2-C3D4", "A1B2C3D4"),
    ("R$ 1.234,56", "1234,56"),
    ("R$1.234,00", "1234"),
    ("1,234.56", "1234.56"),
    ("1 234,56", "1.234,56"),
    ("1.234.567,89", "1234567,89"),
    ("000123987", "123987"),
    ("05/03", "5/3"),
    ("4111 1111 1111 1111", "4111111111111111"),
    ("123456-7", "1234567"),
    ("NF-12.345", "NF 12345"),
    ("nf12345", "NF-12.345"),
    ("A-1.234.567", "A 1234567"),
    (
        "3524 0112 3456 7800 0195 5500 1000 0001 2310 0000 0012",
        "35240112345678000195550010000001231000000012",
    ),
    (
        "84670000001-7 43590024020-9 02405000243-5 84221010811-9",
        "846700000017435900240209024050002435842210108119",
    ),
    (
        "23790.12345 60000.123456 78901.234567 1 12340000012345",
        "23790123456000012345678901234567112340000012345",
    ),
    ("CNPJ 12.ABC.345/01DE-35", "12ABC34501DE35"),
    ("12ABC345/01DE35", "12.abc.345/01de-35"),
    ("PED-2024-000123", "PED2024000123"),
    ("TX-ABCD-1234-EF", "TXABCD1234EF"),
    ("12-34A", "1234A"),
    ("nº445566", "445566"),
    ("nº 445566", "445566"),
    ("№ 332211", "332211"),
    ("2ª via", "2 via"),
    ("1o lugar", "1 lugar"),
    ("50kg", "50 kg"),
    ("14h30", "14:30"),
    ("14h", "14:00"),
    ("paga\u200bmento", "pagamento"),
    ("atra\u00adsado", "atrasado"),
    ("bo\u2060le\ufeffto", "boleto"),
    ("email", "e-mail"),
    ("tshirt", "t-shirt"),
    ("d'água", "dagua"),
    ("U.S.A.", "usa"),
    ("S/A", "sa"),
    ("Łódź", "lodz"),
    ("Tromsø", "tromso"),
    ("ışık", "isik"),
    ("æther", "aether"),
    ("đường", "duong"),
    ("٢٠٢٦", "2026"),
    ("２０２６", "2026"),
    ("6a41b347-8d80-4ce9-84ba-7af66f369f6a", "6a41b3478d804ce984ba7af66f369f6a"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE, ids=ascii)
@pytest.mark.parametrize("is_turned", [False, True], ids=["as written", "turned"])
def test_one_notation_finds_the_other(finds, one, other, is_turned):
    text, query = (other, one) if is_turned else (one, other)
    assert finds(text, query)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("東京タワー", "タワー"),
        ("東京タワー", "京"),
        ("東京タワー", "ー"),
        ("第12回", "12"),
        ("ฉันต้องการชำระเงินค่าสินค้า", "ชำระเงิน"),
        ("ສະບາຍດີທຸກຄົນ", "ທຸກ"),
        ("ខ្ញុំចង់បង់ប្រាក់", "បង់ប្រាក់"),
        ("कल भुगतान किया", "भुगतान"),
        ("pedido 000123987", "123987"),
        ("tel 11 98765-4321 123.456.789-09", "123.456.789-09 11987654321"),
        ("entrega 10/11/2026 14h30", "10/11 14:30"),
        ("12345-678 50kg", "12345678"),
        ("CPF123.456.789-09", "12345678909"),
        ("CNPJ12.345.678/0001-95ok", "12345678000195"),
        ("50.000km", "50000"),
        ("R$1.234,56reais", "1234,56 reais"),
        ("料金は1,234円です", "1234円"),
        ("電話03-1234-5678まで", "0312345678"),
        ("1.5d'água 3-5dias 10-12h30", "dagua 12:30 dias"),
    ],
    ids=ascii,
)
def test_a_part_is_found_inside(finds, text, query):
    assert finds(text, query)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("(21) 99876-1234", "(11) 99876-1234"),
        ("21998761234", "11998761234"),
        ("東京タワー", "大阪"),
        ("1234567", "2345"),
        ("R$ 2.234,56", "1234,56"),
        ("abc 1d24", "abc1d23"),
        ("123.456.789-09", "12345678900"),
    ],
    ids=ascii,
)
def test_another_number_or_word_is_not_found(finds, text, query):
    assert not finds(text, query)


def test_a_text_of_endless_numbers_is_stored(finds):
    assert finds("1 " * 50_000 + "2.3-" * 12_000 + "4/5,6" * 9_000, "1")


@pytest.mark.sqlite
def test_hits_of_several_notations_are_read_without_sorting_all(finds):
    finds("(11) 98765-4321", "x")
    sql, params = MessageWords.objects.search("98765-4321 e-mail")[:20].query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        assert "TEMP B-TREE" not in str(cursor.fetchall())


@pytest.mark.sqlite
def test_the_terms_of_usual_messages_stay_within_a_budget():
    """The notations add at most a fifth to the words of a conversation with usual numbers."""
    texts = [
        "Meu pedido 4312345 era pra ter chegado dia 21/02 e até agora nada",
        "Olá! Sinto muito pelo atraso. Vou verificar o pedido agora mesmo, só um instante.",
        "Paguei R$ 189,90 por pix às 14h30 e não caiu ainda. Saiu da minha conta!",
        "Lamento pelo transtorno! Já estou consultando a transportadora sobre a entrega.",
        "Obrigada, fico no aguardo",
    ]
    plain = sum(len(word) + 1 for text in texts for word in set(WORD.findall(fold(text))))
    kept = sum(len(term) + 1 for text in texts for term in indexed(text))
    assert kept <= 1.2 * plain
