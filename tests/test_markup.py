"""How a message's text is shown: WhatsApp's marks and safe links, and nothing as HTML."""

import re
from html import escape
from html.parser import HTMLParser
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.views.markup import (
    MAX_FORMATTED,
    TAGS,
    markup,
    unmarked,
    with_marks,
    without_closing_signs,
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
        ("* item", "* item"),
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
        ("*https://a.br/x*", "https://a.br/x", "*"),
        ("https://a.br/um_nome_só", "https://a.br/um_nome_só", ""),
        ("http://a.br/'x", "http://a.br/&#x27;x", ""),
    ],
)
def test_links(text, href, after):
    shown = markup(text)
    assert (
        f'<a href="{href}" target="_blank" rel="noopener noreferrer nofollow">{href}</a>' in shown
    )
    assert shown.endswith(f"</a>{after}")


@pytest.mark.parametrize("text", ["javascript:alert(1)", "data:text/html,x", "ftp://a.br", "a.br"])
def test_nothing_but_http_is_a_link(text):
    assert markup(text) == text


def test_a_very_long_text_is_shown_plain():
    text = "*a " * MAX_FORMATTED
    assert markup(text) == text


class Reader(HTMLParser):
    """The text and the tags that a browser would see; complains about what does not nest."""

    def __init__(self):
        super().__init__()
        self.text, self.open = "", []

    def handle_starttag(self, tag, attributes):
        assert tag in {"strong", "em", "s", "code", "a"}
        assert re.match("https?://", dict(attributes).get("href", "http://"), re.I)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@given(st.text(alphabet="ab *_~`<>\"'&/:.()\n", max_size=60) | st.text(max_size=60))
def test_any_text_keeps_its_letters_and_gives_well_nested_html(text):
    reader = Reader()
    reader.feed(markup(text))
    reader.close()
    assert unmarked(text) == reader.text
    assert reader.open == []
    assert re.sub(r"[*_~`]", "", reader.text) == re.sub(r"[*_~`]", "", text)


@given(st.text(alphabet="htps:/a.b*_()", min_size=5, max_size=40).map("http://x".__add__))
def test_links_keep_their_letters(text):
    reader = Reader()
    reader.feed(markup(text))
    reader.close()
    assert re.sub(r"[*_~`]", "", reader.text) == re.sub(r"[*_~`]", "", text)


# The rule of marks and of an address's end in a few lines, which look again and again through a text.
MARKED = re.compile(r"(?<![\w*_~])([*_~])(?=\S)([^\n]{1,1000}?)(?<=\S)\1(?!\w)")


def with_marks_by_the_rule(text, marks="*_~"):
    html, done = "", 0
    for match in MARKED.finditer(text):
        mark, inner = match.groups()
        if mark in marks:
            inside = with_marks_by_the_rule(inner, marks.replace(mark, ""))
            html += f"{escape(text[done : match.start()])}<{TAGS[mark]}>{inside}</{TAGS[mark]}>"
            done = match.end()
    return html + escape(text[done:])


def without_closing_signs_by_the_rule(url):
    opens = {")": "(", "]": "[", "}": "{"}
    while url[-1] in ".,;:!?'*_~…»”’" or url.count(url[-1]) > url.count(
        opens.get(url[-1], url[-1])
    ):
        url = url[:-1]
    return url


@given(st.text(alphabet="ab *_~.\n\u2028é<", max_size=60) | st.text(alphabet="a *_", max_size=3000))
def test_marks_are_what_the_rule_says(text):
    assert with_marks(text) == with_marks_by_the_rule(text)


@given(st.text(alphabet="a()[]{}.,*_", max_size=40).map("http://x".__add__))
def test_an_address_ends_where_the_rule_says(url):
    assert without_closing_signs(url) == without_closing_signs_by_the_rule(url)


@pytest.mark.parametrize("distance", [999, 1000, 1001])
def test_a_mark_reaches_a_thousand_letters(distance):
    text = f"*{'a' * distance}*"
    assert (markup(text) == text) == (distance > 1000)


HOSTILE = [" *a", ".*a", "*a _b ~c ", "(*x", " *a _a ~a", "http://a" + ")" * 4096]


@pytest.mark.parametrize("part", HOSTILE, ids=lambda part: part[:9])
def test_no_text_takes_long(part):
    """Each takes half as long as a text full of marks at the most, if no sign is looked for again and again."""
    assert seconds_of(part) < 2 * seconds_of("*a* ")


def seconds_of(part):
    text = (part * MAX_FORMATTED)[:MAX_FORMATTED]
    times = []
    for _ in range(5):
        begun = process_time()
        markup(text)
        times.append(process_time() - begun)
    return min(times)
