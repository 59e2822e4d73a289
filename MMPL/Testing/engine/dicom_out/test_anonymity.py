import datetime

import pydicom
import pytest

from mmpl.dicom_out.anonymity import Anonymity
from mmpl.dicom_out.export import write_dicom
from mmpl.errors import InputError
from mmpl.geometry import Volume

KEY = bytes(range(32))
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
KEPT = {"M"}  # the sex: one letter that stands in many words; a test of its own


def identifying(source) -> set[str]:
    """Every text of the patient and the study, and every UID of every file."""
    found = set()
    for path in source.files:
        ds = pydicom.dcmread(path)
        for keyword in (*PATIENT_KEYWORDS, *UIDS):
            value = str(ds[keyword].value)
            found |= {value, *value.split("^")}
    return found - KEPT - {""}


PATIENT_KEYWORDS = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientWeight", "PatientSize",
    "OtherPatientIDs", "AccessionNumber", "StudyID", "StudyDate", "StudyTime", "StudyDescription",
    "ReferringPhysicianName", "InstitutionName", "Manufacturer",
)  # fmt: skip


def values_in(ds: pydicom.Dataset) -> list[str]:
    """Text of every element, however deep."""
    return [str(element.value) for element in ds.iterall() if element.VR != "SQ" and element.keyword != "PixelData"]


@pytest.mark.parametrize("kind", ["axial", "tilted", "multiframe"])
def test_no_value_and_no_uid_of_the_source_is_anywhere(request, a_source, two_classes, results, tmp_path, kind):
    source = a_source() if kind == "axial" else request.getfixturevalue(kind)
    paths = write_dicom(
        tmp_path, source, Volume(two_classes, source.geometry), results, anonymise=Anonymity("case 1", KEY)
    )
    secrets = identifying(source)
    assert len(secrets) >= 16 + 4
    for path in paths:
        ds, raw = pydicom.dcmread(path), path.read_bytes()
        texts = values_in(ds) + values_in(ds.file_meta)
        for secret in secrets:
            assert secret.encode() not in raw
            assert secret.encode("latin-1") not in raw
            assert not any(secret in text for text in texts)


def test_no_date_of_the_export_is_anywhere(a_source, exported, two_classes):
    today = datetime.datetime.now().strftime("%Y%m%d")
    for ds in exported(a_source(), two_classes, anonymise=Anonymity("case 1")).values():
        dates = [str(e.value) for e in ds.iterall() if e.VR in ("DA", "DT", "TM")]
        assert set(dates) <= {"", "19000101", "000000"}
        assert today not in " ".join(values_in(ds))


def test_the_patient_is_the_case(a_source, exported, two_classes):
    for ds in exported(a_source(), two_classes, anonymise=Anonymity("case 1")).values():
        assert (ds.PatientName, ds.PatientID) == ("case 1", "case 1")
        assert (ds.PatientBirthDate, ds.PatientSex, ds.AccessionNumber, ds.StudyID) == ("", "", "", "")
        assert "PatientAge" not in ds
        assert "StudyDescription" not in ds
        assert ds.PatientIdentityRemoved == "YES"
        assert ds.LongitudinalTemporalInformationModified == "REMOVED"
        assert [c.CodeValue for c in ds.DeidentificationMethodCodeSequence] == ["113100", "113104", "113105", "113109"]


def test_the_case_s_name_stands_in_sentences_too(a_source, exported, two_classes):
    report = exported(a_source(), two_classes, anonymise=Anonymity("case 1"))["report"]
    assert any("The tumour site of case 1 is not given." in text for text in values_in(report))


def test_objects_still_refer_to_one_another(a_source, exported, two_classes):
    written = exported(a_source("oblique"), two_classes, anonymise=Anonymity("case 1", KEY))
    seg, rtstruct, report = (written[k] for k in ("segmentation", "rtstruct", "report"))
    assert seg.StudyInstanceUID == rtstruct.StudyInstanceUID == report.StudyInstanceUID
    assert seg.FrameOfReferenceUID == rtstruct.FrameOfReferenceUID
    on_seg = {
        f.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for f in seg.PerFrameFunctionalGroupsSequence
    }
    on_rtstruct = {
        c.ContourImageSequence[0].ReferencedSOPInstanceUID
        for r in rtstruct.ROIContourSequence
        for c in r.ContourSequence
    }
    assert on_seg == on_rtstruct
    assert seg.SOPInstanceUID in values_in(report)


def test_one_key_makes_two_exports_match_and_another_does_not(a_source, exported, two_classes):
    def study(anonymity):
        return exported(a_source(), two_classes, anonymise=anonymity)["rtstruct"].StudyInstanceUID

    assert study(Anonymity("case 1", KEY)) == study(Anonymity("case 1", KEY))
    assert len({study(Anonymity("case 1", KEY)), study(Anonymity("case 1")), study(Anonymity("case 1"))}) == 3


def test_the_source_s_headers_and_files_stay_as_they_are(a_source, exported, two_classes):
    source = a_source()
    before = [f.read_bytes() for f in source.files]
    exported(source, two_classes, anonymise=Anonymity("case 1"))
    assert [f.read_bytes() for f in source.files] == before
    assert exported(source, two_classes)["report"].PatientID == "KH-4711-0815"


def test_short_values_in_sentences_are_left(a_source):
    header = pydicom.Dataset()
    for keyword in ("AccessionNumber", "StudyID", *UIDS):
        setattr(header, keyword, "")
    header.PatientName, header.PatientID = "Doe^Jo", "12"
    texts = Anonymity("case 1").texts(["12 of 400 voxels; Doe, Jonas99 and Jonas"], header, "Jonas")
    assert texts == ["12 of 400 voxels; Doe, Jonas99 and case 1"]


@pytest.mark.parametrize("name", ["KH-4711-0815", "kh-4711-0815"])
def test_the_patient_s_own_id_as_the_new_name_is_refused(a_source, exported, two_classes, name):
    with pytest.raises(InputError, match="is the patient's own name or ID"):
        exported(a_source(), two_classes, anonymise=Anonymity(name))


@pytest.mark.parametrize("name", ["", " ", "a\\b", "a^b", "x" * 65, "Ä"])
def test_a_name_that_cannot_be_is_refused(name):
    with pytest.raises(InputError, match="must have 1 to 64 letters"):
        Anonymity(name)


def test_a_short_key_is_refused():
    with pytest.raises(InputError, match="has 3 bytes: give 16 or more"):
        Anonymity("case 1", b"abc")


def test_the_key_is_not_shown():
    assert repr(Anonymity("case 1", KEY)) == "Anonymity(name='case 1')"
