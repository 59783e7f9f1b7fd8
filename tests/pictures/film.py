"""The moving picture of the README: the screen of an agent, in thirty seconds."""

from dataclasses import dataclass, field

from PIL import Image
from playwright.sync_api import Page, expect

from tests.pictures.images import below
from tests.pictures.studio import Studio, address, shot
from tests.pictures.talk import id_of, message

WIDTH, HEIGHT, CAPTION = 960, 560, 44
COLOURS = {"light": ("#0b7a5b", "#ffffff"), "dark": ("#35c495", "#07150f")}
WORDS = {
    "en": {
        "title": "A live inbox for WhatsApp customer service",
        "arrives": "A new message is there within three seconds",
        "arrived": "It's here!! Thank you, Camila 😍",
        "late": "A late message stands at its own time, and says so",
        "was late": "The doorman is called Zé",
        "waits": "Rows show who waits, and since when",
        "asks": "Anybody there?",
        "closed": "The customer writes after the end? It is not lost …",
        "after": "Wait! I'd rather stay, with the discount",
        "dealt": "… and stays in the list until somebody has dealt with it",
        "search": "Search finds every word: pay finds payment",
        "word": "pay",
    },
    "pt-BR": {
        "title": "Uma caixa de entrada ao vivo para o atendimento no WhatsApp",
        "arrives": "Mensagem nova aparece em até três segundos",
        "arrived": "Chegou!! Obrigada, Camila 😍",
        "late": "A mensagem atrasada entra na hora certa, com aviso",
        "was late": "O porteiro se chama Zé",
        "waits": "A lista mostra quem espera, e há quanto tempo",
        "asks": "Alguém aí?",
        "closed": "O cliente escreveu depois do fim? Não se perde …",
        "after": "Espera! Prefiro ficar, com o desconto",
        "dealt": "… e fica na lista até alguém resolver",
        "search": "A busca acha toda palavra: pag acha pagamento",
        "word": "pag",
    },
}


@dataclass
class Film:
    page: Page
    titles: Page
    words: dict[str, str]
    colours: tuple[str, str]
    frames: list[tuple[Image.Image, float]] = field(default_factory=list)
    caption: Image.Image | None = None

    def say(self, key: str) -> None:
        """Change the words above the picture, from the next frame on."""
        ground, ink = self.colours
        self.titles.set_content(
            f"<body style='margin:0;background:{ground};color:{ink};height:{CAPTION}px;display:grid;"
            f"place-items:center;font:500 19px Roboto,sans-serif'>{self.words[key]}"
        )
        self.caption = shot(self.titles)

    def take(self, seconds: float) -> None:
        self.frames.append((below([self.caption, shot(self.page)]), seconds))


def film(studio: Studio, scheme: str) -> list[tuple[Image.Image, float]]:
    """Play the story once, and return its frames with their seconds."""
    words = WORDS[studio.language]
    page = studio.page(WIDTH, HEIGHT, scheme=scheme)
    titles = page.context.new_page()
    titles.set_viewport_size({"width": WIDTH, "height": CAPTION})
    film = Film(page, titles, words, COLOURS[scheme])
    for scene in (arrival, late_message, waiting, after_closing, search):
        scene(film, studio)
    page.context.close()
    return film.frames


def arrival(film: Film, studio: Studio) -> None:
    film.page.goto(address("pedido"))
    film.say("title")
    film.take(2.5)
    film.say("arrives")
    film.take(1)
    studio.deliver(message("pedido", film.words["arrived"]))
    expect(film.page.locator("#thread")).to_contain_text(film.words["arrived"])
    film.take(2.5)


def late_message(film: Film, studio: Studio) -> None:
    film.say("late")
    film.take(1)
    studio.deliver(message("pedido", film.words["was late"], minutes=30))
    expect(film.page.locator("#thread")).to_contain_text(film.words["was late"])
    film.take(3)


def waiting(film: Film, studio: Studio) -> None:
    film.say("waits")
    film.take(1)
    studio.deliver(message("internet", film.words["asks"]))
    expect(film.page.locator(".row").first).to_contain_text(film.words["asks"])
    film.take(3)


def after_closing(film: Film, studio: Studio) -> None:
    page = film.page
    film.say("closed")
    film.take(1)
    studio.deliver(message("cancelamento", film.words["after"]))
    row = page.locator(f"#row-{id_of('cancelamento')}")
    expect(row.locator(".row-alert")).to_be_visible()
    film.take(2)
    row.locator(".row").click()
    button = page.locator("#deal-with button")
    expect(button).to_be_in_viewport()
    film.take(2)
    film.say("dealt")
    film.take(2)
    button.click()
    expect(button).to_be_hidden()
    expect(row.locator(".row-alert")).to_have_count(0)
    film.take(2)


def search(film: Film, studio: Studio) -> None:
    page, box = film.page, film.page.locator("#search-box")
    film.say("search")
    box.focus()
    for letter in film.words["word"]:
        box.press_sequentially(letter)
        film.take(0.35)
    box.press("Enter")
    expect(page.locator("mark").first).to_be_visible()
    film.take(2.5)
    page.locator("#hits .row").first.click()
    expect(page.locator("[data-highlighted]")).to_be_visible()
    film.take(3)
