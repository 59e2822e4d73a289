"""A real PET and an RTSTRUCT in another frame of reference. Opt-in: MMPL_TEST_DATA names the folder with ``pet_dicom``.

The organs were drawn on the CT, which is not there: that they lie in the body, and the bladder where the urine is,
says that contours arrive where they belong.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mmpl.errors import GeometryError
from mmpl.geometry import Volume
from mmpl.io.dicom.rtstruct import rasterise, read_structures
from mmpl.io.images import read_volume
from mmpl.structures import StructuresOnImage, structures_on_image

FOLDER = Path(os.environ.get("MMPL_TEST_DATA", "/nowhere")) / "pet_dicom"
RTSTRUCT, PET = FOLDER / "RTstruct.dcm", FOLDER / "PET"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not RTSTRUCT.exists(), reason="MMPL_TEST_DATA names no folder with pet_dicom/RTstruct.dcm"),
]


@pytest.fixture(scope="module")
def pet() -> Volume:
    return read_volume(PET, what="PET")


@pytest.fixture(scope="module")
def frame() -> str:
    headers = (pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(PET.iterdir()))
    return next(h.FrameOfReferenceUID for h in headers if "ImagePositionPatient" in h)


@pytest.fixture(scope="module")
def on_pet(pet, frame) -> StructuresOnImage:
    return structures_on_image(RTSTRUCT, pet, kind="PET", image_frame_uid=frame, ignore_frame_of_reference=True)


def test_the_frame_of_the_ct_is_refused_on_the_pet(pet, frame):
    with pytest.raises(GeometryError, match="another frame of reference than the image"):
        structures_on_image(RTSTRUCT, pet, kind="PET", image_frame_uid=frame)


def test_organs_lie_in_the_body(on_pet):
    assert len(on_pet.structures) == 10
    assert {s.name: s.inside_body for s in on_pet.structures if s.inside_body < 0.99} == {}
    assert 30_000 < on_pet.body_volume_ml < 90_000
    assert "FRAME_OF_REFERENCE_IGNORED" in {n.code for n in on_pet.notices}


def test_volumes_by_contours_and_by_voxels_agree(on_pet):
    for structure in on_pet.structures:
        assert structure.grid_volume_ml == pytest.approx(structure.contour_volume_ml, rel=0.03), structure.name


def test_the_bladders_volume_is_that_of_its_contours_added_up(on_pet):
    """An independent sum: every contour by itself, signed areas of a triangle fan, planes 2.5 mm apart."""
    data = pydicom.dcmread(RTSTRUCT)
    (number,) = (r.ROINumber for r in data.StructureSetROISequence if r.ROIName == "urinary_bladder")
    (drawn,) = (r for r in data.ROIContourSequence if r.ReferencedROINumber == number)
    total = 0.0
    for contour in drawn.ContourSequence:
        points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)[:, :2]
        fan = np.stack([points[1:-1] - points[0], points[2:] - points[0]], axis=1)
        total += abs(np.linalg.det(fan).sum()) / 2 * 2.5 / 1000
    (bladder,) = (s for s in on_pet.structures if s.name == "urinary_bladder")
    assert bladder.contour_volume_ml == pytest.approx(total, rel=1e-9)


def test_the_bladder_is_where_the_urine_is(pet):
    means = {roi.name: float(pet.array[rasterise(roi, pet.geometry)].mean()) for roi in read_structures(RTSTRUCT).rois}
    assert max(means, key=means.get) == "urinary_bladder"
    assert means["urinary_bladder"] > 5 * means["liver"] > 5 * means["lung_upper_lobe_right"]
