import dataclasses
import io

import numpy as np
import pydicom
import pytest

from mmpl.dicom_out.export import write_dicom
from mmpl.dicom_out.headers import read_headers
from mmpl.dicom_out.settings import ExportSettings
from mmpl.dicom_out.uids import keyed_uid, new_uid
from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Volume

PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription",
)  # fmt: skip


def test_patient_and_study_are_carried_over(a_source, exported, two_classes):
    source = a_source()
    ct = pydicom.dcmread(source.files[0])
    for ds in exported(source, two_classes).values():
        assert [str(ds[k].value) for k in PATIENT_AND_STUDY] == [str(ct[k].value) for k in PATIENT_AND_STUDY]


def test_nothing_else_of_the_source_is(a_source, exported, two_classes):
    for ds in exported(a_source(), two_classes).values():
        assert "Klinikum" not in str(ds)
        assert "ALIAS" not in str(ds)
        assert "Scanner works" not in str(ds)


def test_objects_say_who_made_them_and_what_for(a_source, exported, two_classes):
    for ds in exported(a_source(), two_classes).values():
        assert (ds.Manufacturer, ds.ManufacturerModelName) == ("MMPL", "MMPL")
        assert ds.DeviceSerialNumber == "0123456789abcdef" * 4
        assert ds.SoftwareVersions
        assert ds.SeriesDescription.endswith("RESEARCH USE ONLY")


def test_three_series_of_new_uids_under_the_root(a_source, exported, two_classes):
    root = "1.2.826.0.1.3680043.9"
    settings = ExportSettings(uid_root=root, series_numbers=(71, 72, 73))
    written = exported(a_source(), two_classes, settings=settings)
    assert [ds.SeriesNumber for ds in written.values()] == [71, 72, 73]
    uids = [uid for ds in written.values() for uid in (ds.SeriesInstanceUID, ds.SOPInstanceUID)]
    assert len(set(uids)) == 6
    assert all(uid.startswith(root + ".") and len(uid) <= 64 for uid in uids)


def test_uids_without_a_root_are_random_uuids():
    number = int(new_uid().removeprefix("2.25."))
    assert (number >> 76) & 0xF == 4  # the version of a random UUID
    assert new_uid() != new_uid()


def test_a_keyed_uid_depends_on_uid_and_key_and_on_nothing_else():
    assert keyed_uid("1.2.3", b"k" * 16) == keyed_uid("1.2.3", b"k" * 16)
    assert len({keyed_uid("1.2.3", b"k" * 16), keyed_uid("1.2.4", b"k" * 16), keyed_uid("1.2.3", b"l" * 16)}) == 3
    assert keyed_uid("1.2.\u00e9", b"k" * 16).startswith("2.25.")  # no UID, and none to fail over


def test_where_nothing_is_contoured_only_the_report_is_written(a_source, no_lesion, tmp_path):
    source = a_source()
    nothing = Volume(np.zeros(source.geometry.shape, np.uint8), source.geometry)
    assert write_dicom(tmp_path, source, nothing, no_lesion) == (tmp_path / "report.dcm",)
    assert [p.name for p in tmp_path.iterdir()] == ["report.dcm"]


def test_a_source_that_lacks_everything_of_the_patient_gives_valid_objects(bare_source, exported, two_classes):
    for ds in exported(bare_source, two_classes).values():
        assert (ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex) == ("", "", "", "")


def test_values_of_the_source_that_are_invalid_are_left_empty(odd_source, exported, two_classes):
    for ds in exported(odd_source, two_classes).values():
        assert (ds.PatientBirthDate, ds.PatientSex, ds.StudyDate) == ("", "", "")
        assert (ds.AccessionNumber, ds.PatientID, ds.ReferringPhysicianName) == ("", "", "")
        assert "IssuerOfPatientID" not in ds


NO_MOMENTS = {
    "PatientBirthDate": ["19610000", "00000000", "19610229", "99999999"],
    "StudyDate": ["20240231", "00010000"],
    "StudyTime": ["240000", "086000", "10", "1099"],
}


@pytest.mark.parametrize(("keyword", "value"), [(key, one) for key, several in NO_MOMENTS.items() for one in several])
def test_dates_and_times_that_do_not_exist_are_left_empty(a_source_of, exported, two_classes, keyword, value):
    """A birth date of which the year alone is known is often filled up with zeros."""
    source = a_source_of({"PatientBirthDate": "19560417", "StudyDate": "20240229", "StudyTime": "10", keyword: value})
    kept = value if value == "10" else ""
    assert [str(ds[keyword].value) for ds in exported(source, two_classes).values()] == [kept] * 3


def test_of_several_descriptions_the_first_is_carried_over(odd_source, exported, two_classes):
    for ds in exported(odd_source, two_classes).values():
        assert ds.StudyDescription == "PET"


def test_a_name_of_three_spellings_has_64_characters_for_each(a_source_of):
    name = "=".join(f"{letter * 31}^{letter * 32}" for letter in "ABC")
    assert read_headers(a_source_of({"PatientName": name})).first.PatientName == name
    for wrong in (name + "C", name + "=D", r"Doe^John\Roe^Jane"):
        assert read_headers(a_source_of({"PatientName": wrong})).first.PatientName == ""


def test_how_identity_was_removed_before_is_carried_over_in_utf_8(a_source_of):
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", "geprüft"
    before = {"DeidentificationMethod": "geprüft", "DeidentificationMethodCodeSequence": [code]}
    file = io.BytesIO()
    read_headers(a_source_of(before)).first.save_as(file, implicit_vr=False, little_endian=True)
    header = pydicom.dcmread(io.BytesIO(file.getvalue()), force=True)
    assert header.DeidentificationMethod == header.DeidentificationMethodCodeSequence[0].CodeMeaning == "geprüft"


def test_several_uids_in_one_value_cannot_be_referred_to(a_source_of):
    with pytest.raises(InputError, match="file 1 of the CT's series has several StudyInstanceUIDs"):
        read_headers(a_source_of({"StudyInstanceUID": r"1.2.3\1.2.4"}))


def test_an_unusual_name_is_not_spoken_of(odd_source, exported, two_classes, recwarn, caplog):
    exported(odd_source, two_classes)
    assert "AAAA" not in " ".join([*(str(w.message) for w in recwarn), caplog.text])


def test_a_label_map_on_another_grid_is_refused(a_source, results, two_classes, tmp_path):
    shifted = dataclasses.replace(a_source().geometry, origin_mm=(0, 0, 0))
    with pytest.raises(GeometryError, match="the label map is not on the CT's grid"):
        write_dicom(tmp_path, a_source(), Volume(two_classes, shifted), results)


def test_a_series_number_of_the_ct_s_own_is_refused(a_source, exported, two_classes):
    with pytest.raises(InputError, match="series number 3 is the CT's own"):
        exported(a_source(), two_classes, settings=ExportSettings(series_numbers=(2, 3, 4)))


def test_a_series_number_of_the_ct_that_is_none_is_no_hindrance(a_source, exported, two_classes):
    source = a_source()
    number = b"\x20\x00\x11\x00IS\x02\x00"
    for path in source.files:
        content = path.read_bytes()
        assert content.count(number + b"3 ") == 1
        path.write_bytes(content.replace(number + b"3 ", number + b"ab"))
    written = exported(source, two_classes)
    assert [ds.SeriesNumber for ds in written.values()] == [9001, 9002, 9003]


@pytest.mark.parametrize("numbers", [(1, 1, 2), (0, 1, 2), (1, 2), (1, 2, 2**31)])
def test_series_numbers_that_are_not_three_different_ones_are_refused(numbers):
    with pytest.raises(InputError, match="give three different whole numbers"):
        ExportSettings(series_numbers=numbers)


@pytest.mark.parametrize("root", ["mine", "1.", "1.02", "3.1", "1"])
def test_a_root_that_is_none_is_refused(root):
    with pytest.raises(InputError, match="is none: give numbers with dots"):
        ExportSettings(uid_root=root)


def test_a_root_that_leaves_no_room_is_refused():
    with pytest.raises(InputError, match="at most 43 leave room"):
        ExportSettings(uid_root="1." + "2" * 42)
    assert len(new_uid("1." + "2" * 41)) <= 64


def test_a_source_without_a_frame_of_reference_is_refused(unreferable, exported, two_classes):
    with pytest.raises(InputError, match="file 1 of the CT's series has no FrameOfReferenceUID"):
        exported(unreferable, two_classes)


def test_files_without_a_preamble_are_read_as_the_ct_was(a_source, exported, two_classes, tmp_path):
    source = a_source()
    files = tuple(tmp_path / path.name for path in source.files)
    for before, after in zip(source.files, files, strict=True):
        after.write_bytes(before.read_bytes()[132:])
    found = exported(dataclasses.replace(source, files=files), two_classes)["rtstruct"]
    uids = {str(pydicom.dcmread(path).SOPInstanceUID) for path in source.files}
    items = [item for roi in found.ROIContourSequence for item in roi.ContourSequence]
    referenced = {str(item.ContourImageSequence[0].ReferencedSOPInstanceUID) for item in items}
    assert len(referenced) == 9  # slices 0 to 7 and 10 of the two classes
    assert referenced <= uids


def test_a_missing_file_is_refused_without_its_path(a_source, exported, two_classes, tmp_path):
    source = a_source()
    files = (*source.files[:-1], tmp_path / "Mustermann" / "12.dcm")
    with pytest.raises(InputError, match="file 12 of the CT's series cannot be read as DICOM") as caught:
        exported(dataclasses.replace(source, files=files), two_classes)
    assert "Mustermann" not in str(caught.value)


def test_files_and_slices_must_agree(a_source, exported, two_classes):
    source = a_source()
    with pytest.raises(InputError, match="the CT has 12 slices and 11 files"):
        exported(dataclasses.replace(source, files=source.files[:-1]), two_classes)


def test_files_of_two_series_are_refused(a_source, exported, two_classes):
    source = a_source()
    files = (*source.files[:-1], a_source("flipped").files[-1])
    with pytest.raises(InputError, match="several series, studies or frames of reference"):
        exported(dataclasses.replace(source, files=files), two_classes)


def test_a_ct_that_was_no_dicom_series_is_refused(a_source, exported, two_classes):
    with pytest.raises(InputError, match="the CT has no DICOM files to refer to"):
        exported(dataclasses.replace(a_source(), files=()), two_classes)
