"""Put the demo's pictures together into the README's.

python tools/readme_picture.py demo-output docs/images/demo.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

HEIGHT = 420
ROWS = (("axial", "coronal", "sagittal"), ("surfaces", "rfs"))


def main() -> None:
    source, target = Path(sys.argv[1], "pictures"), Path(sys.argv[2])
    rows = [_row([Image.open(source / f"{name}.png").convert("RGB") for name in names]) for names in ROWS]
    width = max(row.width for row in rows)
    rows = [row.resize((width, round(row.height * width / row.width))) for row in rows]
    sheet = Image.new("RGB", (width, sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target, optimize=True)


def _row(pictures: list[Image.Image]) -> Image.Image:
    scaled = [p.resize((round(p.width * HEIGHT / p.height), HEIGHT)) for p in pictures]
    row = Image.new("RGB", (sum(p.width for p in scaled), HEIGHT), "white")
    left = 0
    for picture in scaled:
        row.paste(picture, (left, 0))
        left += picture.width
    return row


if __name__ == "__main__":
    main()
