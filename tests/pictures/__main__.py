"""Make the pictures of the README and of docs/agents.md anew: `make pictures`, about two minutes.

The conversations are made up. Their times are those of the run, so each run changes the files.
"""

from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

from tests.pictures.film import film
from tests.pictures.guide import guide
from tests.pictures.images import animate, save
from tests.pictures.studio import chromium, refuse_without_what_is_needed, studio
from tests.servers import ROOT, a_migrated_file

FOLDER = ROOT / "docs" / "pictures"
LANGUAGES = ("en", "pt-BR")
GUIDE, *SCHEMES = ("guide", "light", "dark")


def main() -> None:
    refuse_without_what_is_needed()
    a_migrated_file()  # once, for all processes
    # In parallel, because most of the time is waiting for polls.
    with ProcessPoolExecutor(max_workers=3) as pool:
        for files in pool.map(make, *zip(*product(LANGUAGES, (GUIDE, *SCHEMES)), strict=True)):
            for file in files:
                print(f"{file.stat().st_size // 1024:>5} kB  {file.relative_to(FOLDER.parent)}")


def make(language: str, what: str) -> list[Path]:
    folder = FOLDER / language
    folder.mkdir(parents=True, exist_ok=True)
    with chromium(language) as browser, studio(browser, language) as opened:
        if what == GUIDE:
            return [save(image, folder / f"{name}.png") for name, image in guide(opened)]
        frames = film(opened, what)
    # The still picture is for readers with a system set to less motion.
    still = save(frames[0][0], folder / f"film-{what}.png")
    return [animate(frames, folder / f"film-{what}.gif"), still]


if __name__ == "__main__":
    main()
