"""Small PNG and GIF files: one palette, no dithering, and only the changed pixels."""

from io import BytesIO
from pathlib import Path

from PIL import Image

# Of 256. The common colours stay exact. The others stand for rare ones: emojis are small, and not grey.
COMMON, RARE = 176, 80


def picture(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png)).convert("RGB")


def save(image: Image.Image, file: Path) -> Path:
    in_few_colours(image).save(file, optimize=True)
    return file


def in_few_colours(image: Image.Image) -> Image.Image:
    counted = sorted(image.getcolors(image.width * image.height), reverse=True)
    colours = [colour for _, colour in counted]
    common = [channel for colour in colours[:COMMON] for channel in colour]
    rare = image.quantize(RARE, method=Image.Quantize.MAXCOVERAGE).getpalette()[: 3 * RARE]
    palette = Image.new("P", (1, 1))
    palette.putpalette(common + rare)
    few = image.quantize(palette=palette, dither=Image.Dither.NONE)
    few.putpalette(exact(palette, colours))
    return few


def exact(palette: Image.Image, colours: list[tuple[int, int, int]]) -> list[int]:
    """Give each entry the most frequent of its colours. Pillow chooses entries by a few bits only."""
    each_colour = Image.new("RGB", (len(colours), 1))
    each_colour.putdata(colours)
    chosen = palette.getpalette()
    # In reverse, so that the most frequent colour is written last, and stays.
    entries = each_colour.quantize(palette=palette, dither=Image.Dither.NONE).tobytes()
    for entry, colour in reversed(list(zip(entries, colours, strict=True))):
        chosen[3 * entry : 3 * entry + 3] = colour
    return chosen


def beside(images: list[Image.Image], *, gap: int = 24) -> Image.Image:
    """Return the images in one row, with a white gap."""
    width = sum(image.width for image in images) + gap * (len(images) - 1)
    row = Image.new("RGB", (width, max(image.height for image in images)), "white")
    left = 0
    for image in images:
        row.paste(image, (left, 0))
        left += image.width + gap
    return row


def below(images: list[Image.Image]) -> Image.Image:
    column = Image.new("RGB", (images[0].width, sum(image.height for image in images)))
    top = 0
    for image in images:
        column.paste(image, (0, top))
        top += image.height
    return column


def animate(frames: list[tuple[Image.Image, float]], file: Path) -> Path:
    """Write an endless GIF. Each frame has its seconds; all frames share one palette."""
    together = in_few_colours(below([image for image, _ in frames]))
    width, height = frames[0][0].size
    cut = [together.crop((0, n * height, width, (n + 1) * height)) for n in range(len(frames))]
    cut[0].save(
        file,
        save_all=True,
        append_images=cut[1:],
        duration=[int(seconds * 1000) for _, seconds in frames],
        loop=0,
        optimize=True,
        disposal=1,
    )
    return file
