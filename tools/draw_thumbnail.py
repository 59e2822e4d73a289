"""Draw the thumbnail of the sample patient: an axial slice of the synthetic PET/CT, drawn by Slicer's own code.

python tools/draw_thumbnail.py MMPL/Resources/Icons/MMPLPhantom.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from mmpl.phantom import generate_patient
from mmpl_slicer.bootstrap import start_scene
from mmpl_slicer.pictures import slice_picture
from mmpl_slicer.sample_data import SAMPLE_INDEX, SAMPLE_SEED, load_phantom

SIZE = (300, 200)
DRAWN_SIZE = (1000, 720)  # larger, so that the letters at the edges can be cut off
FIELD_OF_VIEW_MM = 264.0
PET_OPACITY = 0.55  # more than in the views: the thumbnail is small
MARGIN = 60  # pixels


def main() -> None:
    scene = start_scene()
    ct, pet = load_phantom(scene)
    view = {"size": DRAWN_SIZE, "field_of_view_mm": FIELD_OF_VIEW_MM, "pet_opacity": PET_OPACITY}
    pixels = slice_picture(scene, ct, pet, "Axial", picture_centre_lps(), **view)
    picture = Image.fromarray(pixels[MARGIN:-MARGIN, MARGIN + 20 : -MARGIN - 20])
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.resize(SIZE, Image.Resampling.LANCZOS).quantize(128).save(target, optimize=True)


def picture_centre_lps() -> np.ndarray:
    """The middle of the body at the height of the lesions, LPS mm."""
    patient = generate_patient(SAMPLE_SEED, SAMPLE_INDEX)
    slices = (patient.label_map.array > 0).sum(axis=(1, 2))
    both = slices * (patient.label_map.array == 1).any(axis=(1, 2))
    k = int((both if both.any() else slices).argmax())
    body = np.argwhere(patient.ct.array[k] > -300)
    j, i = (body.min(axis=0) + body.max(axis=0)) / 2
    return patient.ct.geometry.physical(np.array([i, j, k]))


if __name__ == "__main__":
    main()
