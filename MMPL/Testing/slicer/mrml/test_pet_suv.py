"""What a PET from the DICOM database becomes: by its header, by what is typed, and never twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest

import slicer
from mmpl.case import PET_SUV, PET_UNKNOWN
from mmpl.geometry import Geometry, Volume
from mmpl.io.suv import Typed, convert
from mmpl.phantom.dicom import FAULTY_PET_VARIANTS, PET_VARIANTS, Storage, write_pet
from mmpl_slicer.dicom_files import PetHeader
from mmpl_slicer.input_check import check_inputs
from mmpl_slicer.input_report import GOOD, NOTE
from mmpl_slicer.pet_suv import of_extension, report_on_units
from mmpl_slicer.volumes import node_from_volume, set_pet_units, suv_kind_of_node

COUNT = 12
BODY = {"PatientWeight": "76", "PatientSize": "1.78", "PatientSex": "M", "Units": "BQML", "DecayCorrection": "START"}
WITHOUT_HPV = "contours are drawn without HPV and RFS."


@pytest.fixture(scope="session")
def suv_volume() -> Volume:
    """SUV of 0.1 to about 15 on 24 x 20 x 12 voxels: the body's median is near 1."""
    suv = np.random.default_rng(3).gamma(1.5, 1.0, (COUNT, 20, 24)).astype(np.float32)
    suv[:, :2] = 0.0
    return Volume(suv, Geometry((24, 20, COUNT), (4.0, 4.0, 3.0), (-46.0, -38.0, -16.5)))


@pytest.fixture
def load(load_dicom, suv_volume, tmp_path):
    """Writes a variant of the PET as DICOM and loads it by Slicer's reader: voxels by each file's slope, no units."""

    def loaded(variant, storage=None):
        return load_dicom(write_pet(tmp_path / "pet", suv_volume, variant, storage), "4: PET WB")

    return loaded


def in_suv(node, report) -> np.ndarray:
    """The node's voxels by the report's conversion."""
    factor = np.asarray(report.conversion.factor)
    return slicer.util.arrayFromVolume(node) * factor.reshape(-1, *(1,) * (2 * factor.ndim))


@pytest.mark.parametrize("name", PET_VARIANTS)
def test_every_header_that_converts_does_so_without_typing(load, dicom, suv_volume, name):
    node = load(PET_VARIANTS[name])
    report = report_on_units(node, {}, dicom.header(node))
    assert report.pet_units is None, [line.text for line in report.lines]
    peak = suv_volume.array.max() / 65534  # a stored step of the largest value
    np.testing.assert_allclose(in_suv(node, report), suv_volume.array, rtol=2e-4, atol=30 * peak)
    assert report.lines[0].level == GOOD


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "plain",
            "The PET is in Bq/mL: converted to SUV with 76 kg, 352 MBq, 62.4167 min of decay (half-life 109.77 min). "
            "Rule: Bq/mL to body-weight SUV; corrected for decay to the start of the scan.",
        ),
        (
            "decay-corrected to the injection",
            "The PET is in Bq/mL: converted to SUV with 76 kg, 352 MBq, 0 min of decay (half-life 109.77 min). "
            "Rule: Bq/mL to body-weight SUV; corrected for decay to the injection.",
        ),
        ("SUV by weight", "The PET is in body-weight SUV, as its units say"),
        (
            "SUV by lean body mass, man",
            "The PET is in SUV, but not by body weight: converted to SUV with 76 kg, 174 cm, M. "
            "Rule: SUVlbm (Morgan) (Units GML) to body-weight SUV.",
        ),
    ],
)
def test_the_rule_and_the_values_are_said_in_one_line(load, dicom, name, said):
    node = load(PET_VARIANTS[name])
    assert report_on_units(node, {}, dicom.header(node)).lines[0].text == said


def test_philips_counts_say_the_factor(load, dicom):
    node = load(PET_VARIANTS["Philips counts, SUV factor"])
    report = report_on_units(node, {"weight_kg": 50.0}, dicom.header(node))  # a factor to SUV needs no weight
    assert report.lines[0].text.startswith("The PET is in counts: converted to SUV with the factor ")
    assert "Philips' SUV scale factor (7053,xx00)" in report.lines[0].text
    assert not report.asks_for_suv


def test_what_the_header_lacks_is_asked_for_and_typing_it_converts(load, dicom, suv_volume):
    node = load(FAULTY_PET_VARIANTS["weight missing"])
    report = report_on_units(node, {}, dicom.header(node))
    assert report.lines[0].text == (
        "The PET is in Bq/mL: type the patient's weight (kg) to convert it, or contours are drawn without HPV and RFS."
    )
    assert (report.asks_for_suv, report.pet_units) == (True, PET_UNKNOWN)
    assert report.suv_found == pytest.approx({"injected_mbq": 352.0, "decay_min": 62.4167, "half_life_s": 6586.2}, 1e-4)
    report = report_on_units(node, {"weight_kg": 76.0}, dicom.header(node))
    np.testing.assert_allclose(in_suv(node, report), suv_volume.array, rtol=1e-3, atol=0.01)
    assert report.conversion.sources["weight_kg"] == "typed"


def test_a_dose_in_mbq_is_taken_as_such_and_said(load, dicom, suv_volume):
    node = load(FAULTY_PET_VARIANTS["dose in MBq"])
    report = report_on_units(node, {}, dicom.header(node))
    np.testing.assert_allclose(in_suv(node, report), suv_volume.array, rtol=1e-3, atol=0.01)
    assert any("too little for Bq: 352 MBq are taken" in line.text for line in report.lines)


def test_dates_that_an_anonymiser_moved_leave_the_time_of_day(load, dicom, suv_volume, database):
    node = load(PET_VARIANTS["injection as a date and time"])
    for file in database.files.values():
        one = pydicom.dcmread(file)
        one.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime = "20190101091230"
        one.save_as(file)
    report = report_on_units(node, {}, dicom.header(node))
    np.testing.assert_allclose(in_suv(node, report), suv_volume.array, rtol=1e-3, atol=0.01)
    assert any("shifted dates?): its time of day is taken" in line.text for line in report.lines)


@pytest.mark.parametrize("name", ["counts without a factor", "sex missing, SUV by lean body mass"])
def test_what_cannot_be_converted_is_said_and_nothing_is_asked(load, dicom, name):
    node = load(FAULTY_PET_VARIANTS[name])
    report = report_on_units(node, {}, dicom.header(node))
    assert (report.asks_for_suv, report.pet_units) == (False, PET_UNKNOWN)
    assert report.lines[-1].text == f"The PET cannot be converted to SUV: {WITHOUT_HPV}"
    assert {line.level for line in report.lines} == {NOTE}
    assert not any("type" in line.text for line in report.lines)


# --- each slice's own decay ------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True], ids=["as stacked", "from the other end"])
def test_frames_meet_their_slices_by_place(scene, load, dicom, suv_volume, reverse):
    variant = PET_VARIANTS["not decay-corrected, five beds"]
    node = load(variant)
    uids = node.GetAttribute("DICOM.instanceUIDs").split()
    if reverse:
        grid, k = suv_volume.geometry, suv_volume.geometry.size[2]
        direction = np.asarray(grid.direction).copy()
        direction[:, 2] *= -1
        grid = replace(grid, origin_mm=grid.physical((0, 0, k - 1)), direction=direction)
        other = node_from_volume(Volume(slicer.util.arrayFromVolume(node)[::-1].copy(), grid), scene, "PET")
        other.SetAttribute("DICOM.instanceUIDs", " ".join(np.random.default_rng(1).permutation(uids)))
        node = other
    report = report_on_units(node, {}, dicom.header(node))
    expected = suv_volume.array[::-1] if reverse else suv_volume.array
    np.testing.assert_allclose(in_suv(node, report), expected, rtol=1e-3, atol=0.01)
    factors = np.asarray(report.conversion.factor)
    assert len(set(factors)) == 5  # one a bed
    assert np.all(np.diff(factors) <= 0 if reverse else np.diff(factors) >= 0)  # later beds have decayed more
    assert " min of decay (half-life" in report.lines[0].text
    assert "each slice corrected here to the injection" in report.lines[0].text


def test_every_header_is_read_only_where_each_slice_needs_it(load, dicom, database):
    node = load(PET_VARIANTS["five beds"])
    report_on_units(node, {}, dicom.header(node))
    assert len(set(database.asked)) == 2
    assert len(dicom.header(node).frames()) == COUNT
    assert len(set(database.asked)) == COUNT


def test_another_number_of_files_than_slices_gives_no_conversion(load, dicom):
    node = load(PET_VARIANTS["not decay-corrected"])
    uids = node.GetAttribute("DICOM.instanceUIDs").split()
    node.SetAttribute("DICOM.instanceUIDs", " ".join(uids[:-1]))
    report = report_on_units(node, {}, dicom.header(node))
    (line,) = report.lines
    assert line.text == (
        "The PET is not corrected for decay (DecayCorrection NONE) and cannot be made SUV: the PET has 12 slices and "
        "its DICOM series 11 files: they must agree."
    )
    assert (report.conversion, report.pet_units) == (None, PET_UNKNOWN)


def test_a_typed_time_goes_to_the_first_slice_and_the_others_follow(load, dicom):
    node = load(PET_VARIANTS["not decay-corrected, five beds"])
    factor = np.array(report_on_units(node, {}, dicom.header(node)).conversion.factor)
    minutes = PET_VARIANTS["not decay-corrected, five beds"].uptake_s / 60
    typed = np.array(report_on_units(node, {"decay_min": minutes}, dicom.header(node)).conversion.factor)
    np.testing.assert_allclose(typed, factor, rtol=1e-9)
    later = np.array(report_on_units(node, {"decay_min": minutes + 10}, dicom.header(node)).conversion.factor)
    np.testing.assert_allclose(later / factor, 2 ** (600 / 6586.2), rtol=1e-9)


def test_a_typed_time_needs_the_slices_headers_where_decay_was_not_corrected(load, dicom):
    node = load(PET_VARIANTS["not decay-corrected"])
    node.SetAttribute("DICOM.instanceUIDs", node.GetAttribute("DICOM.instanceUIDs").split()[0])
    report = report_on_units(node, {"decay_min": 64.0}, dicom.header(node))
    assert (report.conversion, report.pet_units) == (None, PET_UNKNOWN)


# --- Slicer's PET DICOM extension ------------------------------------------------------------------------------


def as_extension(node, kind: str, suv: np.ndarray) -> None:
    """As PETDICOMExtension leaves a volume: SUV voxels, and for every kind the units of its first mapping, SUVbw."""
    slicer.util.updateVolumeFromArray(node, suv.astype(np.float32))
    node.SetName(f"Phantom^PHA-0001 2024-03-05 ({kind})")
    units, quantity = slicer.vtkCodedEntry(), slicer.vtkCodedEntry()
    units.SetValueSchemeMeaning("{SUVbw}g/ml", "UCUM", "Standardized Uptake Value body weight")
    quantity.SetValueSchemeMeaning("126400", "DCM", "Standardized Uptake Value")
    node.SetVoxelValueUnits(units)
    node.SetVoxelValueQuantity(quantity)


def test_an_suv_of_the_extension_is_not_converted_again(load, dicom, suv_volume):
    node = load(PET_VARIANTS["plain"])
    assert dicom.header(node).values["Units"] == "BQML"
    as_extension(node, "SUVbw", suv_volume.array)
    report = report_on_units(node, {}, dicom.header(node))
    assert (report.conversion, report.pet_units, report.asks_for_suv) == (None, PET_SUV, False)
    assert [line.text for line in report.lines] == ["The PET is in body-weight SUV, as its units say"]


def test_an_suv_of_the_extension_whose_values_cannot_be_is_not_divided_by_its_header(load, dicom, suv_volume):
    node = load(PET_VARIANTS["plain"])
    hot = suv_volume.array.copy()
    hot[0] = 800.0
    as_extension(node, "SUVbw", hot)
    report = report_on_units(node, {}, dicom.header(node))
    assert report.pet_units == PET_UNKNOWN
    assert report.conversion.factor is None
    assert report.lines[0].text.startswith(
        "The PET is said to be in SUV, which its values cannot be (99.9th percentile 800"
    )


# 76 kg, 174 cm, a man, by the extension's source. James: 1.1 * 76 - 128 * (76 / 174) ** 2 = 59.1804 kg;
# ideal: 48 + 1.06 * (174 - 152) = 71.32 kg; Du Bois: 76 ** 0.425 * 174 ** 0.725 * 0.007184 = 1.9059 m2
@pytest.mark.parametrize(("kind", "mass"), [("SUVlbm", 59.1804), ("SUVibw", 71.32), ("SUVbsa", 1.9059)])
def test_other_kinds_of_the_extension_become_body_weight_by_the_headers_body(load, dicom, suv_volume, kind, mass):
    node = load(PET_VARIANTS["plain"])
    as_extension(node, kind, suv_volume.array * mass / 76.0)
    report = report_on_units(node, {}, dicom.header(node))
    assert report.pet_units is None
    np.testing.assert_allclose(in_suv(node, report), suv_volume.array, rtol=1e-3)
    assert report.lines[0].text.startswith(f"The PET is in {kind}: converted to SUV with 76 kg, 174 cm")


def test_an_ideal_weight_above_the_weight_is_the_weight():
    header = PetHeader({**BODY, "PatientWeight": "60"})  # the extension then takes the weight: nothing to convert
    assert of_extension("SUVibw", header, Typed()).factor == 1.0


def test_another_kind_without_a_body_is_said(load, dicom, suv_volume):
    node = load(FAULTY_PET_VARIANTS["weight missing"])
    as_extension(node, "SUVlbm", suv_volume.array * 0.8)
    report = report_on_units(node, {}, dicom.header(node))
    assert [line.text for line in report.lines] == [
        "The PET is in SUVlbm and its DICOM header does not give weight, height and sex: load it in SUVbw or Bq/mL.",
        f"The PET cannot be converted to SUV: {WITHOUT_HPV}",
    ]
    assert not report.asks_for_suv


@pytest.mark.parametrize(
    ("name", "code", "kind"),
    [
        ("Ann 2024-03-05 (SUVlbm)", "{SUVbw}g/ml", "SUVlbm"),
        ("Ann 2024-03-05 Standardized Uptake Value ideal body weight", "{SUVbw}g/ml", "SUVibw"),
        ("Ann 2024-03-05 Standardized Uptake Value body weight", "", "SUVbw"),
        ("PET", "{SUVbsa}cm2/ml", "SUVbsa"),
        ("PET", "{SUVbw}g/ml", "SUVbw"),
        ("PET", "BQML", ""),
        ("PET", "", ""),
    ],
)
def test_the_kind_of_suv_is_read_from_the_name_before_the_units(scene, suv_volume, name, code, kind):
    node = node_from_volume(suv_volume, scene, name)
    if code:
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(code, "UCUM", "units")
        node.SetVoxelValueUnits(entry)
    assert suv_kind_of_node(node) == kind


def test_what_mmpl_recorded_comes_before_names_and_units(scene, suv_volume):
    node = node_from_volume(suv_volume, scene, "PET SUVlbm")
    set_pet_units(node, PET_SUV)
    assert suv_kind_of_node(node) == "SUVbw"
    set_pet_units(node, PET_UNKNOWN)
    assert suv_kind_of_node(node) == ""


# --- doubtful cases ---------------------------------------------------------------------------------------------


def test_a_header_in_bqml_on_voxels_that_are_suv_is_said(load, dicom, suv_volume):
    node = load(PET_VARIANTS["plain"])
    slicer.util.updateVolumeFromArray(node, suv_volume.array)
    report = report_on_units(node, {}, dicom.header(node))
    assert report.pet_units == PET_UNKNOWN
    assert "its values may be SUV already" in report.lines[0].text
    assert report.lines[0].text.endswith(WITHOUT_HPV)


def test_frames_of_one_object_that_slicer_reads_by_the_first_ones_scale_are_refused(load, dicom, scene, suv_volume):
    pet = load(PET_VARIANTS["plain"], Storage(multiframe=True))
    away = np.abs(in_true_suv(pet) - suv_volume.array).max()
    assert away > 1.0  # Slicer's values are wrong: when this fails, Slicer reads each frame by its own scale
    ct = node_from_volume(suv_volume.with_array(suv_volume.array * 100 - 1000), scene, "CT")
    report = check_inputs(ct, pet, typed={}, header=dicom.header)
    assert not report.usable
    assert report.lines[0].text.startswith("The PET is a DICOM object of many frames, each with a scale of its own")
    assert report.lines[0].text.endswith("Export it as single images.")


def in_true_suv(pet) -> np.ndarray:
    """By hand: 352 MBq, 76 kg, 3745 s of decay."""
    return slicer.util.arrayFromVolume(pet) * 76000.0 / (352e6 * 2 ** (-3745.0 / 6586.2))


def test_frames_of_one_scale_are_read(load, dicom, suv_volume):
    pet = load(replace(PET_VARIANTS["plain"], slope="series"), Storage(multiframe=True))
    report = report_on_units(pet, {}, dicom.header(pet))
    np.testing.assert_allclose(in_suv(pet, report), suv_volume.array, rtol=1e-3, atol=0.01)


def test_counts_without_a_header_are_never_taken_for_activity(scene, suv_volume):
    node = node_from_volume(suv_volume.with_array(suv_volume.array * 3000), scene, "PET")
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning("{counts}", "UCUM", "Counts")
    node.SetVoxelValueUnits(entry)
    report = report_on_units(node, {"weight_kg": 76.0, "injected_mbq": 352.0, "decay_min": 60.0}, None)
    assert (report.pet_units, report.asks_for_suv) == (PET_UNKNOWN, False)


def test_what_a_header_made_of_it_holds_where_the_header_is_gone(load, dicom, suv_volume):
    node = load(PET_VARIANTS["not decay-corrected, five beds"])
    before = report_on_units(node, {}, dicom.header(node))
    after = report_on_units(node, {}, None, before.conversion)
    assert after.conversion == before.conversion
    assert after.lines[0].text.startswith("The PET's DICOM header was read when this case was made: converted to SUV")


def test_what_was_made_of_another_kind_of_suv_holds_too(load, dicom, suv_volume):
    node = load(PET_VARIANTS["plain"])
    as_extension(node, "SUVlbm", suv_volume.array * 59.1804 / 76.0)
    before = report_on_units(node, {}, dicom.header(node))
    after = report_on_units(node, {}, None, before.conversion)
    np.testing.assert_allclose(in_suv(node, after), suv_volume.array, rtol=1e-3)


def test_the_header_is_that_of_the_earliest_of_both_ends(load, dicom, database):
    node = load(PET_VARIANTS["five beds"])
    first, *_, last = (pydicom.dcmread(database.files[u]) for u in node.GetAttribute("DICOM.instanceUIDs").split())
    values = dicom.header(node).values
    assert values["AcquisitionTime"] == min(first.AcquisitionTime, last.AcquisitionTime)
    assert convert(values).units == PET_SUV


def test_a_volume_from_elsewhere_has_no_header(scene, suv_volume, dicom):
    node = node_from_volume(suv_volume, scene, "PET")
    assert dicom.header(node) is None
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    assert dicom.header(node) is None
