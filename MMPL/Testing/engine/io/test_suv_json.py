"""A conversion as JSON: what a panel decides reaches the worker number by number, and nothing else passes."""

from __future__ import annotations

import json

import pytest

from mmpl.errors import SuvError
from mmpl.io.suv import Conversion, Frame, Typed, convert, convert_typed
from mmpl.io.suv.moments import moment

HEADER = {
    "Units": "BQML",
    "DecayCorrection": "START",
    "PatientWeight": "76",
    "PatientSize": "1.78",
    "PatientSex": "M",
    "RadionuclideTotalDose": "352000000",
    "RadionuclideHalfLife": "6586.2",
    "RadiopharmaceuticalStartTime": "091230",
    "SeriesTime": "101455",
    "AcquisitionTime": "101455",
}
FRAMES = tuple(Frame(moment("", time), 180.0) for time in ("101455", "101759", "102103"))


@pytest.mark.parametrize(
    "conversion",
    [
        convert(HEADER),
        convert({**HEADER, "DecayCorrection": "NONE"}, FRAMES),
        convert({**HEADER, "PatientWeight": ""}),
        convert({"Units": "CNTS"}),
        convert_typed(Typed(70.0, 350.0, 0.0)),
    ],
    ids=["one factor", "one a slice", "weight missing", "counts", "typed"],
)
def test_a_conversion_comes_back_from_json_as_it_was(conversion):
    back = Conversion.from_dict(json.loads(json.dumps(conversion.to_dict())))
    assert back == conversion
    assert back.record() == conversion.record()


def test_three_slices_have_three_factors_in_json():
    told = convert({**HEADER, "DecayCorrection": "NONE"}, FRAMES).to_dict()
    # the second bed begins 184 s after the first: so much more has decayed, and so much larger is its factor
    assert told["factor"][1] / told["factor"][0] == pytest.approx(2 ** (184.0 / 6586.2))
    assert len(told["factor"]) == 3


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"factor": -1.0}, "factor is -1.0, expected a positive number, a list of them, or null"),
        ({"factor": float("inf")}, "factor is inf"),
        ({"factor": True}, "factor is True"),
        ({"factor": []}, r"factor is \[\]"),
        ({"factor": [1.0, float("nan")]}, "factor is"),
        ({"factor": None}, "factor None with units SUVbw: SUV needs one, the rest none"),
        ({"units": "BQML"}, "units is 'BQML', expected SUVbw, Bq/mL or unknown"),
        ({"units": "unknown"}, "factor .* with units unknown"),
        ({"rule": 5}, "rule is 5, expected a text"),
        ({"values": {"weight_kg": "76"}}, "values is"),
        ({"doubts": "one"}, "doubts is 'one', expected a list of texts"),
        ({"variants": {"SUVlbm": 0.0}}, "variants is"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(changed, said):
    with pytest.raises(SuvError, match=said):
        Conversion.from_dict({**convert(HEADER).to_dict(), **changed})


def test_exactly_its_keys():
    told = convert(HEADER).to_dict()
    with pytest.raises(SuvError, match="give exactly"):
        Conversion.from_dict({**told, "more": 1})
    with pytest.raises(SuvError, match="found list"):
        Conversion.from_dict([told])
