"""How the PET came to be in SUV, as the report says it."""

from __future__ import annotations

import pytest

from mmpl.io.suv import Typed, convert, convert_typed
from mmpl.report.suv import suv_rows

HEADER = {
    "Units": "BQML",
    "DecayCorrection": "ADMIN",
    "PatientWeight": "70",
    "PatientSize": "1.75",
    "PatientSex": "M",
    "RadionuclideTotalDose": "350000000",
    "RadionuclideHalfLife": "6586.2",
}


def test_every_value_stands_with_its_source():
    rows = dict(suv_rows({"suv": convert(HEADER).record()}))
    assert rows["Weight"] == "70 kg, from PatientWeight"
    assert rows["Injected activity"] == "350 MBq, from RadionuclideTotalDose"
    assert rows["Decay, injection to image"] == "0 min, from DecayCorrection ADMIN"
    assert rows["Height"] == "175 cm, from PatientSize"
    assert rows["Sex"] == "M, PatientSex"
    # 70,000 g over 350 MBq
    assert rows["Voxels times"] == "0.0002"
    # James: 1.10 * 70 - 128 * (70 / 175) ** 2 = 56.52 kg of 70
    assert rows["SUVlbm (James) per SUVbw"] == "0.8074"


def test_typed_values_are_marked():
    rows = dict(suv_rows({"suv": convert_typed(Typed(weight_kg=70, injected_mbq=350, decay_min=60)).record()}))
    assert rows["Weight"] == "70 kg, from typed"
    assert rows["Half-life"] == "6586.2 s, from fluorine-18, assumed"


@pytest.mark.parametrize("provenance", [{}, {"rule": "x"}, {"suv": {"weight_kg": 70}}])
def test_without_a_conversion_there_are_no_rows(provenance):
    assert suv_rows(provenance) == []
