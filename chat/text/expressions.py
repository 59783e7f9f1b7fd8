"""Queries of the search. A query becomes an expression of the terms of chat/text/folding.py."""

import re
import unicodedata
from dataclasses import dataclass

from chat.text.folding import (
    ATOM,
    BREAKS,
    LOCAL,
    MARK,
    MAX_WORD,
    NATIONAL,
    THOUSANDS,
    UNIT,
    WORD,
    digits_of,
    fold,
    forms_of,
    is_code,
    is_unspaced,
    joined_chain,
    pairs_of,
)

MAX_QUERY = 1_000
MAX_TERMS = 32
# The most runs of letters or digits in a query, and the most pairs of characters in scripts without spaces.
MAX_ATOMS = 4 * MAX_TERMS
# Signs and labels before a number. Other texts have the same number without them.
LABEL = re.compile(
    r"(?:№|\b(?:n[º°]|cpf|cnpj|cep)|(?:\b(?:r|us))?[$€£¥])[\s.:]*(?=[\d(+])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Term:
    """A term to be found, or the beginning of one."""

    text: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Every:
    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Either:
    parts: "tuple[Expression, ...]"


Expression = Term | Every | Either


def expression_of(query: str) -> Every:
    """Return the condition of a hit: every word of the query in some notation, the last as a prefix.

    Empty if the query has no word.
    """
    folded = bounded(fold(LABEL.sub(" ", query[:MAX_QUERY])))
    units = list({unit[0]: unit for unit in UNIT.finditer(folded)}.values())[:MAX_TERMS]
    return Every(tuple(part_of(unit, is_last=unit is units[-1]) for unit in units))


def bounded(folded: str) -> str:
    """Return the beginning of a folded query, up to MAX_ATOMS."""
    atoms = 0
    for atom in ATOM.finditer(folded):
        atoms += len(atom[0]) if is_unspaced(atom[0]) else 1
        if atoms > MAX_ATOMS:
            return folded[: atom.start()]
    return folded


def has_words(query: str) -> bool:
    return bool(WORD.search(fold(query[:MAX_QUERY])))


def has_signs(query: str) -> bool:
    """Whether the query has emoji or signs such as "+" and "#". No index has them."""
    plain = LABEL.sub(" ", query[:MAX_QUERY])
    return any(char in "#@&%*" or unicodedata.category(char)[0] == "S" for char in plain)


def terms_of(expression: Expression) -> set[Term]:
    """Return all terms of an expression, to mark them in a text."""
    if isinstance(expression, Term):
        return {expression}
    return {term for part in expression.parts for term in terms_of(part)}


def part_of(unit: re.Match[str], *, is_last: bool) -> Expression:
    if unit["numbers"]:
        return numbers_part(unit[0], is_last=is_last)
    if unit["time"]:
        return time_part(unit, is_last=is_last)
    words = WORD.findall(unit[0])
    apart = every([word_part(word, is_last=is_last and word is words[-1]) for word in words])
    joined = joined_chain(unit[0]) if unit["chain"] or unit["cnpj"] else ""
    return either([word_part(joined, is_last=is_last), apart] if joined else [apart])


def time_part(unit: re.Match[str], *, is_last: bool) -> Expression:
    """Return "14h30" and "14:30" alike, and "14h" as "14:00"."""
    hour, minute = unit["hour"], unit["minute"] or unit["minutes"] or "00"
    forms = [every([number_part(hour), number_part(minute, is_last=is_last)])]
    if minute == "00":
        forms.append(every([number_part(hour), Term("h", is_last)]))
    return either([*forms, Term(unit[0], is_last)] if unit[0].isalnum() else forms)


def word_part(word: str, *, is_last: bool) -> Expression:
    """Return a word's atoms, or the word as a whole, as rows of older rules have it."""
    whole = Term(word[:MAX_WORD], is_last)
    atoms = ATOM.findall(word)
    if is_code(word):
        return whole
    if len(atoms) == 2 and atoms[0].isdecimal() and atoms[1] in ("a", "o", "as", "os"):
        atoms = atoms[:1]  # "2ª"
    elif len(atoms) == 2 and atoms[0] == "no" and atoms[1].isdecimal():
        atoms = atoms[1:]  # "nº445566"
    apart = [atom_part(atom, is_last=is_last and atom is atoms[-1]) for atom in atoms]
    return either([every(apart), whole])


def atom_part(atom: str, *, is_last: bool) -> Expression:
    if atom.isdecimal():
        return number_part(atom, is_last=is_last)
    if not is_unspaced(atom):
        return Term(atom[:MAX_WORD], is_last)
    if len(atom) == 1:
        return Term(atom, is_prefix=True)
    return every([Term(pair) for pair in dict.fromkeys(list(pairs_of(atom))[:-1])])


def number_part(digits: str, *, is_last: bool = False) -> Expression:
    """Return the notations of a number. A number without its area is not one with another area."""
    digits = digits[:MAX_WORD]
    forms = list(forms_of(digits))
    parts: list[Expression] = [Term(digits, is_last)]
    parts += [Term(form) for form in forms[1:]]
    if len(forms) > 1 and LOCAL.fullmatch(forms[-1]) and NATIONAL.fullmatch(forms[-2].lstrip("0")):
        parts[-1] = Term(MARK + forms[-1])
    return either(parts)


def numbers_part(text: str, *, is_last: bool) -> Expression:
    """Return groups of digits as one number, as an amount, or each as its own number."""
    groups = re.findall(r"\d+", text)
    forms = [each_of(text, " ", is_last=is_last)]
    if len(groups) > 1 and not BREAKS.search(text):
        forms.append(number_part("".join(groups), is_last=is_last))
    amount = THOUSANDS.sub(lambda match: digits_of(match[0]), text)
    if amount != text:
        forms.append(each_of(amount, None, is_last=is_last))
    if re.search(r"[.,]00$", text):
        forms.append(each_of(amount[:-3], None, is_last=is_last))
    return either(forms)


def each_of(text: str, separator: str | None, *, is_last: bool) -> Expression:
    """Return the numbers of a text, all to be found: between spaces in any notation of their own."""
    pieces = text.split(separator) if separator else re.findall(r"\d+", text)
    pieces = [piece for piece in pieces if digits_of(piece)]
    if separator and len(pieces) > 1:
        return every(
            [numbers_part(piece, is_last=is_last and piece is pieces[-1]) for piece in pieces]
        )
    groups = re.findall(r"\d+", text)
    last = len(groups) - 1
    return every(
        [number_part(group, is_last=is_last and n == last) for n, group in enumerate(groups)]
    )


def every(parts: list[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else Every(tuple(parts))


def either(parts: list[Expression]) -> Expression:
    parts = list(dict.fromkeys(parts))
    return parts[0] if len(parts) == 1 else Either(tuple(parts))
