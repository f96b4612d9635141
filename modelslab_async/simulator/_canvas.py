"""
What a picture is painted on: a canvas with a palette and dice of its own.

Everything is drawn twice as large as wanted and then reduced, which is
Pillow's way to smooth edges.
"""

from __future__ import annotations

import math
import random

from collections.abc import Sequence

from PIL import Image, ImageColor, ImageDraw

from ._picture import Picture


RGB = tuple[int, int, int]
Point = tuple[float, float]

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


class Canvas:
    """
    A picture in the making.

    Attributes:
        dice: All chance in it comes from the picture's own digest.

        unit: The shorter side, by which things are measured.
    """

    def __init__(self, picture: Picture) -> None:
        self.dice = random.Random(picture.digest)
        self.width = picture.width * 2
        self.height = picture.height * 2
        self.unit = min(self.width, self.height)
        words = self.dice.choice(_PALETTES).split()
        *self.shades, self.accent = [
            ImageColor.getrgb(word)[:3] for word in words
        ]
        self.image = Image.new("RGB", (self.width, self.height))

    @property
    def pen(self) -> ImageDraw.ImageDraw:
        """
        Draws over what is there; sees through where a colour has alpha.
        """
        return ImageDraw.Draw(self.image, "RGBA")

    def shade(self, light: float) -> RGB:
        """
        A colour of the palette; 0 is its darkest, 1 its lightest.
        """
        at = min(max(light, 0.0), 1.0) * (len(self.shades) - 1)
        low = min(int(at), len(self.shades) - 2)
        return mix(self.shades[low], self.shades[low + 1], at - low)

    def spot(self, x: Point = (0.0, 1.0), y: Point = (0.0, 1.0)) -> Point:
        """
        A place by chance, within these shares of width and height.
        """
        across = self.width * self.dice.uniform(*x)
        return across, self.height * self.dice.uniform(*y)

    def sky(self, *lights: float) -> None:
        """
        Fill with a gradient through these shades, top to bottom.
        """
        column = Image.new("RGB", (1, len(lights)))
        column.putdata([self.shade(light) for light in lights])
        # A little more than needed: the ends of a stretched picture are flat.
        box = (0.0, 0.5, 1.0, len(lights) - 0.5)
        self.image = column.resize(
            self.image.size, Image.Resampling.BILINEAR, box
        )

    def polygon(self, points: Sequence[Point], fill: RGB) -> None:
        """
        Fill an area.
        """
        ImageDraw.Draw(self.image).polygon(points, fill=fill)

    def disc(
        self, centre: Point, radius: float, fill: RGB, alpha: float = 1.0
    ) -> None:
        """
        Fill a circle, seen through if *alpha* is below 1.
        """
        if alpha >= 1:
            draw = ImageDraw.Draw(self.image)
            draw.ellipse(box(centre, radius), fill=fill)
            return
        side = max(2, round(radius * 2))
        mask = Image.new("L", (side, side))
        ImageDraw.Draw(mask).ellipse(
            (0, 0, side - 1, side - 1), fill=round(255 * alpha)
        )
        self._stamp(centre, radius, fill, mask)

    def glow(self, centre: Point, radius: float, fill: RGB) -> None:
        """
        Light that fades outwards.
        """
        side = max(2, round(radius * 2))
        # Pillow's radial gradient is black in the middle.
        fade = Image.radial_gradient("L").point(
            lambda dark: max(0, 255 - 2 * dark) * 3 // 4
        )
        fade = fade.resize((side, side), Image.Resampling.BILINEAR)
        self._stamp(centre, radius, fill, fade)

    def _stamp(
        self, centre: Point, radius: float, fill: RGB, mask: Image.Image
    ) -> None:
        left, top, *_ = box(centre, radius)
        self.image.paste(fill, (round(left), round(top)), mask)

    def sun(self, centre: Point, glow: float, radius: float) -> None:
        """
        A disc in the accent and the light around it.
        """
        self.glow(centre, glow, self.accent)
        self.disc(centre, radius, self.accent)

    def stars(self, count: int, *, low: float) -> None:
        """
        Dots above *low*, a share of the height.
        """
        pen = self.pen
        for _ in range(count):
            centre = self.spot(y=(0, low))
            size = self.unit * self.dice.choice((0.0012, 0.0016, 0.003))
            alpha = self.dice.randint(90, 240)
            pen.ellipse(box(centre, size), fill=(255, 255, 245, alpha))

    def ridge(self, base: float, swing: float, rough: float) -> list[Point]:
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
        points: list[Point] = []
        for x in range(0, self.width + step, step):
            lift = sum(
                size * math.sin(turns * math.tau * x / self.width + phase)
                for turns, phase, size in waves
            )
            points.append((x, self.height * (base - lift)))
        return [*points, (self.width, self.height), (0, self.height)]


def mix(one: RGB, other: RGB, share: float) -> RGB:
    """
    A colour between two.
    """
    red, green, blue = (
        round(a + (b - a) * share) for a, b in zip(one, other, strict=True)
    )
    return red, green, blue


def box(
    centre: Point, across: float, down: float | None = None
) -> tuple[float, float, float, float]:
    """
    What surrounds an ellipse with these radii.
    """
    x, y = centre
    down = across if down is None else down
    return x - across, y - down, x + across, y + down


def around(
    centre: Point, angle: float, radius: float, tilt: float = 1.0
) -> Point:
    """
    A point on a circle, or on one seen from the side.
    """
    return (
        centre[0] + radius * math.cos(angle),
        centre[1] + radius * tilt * math.sin(angle),
    )
