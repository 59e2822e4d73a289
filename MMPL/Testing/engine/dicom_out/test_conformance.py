"""dciodvfy of dicom3tools finds no error in any object."""

import shutil
import subprocess

import numpy as np
import pytest

from mmpl.dicom_out.anonymity import Anonymity
from mmpl.dicom_out.export import write_dicom
from mmpl.dicom_out.settings import ExportSettings
from mmpl.geometry import Volume

pytestmark = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")


def errors(path) -> list[str]:
    done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, errors="replace")
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line in ("Segmentation", "RTStructureSet", "Comprehensive3DSR") for line in lines)  # it was recognised
    return [line for line in lines if line.startswith(("Error", "Abort"))]


@pytest.mark.parametrize("anonymise", [None, Anonymity("case 1")], ids=["as it is", "anonymised"])
@pytest.mark.parametrize("kind", ["axial", "oblique", "tilted", "multiframe", "bare_source", "odd_source"])
def test_objects_have_no_error(request, a_source, awkward, results, tmp_path, kind, anonymise):
    source = a_source(kind) if kind in ("axial", "oblique") else request.getfixturevalue(kind)
    paths = write_dicom(tmp_path, source, Volume(awkward(3), source.geometry), results, anonymise=anonymise)
    assert len(paths) == 3
    assert [e for path in paths for e in errors(path)] == []


@pytest.mark.parametrize(
    ("drawn", "corrected"), [({"plan": {}}, False), (None, True)], ids=["by the model", "corrected"]
)
def test_whoever_drew_the_contours(a_source, two_classes, results, tmp_path, drawn, corrected):
    results["segmentation"], source = drawn, a_source()
    settings = ExportSettings(contours_corrected=corrected)
    paths = write_dicom(tmp_path, source, Volume(two_classes, source.geometry), results, settings=settings)
    assert [e for path in paths for e in errors(path)] == []


def test_a_report_alone_has_no_error(a_source, no_lesion, tmp_path):
    source = a_source()
    nothing = Volume(np.zeros(source.geometry.shape, np.uint8), source.geometry)
    (path,) = write_dicom(tmp_path, source, nothing, no_lesion)
    assert errors(path) == []


def test_an_error_would_be_seen(a_source, two_classes, exported, tmp_path):
    ds = exported(a_source(), two_classes)["rtstruct"]
    del ds.StructureSetLabel
    ds.save_as(tmp_path / "broken.dcm")
    assert any("StructureSetLabel" in e for e in errors(tmp_path / "broken.dcm"))
