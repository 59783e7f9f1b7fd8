"""How a message's text is shown: WhatsApp's marks and safe links, and nothing as HTML."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.markup import MAX_FORMATTED, markup


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
    assert reader.open == []
    assert re.sub(r"[*_~`]", "", reader.text) == re.sub(r"[*_~`]", "", text)


@given(st.text(alphabet="htps:/a.b*_()", min_size=5, max_size=40).map("http://x".__add__))
def test_links_keep_their_letters(text):
    reader = Reader()
    reader.feed(markup(text))
    reader.close()
    assert re.sub(r"[*_~`]", "", reader.text) == re.sub(r"[*_~`]", "", text)
