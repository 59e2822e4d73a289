"""Draw the module's icon: a head and neck in profile, hot spots in it, and a curve that falls in steps.

python tools/draw_icon.py MMPL/Resources/Icons/MMPL.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw

SIZE = 128
SCALE = 8  # drawn so many times larger, then averaged
AT_THE_EDGE = 255 / 2**0.5  # grey of pillow's radial gradient in the middle of its edges

TILE_TOP, TILE_BOTTOM = (25, 61, 104), (9, 24, 48)
TISSUE_TOP, TISSUE_BOTTOM = (222, 233, 244), (146, 170, 198)
CURVE = (255, 209, 71)
GLOW = (255, 92, 20)
CORE = (255, 236, 150)

# Head and neck in profile, facing left, in icon units from the top left corner; a smooth curve runs through them.
PROFILE = (
    (34.9, 17), (21.4, 22.4), (13.8, 33.2), (12.4, 43.1), (13.8, 48.5), (11.1, 54.8), (7, 61.6), (8.3, 64.7),
    (12.4, 65.6), (12, 68.8), (10.2, 71.2), (12.4, 73.3), (11.1, 76), (13.3, 79.1), (12.6, 84.5), (16, 89.5),
    (24.1, 90.8), (33.1, 89.5), (37.2, 92.6), (38, 99.8), (34.9, 110.6), (27, 128), (24, 150), (90, 150), (88, 126),
    (79.9, 111.5), (75, 98.9), (75, 86.3), (79.9, 75.5), (84.4, 62.9), (84.4, 46.7), (78.1, 31.4), (65.5, 21.1),
    (50.2, 16.1),
)  # fmt: skip
PRIMARY, PRIMARY_RADIUS = (38, 77), 19
NODE, NODE_RADIUS = (60, 97), 12
STEPS = ((81, 25), (90, 25), (90, 50), (102, 50), (102, 76), (118, 76))
CURVE_WIDTH, CURVE_BORDER = 8.0, 3.5


def draw_icon() -> Image.Image:
    """The icon, SIZE x SIZE pixels, RGBA."""
    side = SIZE * SCALE
    tile = _gradient(side, TILE_TOP, TILE_BOTTOM)
    head = _mask(lambda pen: pen.polygon(_scaled(smooth_outline(PROFILE)), fill=255))
    tile.paste(_gradient(side, TISSUE_TOP, TISSUE_BOTTOM), mask=head)
    for centre, radius in ((NODE, NODE_RADIUS), (PRIMARY, PRIMARY_RADIUS)):
        _add_hot_spot(tile, head, centre, radius)
    _add_curve(tile)
    tile.putalpha(_mask(lambda pen: pen.rounded_rectangle((0, 0, side - 1, side - 1), 24 * SCALE, fill=255)))
    return tile.resize((SIZE, SIZE), Image.Resampling.BOX)


def smooth_outline(points, pieces: int = 12) -> list[tuple[float, float]]:
    """A closed Catmull-Rom curve through points, as a polygon."""
    outline = []
    for i in range(len(points)):
        before, start, end, after = (points[(i + step) % len(points)] for step in (-1, 0, 1, 2))
        outline += [_between(before, start, end, after, t / pieces) for t in range(pieces)]
    return outline


def _between(p0, p1, p2, p3, t: float) -> tuple[float, float]:
    """Position at ``t`` from 0 (``p1``) to 1 (``p2``)."""
    return tuple(
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
    )


def _add_hot_spot(image: Image.Image, inside: Image.Image, centre, radius: float) -> None:
    """Glow that fades towards the radius, with a bright core; only inside the body."""
    glow = ImageChops.multiply(_disc(centre, radius, power=0.75), inside)
    image.paste(GLOW, mask=glow)
    image.paste(CORE, mask=_disc(centre, radius * 0.5, power=1.0))


def _disc(centre, radius: float, power: float) -> Image.Image:
    """Mask that is opaque at the centre and clear at the radius."""
    side = round(2 * radius * SCALE)
    fade = Image.radial_gradient("L").resize((side, side))  # 0 in the middle, 255 in the corners
    fade = fade.point([round(255 * max(0.0, 1 - v / AT_THE_EDGE) ** power) for v in range(256)])
    mask = Image.new("L", (SIZE * SCALE,) * 2)
    mask.paste(fade, tuple(round((c - radius) * SCALE) for c in centre))
    return mask


def _add_curve(image: Image.Image) -> None:
    """The falling curve, with a dark border so that it stands out from the head."""
    for colour, width in ((TILE_BOTTOM, CURVE_WIDTH + 2 * CURVE_BORDER), (CURVE, CURVE_WIDTH)):
        image.paste(colour, mask=_mask(lambda pen, width=width: _draw_steps(pen, width)))


def _draw_steps(pen: ImageDraw.ImageDraw, width: float) -> None:
    points, half = _scaled(STEPS), width * SCALE / 2
    pen.line(points, fill=255, width=round(width * SCALE))
    for x, y in points:
        pen.ellipse((x - half, y - half, x + half, y + half), fill=255)


def _mask(draw) -> Image.Image:
    mask = Image.new("L", (SIZE * SCALE,) * 2)
    draw(ImageDraw.Draw(mask))
    return mask


def _gradient(side: int, top, bottom) -> Image.Image:
    fade = Image.linear_gradient("L").resize((side, side))
    return Image.composite(Image.new("RGB", (side, side), bottom), Image.new("RGB", (side, side), top), fade)


def _scaled(points) -> list[tuple[float, float]]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def main() -> None:
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    draw_icon().save(target, optimize=True)


if __name__ == "__main__":
    main()
