"""From headers to SUV: each rule with a number worked by hand, each doubt with its sentence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mmpl.case import PET_SUV, PET_UNKNOWN
from mmpl.errors import SuvError
from mmpl.geometry import Geometry, Volume
from mmpl.io.suv import PET_BQML, Conversion, Typed, convert, convert_typed, frame_of
from mmpl.io.suv.nuclides import HALF_LIFE_S, nuclide_of

F18_S = 6586.2
BQML_PER_SUV_AT_INJECTION = 350e6 / 70e3  # 350 MBq in 70 kg: 5000


def a_header(**changes) -> dict:
    """350 MBq in a man of 70 kg and 175 cm at 9:00, scanned at 10:00 for three minutes; None takes a value out."""
    header = {
        "Units": "BQML",
        "DecayCorrection": "START",
        "PatientWeight": "70",
        "PatientSize": "1.75",
        "PatientSex": "M",
        "RadionuclideTotalDose": "350000000",
        "RadionuclideHalfLife": "6586.2",
        "RadionuclideCode": "C-111A1",
        "RadiopharmaceuticalStartTime": "090000.000000",
        "SeriesDate": "20200102",
        "SeriesTime": "100000.00",
        "AcquisitionDate": "20200102",
        "AcquisitionTime": "100000.00",
        "ActualFrameDuration": "180000",
    }
    return {k: v for k, v in {**header, **changes}.items() if v is not None}


def converted(frames=(), typed=None, **changes) -> Conversion:
    return convert(a_header(**changes), frames, typed)


def minutes(found: Conversion) -> float:
    """Of decay, by the factor alone."""
    return math.log2(found.factor * BQML_PER_SUV_AT_INJECTION) * F18_S / 60


# --- Bq/mL ---------------------------------------------------------------------------------------------


def test_corrected_to_the_start_of_the_scan():
    # an hour leaves 2^(-3600 / 6586.2) = 0.684633 of 5000 Bq/mL: 3423.16 Bq/mL at SUV 1
    found = converted()
    assert 1 / found.factor == pytest.approx(3423.16, rel=1e-5)
    assert (found.units, found.doubts) == (PET_SUV, ())
    assert found.sources["decay_min"] == "RadiopharmaceuticalStartTime to SeriesTime"


def test_corrected_to_the_injection():
    assert converted(DecayCorrection="ADMIN").factor == pytest.approx(1 / 5000, rel=1e-12)


def test_not_corrected_for_decay():
    # a frame's mean is that of its start times (1 - e^-x) / x, x = 0.0189436: 3423.16 * 0.990588 = 3390.94 Bq/mL;
    # the second bed begins five minutes later and takes two: 3316.78 * 0.993712 = 3295.92
    second = a_header(AcquisitionTime="100500", ActualFrameDuration="120000")
    frames = [frame_of(a_header()), frame_of(a_header()), frame_of(second)]
    found = converted(frames, DecayCorrection="NONE")
    assert found.units == PET_SUV
    np.testing.assert_allclose(1 / np.array(found.factor), [3390.94, 3390.94, 3295.92], rtol=5e-6)
    for factor, waited, lasted in zip(found.factor, (3600, 3600, 3900), (180, 180, 120), strict=True):
        x = math.log(2) * lasted / F18_S
        mean = 5000 * 2 ** (-waited / F18_S) * -math.expm1(-x) / x
        assert factor == pytest.approx(1 / mean, rel=1e-9)
    assert "each slice corrected here to the injection" in found.rule
    assert found.record()["factor"] is None
    assert found.record()["factor_range"] == [min(found.factor), max(found.factor)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"AcquisitionTime": None}, "A slice lacks its acquisition time or frame duration"),
        ({"ActualFrameDuration": None}, "A slice lacks its acquisition time or frame duration"),
        ({"ActualFrameDuration": "180000000"}, "A slice lacks its acquisition time or frame duration"),
        ({"ActualFrameDuration": "180"}, "A slice lacks its acquisition time or frame duration"),
        ({"CorrectedImage": "ATTN\\DECY"}, "says both that decay was corrected (CorrectedImage) and that it was not"),
        ({"RadiopharmaceuticalStartTime": None}, "The header gives no time of injection"),
        ({"AcquisitionTime": "233000"}, "a slice was acquired 871.5 min after the injection, expected 0 to 600"),
    ],
)
def test_what_was_not_corrected_needs_every_slices_time(changes, said):
    header = a_header(DecayCorrection="NONE", **changes)
    found = convert(header, [frame_of(a_header()), frame_of(header)])
    assert (found.units, found.factor) == (PET_UNKNOWN, None)
    assert found.doubts[0].startswith(
        "The PET is not corrected for decay (DecayCorrection NONE) and cannot be made SUV"
    )
    assert said in found.doubts[0]


# --- the start of the scan -----------------------------------------------------------------------------

AVERAGE_S = 89.858  # of a frame of 180 s: T / 2 - lambda T^2 / 24 = 90 - 1.05242e-4 * 32400 / 24
TEN_EARLIER = f"{2 ** ((600 + AVERAGE_S) / F18_S):.9f}"  # what corrects the frame of 10:00 to 9:50


def test_decay_factors_lead_back_to_the_start():
    found = converted(SeriesTime="143000", DecayFactor=TEN_EARLIER)
    assert minutes(found) == pytest.approx(50.0, abs=1e-3)
    (doubt,) = found.doubts
    assert doubt == (
        "SeriesTime is later than AcquisitionTime (the series was written after the scan); "
        "the start was computed from AcquisitionTime and DecayFactor."
    )


def test_frame_reference_times_lead_back_to_the_start():
    found = converted(SeriesTime="143000", FrameReferenceTime=f"{1000 * (600 + AVERAGE_S):.3f}")
    assert minutes(found) == pytest.approx(50.0, abs=1e-3)
    assert "computed from AcquisitionTime and FrameReferenceTime" in found.doubts[0]


def test_ges_scan_time_goes_before_them():
    found = converted(SeriesTime="143000", GEScanDateTime="20200102095500", DecayFactor="1.0374")  # of 9:55
    assert minutes(found) == pytest.approx(55.0, abs=1e-9)
    assert (found.sources["decay_min"], found.doubts) == (
        "RadiopharmaceuticalStartTime to GE's scan time (0009,xx0d)", ()
    )  # fmt: skip
    late = converted(SeriesTime="143000", GEScanDateTime="20200102103000", DecayFactor=TEN_EARLIER)
    assert minutes(late) == pytest.approx(50.0, abs=1e-3)


def test_a_stated_moment_of_correction_goes_before_all():
    found = converted(DecayCorrectionDateTime="20200102093000", DecayFactor=TEN_EARLIER)
    assert minutes(found) == pytest.approx(30.0, abs=1e-9)


def test_decay_factors_that_contradict_the_start_are_said():
    found = converted(DecayFactor=TEN_EARLIER)
    assert minutes(found) == pytest.approx(60.0, abs=1e-9)
    (doubt,) = found.doubts
    assert doubt == (
        "The images' decay factors lead back to 09:50:00, SeriesTime is 10:00:00: check the time from injection."
    )
    assert converted(DecayFactor=f"{2 ** (AVERAGE_S / F18_S):.9f}").doubts == ()


def test_a_series_that_begins_long_before_its_first_image_is_doubted_where_nothing_checks_it():
    found = converted(SeriesTime="093000", AcquisitionTime="104000")
    assert minutes(found) == pytest.approx(30.0, abs=1e-9)
    assert found.doubts == ("SeriesTime is 09:30:00, long before the first image: check the time from injection.",)
    # 2 % of activity decay in 192 s
    assert len(converted(SeriesTime="095600", AcquisitionTime="100000").doubts) == 1
    assert converted(SeriesTime="095700", AcquisitionTime="100000").doubts == ()


@pytest.mark.parametrize("value", ["1e30", "0", "-1", "1.0", "abc", "nan"])
def test_a_decay_factor_that_says_nothing_is_not_used(value):
    found = converted(SeriesTime="143000", DecayFactor=value)
    assert minutes(found) == pytest.approx(60.0, abs=1e-9)
    assert found.doubts[0].endswith("AcquisitionTime was taken: check the time from injection.")


# --- time zones ----------------------------------------------------------------------------------------


def test_an_injection_in_the_scanners_zone_or_another():
    dated = {"RadiopharmaceuticalStartTime": None, "TimezoneOffsetFromUTC": "+0100"}
    for text in ("20200102090000+0100", "20200102080000+0000", "20200102033000-0430"):
        found = converted(RadiopharmaceuticalStartDateTime=text, **dated)
        assert minutes(found) == pytest.approx(60.0, abs=1e-9)
        assert found.doubts == ()


@pytest.mark.parametrize("own", ["", "abc", "+9999", "+1500", "+0160", "+0100\\+0200"])
def test_a_zone_of_the_images_that_is_none_is_not_taken_for_utc(own):
    found = converted(
        RadiopharmaceuticalStartTime=None,
        RadiopharmaceuticalStartDateTime="20200102090000+0100",
        TimezoneOffsetFromUTC=own,
    )
    assert minutes(found) == pytest.approx(60.0, abs=1e-9)
    (doubt,) = found.doubts
    assert "RadiopharmaceuticalStartDateTime is +0100, the images' is not given" in doubt


@pytest.mark.parametrize("keyword", ["DecayCorrectionDateTime", "GEScanDateTime", "AcquisitionDateTime"])
def test_every_time_is_brought_to_the_zone_of_the_images(keyword):
    # the injection at 9:00 here; the scan at 9:00 UTC is 10:00 here
    times = {"SeriesTime": None, "AcquisitionTime": None, "AcquisitionDate": None}
    if keyword == "GEScanDateTime":
        times = {"SeriesTime": "143000", "AcquisitionTime": "100000"}
    times |= {"TimezoneOffsetFromUTC": "+0100", keyword: "20200102090000+0000"}
    found = converted(**times)
    assert minutes(found) == pytest.approx(60.0, abs=1e-9)
    times["TimezoneOffsetFromUTC"] = None
    assert any(f"time zone of {keyword} is +0000" in doubt for doubt in converted(**times).doubts)


def test_a_scan_that_begins_at_the_injection_is_doubted():
    found = converted(RadiopharmaceuticalStartTime="100000")
    assert found.doubts == ("By the header's times the scan began at the injection: check them.",)
    assert converted(DecayCorrection="ADMIN").doubts == ()


# --- nuclides ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "meaning", "tracer", "expected"),
    [
        ("C-111A1", "", "", "F-18"),
        ("77004003", "^18^Fluorine", "", "F-18"),
        ("", "^68^Gallium", "", "Ga-68"),
        ("", "18F", "", "F-18"),
        ("", "F-18", "", "F-18"),
        ("", "Germanium and Gallium 68", "", "Ga-68"),
        ("", "", "FDG -- fluorodeoxyglucose", "F-18"),
        ("", "", "Ga-68 DOTATATE", "Ga-68"),
        ("", "", "Solution", None),
        ("C-999", "F-19", "", None),
        ("", "Technetium 99", "", None),
    ],
)
def test_nuclides_by_code_and_words(code, meaning, tracer, expected):
    assert nuclide_of(code, meaning, tracer) == expected


def test_half_lives_are_the_published_ones():
    # Decay Data Evaluation Project: minutes, hours, days
    published_s = {
        "F-18": 109.77 * 60, "C-11": 20.36 * 60, "N-13": 9.965 * 60, "O-15": 122.2, "Ga-68": 67.71 * 60,
        "Cu-64": 12.70 * 3600, "Zr-89": 78.4 * 3600, "I-124": 4.176 * 86400, "Rb-82": 75.5,
    }  # fmt: skip
    assert pytest.approx(published_s, rel=2e-3) == HALF_LIFE_S


def test_a_half_life_that_is_not_the_nuclides_is_put_right_and_said():
    found = converted(RadionuclideHalfLife="4062.6")
    assert found.values["half_life_s"] == F18_S
    assert found.doubts == ("The header's half-life is 4062.6 s, F-18's is 6586.2 s: the latter is taken.",)
    assert found.sources["half_life_s"] == "half-life of F-18"


# --- counts --------------------------------------------------------------------------------------------


def test_philips_suv_factor():
    found = converted(Units="CNTS", PhilipsSUVScaleFactor="0.000525", PhilipsActivityScaleFactor="1.7")
    assert (found.units, found.factor, found.doubts) == (PET_SUV, 0.000525, ())
    assert "(7053,xx00)" in found.rule


def test_philips_activity_factor():
    found = converted(Units="CNTS", PhilipsSUVScaleFactor="0", PhilipsActivityScaleFactor="1.7")
    assert found.factor == pytest.approx(1.7 / 3423.16, rel=1e-5)
    assert found.values["philips_activity_factor"] == 1.7
    assert found.rule.startswith("counts to Bq/mL by Philips' activity factor (7053,xx09), then to body-weight SUV")


def test_typed_values_take_the_way_that_uses_them():
    both = {"Units": "CNTS", "PhilipsSUVScaleFactor": "0.000525", "PhilipsActivityScaleFactor": "1.7"}
    found = converted(typed=Typed(weight_kg=140), **both)
    assert found.factor == pytest.approx(2 * 1.7 / 3423.16, rel=1e-5)


@pytest.mark.parametrize("value", [None, "0", "0.0", "-1", "abc"])
def test_counts_without_a_factor_cannot_be_suv(value):
    found = converted(Units="CNTS", PhilipsSUVScaleFactor=value, PhilipsActivityScaleFactor=value)
    assert (found.units, found.factor) == (PET_UNKNOWN, None)
    assert "in counts (Units CNTS), which cannot be made SUV: export it in Bq/mL or SUV." in found.doubts[0]


# --- other SUV -----------------------------------------------------------------------------------------


def test_lean_body_mass_to_body_weight():
    # Morgan, 70 kg and 175 cm: 77 - 120 * 0.16 = 57.8 kg
    found = converted(Units="GML", SUVType="LBM")
    assert (found.units, found.factor) == (PET_SUV, pytest.approx(70 / 57.8, rel=1e-12))
    # James 77 - 128 * 0.16 = 56.52; ideal 48 + 1.06 * 23 = 72.38
    assert converted(Units="GML", SUVType="LBMJAMES128").factor == pytest.approx(70 / 56.52, rel=1e-12)
    assert converted(Units="GML", SUVType="IBW").factor == pytest.approx(70 / 72.38, rel=1e-12)


def test_of_another_sex_the_mean_is_taken_and_said():
    # Morgan as a woman: 74.9 - 148 * 0.16 = 51.22; the mean with 57.8 is 54.51
    found = converted(Units="GML", SUVType="LBM", PatientSex="O")
    assert found.factor == pytest.approx(70 / 54.51, rel=1e-12)
    assert found.doubts == ("The patient's sex is given as other: the mean of both formulas is taken.",)


def test_body_surface_needs_no_sex():
    # 71.84 * 175^0.725 * 70^0.425 = 18481 cm2
    found = converted(Units="CM2ML", PatientSex=None)
    assert found.factor == pytest.approx(70_000 / 18481, rel=5e-5)


def test_a_height_in_cm_is_taken_as_such_and_said():
    found = converted(Units="GML", SUVType="LBM", PatientSize="175")
    assert found.factor == pytest.approx(70 / 57.8, rel=1e-12)
    assert found.doubts == ("The header's height (PatientSize) is 175 m: 175 cm are taken.",)


@pytest.mark.parametrize(
    "changes", [{"PatientSize": None}, {"PatientSize": "1750"}, {"PatientSex": None}, {"PatientWeight": "0"}]
)
def test_without_a_body_another_suv_is_of_no_use(changes):
    found = converted(Units="GML", SUVType="LBM", **changes)
    assert (found.units, found.factor, found.missing) == (PET_UNKNOWN, None, ("weight, height and sex",))
    assert "type weight, height and sex, or export it in Bq/mL." in found.doubts[0]
    typed = converted(typed=Typed(weight_kg=70, height_cm=175, sex="M"), Units="GML", SUVType="LBM", **changes)
    assert typed.factor == pytest.approx(70 / 57.8, rel=1e-12)


@pytest.mark.parametrize("kind", ["LBMX", "SUV\\BW", "9"])
def test_an_unknown_kind_of_suv_is_not_taken_for_body_weight(kind):
    found = converted(Units="GML", SUVType=kind)
    assert (found.units, found.factor) == (PET_UNKNOWN, None)
    assert f"in SUV by {kind}, not by body weight" in found.doubts[0]


def test_other_suv_are_offered_where_the_body_is_known():
    assert converted().variants["SUVlbm (Morgan)"] == pytest.approx(57.8 / 70, rel=1e-12)
    assert converted(PatientSex=None).variants == {}


# --- typed ---------------------------------------------------------------------------------------------


def test_typed_values_go_before_the_headers_and_are_marked():
    found = converted(typed=Typed(weight_kg=77, injected_mbq=385, decay_min=F18_S / 60))
    assert found.factor == pytest.approx(77e3 / (385e6 / 2), rel=1e-12)
    assert {k: v for k, v in found.sources.items() if v == "typed"} == dict.fromkeys(
        ("weight_kg", "injected_mbq", "decay_min"), "typed"
    )
    assert found.doubts[0] == "The weight (kg) was typed as 77, the header says 70: the former is used."
    assert len(found.doubts) == 3
    assert found.from_header == {"half_life_s": F18_S}


def test_what_is_typed_alike_needs_no_word():
    assert converted(typed=Typed(weight_kg=70.4, injected_mbq=350)).doubts == ()


def test_typed_alone_is_for_files_that_say_nothing():
    found = convert_typed(Typed(weight_kg=70, injected_mbq=350, decay_min=60))
    assert 1 / found.factor == pytest.approx(3423.16, rel=1e-5)
    assert found.rule == "typed to be in Bq/mL"
    assert (found.units, found.doubts) == (PET_SUV, ())
    lacking = convert_typed(Typed(weight_kg=70))
    assert (lacking.units, lacking.factor) == (PET_BQML, None)
    assert lacking.missing == ("the injected activity (MBq)", "the time from injection to scan (min)")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"weight_kg": 0}, "the patient's weight is 0 kg, expected 1 to 400"),
        ({"injected_mbq": 350e6}, "it looks like Bq; give 350"),
        ({"decay_min": 3600}, "if it is in seconds, give 60"),
        ({"half_life_s": 1}, "the half-life is 1 s"),
        ({"height_cm": 1.75}, "the height is 1.75 cm, expected 40 to 250: give it in cm"),
        ({"sex": "male"}, "the sex is 'male': give M, F or O"),
    ],
)
def test_a_typed_value_that_cannot_be_is_refused(values, said):
    with pytest.raises(SuvError) as caught:
        Typed(**values)
    assert said in str(caught.value)


# --- damaged headers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "0", "-70", "1e30", "nan", "inf", "abc", "70\\80", "7,5", "\xff\x00"])
@pytest.mark.parametrize("keyword", ["PatientWeight", "RadionuclideTotalDose"])
def test_a_damaged_value_is_missing_and_named(keyword, value):
    found = converted(**{keyword: value})
    assert (found.units, found.factor) == (PET_BQML, None)
    assert len(found.missing) == 1
    assert len(found.doubts) == 1


def test_weight_and_dose_that_are_both_out_do_not_make_up_for_each_other():
    found = converted(PatientWeight="0.07", RadionuclideTotalDose="350000")
    assert found.factor is None
    assert len(found.missing) == 2


@pytest.mark.parametrize("units", ["", "\xff", "BQML\\GML", "MLMINML", "1CM"])
def test_units_that_are_none_give_no_suv(units):
    assert converted(Units=units).units == PET_UNKNOWN


# --- application ---------------------------------------------------------------------------------------


def a_pet(slices: int) -> Volume:
    return Volume(np.full((slices, 2, 2), 1000.0, np.float32), Geometry((2, 2, slices), (4, 4, 3), (0, 0, 0)))


def test_factors_are_applied_slice_by_slice():
    suv = Conversion(PET_SUV, (0.001, 0.002, 0.003), "").apply(a_pet(3))
    np.testing.assert_allclose(suv.array[:, 1, 0], [1, 2, 3], rtol=1e-6)
    assert suv.array.dtype == np.float32
    np.testing.assert_allclose(Conversion(PET_SUV, 0.002, "").apply(a_pet(3)).array, 2.0)


def test_factors_of_another_number_of_slices_are_refused():
    with pytest.raises(SuvError, match="3 SUV factors for 4 slices: read the series again"):
        Conversion(PET_SUV, (0.001, 0.002, 0.003), "").apply(a_pet(4))


def test_without_a_factor_nothing_is_applied():
    with pytest.raises(SuvError, match="the PET cannot be made SUV: in counts"):
        Conversion(PET_UNKNOWN, None, "in counts").apply(a_pet(2))


# --- typed values that have no place -------------------------------------------------------------------


def test_typed_values_that_a_pet_in_suv_does_not_use_are_said():
    found = converted(Units="GML", typed=Typed(injected_mbq=300))
    assert (found.units, found.factor) == (PET_SUV, 1.0)
    assert found.doubts == ("The PET is body-weight SUV already: what was typed is not used.",)
    assert converted(Units="GML", typed=Typed(height_cm=175, weight_kg=70)).doubts == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"Units": "GML"},
        {"Units": "GML", "SUVType": "LBM"},
        {"Units": "CM2ML"},
        {"Units": "CNTS", "PhilipsSUVScaleFactor": "0.0005"},
        {"Units": "BQML"},
    ],
)
def test_a_pet_without_attenuation_correction_is_doubted_in_whatever_unit(changes):
    found = converted(CorrectedImage="DECY\\SCAT", **changes)
    assert found.units == PET_SUV
    assert found.doubts[0].startswith("The header does not list a correction for attenuation")
    assert converted(CorrectedImage="DECY\\ATTN", **changes).doubts == ()


def test_a_typed_time_goes_to_the_first_image_where_decay_was_not_corrected():
    # two beds of 180 s, 20 min apart; mean activity about 90 s after each start
    headers = [a_header(DecayCorrection="NONE", AcquisitionTime=t) for t in ("100000", "102000")]
    frames = [frame_of(header) for header in headers]
    by_header = convert(headers[0], frames)
    typed = convert(headers[0], frames, Typed(decay_min=60.0))
    assert typed.factor == pytest.approx(by_header.factor, rel=1e-12)
    later = convert(headers[0], frames, Typed(decay_min=70.0))
    assert later.factor[0] / by_header.factor[0] == pytest.approx(2 ** (600 / F18_S), rel=1e-12)
    assert later.factor[1] / later.factor[0] == pytest.approx(2 ** (1200 / F18_S), rel=1e-12)
    assert later.sources["decay_min"].startswith("typed, to the first image")


def test_what_is_doubtful_about_the_body_stands_with_its_sources():
    found = converted(PatientSize="175", PatientSex="O")
    assert found.doubts == ()
    assert found.sources["height_cm"] == "PatientSize, read as cm"
    assert found.sources["sex"] == "O, PatientSex, mean of both formulas"
    lean = converted(Units="GML", SUVType="LBMJANMA", typed=Typed(weight_kg=80))
    assert any("The weight (kg) was typed as 80, the header says 70" in doubt for doubt in lean.doubts)


def test_a_typed_weight_goes_by_philips_activity_factor_where_there_is_one():
    factors = {"Units": "CNTS", "PhilipsSUVScaleFactor": "0.0005", "PhilipsActivityScaleFactor": "0.5"}
    # a weight of 140 kg for 70 doubles the factor from counts: 0.5 Bq/mL a count
    one, other = (converted(typed=Typed(weight_kg=kg), **factors).factor for kg in (70, 140))
    assert other / one == pytest.approx(2)
    assert converted(typed=Typed(height_cm=180), **factors).factor == 0.0005
    alone = converted(typed=Typed(weight_kg=140), Units="CNTS", PhilipsSUVScaleFactor="0.0005")
    assert alone.factor == 0.0005
    assert "what was typed is not used" in alone.doubts[0]
