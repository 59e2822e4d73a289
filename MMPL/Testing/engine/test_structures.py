"""Structures of an RTSTRUCT on an image: figures by hand, on phantom images."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume
from mmpl.structures import body_mask, structures_on_image, table_text

FRAME = "1.2.826.0.1.77"
GRID = Geometry((30, 20, 10), (2, 2, 3), (0, 0, 0))
AIR_OF = {"CT": -1000.0, "PET": 0.0}
TISSUE_OF = {"CT": 40.0, "PET": 500.0}


def phantom_image(kind: str) -> Volume:
    """A body of 20 x 12 x 10 voxels from (5, 4, 0), hollow inside; a table below; noise in air for a PET."""
    array = np.full(GRID.shape, AIR_OF[kind], dtype=np.float32)
    array[:, 4:16, 5:25] = TISSUE_OF[kind]
    array[2:8, 7:9, 10:14] = AIR_OF[kind]
    array[:, 18:19, 8:22] = TISSUE_OF[kind]
    if kind == "PET":
        array += np.random.default_rng(0).uniform(0, 20, array.shape).astype(np.float32)
    return Volume(array, GRID)


def box(low, high, heights):
    """Contours of a rectangular column, in mm."""
    (x0, y0), (x1, y1) = low, high
    return [[x0, y0, z, x1, y0, z, x1, y1, z, x0, y1, z] for z in heights]


STRUCTURES = {
    "inside": box((11, 9), (19, 15), (3, 6)),
    "two parts": box((11, 9), (13, 11), (3, 6)) + box((31, 9), (33, 11), (3, 6)),
    "half out": box((1, 9), (17, 11), (3, 6)),
    "air": box((53, 1), (57, 5), (3, 6)),
    "beyond": box((153, 1), (157, 5), (3, 6)),
    "nothing": [],
    "corner to corner": box((11, 9), (13, 11), (3,)) + box((13, 11), (15, 13), (6,)),
}


@pytest.fixture
def rtstruct(tmp_path):
    return write_rtstruct(tmp_path, STRUCTURES)


def write_rtstruct(tmp_path, structures):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.1"
    data.SeriesInstanceUID, data.Modality = "1.2.826.0.1.2", "RTSTRUCT"
    data.StructureSetROISequence, data.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(structures.items(), start=1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, FRAME
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for coordinates in contours:
            item = Dataset()
            item.ContourGeometricType, item.ContourData = "CLOSED_PLANAR", coordinates
            drawn.ContourSequence.append(item)
        data.StructureSetROISequence.append(roi)
        data.ROIContourSequence.append(drawn)
    data.save_as(tmp_path / "structures.dcm", enforce_file_format=True)
    return tmp_path / "structures.dcm"


@pytest.mark.parametrize("kind", ["CT", "PET"])
def test_figures_by_hand(rtstruct, kind):
    found = structures_on_image(rtstruct, phantom_image(kind), kind=kind, image_frame_uid=FRAME)
    rows = {s.name: (s.contour_volume_ml, s.grid_volume_ml, s.components, s.inside_body) for s in found.structures}
    assert rows == {
        "inside": (pytest.approx(8 * 6 * 6 / 1000), pytest.approx(4 * 3 * 2 * 0.012), 1, 1.0),
        "two parts": (pytest.approx(2 * 4 * 6 / 1000), pytest.approx(2 * 2 * 0.012), 2, 1.0),
        "half out": (pytest.approx(16 * 2 * 6 / 1000), pytest.approx(8 * 2 * 0.012), 1, 0.5),
        "air": (pytest.approx(4 * 4 * 6 / 1000), pytest.approx(4 * 2 * 0.012), 1, 0.0),
        "beyond": (pytest.approx(4 * 4 * 6 / 1000), 0.0, 0, None),
        "nothing": (0.0, 0.0, 0, None),
        "corner to corner": (pytest.approx(2 * 4 * 3 / 1000), pytest.approx(2 * 0.012), 1, 1.0),
    }


def test_a_structure_that_is_not_drawn_on_planes_leaves_the_others_their_figures(tmp_path):
    sagittal = [[20, 9, 3, 20, 15, 3, 20, 15, 6, 20, 9, 6]]
    path = write_rtstruct(tmp_path, {"inside": STRUCTURES["inside"], "note": STRUCTURES["inside"] + sagittal})
    found = structures_on_image(path, phantom_image("CT"), kind="CT", image_frame_uid=FRAME)
    assert [figures.grid_volume_ml for figures in found.structures] == [pytest.approx(4 * 3 * 2 * 0.012), 0.0]
    (notice,) = [notice for notice in found.notices if "no figures" in notice.text]
    assert "'note'" in notice.text
    assert "do not lie in parallel planes" in notice.text


@pytest.mark.parametrize("kind", ["CT", "PET"])
def test_the_body_is_the_largest_part_with_its_holes(kind):
    expected = np.zeros(GRID.shape, dtype=bool)
    expected[:, 4:16, 5:25] = True
    np.testing.assert_array_equal(body_mask(phantom_image(kind), kind), expected)


def test_voxels_that_are_not_finite_are_no_body():
    image = phantom_image("PET")
    image.array[0, 0, :] = np.nan
    assert not body_mask(image, "PET")[0, 0].any()


@pytest.mark.parametrize(("kind", "value"), [("CT", -1000.0), ("PET", 0.0)])
def test_an_image_without_a_body_is_refused(rtstruct, kind, value):
    empty = Volume(np.full(GRID.shape, value, np.float32), GRID)
    with pytest.raises(InputError, match=f"the {kind} shows no body"):
        structures_on_image(rtstruct, empty, kind=kind, image_frame_uid=FRAME)


def test_another_frame_of_reference_is_refused_and_can_be_overruled(rtstruct):
    image = phantom_image("CT")
    with pytest.raises(GeometryError, match="another frame of reference than the image"):
        structures_on_image(rtstruct, image, kind="CT", image_frame_uid="1.2.826.0.1.78")
    found = structures_on_image(
        rtstruct, image, kind="CT", image_frame_uid="1.2.826.0.1.78", ignore_frame_of_reference=True
    )
    assert [n.code for n in found.notices] == ["STRUCTURES_INCOMPLETE", "FRAME_OF_REFERENCE_IGNORED"]
    assert found.structures[0].inside_body == 1.0


def test_the_table_says_the_same(rtstruct):
    found = structures_on_image(rtstruct, phantom_image("CT"), kind="CT", image_frame_uid=FRAME)
    text = table_text(found)
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["structure", "contours,", "mL", "on", "the", "grid,", "mL", "parts", "in", "the", "body"]
    assert lines[1] == ["inside", "0.3", "0.3", "1", "100.0", "%"]
    assert lines[3] == ["half", "out", "0.2", "0.2", "1", "50.0", "%"]
    assert lines[6] == ["nothing", "0.0", "0.0", "0", "-"]
    assert "body: largest connected part above -300 HU, holes filled slice by slice; 0.0 L on this CT" in text
    assert "STRUCTURES_INCOMPLETE: Structure 'nothing' has no contours." in text
    assert "research use only" in text


def test_json_holds_the_figures(rtstruct):
    found = structures_on_image(rtstruct, phantom_image("PET"), kind="PET", image_frame_uid=FRAME)
    written = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert written["structures"][2]["inside_body"] == 0.5
    assert written["body_volume_ml"] == pytest.approx(20 * 12 * 10 * 0.012)
    assert written["notices"][0]["code"] == "STRUCTURES_INCOMPLETE"
    assert FRAME not in json.dumps(written)
