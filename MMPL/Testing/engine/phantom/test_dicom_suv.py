"""What is written of SUV, undone by hand from the header with the formulas of the literature.

Nothing of the writer is used to read: pydicom gives stored values and attributes, each test writes its formula out.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import pydicom
import pytest

from mmpl.phantom.dicom import FAULTY_PET_VARIANTS, PET_VARIANTS, Body, PetVariant, Storage, write_pet

# What 16 bits cost: half a step of 1/32767 of the slice's (or the series') maximum, about SUV 20 here.
STEP_SUV = 20.0 / 65534


def _read(paths):
    return [pydicom.dcmread(p) for p in paths]


def _written(tmp_path, suv, variant, storage=None):
    return _read(write_pet(tmp_path, suv, variant, storage))


def _scaled(slices):
    """Stored values by slope, (z, y, x)."""
    return np.stack([float(ds.RescaleSlope) * ds.pixel_array.astype(float) for ds in slices])


def _moment(day, time):
    return datetime.strptime(f"{day}{time}", "%Y%m%d%H%M%S.%f")


def _agent(ds):
    return ds.RadiopharmaceuticalInformationSequence[0]


def _assert_suv(found, suv):
    peak = suv.array.max() / 65534
    np.testing.assert_allclose(found, suv.array, rtol=1e-6, atol=1.01 * peak)


def test_plain_series_by_hand(tmp_path, small_suv):
    slices = _written(tmp_path, small_suv, PET_VARIANTS["plain"])
    ds = slices[0]
    assert (ds.Units, ds.DecayCorrection, ds.SeriesTime, ds.AcquisitionTime) == (
        "BQML",
        "START",
        "101455.000000",
        "101455.000000",
    )
    assert _agent(ds).RadiopharmaceuticalStartTime == "091230.000000"
    # 62 min 25 s of F-18 (109.77 min) leave 67.42 % of 352 MBq: 237.3 MBq in 76 kg, 3122.6 Bq/mL at SUV 1.
    left = 2.0 ** (-(62 + 25 / 60) / 109.77)
    assert left == pytest.approx(0.6743, abs=5e-5)
    bqml_per_suv = 352e6 * left / 76000.0
    assert bqml_per_suv == pytest.approx(3123, abs=1)
    _assert_suv(_scaled(slices) / bqml_per_suv, small_suv)


def test_decay_corrected_to_injection_needs_no_decay(tmp_path, small_suv):
    slices = _written(tmp_path, small_suv, PET_VARIANTS["decay-corrected to the injection"])
    assert slices[0].DecayCorrection == "ADMIN"
    _assert_suv(_scaled(slices) * 76000.0 / 352e6, small_suv)


@pytest.mark.parametrize("name", ["not decay-corrected", "not decay-corrected, five beds", "C-11, not decay-corrected"])
def test_without_decay_correction_each_frame_is_its_average(tmp_path, small_suv, name):
    """Boellaard 2015; the mean of exp(-x) over a frame, integrated numerically here."""
    slices = _written(tmp_path, small_suv, PET_VARIANTS[name])
    found = []
    for ds in slices:
        assert "DecayFactor" not in ds
        assert "DECY" not in ds.CorrectedImage
        start = _moment(ds.AcquisitionDate, ds.AcquisitionTime)
        injected = datetime.strptime(_agent(ds).RadiopharmaceuticalStartDateTime, "%Y%m%d%H%M%S.%f")
        duration_s = float(ds.ActualFrameDuration) / 1000.0
        moments = (start - injected).total_seconds() + duration_s * (np.arange(20000) + 0.5) / 20000
        left = np.mean(0.5 ** (moments / float(_agent(ds).RadionuclideHalfLife)))
        dose = float(_agent(ds).RadionuclideTotalDose)
        found.append(float(ds.RescaleSlope) * ds.pixel_array * 1000 * float(ds.PatientWeight) / (dose * left))
    _assert_suv(np.stack(found), small_suv)


def test_beds_share_the_slices_and_have_their_own_times(tmp_path, small_suv):
    slices = _written(tmp_path, small_suv, PET_VARIANTS["not decay-corrected, five beds"])
    starts = [_moment(ds.AcquisitionDate, ds.AcquisitionTime) for ds in slices]
    first = datetime(2024, 3, 5, 10, 14, 55)
    # 150, 150, 120, 120, 180 s with pauses of 11 s
    offsets = [0, 161, 322, 453, 584]
    assert sorted(set(starts)) == [first + timedelta(seconds=s) for s in offsets]
    assert [starts.count(first + timedelta(seconds=s)) for s in offsets] == [3, 2, 3, 2, 2]
    assert starts == sorted(starts)
    durations = {
        (s - first).total_seconds(): float(ds.ActualFrameDuration) for s, ds in zip(starts, slices, strict=True)
    }
    assert durations == {0: 150000, 161: 150000, 322: 120000, 453: 120000, 584: 180000}


@pytest.mark.parametrize(
    "name",
    [
        "five beds",
        "series time after the scan",
        "first beds not in the series, series time after the scan",
        "Ga-68",
        "midnight between two beds, decay-corrected",
    ],
)
def test_reference_time_is_told_by_every_slice_alone(tmp_path, small_suv, name):
    """QIBA: acquisition time + average count time - Frame Reference Time is what START corrected to."""
    slices = _written(tmp_path, small_suv, PET_VARIANTS[name])
    found = []
    for ds in slices:
        rate = math.log(2.0) / float(_agent(ds).RadionuclideHalfLife)
        duration_s = float(ds.ActualFrameDuration) / 1000.0
        average_s = math.log(rate * duration_s / (1.0 - math.exp(-rate * duration_s))) / rate
        start = _moment(ds.AcquisitionDate, ds.AcquisitionTime)
        reference = start + timedelta(seconds=average_s - float(ds.FrameReferenceTime) / 1000.0)
        # the Decay Factor says the same: from the frame's average to the reference
        assert float(ds.DecayFactor) == pytest.approx(math.exp(rate * float(ds.FrameReferenceTime) / 1000.0), rel=1e-8)
        injected = _moment("20240305", _agent(ds).RadiopharmaceuticalStartTime)
        dose = float(_agent(ds).RadionuclideTotalDose) * math.exp(-rate * (reference - injected).total_seconds())
        found.append(float(ds.RescaleSlope) * ds.pixel_array * 1000 * float(ds.PatientWeight) / dose)
    _assert_suv(np.stack(found), small_suv)


def test_series_time_and_vendors_scan_times(tmp_path, small_suv):
    late = _written(tmp_path / "a", small_suv, PET_VARIANTS["series time after the scan, GE scan time"])[0]
    assert _moment(late.SeriesDate, late.SeriesTime) > _moment(late.AcquisitionDate, late.AcquisitionTime)
    assert late.private_block(0x0009, "GEMS_PETD_01")[0x0D].value == "20240305101455.000000"
    siemens = _written(tmp_path / "b", small_suv, PET_VARIANTS["Siemens decay correction time"])[0]
    assert siemens.private_block(0x0071, "SIEMENS MED PT")[0x22].value == "20240305101455.000000"
    cropped = _written(tmp_path / "c", small_suv, PET_VARIANTS["first beds not in the series"])
    gap = _moment(cropped[0].AcquisitionDate, cropped[0].AcquisitionTime) - _moment(
        cropped[0].SeriesDate, cropped[0].SeriesTime
    )
    assert gap == timedelta(seconds=6 * (120 + 4))


def test_injection_before_midnight(tmp_path, small_suv):
    by_time = _written(tmp_path / "a", small_suv, PET_VARIANTS["injection before midnight, as a time"])[0]
    assert (by_time.SeriesDate, _agent(by_time).RadiopharmaceuticalStartTime) == ("20240306", "232140.000000")
    assert "RadiopharmaceuticalStartDateTime" not in _agent(by_time)
    by_date = _written(tmp_path / "b", small_suv, PET_VARIANTS["injection before midnight, as a date and time"])[0]
    assert _agent(by_date).RadiopharmaceuticalStartDateTime == "20240305232140.000000"
    assert "RadiopharmaceuticalStartTime" not in _agent(by_date)
    beds = _written(tmp_path / "c", small_suv, PET_VARIANTS["midnight between two beds"])
    assert (beds[0].AcquisitionDate, beds[-1].AcquisitionDate, beds[-1].SeriesDate) == (
        "20240305",
        "20240306",
        "20240305",
    )


def test_time_zones(tmp_path, small_suv):
    ds = _written(tmp_path, small_suv, PET_VARIANTS["injection in another time zone"])[0]
    assert ds.TimezoneOffsetFromUTC == "+0100"
    # 09:12:30 at +0100 is 08:12:30 UTC
    assert _agent(ds).RadiopharmaceuticalStartDateTime == "20240305081230.000000+0000"
    assert "TimezoneOffsetFromUTC" not in _written(tmp_path / "none", small_suv, PET_VARIANTS["plain"])[0]


# 76 kg, 174 cm man; 58.5 kg, 163 cm woman; kilograms worked out by hand
MASSES = {
    "SUV by weight": 76.0,
    "SUV, type absent": 76.0,
    "SUV by lean body mass, man": 83.6 - 120 * (76 / 174) ** 2,  # 60.71
    "SUV by lean body mass, woman": 62.595 - 148 * (58.5 / 163) ** 2,  # 43.53
    "SUV by lean body mass (James 128), man": 83.6 - 128 * (76 / 174) ** 2,  # 59.18
    "SUV by lean body mass (James 128), woman": 62.595 - 148 * (58.5 / 163) ** 2,
    "SUV by lean body mass (Janmahasatian), man": 9270 * 76 / (6680 + 216 * 25.10239),  # 58.21
    "SUV by lean body mass (Janmahasatian), woman": 9270 * 58.5 / (8780 + 244 * 22.01814),  # 38.32
    "SUV by ideal body weight, man": 48.0 + 1.06 * 22,  # 71.32
    "SUV by ideal body weight, woman": 45.5 + 0.91 * 11,  # 55.51
}


@pytest.mark.parametrize("name", MASSES)
def test_normalised_to_another_mass(tmp_path, small_suv, name):
    slices = _written(tmp_path, small_suv, PET_VARIANTS[name])
    ds = slices[0]
    assert ds.Units == "GML"
    weight, height, sex = (58.5, 1.63, "F") if name.endswith("woman") else (76.0, 1.74, "M")
    assert (float(ds.PatientWeight), float(ds.PatientSize), ds.PatientSex) == (weight, height, sex)
    assert ("SUVType" in ds) == (name != "SUV, type absent")
    np.testing.assert_allclose(_scaled(slices) * weight / MASSES[name], small_suv.array, rtol=1e-5, atol=STEP_SUV)


def test_normalised_to_body_surface(tmp_path, small_suv):
    """Du Bois: 76 kg and 174 cm have 1.905 m2."""
    slices = _written(tmp_path, small_suv, PET_VARIANTS["SUV by body surface"])
    assert (slices[0].Units, slices[0].SUVType) == ("CM2ML", "BSA")
    surface_m2 = 0.007184 * math.exp(0.425 * math.log(76.0) + 0.725 * math.log(174.0))
    assert surface_m2 == pytest.approx(1.905, abs=0.001)
    _assert_suv(_scaled(slices) * 76000.0 / (1e4 * surface_m2), small_suv)


@pytest.mark.parametrize(
    "name",
    [
        "Philips counts, SUV factor",
        "Philips counts, both factors",
        "Philips counts, activity factor",
        "Philips counts, activity factor, not decay-corrected",
    ],
)
def test_philips_counts(tmp_path, small_suv, name):
    slices = _written(tmp_path, small_suv, PET_VARIANTS[name])
    block = slices[0].private_block(0x7053, "Philips PET Private Group")
    assert slices[0].Units == "CNTS"
    assert (0x00 in block, 0x09 in block) == ("activity factor" not in name, "SUV factor" not in name)
    if 0x00 in block:
        factor = float(block[0x00].value)
        _assert_suv(_scaled(slices) * factor, small_suv)
    if 0x09 in block:
        bqml_per_suv = 352e6 / 76000.0 * np.array([_left(ds) for ds in slices])[:, None, None]
        _assert_suv(_scaled(slices) * float(block[0x09].value) / bqml_per_suv, small_suv)


def _left(ds):
    """Share of the injected F-18 that the values of a slice stand for, injected at 09:12:30."""
    if ds.DecayCorrection == "START":
        return 0.5 ** (3745.0 / 6586.2)
    waited_s = (_moment(ds.AcquisitionDate, ds.AcquisitionTime) - datetime(2024, 3, 5, 9, 12, 30)).total_seconds()
    half_lives = float(ds.ActualFrameDuration) / 1000.0 / 6586.2
    return 0.5 ** (waited_s / 6586.2) * (1.0 - 0.5**half_lives) / (math.log(2.0) * half_lives)


def test_slopes(tmp_path, small_suv):
    each = _written(tmp_path / "a", small_suv, PET_VARIANTS["plain"])
    assert len({ds.RescaleSlope for ds in each}) == len(each)
    assert all(ds.pixel_array.max() == 32767 and ds.PixelRepresentation == 1 for ds in each)
    one = _written(tmp_path / "b", small_suv, PET_VARIANTS["one slope for the series"])
    assert len({ds.RescaleSlope for ds in one}) == 1
    assert max(ds.pixel_array.max() for ds in one) == 32767
    for slices in (each, one):
        suv = _scaled(slices) * 76000.0 / (352e6 * 2.0 ** (-3745 / 6586.2))
        matters = small_suv.array > 1.0
        error = np.abs(suv - small_suv.array)[matters] / small_suv.array[matters]
        assert error.max() < 3.5e-4  # far below a thousandth where SUV is above 1


def test_a_slice_without_activity(tmp_path, small_suv):
    array = small_suv.array.copy()
    array[4] = 0.0
    ds = _written(tmp_path, small_suv.with_array(array), PET_VARIANTS["plain"])[4]
    assert float(ds.RescaleSlope) == 1.0
    assert not ds.pixel_array.any()


def test_negative_voxels_stay_negative(tmp_path, small_suv):
    array = small_suv.array.copy()
    array[3, 4, 5] = -0.25
    ds = _written(tmp_path, small_suv.with_array(array), PET_VARIANTS["SUV by weight"])[3]
    assert float(ds.RescaleSlope) * ds.pixel_array[4, 5] == pytest.approx(-0.25, abs=STEP_SUV)


def test_nuclides(tmp_path, small_suv):
    ga = _agent(_written(tmp_path / "a", small_suv, PET_VARIANTS["Ga-68, half-life missing"])[0])
    assert "RadionuclideHalfLife" not in ga
    assert ga.RadionuclideCodeSequence[0].CodeValue == "35337001"
    old = _agent(_written(tmp_path / "b", small_suv, PET_VARIANTS["half-life missing, older code"])[0])
    code = old.RadionuclideCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("C-111A1", "SRT")
    bare = _agent(_written(tmp_path / "c", small_suv, PET_VARIANTS["nuclide code missing"])[0])
    assert float(bare.RadionuclideHalfLife) == 6586.2
    assert len(bare.RadionuclideCodeSequence) == 0


def test_faults_are_in_the_header(tmp_path, small_suv):
    def first(name):
        return _written(tmp_path / str(len(list(tmp_path.iterdir()))), small_suv, FAULTY_PET_VARIANTS[name])[0]

    assert float(_agent(first("dose in MBq")).RadionuclideTotalDose) == 352.0
    assert "PatientWeight" not in first("weight missing")
    assert "RadionuclideTotalDose" not in _agent(first("dose missing"))
    assert first("sex missing, SUV by lean body mass").PatientSex in (None, "")
    assert 0x7053_0010 not in first("counts without a factor")
    zero = first("counts with factors of zero").private_block(0x7053, "Philips PET Private Group")
    assert (float(zero[0x00].value), float(zero[0x09].value)) == (0.0, 0.0)
    assert "ATTN" not in first("no attenuation correction").CorrectedImage
    assert not first("not decay-corrected, acquisition time missing").AcquisitionTime
    nameless = _agent(first("half-life and nuclide missing"))
    assert "RadionuclideHalfLife" not in nameless
    assert not len(nameless.RadionuclideCodeSequence)
    untimed = _agent(first("injection time missing"))
    assert "RadiopharmaceuticalStartTime" not in untimed
    assert "RadiopharmaceuticalStartDateTime" not in untimed


def test_tables_are_long_and_told_apart(small_suv):
    assert next(iter(PET_VARIANTS)) == "plain"
    assert len(PET_VARIANTS) >= 20
    together = [*PET_VARIANTS.values(), *FAULTY_PET_VARIANTS.values()]
    assert len(set(together)) == len(together)
    assert not set(PET_VARIANTS) & set(FAULTY_PET_VARIANTS)


def _enhanced(tmp_path, suv, **changes):
    (ds,) = _written(tmp_path, suv, PetVariant(**changes), Storage(multiframe=True))
    return ds


def _real_world(ds):
    """Stored values by the real-world mapping of every frame."""
    maps = [f.RealWorldValueMappingSequence[0] for f in ds.PerFrameFunctionalGroupsSequence]
    return np.stack([m.RealWorldValueSlope * p for m, p in zip(maps, ds.pixel_array.astype(float), strict=True)])


@pytest.mark.parametrize("correction", ["START", "ADMIN", "NONE"])
def test_enhanced_pet_by_hand(tmp_path, small_suv, correction):
    """The dose is in MBq there (PS3.3 C.8.22.4); decay is told by date-times."""
    ds = _enhanced(tmp_path, small_suv, decay_correction=correction, frame_s=(150.0, 120.0, 180.0))
    agent = _agent(ds)
    assert float(agent.RadionuclideTotalDose) == 352.0
    assert ds.DecayCorrected == ("NO" if correction == "NONE" else "YES")
    assert ("DecayCorrectionDateTime" in ds) == (correction != "NONE")
    rate = math.log(2.0) / float(agent.RadionuclideHalfLife)
    injected = datetime.strptime(agent.RadiopharmaceuticalStartDateTime, "%Y%m%d%H%M%S.%f")
    left = []
    for groups in ds.PerFrameFunctionalGroupsSequence:
        content = groups.FrameContentSequence[0]
        unit = groups.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0]
        assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("Bq/ml", "UCUM")
        if correction == "NONE":
            start = datetime.strptime(content.FrameAcquisitionDateTime, "%Y%m%d%H%M%S.%f")
            decays = rate * content.FrameAcquisitionDuration / 1000.0
            waited_s = (start - injected).total_seconds()
            left.append(math.exp(-rate * waited_s) * (1 - math.exp(-decays)) / decays)
        else:
            reference = datetime.strptime(ds.DecayCorrectionDateTime, "%Y%m%d%H%M%S.%f")
            left.append(math.exp(-rate * (reference - injected).total_seconds()))
    suv = _real_world(ds) * 76000.0 / (352e6 * np.array(left)[:, None, None])
    _assert_suv(suv, small_suv)


def test_enhanced_pet_in_suv(tmp_path, small_suv):
    ds = _enhanced(tmp_path, small_suv, units="GML", suv_type="BW")
    mapping = ds.PerFrameFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "g/ml{SUVbw}"
    _assert_suv(_real_world(ds), small_suv)
    transformation = ds.PerFrameFunctionalGroupsSequence[5].PixelValueTransformationSequence[0]
    rwv = ds.PerFrameFunctionalGroupsSequence[5].RealWorldValueMappingSequence[0]
    assert float(transformation.RescaleSlope) == rwv.RealWorldValueSlope


def test_body_of_the_header_is_the_truths(tmp_path, small_suv):
    body = Body(91.3, 1.81, "F")
    slices = _written(tmp_path, small_suv, PetVariant(body=body, decay_correction="ADMIN"))
    assert (float(slices[0].PatientWeight), float(slices[0].PatientSize)) == (91.3, 1.81)
    _assert_suv(_scaled(slices) * 91300.0 / 352e6, small_suv)
