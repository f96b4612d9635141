"""
Here lives the brush: skies, hills, seas, streets and patterns, chosen and
laid out by the hash of what was asked for.

Everything is drawn twice as large as wanted and then reduced, which is
Pillow's way to smooth edges.
"""

from __future__ import annotations

import io
import math
import random

from collections.abc import Callable

from PIL import Image, ImageColor, ImageDraw, ImageFilter, ImageFont

from ._subject import Subject


_RGB = tuple[int, int, int]
_Point = tuple[float, float]

# From dark to light, then an accent.
_PALETTES = (
    "#0b132b #1c2541 #3a506b #5bc0be #e8f6ef #ffd166",
    "#2d1e2f #6a2e5f #c9405d #f78154 #f2d0a4 #fff3b0",
    "#10002b #3c096c #7b2cbf #c77dff #f1dcff #ffb3c6",
    "#1b0a0f #6a040f #b8190b #e85d04 #faa307 #ffe8a3",
    "#081c15 #1b4332 #2d6a4f #52b788 #b7e4c7 #fefae0",
    "#001219 #005f73 #0a9396 #94d2bd #e9d8a6 #ee9b00",
    "#22223b #4a4e69 #9a8c98 #c9ada7 #f2e9e4 #e07a5f",
    "#0d1b2a #1b263b #415a77 #778da9 #e0e1dd #f4a261",
    "#240046 #5a189a #b5179e #f72585 #ff9eaa #ffe5d9",
    "#1a1423 #372549 #774c60 #b75d69 #eacdc2 #f6e7cb",
    "#14213d #264653 #2a9d8f #8ab17d #e9c46a #e76f51",
    "#012a4a #014f86 #2c7da0 #61a5c2 #cfe8f3 #ffb703",
)


class _Canvas:
    """
    A picture in the making, twice as large, with dice of its own.
    """

    def __init__(self, subject: Subject) -> None:
        self.dice = random.Random(subject.digest)
        self.width = subject.width * 2
        self.height = subject.height * 2
        self.unit = min(self.width, self.height)
        words = self.dice.choice(_PALETTES).split()
        shades = [ImageColor.getrgb(word) for word in words]
        self.shades: list[_RGB] = [shade[:3] for shade in shades[:5]]
        self.accent: _RGB = shades[5][:3]
        self.image = Image.new("RGB", (self.width, self.height))

    def shade(self, light: float) -> _RGB:
        """
        A colour of the palette; 0 is its darkest, 1 its lightest.
        """
        at = min(max(light, 0.0), 1.0) * (len(self.shades) - 1)
        low = min(int(at), len(self.shades) - 2)
        return _mix(self.shades[low], self.shades[low + 1], at - low)

    def sky(self, *lights: float) -> None:
        """
        Fill with a gradient through these shades, top to bottom.
        """
        column = Image.new("RGB", (1, len(lights)))
        for row, light in enumerate(lights):
            column.putpixel((0, row), self.shade(light))
        size = (self.width, self.height)
        # A little more than needed: the ends of a stretched picture are flat.
        box = (0.0, 0.5, 1.0, len(lights) - 0.5)
        self.image = column.resize(size, Image.Resampling.BILINEAR, box)

    def polygon(self, points: list[_Point], fill: _RGB) -> None:
        """
        Fill an area.
        """
        ImageDraw.Draw(self.image).polygon(points, fill=fill)

    def disc(
        self, centre: _Point, radius: float, fill: _RGB, alpha: float = 1.0
    ) -> None:
        """
        Fill a circle, seen through if *alpha* is below 1.
        """
        x, y = centre
        if alpha >= 1:
            ImageDraw.Draw(self.image).ellipse(
                (x - radius, y - radius, x + radius, y + radius), fill=fill
            )
            return
        side = max(2, round(radius * 2))
        mask = Image.new("L", (side, side))
        ImageDraw.Draw(mask).ellipse(
            (0, 0, side - 1, side - 1), fill=round(255 * alpha)
        )
        self.image.paste(fill, (round(x - radius), round(y - radius)), mask)

    def glow(self, centre: _Point, radius: float, fill: _RGB) -> None:
        """
        Light that fades outwards.
        """
        side = max(2, round(radius * 2))
        # Pillow's radial gradient is black in the middle.
        fade = Image.radial_gradient("L").point(
            lambda dark: max(0, 255 - 2 * dark) * 3 // 4
        )
        x, y = centre
        self.image.paste(
            fill,
            (round(x - radius), round(y - radius)),
            fade.resize((side, side), Image.Resampling.BILINEAR),
        )

    def stars(self, count: int, *, low: float) -> None:
        """
        Dots above *low*, a share of the height.
        """
        draw = ImageDraw.Draw(self.image, "RGBA")
        for _ in range(count):
            x = self.dice.uniform(0, self.width)
            y = self.dice.uniform(0, self.height * low)
            size = self.unit * self.dice.choice((0.0012, 0.0016, 0.003))
            alpha = self.dice.randint(90, 240)
            draw.ellipse(
                (x - size, y - size, x + size, y + size),
                fill=(255, 255, 245, alpha),
            )

    def ridge(self, base: float, swing: float, rough: float) -> list[_Point]:
        """
        The outline of a hill at *base*, down to the lower edge.
        """
        waves = [
            (
                self.dice.uniform(0.6, 1.4) * 2**octave,
                self.dice.uniform(0, math.tau),
                swing * rough**octave,
            )
            for octave in range(5)
        ]
        step = max(4, self.width // 240)
        points: list[_Point] = []
        for x in range(0, self.width + step, step):
            lift = sum(
                size * math.sin(turns * math.tau * x / self.width + phase)
                for turns, phase, size in waves
            )
            points.append((x, self.height * (base - lift)))
        return [*points, (self.width, self.height), (0, self.height)]


def _mix(one: _RGB, other: _RGB, share: float) -> _RGB:
    red, green, blue = (
        round(a + (b - a) * share) for a, b in zip(one, other, strict=True)
    )
    return red, green, blue


def _hills(canvas: _Canvas) -> None:
    dice = canvas.dice
    night = dice.random() < 0.4
    if night:
        canvas.sky(0.0, 0.12, 0.3, 0.6)
        canvas.stars(140, low=0.6)
    else:
        canvas.sky(0.45, 0.7, 0.9, 1.0)
    centre = (
        canvas.width * dice.uniform(0.2, 0.8),
        canvas.height * dice.uniform(0.2, 0.42),
    )
    canvas.glow(centre, canvas.unit * 0.42, canvas.accent)
    canvas.disc(centre, canvas.unit * dice.uniform(0.06, 0.11), canvas.accent)

    rough = dice.choice((0.35, 0.5, 0.58))
    count = dice.randint(4, 6)
    for layer in range(count):
        near = layer / (count - 1)
        light = (0.5 if night else 0.72) * (1 - near) ** 1.3
        canvas.polygon(
            canvas.ridge(0.5 + 0.36 * near, 0.05 + 0.03 * near, rough),
            canvas.shade(light),
        )


def _sea(canvas: _Canvas) -> None:
    dice = canvas.dice
    canvas.sky(0.12, 0.35, 0.62, 0.85, 0.4, 0.1)
    horizon = canvas.height * 0.62
    x = canvas.width * dice.uniform(0.3, 0.7)
    radius = canvas.unit * dice.uniform(0.09, 0.14)
    centre = (x, horizon - radius * dice.uniform(0.1, 1.1))
    canvas.glow(centre, canvas.unit * 0.6, canvas.accent)
    canvas.disc(centre, radius, canvas.accent)

    sea = canvas.shade(0.22)
    canvas.polygon(
        [
            (0, horizon),
            (canvas.width, horizon),
            (canvas.width, canvas.height),
            (0, canvas.height),
        ],
        sea,
    )
    draw = ImageDraw.Draw(canvas.image, "RGBA")
    for _ in range(260):
        deep = dice.random() ** 1.6
        y = horizon + deep * (canvas.height - horizon)
        away = dice.gauss(0, 1)
        # Under the sun the water glitters, elsewhere it only moves.
        left = x + away * radius * (0.8 + 2.5 * deep)
        long = canvas.unit * dice.uniform(0.01, 0.05) * (0.4 + 2 * deep)
        thick = canvas.unit * (0.0016 + 0.005 * deep)
        colour = (*_mix(canvas.accent, canvas.shade(0.8), 0.3), 150)
        draw.rounded_rectangle(
            (left - long, y, left + long, y + thick),
            radius=thick / 2,
            fill=colour,
        )
    for _ in range(120):
        deep = dice.random()
        y = horizon + deep * (canvas.height - horizon)
        left = dice.uniform(0, canvas.width)
        long = canvas.unit * dice.uniform(0.02, 0.12) * (0.3 + deep)
        draw.rounded_rectangle(
            (left, y, left + long, y + canvas.unit * 0.003),
            radius=2,
            fill=(*canvas.shade(0.5), 70),
        )
    if dice.random() < 0.8:
        _lighthouse(canvas, horizon, 0.12 if x > canvas.width / 2 else 0.85)


def _lighthouse(canvas: _Canvas, horizon: float, at: float) -> None:
    unit, x, dark = canvas.unit, canvas.width * at, canvas.shade(0.0)
    foot, top = horizon + unit * 0.06, horizon - unit * 0.26
    lamp = (x, top - unit * 0.022)
    aside = canvas.width if at < 0.5 else 0.0
    beam = Image.new("L", canvas.image.size)
    ImageDraw.Draw(beam).polygon(
        [lamp, (aside, lamp[1] - unit * 0.2), (aside, lamp[1] - unit * 0.02)],
        fill=70,
    )
    canvas.image.paste(_mix(canvas.accent, (255, 255, 255), 0.4), (0, 0), beam)
    rock = [
        (x - unit * 0.28, foot + unit * 0.06),
        (x - unit * 0.12, foot - unit * 0.04),
        (x + unit * 0.1, foot - unit * 0.05),
        (x + unit * 0.3, foot + unit * 0.06),
    ]
    canvas.polygon(rock, dark)
    canvas.polygon(
        [
            (x - unit * 0.034, foot),
            (x - unit * 0.02, top),
            (x + unit * 0.02, top),
            (x + unit * 0.034, foot),
        ],
        dark,
    )
    draw = ImageDraw.Draw(canvas.image)
    draw.rectangle(
        (x - unit * 0.028, top - unit * 0.006, x + unit * 0.028, top),
        fill=dark,
    )
    canvas.glow(lamp, unit * 0.09, canvas.accent)
    draw.rectangle(
        (x - unit * 0.013, top - unit * 0.04, x + unit * 0.013, top),
        fill=canvas.accent,
    )
    draw.polygon(
        [
            (x - unit * 0.022, top - unit * 0.038),
            (x, top - unit * 0.066),
            (x + unit * 0.022, top - unit * 0.038),
        ],
        fill=dark,
    )


def _street(canvas: _Canvas) -> None:
    dice = canvas.dice
    canvas.sky(0.02, 0.25, 0.5, 0.8)
    canvas.stars(70, low=0.4)
    centre = (
        canvas.width * dice.uniform(0.15, 0.85),
        canvas.height * dice.uniform(0.16, 0.3),
    )
    canvas.glow(centre, canvas.unit * 0.3, canvas.accent)
    canvas.disc(centre, canvas.unit * 0.06, canvas.accent)

    draw = ImageDraw.Draw(canvas.image)
    for layer, light in enumerate((0.42, 0.24, 0.04)):
        x = -canvas.unit * dice.uniform(0, 0.05)
        while x < canvas.width:
            wide = canvas.unit * dice.uniform(0.06, 0.13)
            top = canvas.height * dice.uniform(0.34, 0.62 + 0.04 * layer)
            top += layer * canvas.height * 0.07
            draw.rectangle(
                (x, top, x + wide, canvas.height), fill=canvas.shade(light)
            )
            if dice.random() < 0.2:
                mast = x + wide / 2
                draw.line(
                    (mast, top - canvas.unit * 0.05, mast, top),
                    fill=canvas.shade(light),
                    width=max(2, canvas.unit // 250),
                )
            if layer:
                _windows(canvas, draw, (x, top, wide), layer)
            x += wide + canvas.unit * dice.choice((0, 0, 0.008, 0.02))


def _windows(
    canvas: _Canvas,
    draw: ImageDraw.ImageDraw,
    house: tuple[float, float, float],
    layer: int,
) -> None:
    x, top, wide = house
    dice, cell = canvas.dice, canvas.unit * 0.021
    columns = int((wide - cell) / cell)
    rows = int((canvas.height - top) / (cell * 1.3))
    left = x + (wide - columns * cell) / 2
    for row in range(1, rows):
        for column in range(columns):
            if dice.random() > 0.2 + 0.14 * layer:
                continue
            at = left + (column + 0.25) * cell
            y = top + row * cell * 1.3 - cell * 0.6
            lit = _mix(canvas.accent, canvas.shade(0.9), dice.random() * 0.6)
            draw.rectangle((at, y, at + cell * 0.5, y + cell * 0.7), fill=lit)


def _orbits(canvas: _Canvas) -> None:
    dice = canvas.dice
    canvas.sky(0.0, 0.1, 0.18)
    canvas.stars(240, low=1.0)
    centre = (
        canvas.width * dice.uniform(0.25, 0.75),
        canvas.height * dice.uniform(0.28, 0.55),
    )
    canvas.glow(centre, canvas.unit * 0.7, canvas.shade(0.5))
    canvas.glow(centre, canvas.unit * 0.3, canvas.accent)
    canvas.disc(centre, canvas.unit * 0.075, canvas.accent)

    draw = ImageDraw.Draw(canvas.image, "RGBA")
    tilt = dice.uniform(0.35, 0.9)
    radius = canvas.unit * 0.13
    for _ in range(dice.randint(5, 7)):
        x, y = centre
        draw.ellipse(
            (x - radius, y - radius * tilt, x + radius, y + radius * tilt),
            outline=(*canvas.shade(0.8), 110),
            width=max(2, canvas.unit // 400),
        )
        angle = dice.uniform(0, math.tau)
        planet = (
            x + radius * math.cos(angle),
            y + radius * tilt * math.sin(angle),
        )
        size = canvas.unit * dice.uniform(0.012, 0.042)
        colour = canvas.shade(dice.uniform(0.35, 1.0))
        canvas.disc(planet, size, colour)
        # The side that looks away from the sun.
        turn = math.degrees(angle)
        draw.pieslice(
            (
                planet[0] - size,
                planet[1] - size,
                planet[0] + size,
                planet[1] + size,
            ),
            turn - 90,
            turn + 90,
            fill=(*canvas.shade(0.0), 120),
        )
        radius *= dice.uniform(1.22, 1.42)


def _rosette(canvas: _Canvas) -> None:
    dice = canvas.dice
    canvas.sky(0.02, 0.14, 0.3)
    x, y = canvas.width / 2, canvas.height * 0.45
    canvas.glow((x, y), canvas.unit * 0.75, canvas.shade(0.45))
    petals = dice.choice((8, 10, 12, 16))
    for ring in range(5):
        draw = ImageDraw.Draw(canvas.image, "RGBA")
        long = canvas.unit * (0.46 - 0.082 * ring)
        broad = dice.uniform(0.16, 0.34)
        light = 0.3 + 0.16 * ring
        turn = dice.choice((0.0, math.pi / petals))
        for petal in range(petals):
            angle = math.tau * petal / petals + turn
            outline = _petal((x, y), angle, long, broad)
            draw.polygon(outline, fill=(*canvas.shade(light), 135))
            draw.line(
                [*outline, outline[0]],
                fill=(*canvas.shade(min(1.0, light + 0.25)), 190),
                width=max(2, canvas.unit // 420),
                joint="curve",
            )
    canvas.disc((x, y), canvas.unit * 0.045, canvas.accent)
    for dot in range(petals * 2):
        angle = math.tau * dot / (petals * 2)
        canvas.disc(
            (
                x + canvas.unit * 0.066 * math.cos(angle),
                y + canvas.unit * 0.066 * math.sin(angle),
            ),
            canvas.unit * 0.006,
            canvas.accent,
        )


def _petal(
    centre: _Point, angle: float, long: float, broad: float
) -> list[_Point]:
    points = []
    for step in range(33):
        along = step / 16 if step <= 16 else 2 - step / 16
        side = 1 if step <= 16 else -1
        out = long * along
        across = side * long * broad * math.sin(math.pi * along**0.8)
        points.append(
            (
                centre[0] + out * math.cos(angle) - across * math.sin(angle),
                centre[1] + out * math.sin(angle) + across * math.cos(angle),
            )
        )
    return points


def _currents(canvas: _Canvas) -> None:
    dice = canvas.dice
    canvas.sky(0.0, 0.08, 0.16)
    draw = ImageDraw.Draw(canvas.image, "RGBA")
    bend = [
        (
            dice.uniform(0.5, 2.2),
            dice.uniform(0.5, 2.2),
            dice.uniform(0, math.tau),
        )
        for _ in range(3)
    ]
    main = dice.uniform(-0.5, 0.5)
    stride = canvas.unit * 0.014
    for _ in range(420):
        x = dice.uniform(-0.1, 1.1) * canvas.width
        y = dice.uniform(-0.1, 1.1) * canvas.height
        light = min(1.0, max(0.2, y / canvas.height + dice.gauss(0, 0.18)))
        colour = canvas.shade(light)
        if dice.random() < 0.06:
            colour = canvas.accent
        path = [(x, y)]
        for _ in range(dice.randint(14, 46)):
            angle = main + sum(
                math.sin((a * x + b * y) / canvas.unit * math.pi + phase)
                for a, b, phase in bend
            )
            x += stride * math.cos(angle)
            y += stride * math.sin(angle)
            path.append((x, y))
        draw.line(
            path,
            fill=(*colour, 200),
            width=round(canvas.unit * dice.choice((0.003, 0.005, 0.009))),
            joint="curve",
        )


def _tiles(canvas: _Canvas) -> None:
    dice = canvas.dice
    canvas.sky(0.95, 0.95)
    draw = ImageDraw.Draw(canvas.image)
    count = dice.randint(5, 7)
    side = canvas.unit / count
    colours = [canvas.shade(light) for light in (0.0, 0.25, 0.5, 0.75, 1.0)]
    colours.append(canvas.accent)
    for row in range(math.ceil(canvas.height / side)):
        for column in range(math.ceil(canvas.width / side)):
            x, y = column * side, row * side
            back, front, dot = dice.sample(colours, 3)
            draw.rectangle((x, y, x + side, y + side), fill=back)
            corner = dice.randrange(4)
            cx = x + side * (corner % 2)
            cy = y + side * (corner // 2)
            shape = dice.random()
            start = (0, 90, 270, 180)[corner]
            if shape < 0.55:
                for radius, fill in ((side, front), (side * 0.5, dot)):
                    draw.pieslice(
                        (cx - radius, cy - radius, cx + radius, cy + radius),
                        start,
                        start + 90,
                        fill=fill,
                    )
            elif shape < 0.8:
                inset = side * 0.14
                draw.ellipse(
                    (
                        x + inset,
                        y + inset,
                        x + side - inset,
                        y + side - inset,
                    ),
                    fill=front,
                )
            else:
                opposite = (2 * x + side - cx, 2 * y + side - cy)
                draw.polygon(
                    [(cx, opposite[1]), (opposite[0], cy), (cx, cy)],
                    fill=front,
                )


def _lanterns(canvas: _Canvas) -> None:
    dice = canvas.dice
    canvas.sky(0.0, 0.15, 0.35)
    for _ in range(46):
        light = dice.uniform(0.35, 1.0)
        colour = canvas.shade(light)
        if dice.random() < 0.3:
            colour = canvas.accent
        centre = (
            dice.uniform(0, canvas.width),
            dice.uniform(0, canvas.height),
        )
        radius = canvas.unit * dice.uniform(0.02, 0.15)
        canvas.disc(centre, radius, colour, dice.uniform(0.1, 0.42))
    canvas.image = canvas.image.filter(
        ImageFilter.GaussianBlur(canvas.unit / 300)
    )
    for _ in range(16):
        centre = (
            dice.uniform(0, canvas.width),
            dice.uniform(0, canvas.height),
        )
        canvas.glow(centre, canvas.unit * 0.07, canvas.accent)
        canvas.disc(centre, canvas.unit * 0.008, (255, 255, 255), 0.9)


_SCENES: tuple[tuple[Callable[[_Canvas], None], str], ...] = (
    (_hills, "hill mountain valley forest desert snow landscape field fox"),
    (_sea, "sea ocean lighthouse harbour harbor boat ship beach island lake"),
    (_street, "city street house skyline tokyo market cafe tower neon night"),
    (_orbits, "space planet star galaxy moon astronaut robot rocket universe"),
    (_rosette, "flower garden rose mandala portrait butterfly peacock crown"),
    (
        _currents,
        "wind river water dragon hair fire smoke storm music painting",
    ),
    (_tiles, "pattern mosaic abstract geometric poster logo cube kitchen"),
    (_lanterns, "lantern festival light candle firefly firework bokeh dream"),
)


def paint(subject: Subject) -> bytes:
    """
    Draw it, as PNG or JPEG.
    """
    canvas = _Canvas(subject)
    _scene(subject, canvas.dice)(canvas)
    image = canvas.image.reduce(2)
    _caption(image, subject)
    if subject.hidden is not None:
        image = _hide(image, subject.hidden)

    file = io.BytesIO()
    if subject.extension == "png":
        image.save(file, "PNG", compress_level=6)
    else:
        image.save(file, "JPEG", quality=88)
    return file.getvalue()


def _scene(subject: Subject, dice: random.Random) -> Callable[[_Canvas], None]:
    """
    What the prompt speaks of, else any.
    """
    said = set(subject.prompt.lower().replace(",", " ").split())
    fitting = [
        scene for scene, words in _SCENES if said.intersection(words.split())
    ]
    any_scene = dice.choice(_SCENES)[0]
    return dice.choice(fitting) if fitting else any_scene


def _caption(image: Image.Image, subject: Subject) -> None:
    """
    Write the prompt, the model and the seed on the lower edge.
    """
    side = min(image.size)
    size = max(9.0, min(math.sqrt(image.width * image.height), side * 2) / 24)
    font = ImageFont.load_default(size)
    small = ImageFont.load_default(max(8.0, size * 0.68))
    margin = round(side / 22)
    lines = _wrapped(
        _printable(subject.prompt), image.width - 2 * margin, font
    )
    foot = _printable(f"{subject.model_id} · seed {subject.seed}")
    if subject.index:
        foot += f" · {subject.index + 1}"

    step = size * 1.28
    high = round(step * len(lines) + size * 1.1 + margin * 1.3)
    top = image.height - high
    shade = Image.linear_gradient("L").resize((image.width, high + margin * 2))
    # Dark enough to read on after a short fade.
    shade = shade.point(lambda value: min(190, value * 3))
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
