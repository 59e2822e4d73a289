"""Real PET/CT through the panel's story. Opt-in: MMPL_TEST_DATA names the folder that holds ``sts``.

Sarcomas of the thigh are no head and neck: what is tested is that real grids, units and voxels go through, and that the
panel's numbers are those of ``assess``. No accuracy is claimed.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mmpl.bundle.reader import default_bundle_path, open_bundle
from mmpl.ensemble import load_ensemble
from mmpl.io.case import read_case
from mmpl.pipeline import assess
from mmpl_slicer.volumes import geometry_of_node, load_volume_file, volume_from_node

ROOT = Path(os.environ.get("MMPL_TEST_DATA", "/nowhere"))
CASES = sorted(folder.name for folder in (ROOT / "sts").glob("STS_*"))

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not CASES, reason="MMPL_TEST_DATA names no folder with sts/STS_*"),
]


@pytest.mark.parametrize("name", CASES or ["none"])
def test_a_sarcoma_goes_through_the_panel(make_front, scene, name):
    folder = ROOT / "sts" / name
    ct, pet = (load_volume_file(folder / f"{what}_image.nii.gz") for what in ("CT", "PET"))
    tumour = volume_from_node(load_volume_file(folder / "CT_mask.nii.gz", "tumour by hand"))
    front = make_front()
    presenter = front.presenter
    presenter.choose_bundle("")  # the demo's
    presenter.guess_inputs()
    assert (presenter.ct, presenter.pet) == (ct, pet)
    assert front.state.inputs.usable, front.state.inputs.lines

    presenter.segment()
    front.until(lambda: not presenter.running, 300)
    assert front.state.message == ""
    front.settle()

    middle = tumour.geometry.physical(np.argwhere(tumour.array > 0).mean(axis=0)[::-1])
    front.editor().add_ball("GTVp", middle, 15.0)
    front.settle()
    drawn = presenter.contours.on_grid(geometry_of_node(ct))
    case = read_case(presenter.case_id, folder / "CT_image.nii.gz", folder / "PET_image.nii.gz")
    expected = assess(case, drawn, load_ensemble(open_bundle(default_bundle_path()))).results.as_dict()
    for section in ("GTVp", "GTVn"):
        for figure in ("volume_ml", "suv_max", "mtv_ml"):
            assert presenter.results["lesions"][section][figure] == pytest.approx(expected["lesions"][section][figure])
    if presenter.state.results.deep_note == "":
        assert presenter.results["hpv"]["probability"] == pytest.approx(expected["hpv"]["probability"], abs=1e-9)
