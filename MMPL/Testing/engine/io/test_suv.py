"""SUV by hand, and from headers as scanners and anonymisers write them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest

from mmpl.case import PET_SUV, PET_UNKNOWN
from mmpl.errors import InputError, SuvError
from mmpl.io.suv import (
    F18_HALF_LIFE_S,
    PET_BQML,
    SuvInputs,
    convert,
    missing_fields,
    suv_body_weight,
    suv_scale,
)

ONE_HALF_LIFE_MIN = F18_HALF_LIFE_S / 60
BY_HAND = {"injected_bq": 350e6, "weight_kg": 70.0, "decay_s": F18_HALF_LIFE_S, "half_life_s": F18_HALF_LIFE_S}


def a_header(**changes) -> dict:
    """350 MBq in 70 kg at 9:00, scanned at 10:00; None takes a value out."""
    header = {
        "Units": "BQML",
        "DecayCorrection": "START",
        "PatientWeight": "70",
        "RadionuclideTotalDose": "350000000",
        "RadionuclideHalfLife": "6586.2",
        "RadiopharmaceuticalStartTime": "090000.000000",
        "SeriesDate": "20200102",
        "SeriesTime": "100000.00",
        "AcquisitionDate": "20200102",
        "AcquisitionTime": "100000.00",
    }
    return {k: v for k, v in {**header, **changes}.items() if v is not None}


def inputs_from_header(header: dict) -> tuple[dict, list[str]]:
    """What the header gives, and what is said of it."""
    found = convert(header)
    return found.from_header, list(found.doubts)


def decay_of(**changes) -> float:
    """Minutes of decay by the header, about which there is nothing to say."""
    found, notes = inputs_from_header(a_header(**changes))
    assert notes == []
    return found["decay_min"]


def note_of(field: str, **changes) -> str:
    """The one sentence about a header that does not give a field."""
    found, notes = inputs_from_header(a_header(**changes))
    assert field not in found
    (note,) = notes
    assert note.endswith(".")
    return note


# --- the formula --------------------------------------------------------------------------------------


def test_one_half_life_after_350_mbq_in_70_kg_5000_bqml_are_suv_2():
    # 175 MBq are left; spread over 70,000 g that is 2500 Bq/g
    assert suv_scale(SuvInputs(70, 350, ONE_HALF_LIFE_MIN)) * 5000 == pytest.approx(2.0, rel=1e-12)
    assert suv_body_weight(np.array([[[5000.0]]]), **BY_HAND) == pytest.approx(2.0, rel=1e-12)


def test_images_corrected_to_the_injection_see_no_decay():
    # 350 MBq over 70,000 g: 5000 Bq/g
    assert suv_scale(SuvInputs(70, 350, 0)) * 5000 == pytest.approx(1.0, rel=1e-12)


def test_another_half_life_is_taken():
    # gallium-68, 67.7 min: after two half-lives a quarter is left
    inputs = SuvInputs(70, 350, 2 * 67.7, half_life_s=67.7 * 60)
    assert suv_scale(inputs) * 5000 == pytest.approx(4.0, rel=1e-12)


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_the_formula_refuses_what_is_missing(name, value):
    with pytest.raises(SuvError, match="give it to compute SUV"):
        suv_body_weight(np.ones((1, 1, 1)), **{**BY_HAND, name: value})


@pytest.mark.parametrize("name", ["injected_bq", "weight_kg", "half_life_s"])
@pytest.mark.parametrize("value", [0, -1.0])
def test_the_formula_refuses_what_is_not_positive(name, value):
    with pytest.raises(SuvError, match="expected a positive number"):
        suv_body_weight(np.ones((1, 1, 1)), **{**BY_HAND, name: value})


# --- what was typed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((None, 350, 60), "the patient's weight is missing: give it in kg"),
        ((70, None, 60), "the injected activity is missing: give it in MBq"),
        ((70, 350, None), "the time from injection to scan is missing: give it in min"),
        ((0, 350, 60), "the patient's weight is 0 kg, expected 1 to 400: check the value and its unit"),
        ((70000, 350, 60), "if it is in g, give 70"),
        ((float("nan"), 350, 60), "the patient's weight is nan kg"),
        (("70", 350, 60), "the patient's weight is '70': give a number in kg"),
        ((True, 350, 60), "the patient's weight is True: give a number in kg"),
        ((70, 350e6, 60), "it looks like Bq; give 350"),
        ((70, 350e3, 60), "it looks like kBq; give 350"),
        ((70, 0.35, 60), "if it is in GBq, give 350"),
        ((70, 5000, 60), "the injected activity is 5000 MBq, expected 1 to 3000: check the value and its unit"),
        (
            (70, 350, 3600),
            "the time from injection to scan is 3600 min, expected 0 to 600: if it is in seconds, give 60",
        ),
        ((70, 350, -5), "the scan comes after the injection"),
        ((70, 350, 60, 109.77e-1), "the half-life is 10.977 s"),
        ((70, 350, 60, 0), "the half-life is 0 s, expected 60 to 1e+06: check the value and its unit"),
        ((70, 350, 60, None), "the half-life is missing"),
    ],
)
def test_an_impossible_value_is_refused_in_one_sentence(values, said):
    with pytest.raises(SuvError) as caught:
        SuvInputs(*values)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, InputError)


@pytest.mark.parametrize("values", [(1, 1, 0), (400, 3000, 600), (np.float32(70), np.int64(350), 60)])
def test_the_limits_themselves_are_taken(values):
    inputs = SuvInputs(*values)
    assert {type(v) for v in asdict(inputs).values()} == {float}


def test_a_dose_that_may_be_in_mci_is_doubted():
    (doubt,) = SuvInputs(70, 10, 60).doubts()
    assert "if it is in mCi, give 370" in doubt
    assert SuvInputs(20, 40, 60).doubts() == ()


def test_a_time_that_may_be_in_hours_is_doubted():
    (doubt,) = SuvInputs(70, 350, 1).doubts()
    assert "if it is in hours, give minutes" in doubt
    assert SuvInputs(70, 350, 0).doubts() == ()


def test_what_is_still_needed_is_named():
    weight, dose, time = missing_fields({})
    assert ("weight" in weight, "activity" in dose, "time" in time) == (True, True, True)
    assert missing_fields({"weight_kg": 70, "injected_mbq": None, "decay_min": 0.0}) == (dose,)
    assert missing_fields(asdict(SuvInputs(70, 350, 60))) == ()


# --- headers: weight, dose, half-life -----------------------------------------------------------------


def test_a_complete_header_gives_everything():
    found, notes = inputs_from_header(a_header())
    assert (found, notes) == (
        {"weight_kg": 70.0, "injected_mbq": 350.0, "half_life_s": 6586.2, "decay_min": 60.0},
        [],
    )
    assert suv_scale(SuvInputs(**found)) == pytest.approx(70e3 / (350e6 * 0.5 ** (60 / 109.77)))


@pytest.mark.parametrize("value", [None, "", "0", "0.0", "unknown", "-70", "nan"])
def test_a_missing_weight_is_not_guessed(value):
    assert "PatientWeight" in note_of("weight_kg", PatientWeight=value)


def test_a_weight_in_grams_is_taken_as_such_and_said():
    found, (note,) = inputs_from_header(a_header(PatientWeight="70000"))
    assert found["weight_kg"] == 70.0
    assert "70 kg are taken" in note
    assert "expected 1 to 400" in note_of("weight_kg", PatientWeight="700")


@pytest.mark.parametrize("value", [None, "", "0", "n/a"])
def test_a_missing_dose_is_not_guessed(value):
    assert "RadionuclideTotalDose" in note_of("injected_mbq", RadionuclideTotalDose=value)


def test_a_dose_in_mbq_is_taken_as_such_and_said():
    found, (note,) = inputs_from_header(a_header(RadionuclideTotalDose=350))
    assert found["injected_mbq"] == 350.0
    assert "too little for Bq: 350 MBq are taken" in note


@pytest.mark.parametrize("value", [500e3, 5e9])
def test_an_impossible_dose_is_not_taken(value):
    assert f"{value / 1e6:g} MBq, expected 1 to 3000" in note_of("injected_mbq", RadionuclideTotalDose=value)


@pytest.mark.parametrize("value", [None, "0", "109.77e7"])
def test_without_a_half_life_that_of_fluorine_is_taken_and_said(value):
    assert "that of fluorine-18 is taken" in note_of("half_life_s", RadionuclideHalfLife=value)


def test_another_tracers_half_life_is_taken_and_said():
    found, (note,) = inputs_from_header(a_header(RadionuclideHalfLife="4062"))
    assert found["half_life_s"] == 4062
    assert "not fluorine-18's" in note


@pytest.mark.parametrize("value", ["6586.2", "6588", "6584.04", 6600])
def test_every_vendors_figure_for_fluorine_is_taken_without_remark(value):
    found, notes = inputs_from_header(a_header(RadionuclideHalfLife=value))
    assert (found["half_life_s"], notes) == (float(value), [])


# --- headers: the time --------------------------------------------------------------------------------


def test_images_corrected_to_the_injection_need_no_times():
    times = ("RadiopharmaceuticalStartTime", "SeriesTime", "AcquisitionTime", "SeriesDate", "AcquisitionDate")
    assert decay_of(DecayCorrection="ADMIN", **dict.fromkeys(times)) == 0.0


def test_a_series_that_begins_before_its_first_image_gives_the_time():
    assert decay_of(SeriesTime="095800", AcquisitionTime="100000") == 58.0


def test_a_series_written_after_the_scan_does_not_give_the_time():
    found, (note,) = inputs_from_header(a_header(SeriesTime="143000"))
    assert found["decay_min"] == 60.0
    assert "SeriesTime is later than AcquisitionTime" in note


def test_a_fraction_of_a_second_between_series_and_image_is_rounding():
    found, notes = inputs_from_header(a_header(SeriesTime="100000.500000", AcquisitionTime="100000"))
    assert (found["decay_min"], notes) == (pytest.approx(60.0 + 0.5 / 60), [])


def test_more_than_one_injection_is_said():
    """DICOM allows it, as for two tracers; the activity would be any share of the whole."""
    found, (note,) = inputs_from_header(a_header(Injections="2"))
    assert found == inputs_from_header(a_header())[0]
    assert note == "The header names 2 injections, and the first one's activity and time are taken: check them."


def test_a_series_written_on_the_next_day_does_not_give_the_time():
    found, (note,) = inputs_from_header(a_header(SeriesDate="20200103", SeriesTime="080000"))
    assert found["decay_min"] == 60.0
    assert "SeriesTime is later" in note


def test_midnight_between_injection_and_scan():
    scan = {"SeriesTime": "003000", "AcquisitionTime": "003000"}
    assert decay_of(RadiopharmaceuticalStartTime="233000", **scan) == 60.0
    dated = {"RadiopharmaceuticalStartDateTime": "20200101233000", "RadiopharmaceuticalStartTime": None}
    assert decay_of(**dated, **scan) == 60.0


def test_midnight_between_series_and_first_image_without_dates():
    undated = {"SeriesDate": None, "AcquisitionDate": None}
    times = {"SeriesTime": "235900", "AcquisitionTime": "000100", "RadiopharmaceuticalStartTime": "225900"}
    assert decay_of(**times, **undated) == 60.0
    found, (note,) = inputs_from_header(
        a_header(**{**times, "SeriesTime": "000100", "AcquisitionTime": "235900"}, **undated)
    )
    assert found["decay_min"] == 60.0
    assert "SeriesTime is later" in note


def test_the_dated_time_of_injection_goes_first():
    dated = "20200102083000.000000"
    assert decay_of(RadiopharmaceuticalStartDateTime=dated, RadiopharmaceuticalStartTime=None) == 90.0
    found, (note,) = inputs_from_header(a_header(RadiopharmaceuticalStartDateTime=dated))
    assert found["decay_min"] == 90.0
    assert "two times of injection, 08:30:00 and 09:00:00" in note


@pytest.mark.parametrize("dated", ["20200102000000", "20200102000000.000000+0100", "19000101000000", "19000101083000"])
def test_a_date_time_cut_to_its_date_or_a_dummy_does_not_replace_the_time_of_injection(dated):
    found = convert(a_header(RadiopharmaceuticalStartDateTime=dated))
    assert found.from_header["decay_min"] == 60.0
    assert found.record()["sources"]["decay_min"] == "RadiopharmaceuticalStartTime to SeriesTime"
    assert any(f"two times of injection, {dated[8:10]}:" in d and "09:00:00 is taken" in d for d in found.doubts)


def test_a_date_time_at_midnight_stays_where_the_other_time_cannot_be():
    dated = {"RadiopharmaceuticalStartDateTime": "20200102000000", "RadiopharmaceuticalStartTime": "120000"}
    found, (note,) = inputs_from_header(a_header(**dated, SeriesTime="010000", AcquisitionTime="010000"))
    assert found["decay_min"] == 60.0
    assert "00:00:00 is taken" in note


@pytest.mark.parametrize(
    ("text", "minutes"), [("09", 60), ("0915", 45), ("091530", 44.5), ("091530.5", 44.4917), ("09:15:30", 44.5)]
)
def test_times_are_read_as_dicom_writes_them(text, minutes):
    assert decay_of(RadiopharmaceuticalStartTime=text) == pytest.approx(minutes, abs=1e-4)


@pytest.mark.parametrize("text", [None, "", "9", "250000", "096000", "morning", 93000.0])
def test_a_time_that_is_none_is_not_guessed(text):
    assert "no time of injection" in note_of("decay_min", RadiopharmaceuticalStartTime=text)


def test_more_decimals_than_dicom_has_change_nothing():
    times = {"SeriesTime": "100000.0000000", "AcquisitionTime": "100000.0000000"}
    assert decay_of(RadiopharmaceuticalStartTime="090000.0000000", **times) == 60.0


@pytest.mark.parametrize(
    ("field", "changes", "said"),
    [
        ("weight_kg", {"PatientWeight": "70,5"}, "PatientWeight is '70,5', no number: type it."),
        ("weight_kg", {"PatientWeight": "-70"}, "PatientWeight is '-70', no positive number: type it."),
        ("weight_kg", {"PatientWeight": "0"}, "The header gives no weight (PatientWeight): type it."),
        (
            "injected_mbq",
            {"RadionuclideTotalDose": "3.5e8 Bq"},
            "RadionuclideTotalDose is '3.5e8 Bq', no number: type it.",
        ),
        (
            "decay_min",
            {"RadiopharmaceuticalStartTime": "9 am"},
            "RadiopharmaceuticalStartTime cannot be read as a time, so there is no time of injection: type the time to "
            "the scan.",
        ),
        (
            "decay_min",
            {"SeriesTime": "10h", "AcquisitionTime": "20200102100000"},  # a date is not repeated
            "SeriesTime and AcquisitionTime cannot be read as a time, so there is no time of the scan: type the time "
            "from injection.",
        ),
    ],
)
def test_a_value_that_cannot_be_read_is_not_said_to_be_missing(field, changes, said):
    assert note_of(field, **changes) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"SeriesTime": "10h"}, "SeriesTime cannot be read as a time and AcquisitionTime was taken"),
        ({"AcquisitionTime": "10h"}, "AcquisitionTime cannot be read as a time to check its SeriesTime by"),
        ({"RadionuclideHalfLife": "110 min"}, "RadionuclideHalfLife is '110 min', no number: that of"),
    ],
)
def test_nor_where_another_value_stands_in_for_it(changes, said):
    (note,) = convert(a_header(Radiopharmaceutical="FDG", **changes)).doubts
    assert note.startswith(said)


def test_an_injection_in_another_time_zone_is_doubted():
    found, (note,) = inputs_from_header(a_header(RadiopharmaceuticalStartDateTime="20200102090000+0100"))
    assert found["decay_min"] == 60.0
    assert "time zone of RadiopharmaceuticalStartDateTime is +0100" in note
    zone = "+0100"
    assert decay_of(RadiopharmaceuticalStartDateTime=f"20200102090000{zone}", TimezoneOffsetFromUTC=zone) == 60.0


def test_where_an_anonymiser_moved_the_dates_the_time_of_day_counts_and_that_is_said():
    found, (note,) = inputs_from_header(a_header(RadiopharmaceuticalStartDateTime="20190505090000"))
    assert found["decay_min"] == 60.0
    assert "does not fit the scan's" in note
    late = {"RadiopharmaceuticalStartDateTime": "20190505110000", "RadiopharmaceuticalStartTime": "110000"}
    assert "expected 0 to 600" in note_of("decay_min", **late)


def test_an_injection_after_the_scan_gives_no_time():
    assert "expected 0 to 600" in note_of("decay_min", RadiopharmaceuticalStartTime="110000")


def test_one_of_the_scans_times_is_enough_and_doubted():
    for absent, given in (("SeriesTime", "AcquisitionTime"), ("AcquisitionTime", "SeriesTime")):
        found, (note,) = inputs_from_header(a_header(**{absent: None}))
        assert found["decay_min"] == 60.0
        assert absent in note
        assert given in note


def test_without_a_time_of_the_scan_there_is_no_time():
    assert "no time of the scan" in note_of("decay_min", SeriesTime=None, AcquisitionTime=None)


@pytest.mark.parametrize(("value", "said"), [(None, "is missing"), ("OTHER", "is OTHER")])
def test_a_correction_that_nobody_knows_gives_no_time(value, said):
    assert f"DecayCorrection {said}" in note_of("decay_min", DecayCorrection=value)


# --- headers: units and corrections -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "units"),
    [
        ({"Units": "BQML"}, PET_SUV),
        ({"Units": "BQML", "PatientWeight": None}, PET_BQML),
        ({"Units": "GML"}, PET_SUV),
        ({"Units": "GML", "SUVType": "BW"}, PET_SUV),
        ({"Units": "SUVbw"}, PET_SUV),
        ({"Units": "GML", "SUVType": "LBM"}, PET_UNKNOWN),
        ({"Units": "CNTS"}, PET_UNKNOWN),
        ({"Units": "PROPCPS"}, PET_UNKNOWN),
        ({"Units": None}, PET_UNKNOWN),
    ],
)
def test_units_are_those_of_the_header_and_what_is_in_the_way_is_said(changes, units):
    found = convert(a_header(**changes))
    assert found.units == units
    assert (found.factor is None) == bool(found.doubts) == (units != PET_SUV)


def test_counts_are_said_to_be_beyond_conversion():
    _, (note,) = inputs_from_header(a_header(Units="CNTS"))
    assert "cannot be made SUV" in note


@pytest.mark.parametrize("listed", ["DECY\\RADL\\DECY", ["DECY", "RAN"]])
def test_a_lacking_correction_is_doubted(listed):
    _, (note,) = inputs_from_header(a_header(CorrectedImage=listed))
    assert "attenuation" in note
    assert inputs_from_header(a_header(CorrectedImage=["ATTN", "DECY"]))[1] == []


def test_an_empty_header_says_that_the_units_are_unknown_and_then_names_everything():
    found = convert({})
    assert (found.units, found.values) == (PET_UNKNOWN, {})
    assert "Units" in found.doubts[0]
    found = convert({"Units": "BQML"})
    for word in ("PatientWeight", "RadionuclideTotalDose", "RadionuclideHalfLife", "DecayCorrection"):
        assert any(word in note for note in found.doubts)
    assert len(found.missing) == 3


# --- weight of the import -----------------------------------------------------------------------------


def test_importing_it_loads_nothing_heavy():
    heavy = {"torch", "pydicom", "scipy", "jsonschema", "numba"}
    code = f"import sys, mmpl.io.suv; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
