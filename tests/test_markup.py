"""The text of a message on a page: WhatsApp's marks, code, quotes, lists and safe links, and no HTML."""

import re
from collections import defaultdict
from html import escape, unescape
from html.parser import HTMLParser
from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chat.text.graphemes import MAX_CLUSTER
from chat.views.markup import (
    MAX_SHOWN,
    TAGS,
    beginning,
    html_of,
    is_long,
    markup,
    source_of,
    unmarked,
    with_marks,
    without_closing_signs,
)
from chat.views.markup import (
    rest as rest_of,
)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*negrito*", "<strong>negrito</strong>"),
        ("_itálico_ e ~riscado~", "<em>itálico</em> e <s>riscado</s>"),
        ("um *dois três* quatro", "um <strong>dois três</strong> quatro"),
        ("*a _b_ c*", "<strong>a <em>b</em> c</strong>"),
        ("*_ambos_*", "<strong><em>ambos</em></strong>"),
        ("(*a*)", "(<strong>a</strong>)"),
        ("```*não*\n x```", "<code>*não*\n x</code>"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("2*3*4", "2*3*4"),
        ("nome_do_arquivo", "nome_do_arquivo"),
        ("*a*_b_", "<strong>a</strong><em>b</em>"),
        ("**** **** 1234", "**** **** 1234"),
        ("***.456.789-**", "***.456.789-**"),
        ("__________", "__________"),
        ("Nome: ____", "Nome: ____"),
        ("**duas**", "**duas**"),
        ("*_*", "*_*"),
        ("`*não*` `__init__`", "<code>*não*</code> <code>__init__</code>"),
        ("`aberto", "`aberto"),
        ("` ` `` ````a````", "` ` `` ````a````"),
        ("`duas\nlinhas`", "`duas\nlinhas`"),
        ("*```x```*", "<strong><code>x</code></strong>"),
        ("*a ```x\ny``` b*", "<strong>a <code>x\ny</code> b</strong>"),
        ("_`x`_", "<em><code>x</code></em>"),
        ("e\u0301*x*", "e\u0301*x*"),
        ("*x*e\u0301", "*x*e\u0301"),
        ("हि*x*", "हि*x*"),
        ("😀\ufe0f*x*", "😀\ufe0f<strong>x</strong>"),
        ("a \u202eb\u202dc", "a bc"),
        ("*aberto", "*aberto"),
        ("*duas\nlinhas*", "*duas\nlinhas*"),
        ("**", "**"),
        ("*<b>*", "<strong>&lt;b&gt;</strong>"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("\"&'", "&quot;&amp;&#x27;"),
    ],
)
def test_marks(text, html):
    assert markup(text) == html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("> um", "<blockquote>um</blockquote>"),
        ("> um\n> *dois*\ntrês", "<blockquote>um\n<strong>dois</strong></blockquote>três"),
        ("antes\n> um", "antes\n<blockquote>um</blockquote>"),
        ("> um\n\n> dois", "<blockquote>um</blockquote>\n<blockquote>dois</blockquote>"),
        ("> > um", "<blockquote>&gt; um</blockquote>"),
        ("a > b", "a &gt; b"),
        (">um", "&gt;um"),
        ("> ", "&gt; "),
        ("* um\n- dois", "<ul><li>um</li><li>dois</li></ul>"),
        ("*um*\n* dois*", "<strong>um</strong>\n<ul><li>dois*</li></ul>"),
        ("-5", "-5"),
        ("1. um\n3. _três_", '<ol><li value="1">um</li><li value="3"><em>três</em></li></ol>'),
        ("1.50", "1.50"),
        ("2025. Foi", "2025. Foi"),
        ("```\n> um\n```", "<code>\n&gt; um\n</code>"),
        ("- ```um\n- dois```", "<ul><li><code>um\n- dois</code></li></ul>"),
    ],
)
def test_quotes_and_lists(text, html):
    assert markup(text) == html


def test_a_preview_keeps_the_signs_of_lists_and_quotes():
    for text in ("- item", "* item", "1. item", "> citado"):
        assert unmarked(text) == text


def test_a_preview_says_a_text_without_its_marks():
    text = "*Oi*, _você_: ```x``` <b> 2 * 3 https://a.br/x?a&b"
    assert unmarked(text) == "Oi, você: x <b> 2 * 3 https://a.br/x?a&b"


@pytest.mark.parametrize(
    ("text", "href", "after"),
    [
        ("veja https://a.br/x.", "https://a.br/x", "."),
        ("(https://a.br/x)", "https://a.br/x", ")"),
        ("https://a.br/x_(y)", "https://a.br/x_(y)", ""),
        ("https://a.br/x, e", "https://a.br/x", ", e"),
        ("HTTPS://A.br/?a=1&b=2", "HTTPS://A.br/?a=1&amp;b=2", ""),
        ("https://a.br/um_nome_só", "https://a.br/um_nome_só", ""),
        ("http://a.br/'x", "http://a.br/&#x27;x", ""),
        ("https://a.br/AbC_", "https://a.br/AbC_", ""),
        ("https://a.br/*~", "https://a.br/*~", ""),
        ("*a* https://a.br/AbC*", "https://a.br/AbC*", ""),
        ("_a\nhttps://a.br/AbC_", "https://a.br/AbC_", ""),
        ("_veja https://a.br/AbC_", "https://a.br/AbC", "</em>"),
        ("_veja *https://a.br/AbC*_", "https://a.br/AbC", "</strong></em>"),
        ("*Em https://a.br/x até*", "https://a.br/x", " até</strong>"),
        ("*https://a.br/x*", "https://a.br/x", "</strong>"),
        ("https://a.br/x。", "https://a.br/x", "。"),
        ("https://a.br/x，然后", "https://a.br/x", "，然后"),
        ("（https://a.br/x）", "https://a.br/x", "）"),
        ("“https://a.br/x”", "https://a.br/x", "”"),
        *((f"https://a.br/x{sign}", "https://a.br/x", sign) for sign in "؟،؛۔।॥～|—–•·"),
        ("https://a.br/x\u200e", "https://a.br/x", "\u200e"),
        ("https://a.br/x\u2069", "https://a.br/x", "\u2069"),
        ("https://a.br/x\ufeff", "https://a.br/x", "\ufeff"),
        ("https://a.br/x\u200d", "https://a.br/x", "\u200d"),
        ("https://a.br/\u202e4pm.asia", "https://a.br/", "4pm.asia"),
        ("\u202ehttps://a.br/gpj.otof", "https://a.br/gpj.otof", ""),
        ("https://a.br/?u=https://b.br", "https://a.br/?u=https://b.br", ""),
        ("http://[::1]/x", "http://[::1]/x", ""),
    ],
)
def test_links(text, href, after):
    shown = markup(text)
    assert linked(href, href) in shown
    assert shown.endswith(f"</a>{after}")


def linked(href, text):
    rel = "noopener noreferrer nofollow"
    return f'<a href="{href}" dir="ltr" target="_blank" rel="{rel}">{text}</a>'


def test_two_addresses_with_a_sign_between_are_two_links():
    one, other = linked("https://a.br", "https://a.br"), linked("http://b.br", "http://b.br")
    third = linked("https://www.c.br", "www.c.br")
    for sign in ",;|،؛":
        assert markup(f"https://a.br{sign}http://b.br") == f"{one}{sign}{other}"
        assert markup(f"https://a.br{sign}www.c.br") == f"{one}{sign}{third}"


@pytest.mark.parametrize("address", ["www.loja.br/oferta", "WWW.loja.com.br"])
def test_www_is_a_link_to_https(address):
    assert markup(f"({address}).") == f"({linked(f'https://{address}', address)})."


NO_LINKS = [
    "https://...",
    "https://",
    "http://[",
    "www.",
    "www...",
    "www.a",
    "awww.a.br",
    "a@www.a.br",
]


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "data:text/html,x", "ftp://a.br", "a.br", *NO_LINKS]
)
def test_nothing_but_http_is_a_link(text):
    assert markup(text) == text


def parts(text):
    return [beginning(text).html, *rest_of(text)]


def test_a_long_text_is_cut_after_a_word():
    text = "*um* " * 1000
    assert is_long(text)
    assert not is_long(text[:MAX_SHOWN])
    assert beginning(text).html == markup("*um* " * (MAX_SHOWN // 5))


def test_a_cut_breaks_no_mark():
    before = "a " * (MAX_SHOWN // 2 - 5)
    shown, after = parts(f"{before}*b c d e f g h i j k* l")
    assert shown == f"{before}<strong>b c d e </strong>"
    assert after == "<strong>f g h i j k</strong> l"
    assert "<a" not in beginning(f"{before}https://a.br/{'x' * 90}").html


@pytest.mark.parametrize("rest", ["", " z" * 20_000])
def test_a_cut_in_code_is_in_code(rest):
    shown, *others, last = parts(f"```{'z ' * 6000}{rest}``` fim")
    assert shown.startswith("<code>z z ")
    assert shown.endswith("z </code>")
    assert all(re.fullmatch("<code>[z ]+</code>", other) for other in others)
    assert re.fullmatch("<code>[z ]+</code> fim", last)


@pytest.mark.parametrize(
    "cluster", ["🇧🇷", "👨\u200d👩\u200d👧", "e\u0301\u0302", "👍🏽", "한"], ids=ascii
)
@pytest.mark.parametrize("before", range(8))
def test_a_cut_is_between_characters_as_people_see_them(cluster, before):
    shown = beginning("x" * before + cluster * MAX_SHOWN).html
    assert len(shown) > MAX_SHOWN - MAX_CLUSTER
    assert (len(shown) - before) % len(cluster) == 0


def test_the_beginning_costs_the_same_for_every_longer_text():
    """The scanner reads no further than the beginning."""
    text = "_a *b `c` https://a.br " * 200
    assert beginning(text) == beginning(text * 50)


def test_a_divided_quote_and_list_go_on():
    line = "b " * MAX_SHOWN
    for sign, tag in {"> ": "blockquote", "- ": "ul"}.items():
        _, after, *_ = parts(f"{'a ' * (MAX_SHOWN // 2 - 50)}\n{sign}{line[:200]}\n{line}")
        assert after.startswith(f"<{tag}>")


@settings(deadline=None)
@given(st.integers(0, 3000).flatmap(lambda size: st.tuples(st.just(size), texts, texts)))
def test_the_parts_of_a_text_are_well_nested_and_lose_no_letter(drawn):
    size, around, after = drawn
    text = "a" * size + around * 200 + after + "b " * MAX_SHOWN
    together = "".join(read(part) for part in parts(text))
    letters = re.compile(r"[^\W\d_]")
    assert letters.findall(together) == letters.findall(text)


ATTRIBUTES = {"a": [["href", "dir", "target", "rel"]], "li": [[], ["value"]]}
KNOWN = defaultdict(lambda: [[]], ATTRIBUTES)


class Reader(HTMLParser):
    """Reads text and tags like a browser. Complains about tags badly nested."""

    def __init__(self):
        super().__init__()
        self.text, self.open = "", []

    def handle_starttag(self, tag, attributes):
        assert tag in {"strong", "em", "s", "code", "a", "blockquote", "ul", "ol", "li"}
        assert [name for name, _ in attributes] in KNOWN[tag]
        assert re.match("https?://", dict(attributes).get("href", "http://"), re.I)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


SIGNS = r"[*_~`\n\r\u202d\u202e]"
LIST_SIGNS = re.compile(r"^(?:> |[-*] |[1-9]\d{0,2}\. )(?=\S)", re.M)
PARTS = [
    *"ab1 *_~`<>\"'&/:.()\n-",
    "\n> ",
    "\n- ",
    "\n1. ",
    "```",
    "https://a.br",
    "www.a.br",
    "\u202e",
    "\u0301",
]
texts = st.text(max_size=60) | st.lists(st.sampled_from(PARTS), max_size=60).map("".join)


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader.text


@given(texts)
def test_any_text_keeps_its_letters_and_gives_well_nested_html(text):
    shown = re.sub(SIGNS, "", read(markup(text)))
    letters = re.sub(SIGNS, "", text)
    if LIST_SIGNS.search(text):  # signs of lists and quotes are hidden, except in code
        assert re.sub(r"[-*> \d.]", "", shown) == re.sub(r"[-*> \d.]", "", letters)
    else:
        assert shown == letters


@given(texts)
def test_a_preview_keeps_its_letters(text):
    assert re.sub(SIGNS, "", unmarked(text)) == re.sub(SIGNS, "", text)


@example("\n")
@example("fim\n")
@settings(max_examples=500)
@given(texts | st.text(alphabet="ab 1.>-\n/:w*_~`\u202e<&"))
def test_a_text_that_looks_plain_is_shown_as_if_it_had_been_examined(text):
    examined = source_of(text, 0, len(text))
    assert markup(text) == html_of(examined)
    assert unmarked(text) == unescape(re.sub(r"<[^>]*>", "", with_marks(examined, 0, len(text))))


@settings(deadline=None)
@given(st.integers(0, 3000).flatmap(lambda size: st.tuples(st.just(size), texts, texts)))
def test_a_cut_text_is_well_nested_and_begins_as_the_whole(drawn):
    size, around, after = drawn
    text = "a" * size + around * 60 + after + "b " * MAX_SHOWN
    shown, whole = read(beginning(text).html), re.sub(SIGNS, "", read(markup(text)))
    assert whole.startswith(re.sub(SIGNS, "", shown))


# The rules of marks and of an address's end in a few lines, slow because they search a text again and again.


def with_marks_by_the_rule(text, marks="*_~"):
    html, done = "", 0
    for start, end in pairs_by_the_rule(text):
        mark, inner = text[start], text[start + 1 : end]
        if mark in marks:
            inside = with_marks_by_the_rule(inner, marks.replace(mark, ""))
            html += f"{escape(text[done:start])}<{TAGS[mark]}>{inside}</{TAGS[mark]}>"
            done = end + 1
    return html + escape(text[done:])


def pairs_by_the_rule(text):
    start = 0
    while start < len(text):
        ends = range(start + 2, min(len(text), start + 1002))
        end = next((end for end in ends if is_pair(text, start, end)), None)
        if end:
            yield start, end
        start = (end or start) + 1


def is_pair(text, start, end):
    mark, inner = text[start], text[start + 1 : end]
    before, after = text[start - 1 : start] if start else "", text[end + 1 : end + 2]
    return (
        mark in TAGS
        and text[end] == mark
        and not before.isalnum()
        and not after.isalnum()
        and mark not in (before, after, inner[0], inner[-1])
        and not inner[0].isspace()
        and not inner[-1].isspace()
        and "\n" not in inner
        and inner.strip("*_~") != ""
    )


def without_closing_signs_by_the_rule(url, open_marks):
    opens = {")": "(", "]": "[", "}": "{"}
    while url[-1] in f".,;:!?'’{open_marks}" or url.count(url[-1]) > url.count(
        opens.get(url[-1], url[-1])
    ):
        url = url[:-1]
    return url


@settings(deadline=None)
@given(st.text(alphabet="ab *_~.\n\u2028é<", max_size=60) | st.text(alphabet="a *_", max_size=300))
def test_marks_are_what_the_rule_says(text):
    source = source_of(text, 0, len(text))
    assert with_marks(source, 0, len(text)) == with_marks_by_the_rule(text)


@given(
    st.text(alphabet="a()[]{}.,*_", max_size=40).map("http://x".__add__),
    st.sampled_from(["", "*", "*_"]),
)
def test_an_address_ends_where_the_rule_says(url, open_marks):
    expected = without_closing_signs_by_the_rule(url, open_marks)
    assert without_closing_signs(url, open_marks) == expected


@pytest.mark.parametrize("distance", [999, 1000, 1001])
def test_a_mark_reaches_a_thousand_letters(distance):
    text = f"*{'a' * distance}*"
    assert (markup(text) == text) == (distance > 1000)


HOSTILE = [
    " *a",
    ".*a",
    "*a _b ~c ",
    "(*x",
    " *a _a ~a",
    "*_",
    "*`a`",
    "```a",
    "`a ",
    "`",
    "> a\n",
    "- a\n",
    "https://a ",
    "*https://a.b_ ",
    "https://a,",
    "www.",
    "\u200e\u200f",
    "e\u0301",
    "\u0301",
    "http://a" + ")" * 16_000,
]


@pytest.mark.parametrize("part", HOSTILE, ids=lambda part: ascii(part)[:12])
def test_no_text_takes_long(part):
    """Eight times the text takes eight times as long. A new search for each sign would take up to 64 times."""
    text = (part * 16_000)[:16_000]
    assert seconds_for(text) < 24 * seconds_for(text[:2_000])


def seconds_for(text):
    """Return the shortest of several runs, because other work of the machine only adds time."""
    times = []
    for _ in range(5):
        begun = process_time()
        markup(text)
        times.append(process_time() - begun)
    return min(times)
