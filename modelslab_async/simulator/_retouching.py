"""
What is done to the pictures that came with a request, so that a person sees
it: a part repainted, a background taken away, a face put on.
"""

from __future__ import annotations

import io

from collections.abc import Callable, Mapping

from PIL import (
    Image,
    ImageChops,
    ImageDraw,
    ImageEnhance,
    ImageFilter,
    ImageFont,
    ImageOps,
)

from ._canvas import RGB, Canvas, Point, box
from ._endpoints import Deed
from ._inputs import Input
from ._picture import Picture, Retouch


_Paint = Callable[[Picture], Image.Image]
_WHITE: RGB = (255, 255, 255)


class _Bench:
    """
    What the deeds work with.

    Attributes:
        size: Of the result.

        unit: Its shorter side.

        palette: The colours of the prompt.
    """

    def __init__(
        self, picture: Picture, retouch: Retouch, paint: _Paint
    ) -> None:
        self.picture = picture
        self.retouch = retouch
        self.size = (picture.width, picture.height)
        self.unit = min(self.size)
        self.palette = Canvas(picture)
        self._paint = paint

    def painted(self) -> Image.Image:
        """
        What the prompt alone would give.
        """
        return self._paint(self.picture)

    def opened(self, given: Input) -> Image.Image:
        """
        A picture that was given; painted from its name where there are no
        bytes, or none that can be read.
        """
        try:
            if given.data is not None:
                image = Image.open(io.BytesIO(given.data))
                return ImageOps.exif_transpose(image).convert("RGBA")
        except (OSError, ValueError, SyntaxError):
            pass
        stand_in = Picture(
            "", "", "", given.width, given.height, 0, 0, given.digest
        )
        return self._paint(stand_in).convert("RGBA")

    def base(self, *names: str) -> Image.Image:
        """
        The first of these pictures, as large as the result.
        """
        given = self.retouch.first(*names)
        if given is None:
            return self.painted()
        image = self.opened(given)
        ground = Image.new("RGBA", image.size, (235, 235, 235, 255))
        whole = Image.alpha_composite(ground, image).convert("RGB")
        return ImageOps.fit(whole, self.size)

    def mask(self) -> Image.Image:
        """
        White is what is to change; all of it where there is no mask.
        """
        if self.retouch.first("mask_image") is None:
            return Image.new("L", self.size, 255)
        return self.base("mask_image").convert("L")

    def toned(self, image: Image.Image) -> Image.Image:
        """
        The same in the colours of the prompt.
        """
        grey = ImageOps.autocontrast(image.convert("L"), cutoff=1)
        shades = [self.palette.shade(light / 255) for light in range(256)]
        bands = [
            grey.point([shade[band] for shade in shades]) for band in range(3)
        ]
        return Image.merge("RGB", bands)

    def number(self, name: str, default: float) -> float:
        """
        A parameter of the request.
        """
        value = self.retouch.values.get(name)
        return value if isinstance(value, int | float) else default

    def on(self, name: str, *, default: bool = False) -> bool:
        """
        A flag of the request.
        """
        value = self.retouch.values.get(name)
        return default if value is None else value is True


def _outline(bench: _Bench, image: Image.Image, mask: Image.Image) -> None:
    """
    A line where a mask ends.
    """
    thick = max(3, bench.unit // 110 | 1)
    hard = mask.point(lambda value: 255 if value > 127 else 0)
    line = ImageChops.subtract(hard.filter(ImageFilter.MaxFilter(thick)), hard)
    image.paste(bench.palette.accent, (0, 0), line)


def _inset(
    bench: _Bench, image: Image.Image, given: Image.Image, place: int
) -> None:
    """
    A small framed picture at the upper edge, counted from the right.
    """
    side, gap = bench.unit // 5, max(2, bench.unit // 48)
    small = ImageOps.fit(given.convert("RGB"), (side, side))
    small = ImageOps.expand(small, max(1, bench.unit // 160), _WHITE)
    left = image.width - (place + 1) * (small.width + gap)
    image.paste(small, (left, gap))


def _soft_disc(
    size: tuple[int, int], centre: Point, radius: Point
) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse(box(centre, *radius), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(min(radius) / 8))


def _restyle(bench: _Bench) -> Image.Image:
    """
    The picture in the prompt's colours, the more so the stronger.
    """
    base = bench.base("init_image", "init_image_2")
    strength = bench.number("strength", 0.7)
    # One family has two scales, to 1 and to 10.
    strength = min(1.0, strength / 10 if strength > 1 else strength)
    painterly = bench.toned(base.filter(ImageFilter.ModeFilter(7)))
    painterly = Image.blend(painterly, bench.painted(), 0.3 * strength)
    image = Image.blend(base, painterly, strength)
    others = bench.retouch.others("init_image", "init_image_2")
    for place, given in enumerate(others[:3]):
        _inset(bench, image, bench.opened(given), place)
    return image


def _repaint(bench: _Bench) -> Image.Image:
    """
    Painted anew where the mask is white.
    """
    base, mask = bench.base("init_image"), bench.mask()
    soft = mask.filter(ImageFilter.GaussianBlur(bench.unit / 90))
    image = Image.composite(bench.painted(), base, soft)
    _outline(bench, image, mask)
    return image


def _cut_out(bench: _Bench) -> Image.Image:
    """
    Only what stands before its ground, or the mask of it.
    """
    base = bench.base("image")
    mask = _foreground(base)
    if bench.on("inverse_mask"):
        mask = ImageChops.invert(mask)
    if bench.on("only_mask"):
        return mask.convert("RGB")
    # Grey for those who look without alpha.
    grey = ImageOps.grayscale(base).convert("RGB")
    image = Image.composite(base, Image.blend(grey, base, 0.1), mask)
    image.putalpha(mask)
    return image


def _foreground(base: Image.Image) -> Image.Image:
    """
    A guess at what stands before its ground: what differs from the sides.
    """
    small = base.resize((96, 96)).filter(ImageFilter.GaussianBlur(1))
    sides = Image.new("RGB", (2, 96))
    for place, left in enumerate((0, 93)):
        strip = small.crop((left, 0, left + 3, 96))
        sides.paste(strip.resize((1, 96), Image.Resampling.BOX), (place, 0))
    ground = sides.resize(small.size, Image.Resampling.BILINEAR)
    apart = ImageChops.difference(small, ground).convert("L")
    mask = apart.point(lambda value: 255 if value > 38 else 0)
    mask = mask.filter(ImageFilter.MedianFilter(7))
    share = sum(mask.histogram()[255:]) / 96**2
    if not 0.06 < share < 0.8:
        mask = _soft_disc((96, 96), (48, 52), (33, 38))
    mask = mask.resize(base.size, Image.Resampling.BICUBIC)
    return mask.filter(ImageFilter.GaussianBlur(min(base.size) / 160))


def _enlarge(bench: _Bench) -> Image.Image:
    """
    Larger and sharper, with the picture as it came in a corner.
    """
    given = bench.retouch.first("init_image", "image")
    image = bench.base("init_image", "image")
    image = image.filter(ImageFilter.UnsharpMask(2, 120, 2))
    if given is not None and given.width * 2 <= image.width:
        whole = bench.opened(given).convert("RGB")
        frame = max(2, bench.unit // 300)
        whole = ImageOps.expand(whole, frame, _WHITE)
        gap = max(4, bench.unit // 60)
        image.paste(whole, (gap, gap))
        times = image.width / given.width
        font = ImageFont.load_default(max(10.0, given.height / 5))
        ImageDraw.Draw(image).text(
            (gap + frame * 3, gap + frame * 2),
            f"1 : {times:.3g}",
            font=font,
            fill=_WHITE,
            stroke_width=frame,
            stroke_fill=(0, 0, 0),
        )
    return image


def _extend(bench: _Bench) -> Image.Image:
    """
    The picture in the middle, and around it what the prompt says.
    """
    image = bench.painted().filter(ImageFilter.GaussianBlur(1.5))
    given = bench.retouch.first("image", "init_image")
    if given is None:
        return image
    room = (round(bench.size[0] * 0.62), round(bench.size[1] * 0.62))
    inner = ImageOps.contain(bench.opened(given).convert("RGB"), room)
    fade = max(1, min(round(bench.number("overlap_width", 10)), 64))
    mask = Image.new("L", inner.size)
    mask.paste(255, (fade, fade, inner.width - fade, inner.height - fade))
    mask = mask.filter(ImageFilter.GaussianBlur(fade / 2))
    left, top = (bench.size[axis] - inner.size[axis] for axis in (0, 1))
    image.paste(inner, (left // 2, top // 2), mask)
    return image


def _remove(bench: _Bench) -> Image.Image:
    """
    What the mask shows is gone, and what is around it flows in.
    """
    base, mask = bench.base("init_image"), bench.mask()
    wide = mask.filter(ImageFilter.MaxFilter(max(3, bench.unit // 60 | 1)))
    filled = base.copy()
    # What is there now must not shine through.
    for share in (4, 8, 16, 32):
        blurred = filled.filter(ImageFilter.GaussianBlur(bench.unit / share))
        filled.paste(blurred, (0, 0), wide)
    soft = wide.filter(ImageFilter.GaussianBlur(bench.unit / 80))
    image = Image.composite(filled, base, soft)
    _outline(bench, image, mask)
    return image


def _follow(bench: _Bench) -> Image.Image:
    """
    A new picture along the lines of the given one.
    """
    base = bench.base("control_image", "init_image")
    edges = base.convert("L").filter(ImageFilter.GaussianBlur(1))
    edges = ImageOps.autocontrast(edges.filter(ImageFilter.FIND_EDGES))
    lines = edges.point(lambda value: min(255, value * 3))
    lines = ImageOps.crop(lines, 2).resize(bench.size)
    painted = ImageEnhance.Brightness(bench.painted()).enhance(0.7)
    light = Image.new("RGB", bench.size, bench.palette.shade(1.0))
    image = Image.composite(light, painted, lines)
    _inset(bench, image, base, 0)
    return image


def _swap(bench: _Bench, faces: tuple[Point, ...]) -> Image.Image:
    """
    The target's face in these places, shares of width and height.
    """
    image = bench.base("init_image")
    given = bench.retouch.first("target_image")
    if given is not None:
        radius = (bench.unit * 0.15, bench.unit * 0.19)
        size = (round(radius[0] * 2), round(radius[1] * 2))
        face = ImageOps.fit(
            bench.opened(given).convert("RGB"), size, centering=(0.5, 0.35)
        )
        oval = _soft_disc(size, radius, (radius[0] * 0.9, radius[1] * 0.9))
        for x, y in faces:
            left = round(image.width * x - radius[0])
            image.paste(
                face, (left, round(image.height * y - radius[1])), oval
            )
    reference = bench.retouch.first("reference_image")
    if reference is not None:
        _inset(bench, image, bench.opened(reference), 0)
    if bench.on("watermark", default=True):
        ImageDraw.Draw(image).text(
            (image.width / 2, bench.unit / 16),
            "watermark",
            font=ImageFont.load_default(max(9.0, bench.unit / 22)),
            fill=_WHITE,
            anchor="mm",
            stroke_width=1,
            stroke_fill=(90, 90, 90),
        )
    return image


def _swap_face(bench: _Bench) -> Image.Image:
    return _swap(bench, ((0.5, 0.4),))


def _swap_faces(bench: _Bench) -> Image.Image:
    return _swap(bench, ((0.22, 0.42), (0.5, 0.38), (0.78, 0.42)))


def _dress(bench: _Bench) -> Image.Image:
    """
    The garment on the part of the body that it is for.
    """
    image = bench.base("init_image")
    given = bench.retouch.first("cloth_image")
    part = str(bench.retouch.values.get("cloth_type"))
    top, low = {"lower_body": (0.56, 0.94), "dresses": (0.3, 0.94)}.get(
        part, (0.3, 0.64)
    )
    if given is None:
        return image
    high = round(image.height * (low - top))
    size = (round(min(image.width * 0.5, high * 1.1)), high)
    cloth = ImageOps.fit(bench.opened(given).convert("RGB"), size)
    mask = Image.new("L", size)
    wide, high = size
    ImageDraw.Draw(mask).polygon(
        [
            (wide * 0.2, 0),
            (wide * 0.8, 0),
            (wide - 1, high - 1),
            (0, high - 1),
        ],
        fill=255,
    )
    mask = mask.filter(ImageFilter.GaussianBlur(bench.unit / 120))
    place = ((image.width - wide) // 2, round(image.height * top))
    image.paste(cloth, place, mask)
    return image


def _frame(bench: _Bench) -> Image.Image:
    """
    The face in a medallion before what the prompt says.
    """
    image = bench.painted()
    face = bench.base("face_image", "init_image")
    face = Image.blend(face, bench.toned(face), 0.35)
    if bench.retouch.values.get("style") in {"comic", "chibi", "anime"}:
        face = ImageOps.posterize(face, 3)
    centre = (image.width / 2, image.height * 0.42)
    radius = bench.unit * 0.34
    ring = Image.new("L", image.size)
    ImageDraw.Draw(ring).ellipse(box(centre, radius * 1.06), fill=255)
    image.paste(bench.palette.accent, (0, 0), ring)
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).ellipse(box(centre, radius), fill=255)
    image.paste(face, (0, 0), mask)
    return image


_DEEDS: Mapping[Deed, Callable[[_Bench], Image.Image]] = {
    Deed.PAINT: _Bench.painted,
    Deed.RESTYLE: _restyle,
    Deed.REPAINT: _repaint,
    Deed.CUT_OUT: _cut_out,
    Deed.ENLARGE: _enlarge,
    Deed.EXTEND: _extend,
    Deed.REMOVE: _remove,
    Deed.FOLLOW: _follow,
    Deed.SWAP_FACE: _swap_face,
    Deed.SWAP_FACES: _swap_faces,
    Deed.DRESS: _dress,
    Deed.FRAME: _frame,
}


def retouched(
    picture: Picture, retouch: Retouch, paint: _Paint
) -> Image.Image:
    """
    Do it; *paint* draws what a prompt alone would give.
    """
    return _DEEDS[retouch.deed](_Bench(picture, retouch, paint))
