"""
What the simulator paints: skies, hills, seas, streets and patterns.
"""

from __future__ import annotations

import math

from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter

from ._canvas import Canvas, Point, around, box, mix


def _hills(canvas: Canvas) -> None:
    dice = canvas.dice
    night = dice.random() < 0.4
    if night:
        canvas.sky(0.0, 0.12, 0.3, 0.6)
        canvas.stars(140, low=0.6)
    else:
        canvas.sky(0.45, 0.7, 0.9, 1.0)
    centre = canvas.spot((0.2, 0.8), (0.2, 0.42))
    canvas.sun(
        centre, canvas.unit * 0.42, canvas.unit * dice.uniform(0.06, 0.11)
    )

    rough = dice.choice((0.35, 0.5, 0.58))
    count = dice.randint(4, 6)
    for layer in range(count):
        near = layer / (count - 1)
        light = (0.5 if night else 0.72) * (1 - near) ** 1.3
        canvas.polygon(
            canvas.ridge(0.5 + 0.36 * near, 0.05 + 0.03 * near, rough),
            canvas.shade(light),
        )


def _sea(canvas: Canvas) -> None:
    dice, unit, wide, high = (
        canvas.dice,
        canvas.unit,
        canvas.width,
        canvas.height,
    )
    canvas.sky(0.12, 0.35, 0.62, 0.85, 0.4, 0.1)
    horizon = high * 0.62
    x = wide * dice.uniform(0.3, 0.7)
    radius = unit * dice.uniform(0.09, 0.14)
    canvas.sun(
        (x, horizon - radius * dice.uniform(0.1, 1.1)), unit * 0.6, radius
    )
    canvas.polygon(
        [(0, horizon), (wide, horizon), (wide, high), (0, high)],
        canvas.shade(0.22),
    )

    pen = canvas.pen
    glitter = (*mix(canvas.accent, canvas.shade(0.8), 0.3), 150)
    for _ in range(260):
        deep = dice.random() ** 1.6
        y = horizon + deep * (high - horizon)
        # Under the sun the water glitters, elsewhere it only moves.
        left = x + dice.gauss(0, 1) * radius * (0.8 + 2.5 * deep)
        long = unit * dice.uniform(0.01, 0.05) * (0.4 + 2 * deep)
        thick = unit * (0.0016 + 0.005 * deep)
        pen.rounded_rectangle(
            (left - long, y, left + long, y + thick), thick / 2, glitter
        )
    wave = (*canvas.shade(0.5), 70)
    for _ in range(120):
        deep = dice.random()
        y = horizon + deep * (high - horizon)
        left = dice.uniform(0, wide)
        long = unit * dice.uniform(0.02, 0.12) * (0.3 + deep)
        pen.rounded_rectangle(
            (left, y, left + long, y + unit * 0.003), 2, wave
        )
    if dice.random() < 0.8:
        _lighthouse(canvas, horizon, 0.12 if x > wide / 2 else 0.85)


def _lighthouse(canvas: Canvas, horizon: float, at: float) -> None:
    unit, x, dark = canvas.unit, canvas.width * at, canvas.shade(0.0)
    foot, top = horizon + unit * 0.06, horizon - unit * 0.26
    lamp = (x, top - unit * 0.022)
    aside = canvas.width if at < 0.5 else 0.0
    beam = Image.new("L", canvas.image.size)
    ImageDraw.Draw(beam).polygon(
        [lamp, (aside, lamp[1] - unit * 0.2), (aside, lamp[1] - unit * 0.02)],
        fill=70,
    )
    canvas.image.paste(mix(canvas.accent, (255, 255, 255), 0.4), (0, 0), beam)

    def shape(base: float, *points: Point) -> list[Point]:
        return [(x + unit * across, base + unit * up) for across, up in points]

    rock = shape(
        foot, (-0.28, 0.06), (-0.12, -0.04), (0.1, -0.05), (0.3, 0.06)
    )
    tower = shape(top, (-0.02, 0), (0.02, 0))
    walls = [*shape(foot, (-0.034, 0)), *tower, *shape(foot, (0.034, 0))]
    roof = shape(top, (-0.022, -0.038), (0, -0.066), (0.022, -0.038))
    canvas.polygon(rock, dark)
    canvas.polygon(walls, dark)
    draw = ImageDraw.Draw(canvas.image)
    draw.rectangle(shape(top, (-0.028, -0.006), (0.028, 0)), fill=dark)
    canvas.glow(lamp, unit * 0.09, canvas.accent)
    window = shape(top, (-0.013, -0.04), (0.013, 0))
    draw.rectangle(window, fill=canvas.accent)
    draw.polygon(roof, fill=dark)


def _street(canvas: Canvas) -> None:
    dice = canvas.dice
    canvas.sky(0.02, 0.25, 0.5, 0.8)
    canvas.stars(70, low=0.4)
    moon = canvas.spot((0.15, 0.85), (0.16, 0.3))
    canvas.sun(moon, canvas.unit * 0.3, canvas.unit * 0.06)

    draw = ImageDraw.Draw(canvas.image)
    for layer, light in enumerate((0.42, 0.24, 0.04)):
        fill = canvas.shade(light)
        x = -canvas.unit * dice.uniform(0, 0.05)
        while x < canvas.width:
            wide = canvas.unit * dice.uniform(0.06, 0.13)
            top = canvas.height * dice.uniform(0.34, 0.62 + 0.04 * layer)
            top += layer * canvas.height * 0.07
            draw.rectangle((x, top, x + wide, canvas.height), fill=fill)
            if dice.random() < 0.2:
                mast = x + wide / 2
                draw.line(
                    (mast, top - canvas.unit * 0.05, mast, top),
                    fill=fill,
                    width=max(2, canvas.unit // 250),
                )
            if layer:
                _windows(canvas, draw, (x, top, wide), layer)
            x += wide + canvas.unit * dice.choice((0, 0, 0.008, 0.02))


def _windows(
    canvas: Canvas,
    draw: ImageDraw.ImageDraw,
    house: tuple[float, float, float],
    layer: int,
) -> None:
    x, top, wide = house
    dice, cell = canvas.dice, canvas.unit * 0.021
    columns = int((wide - cell) / cell)
    left = x + (wide - columns * cell) / 2
    for row in range(1, int((canvas.height - top) / (cell * 1.3))):
        for column in range(columns):
            if dice.random() > 0.2 + 0.14 * layer:
                continue
            at = left + (column + 0.25) * cell
            y = top + row * cell * 1.3 - cell * 0.6
            lit = mix(canvas.accent, canvas.shade(0.9), dice.random() * 0.6)
            draw.rectangle((at, y, at + cell * 0.5, y + cell * 0.7), fill=lit)


def _orbits(canvas: Canvas) -> None:
    dice, unit = canvas.dice, canvas.unit
    canvas.sky(0.0, 0.1, 0.18)
    canvas.stars(240, low=1.0)
    centre = canvas.spot((0.25, 0.75), (0.28, 0.55))
    canvas.glow(centre, unit * 0.7, canvas.shade(0.5))
    canvas.sun(centre, unit * 0.3, unit * 0.075)

    pen = canvas.pen
    line, shadow = (*canvas.shade(0.8), 110), (*canvas.shade(0.0), 120)
    tilt = dice.uniform(0.35, 0.9)
    radius = unit * 0.13
    for _ in range(dice.randint(5, 7)):
        orbit = box(centre, radius, radius * tilt)
        pen.ellipse(orbit, outline=line, width=max(2, unit // 400))
        angle = dice.uniform(0, math.tau)
        planet = around(centre, angle, radius, tilt)
        size = unit * dice.uniform(0.012, 0.042)
        canvas.disc(planet, size, canvas.shade(dice.uniform(0.35, 1.0)))
        # The side that looks away from the sun.
        turn = math.degrees(angle)
        pen.pieslice(box(planet, size), turn - 90, turn + 90, fill=shadow)
        radius *= dice.uniform(1.22, 1.42)


def _rosette(canvas: Canvas) -> None:
    dice, unit = canvas.dice, canvas.unit
    canvas.sky(0.02, 0.14, 0.3)
    centre = (canvas.width / 2, canvas.height * 0.45)
    canvas.glow(centre, unit * 0.75, canvas.shade(0.45))
    petals = dice.choice((8, 10, 12, 16))
    for ring in range(5):
        pen = canvas.pen
        long = unit * (0.46 - 0.082 * ring)
        broad = dice.uniform(0.16, 0.34)
        light = 0.3 + 0.16 * ring
        fill = (*canvas.shade(light), 135)
        edge = (*canvas.shade(min(1.0, light + 0.25)), 190)
        turn = dice.choice((0.0, math.pi / petals))
        for petal in range(petals):
            angle = math.tau * petal / petals + turn
            outline = _petal(centre, angle, long, broad)
            pen.polygon(outline, fill=fill)
            pen.line(
                [*outline, outline[0]], edge, max(2, unit // 420), "curve"
            )
    canvas.disc(centre, unit * 0.045, canvas.accent)
    for dot in range(petals * 2):
        at = around(centre, math.tau * dot / (petals * 2), unit * 0.066)
        canvas.disc(at, unit * 0.006, canvas.accent)


def _petal(
    centre: Point, angle: float, long: float, broad: float
) -> list[Point]:
    points = []
    for step in range(33):
        along = step / 16 if step <= 16 else 2 - step / 16
        side = 1 if step <= 16 else -1
        out = long * along
        across = side * long * broad * math.sin(math.pi * along**0.8)
        x = centre[0] + out * math.cos(angle) - across * math.sin(angle)
        y = centre[1] + out * math.sin(angle) + across * math.cos(angle)
        points.append((x, y))
    return points


def _currents(canvas: Canvas) -> None:
    dice = canvas.dice
    canvas.sky(0.0, 0.08, 0.16)
    pen = canvas.pen
    ranges = ((0.5, 2.2), (0.5, 2.2), (0, math.tau))
    bend = [tuple(dice.uniform(*each) for each in ranges) for _ in range(3)]
    main = dice.uniform(-0.5, 0.5)
    stride = canvas.unit * 0.014
    for _ in range(420):
        x, y = canvas.spot((-0.1, 1.1), (-0.1, 1.1))
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
            x, y = around((x, y), angle, stride)
            path.append((x, y))
        width = round(canvas.unit * dice.choice((0.003, 0.005, 0.009)))
        pen.line(path, (*colour, 200), width, "curve")


def _tiles(canvas: Canvas) -> None:
    dice = canvas.dice
    canvas.sky(0.95, 0.95)
    draw = ImageDraw.Draw(canvas.image)
    side = canvas.unit / dice.randint(5, 7)
    colours = [canvas.shade(light) for light in (0.0, 0.25, 0.5, 0.75, 1.0)]
    colours.append(canvas.accent)
    for row in range(math.ceil(canvas.height / side)):
        for column in range(math.ceil(canvas.width / side)):
            x, y = column * side, row * side
            back, front, dot = dice.sample(colours, 3)
            draw.rectangle((x, y, x + side, y + side), fill=back)
            corner = dice.randrange(4)
            cx, cy = x + side * (corner % 2), y + side * (corner // 2)
            shape = dice.random()
            if shape < 0.55:
                start = (0, 90, 270, 180)[corner]
                for radius, fill in ((side, front), (side * 0.5, dot)):
                    around_corner = box((cx, cy), radius)
                    draw.pieslice(around_corner, start, start + 90, fill=fill)
            elif shape < 0.8:
                left, top, gap = x + side * 0.14, y + side * 0.14, side * 0.14
                draw.ellipse(
                    (left, top, x + side - gap, y + side - gap), fill=front
                )
            else:
                other = (2 * x + side - cx, 2 * y + side - cy)
                draw.polygon(
                    [(cx, other[1]), (other[0], cy), (cx, cy)], fill=front
                )


def _lanterns(canvas: Canvas) -> None:
    dice, unit = canvas.dice, canvas.unit
    canvas.sky(0.0, 0.15, 0.35)
    for _ in range(46):
        colour = canvas.shade(dice.uniform(0.35, 1.0))
        if dice.random() < 0.3:
            colour = canvas.accent
        centre = canvas.spot()
        radius = unit * dice.uniform(0.02, 0.15)
        canvas.disc(centre, radius, colour, dice.uniform(0.1, 0.42))
    canvas.image = canvas.image.filter(ImageFilter.GaussianBlur(unit / 300))
    for _ in range(16):
        centre = canvas.spot()
        canvas.glow(centre, unit * 0.07, canvas.accent)
        canvas.disc(centre, unit * 0.008, (255, 255, 255), 0.9)


#: Each scene, and the words in a prompt that it fits.
SCENES: tuple[tuple[Callable[[Canvas], None], str], ...] = (
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
