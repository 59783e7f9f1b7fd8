"""The details of one conversation, drawn once, so order, price and date stay the same."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID


def details_of(chance: Random, now: datetime) -> dict[str, Any]:
    here = now.astimezone(UTC) - timedelta(hours=3)  # Brasília, without summer time
    customer, thanks = chance.choice(CUSTOMERS)
    product, cents = chance.choice(PRODUCTS)
    hour, other_hour = chance.sample(HOURS, 2)
    return {
        "greeting": "Bom dia" if 5 <= here.hour < 12 else "Boa tarde" if 12 <= here.hour < 18 else "Boa noite",
        "customer": customer,
        "thanks": thanks,
        "agent": chance.choice(AGENTS),
        "product": product,
        "price": reais(cents),
        "bill": reais(chance.randrange(4_990, 38_990)),
        "extra": reais(chance.randrange(990, 4_990)),
        "order": chance.randrange(100_000, 1_000_000),
        "protocol": f"{here:%Y%m%d}{chance.randrange(1_000_000):06}",
        "tracking": f"QB{chance.randrange(10**9):09}BR",
        "barcode": barcode(chance),
        "pix": f"00020126580014br.gov.bcb.pix0136{new_id(chance)}5204000053039865802BR5910LOJA TESTE6009SAO PAULO62070503***6304{chance.randrange(16**4):04X}",
        "past": f"{here - timedelta(days=chance.randint(3, 9)):%d/%m}",
        "day": f"{working_day(here, chance.randint(2, 4)):%d/%m}",
        "other_day": f"{working_day(here, chance.randint(6, 9)):%d/%m}",
        "hour": hour,
        "other_hour": other_hour,
        "doctor": chance.choice(DOCTORS),
        "district": chance.choice(DISTRICTS),
        "street": f"{chance.choice(STREETS)}, {chance.randrange(10, 2_000)}",
        "cep": f"{chance.randrange(1_000, 99_000):05}-{chance.randrange(1_000):03}",
        "email": f"{chance.choice(SURNAMES)}{chance.randrange(100)}@mail.example",
        "speed": chance.choice((300, 500, 600, 700)),
        "measured": chance.randrange(8, 60),
        "size": chance.randrange(35, 42),
    }  # fmt: skip


def working_day(now: datetime, days: int) -> datetime:
    """Return the day so many days ahead, or Monday instead of a Sunday."""
    day = now + timedelta(days=days)
    return day + timedelta(days=day.weekday() == 6)


def reais(cents: int) -> str:
    """Format cents as in Brazil: R$ 1.249,90."""
    whole = f"{cents // 100:,}".replace(",", ".")
    return f"R$ {whole},{cents % 100:02}"


def barcode(chance: Random) -> str:
    """Return a boleto's 47 digits, grouped as in print. They lead to no account."""
    digits = f"{chance.randrange(10**47):047}"
    pattern = "{}.{} {}.{} {}.{} {} {}"
    cuts = (0, 5, 10, 15, 21, 26, 32, 33, 47)
    return pattern.format(*(digits[a:b] for a, b in pairwise(cuts)))


CUSTOMERS = (
    ("Mariana", "obrigada"), ("João", "obrigado"), ("Conceição", "obrigada"), ("Antônio", "obrigado"),
    ("Letícia", "obrigada"), ("Luís", "obrigado"), ("Fernanda", "obrigada"), ("Caio", "obrigado"),
    ("Patrícia", "obrigada"), ("Sebastião", "obrigado"), ("Beatriz", "obrigada"), ("Rafael", "obrigado"),
)  # fmt: skip
AGENTS = ("Camila", "Thiago", "Júlia", "André", "Priscila", "Vinícius", "Débora", "Otávio")
SURNAMES = ("souza", "oliveira", "lima", "ferreira", "ribeiro", "carvalho", "nogueira", "prado")
DOCTORS = ("Dra. Helena Araújo", "Dr. Márcio Antunes", "Dra. Íris Falcão", "Dr. Gonçalo Peixoto")
DISTRICTS = ("Vila Mariana", "Boa Viagem", "Savassi", "Água Verde", "Moema", "Asa Sul", "Méier")
STREETS = ("Rua das Acácias", "Avenida São João", "Rua Sete de Setembro", "Travessa do Açaí")
HOURS = ("8h", "9h30", "10h40", "11h15", "13h", "14h30", "15h45", "16h20", "17h")
# All masculine, so one script fits all.
PRODUCTS = (
    ("fone Bluetooth Aurora", 24_990), ("liquidificador 900 W", 18_990), ("micro-ondas 20 L", 64_900),
    ("ventilador de mesa 40 cm", 15_990), ("notebook 15,6\" 16 GB", 429_900), ("teclado sem fio", 12_950),
    ("carrinho de bebê Passeio", 89_990), ("kit de panelas antiaderente", 34_990), ("smartwatch Pulso 2", 59_900),
    ("aspirador robô", 124_990), ("colchão de casal D45", 149_900), ("secador de cabelo 2000 W", 17_990),
)  # fmt: skip


def new_id(chance: Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))
