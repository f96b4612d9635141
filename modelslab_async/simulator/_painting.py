"""
How a picture is made: a scene that fits the prompt, laid out by the hash of
what was asked for, with the prompt on its lower edge.
"""

from __future__ import annotations

import io
import math

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from ._canvas import Canvas
from ._endpoints import Deed
from ._picture import Picture
from ._retouching import retouched
from ._scenes import SCENES


def paint(picture: Picture) -> bytes:
    """
    Draw it, as PNG or JPEG.
    """
    if picture.retouch is None:
        image = _scene(picture)
    else:
        image = retouched(picture, picture.retouch, _scene)
    if image.mode == "RGB" and not _is_its_own(picture):
        _caption(image, picture)
    if picture.hidden is not None:
        image = _hide(image.convert("RGB"), picture.hidden)

    file = io.BytesIO()
    if picture.extension == "png":
        image.save(file, "PNG", compress_level=6)
    else:
        image.convert("RGB").save(file, "JPEG", quality=88)
    return file.getvalue()


def _is_its_own(picture: Picture) -> bool:
    """
    Whether words on it would spoil what it is for.
    """
    retouch = picture.retouch
    return retouch is not None and retouch.deed in {Deed.CUT_OUT, Deed.ENLARGE}


def _scene(picture: Picture) -> Image.Image:
    """
    What the prompt speaks of, else any.
    """
    canvas = Canvas(picture)
    said = set(picture.prompt.lower().replace(",", " ").split())
    fitting = [
        scene for scene, words in SCENES if said.intersection(words.split())
    ]
    scene, _ = canvas.dice.choice(SCENES)
    if fitting:
        scene = canvas.dice.choice(fitting)
    scene(canvas)
    return canvas.image.reduce(2)


def _caption(image: Image.Image, picture: Picture) -> None:
    """
    Write the prompt, the model and the seed on the lower edge.
    """
    side = min(image.size)
    size = max(9.0, min(math.sqrt(image.width * image.height), side * 2) / 24)
    font = ImageFont.load_default(size)
    small = ImageFont.load_default(max(8.0, size * 0.68))
    margin = round(side / 22)
    prompt = _printable(picture.prompt)
    lines = _wrapped(prompt, image.width - 2 * margin, font)
    if not prompt and picture.retouch is not None:
        lines = []
    name = picture.model_id
    if picture.retouch is not None:
        name = f"{picture.retouch.label} {name}".strip()
    foot = _printable(f"{name} · seed {picture.seed}")
    if picture.index:
        foot += f" · {picture.index + 1}"

    step = size * 1.28
    high = round(step * len(lines) + size * 1.1 + margin * 1.3)
    top = image.height - high
    shade = Image.linear_gradient("L").resize((image.width, high + margin * 2))
    # Dark enough to read on after a short fade.
    darkest = 190 if picture.retouch is None else 240
    shade = shade.point(lambda value: min(darkest, value * 3))
    image.paste((8, 8, 14), (0, top - margin * 2), shade)

    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text(
            (margin, top + margin * 0.4 + number * step),
            line,
            font=font,
            fill=(255, 255, 255),
        )
    draw.text(
        (margin, image.height - margin * 0.8 - size * 0.8),
        foot,
        font=small,
        fill=(205, 208, 216),
    )


def _printable(text: str) -> str:
    # Half a surrogate pair can come in JSON; no font has it.
    text = text.encode("utf-8", "replace").decode()
    return "".join(
        letter if letter.isprintable() else " " for letter in text
    ).strip()


def _wrapped(
    text: str,
    width: float,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    most: int = 4,
) -> list[str]:
    """
    Break into lines, inside words where a word is too long.
    """
    # What cannot be seen need not be measured.
    words = text[:600].split()
    lines = [""]
    for word in words:
        rest = word
        longer = f"{lines[-1]} {rest}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in rest:
            if lines[-1] and font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter

    if len(lines) <= most and len(text) <= 600:
        return lines
    lines = lines[:most]
    while lines[-1] and font.getlength(lines[-1] + "…") > width:
        lines[-1] = lines[-1][:-1]
    lines[-1] += "…"
    return lines


def _hide(image: Image.Image, how: str) -> Image.Image:
    """
    Make it safe to see, as ``safety_checker_type`` says.
    """
    if how == "blur":
        radius = min(image.size) / 14
        return image.filter(ImageFilter.GaussianBlur(radius))
    if how == "pixelate":
        small = image.resize((12, 12), Image.Resampling.BOX)
        return small.resize(image.size, Image.Resampling.NEAREST)

    blank = Image.new("RGB", image.size)
    if how != "black":
        font = ImageFont.load_default(max(9.0, min(image.size) / 20))
        ImageDraw.Draw(blank).text(
            (image.width / 2, image.height / 2),
            "sensitive content",
            font=font,
            fill=(120, 120, 120),
            anchor="mm",
        )
    return blank
