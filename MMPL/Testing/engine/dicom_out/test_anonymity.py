import datetime

import pydicom
import pytest

from mmpl.clinical.fields import parse_record
from mmpl.dicom_out.anonymity import Anonymity
from mmpl.dicom_out.export import write_dicom
from mmpl.errors import InputError
from mmpl.geometry import Volume
from mmpl.notices import SUV_DOUBT, Notice

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
        own_uids = [str(e.value) for part in (ds, ds.file_meta) for e in part.iterall() if e.VR == "UI"]
        for secret in secrets:
            seen, said = raw, texts
            if secret.isdigit() and len(secret) <= 8:  # a time may well be among the random digits of a new UID
                seen, said = without(raw, own_uids), [text for text in texts if text not in own_uids]
            assert secret.encode() not in seen
            assert secret.encode("latin-1") not in seen
            assert not any(secret in text for text in said)


def without(raw: bytes, texts: list[str]) -> bytes:
    for text in texts:
        raw = raw.replace(text.encode(), b" ") if text else raw
    return raw


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
    assert texts == ["12 of 400 voxels; Doe, case 199 and case 1"]


def a_header(name: str, patient_id: str) -> pydicom.Dataset:
    header = pydicom.Dataset()
    for keyword in ("AccessionNumber", "StudyID"):
        setattr(header, keyword, "")
    for number, keyword in enumerate(UIDS):
        setattr(header, keyword, f"1.2.840.99999.{number}")
    header.PatientName, header.PatientID = name, patient_id
    return header


WRITTEN_OTHERWISE = {
    "underscore": ("the mask SMITH_JOHN_seg.dcm", "the mask case 1_case 1_seg.dcm"),
    "digits": ("smith2.dcm and 7John", "case 12.dcm and 7case 1"),
    "ID in a name": ("Structure 'MRN12345_GTV' of xMRN123456", "Structure 'case 1_GTV' of xcase 16"),
    "in a longer word": ("a blacksmith and Johnson", "a blacksmith and Johnson"),
    "without an accent": ("Muller_ct, Mueller1 and Müller.", "case 1_ct, case 11 and case 1."),
    "part of a double name": ("GARCIA_2", "case 1_2"),
}


@pytest.mark.parametrize(("text", "expected"), WRITTEN_OTHERWISE.values(), ids=WRITTEN_OTHERWISE)
def test_names_and_ids_in_sentences_are_found_however_they_are_written(text, expected):
    header = a_header("Smith^John=Müller^^Garcia-Lorca", "MRN12345")
    assert Anonymity("case 1").texts([text], header, "case 1") == [expected]


def test_that_something_is_a_phantom_is_still_said():
    header = a_header("Phantom^PHA-0001", "PHA-0001")
    texts = Anonymity("case 1").texts(["A phantom's result, of PHA-0001_ct and 0001 more."], header, "case 1")
    assert texts == ["A phantom's result, of case 1_ct and 0001 more."]


def test_times_of_day_are_not_in_sentences():
    said = "Two times of injection, 09:00:00 and 10:30:00.5; scan at 9:41. Ratio 1:2, 3.5 mm, 2:345 of 10."
    (text,) = Anonymity("case 1").texts([said], a_header("", ""), "")
    assert text == (
        "Two times of injection, [time removed] and [time removed]; scan at [time removed]. "
        "Ratio 1:2, 3.5 mm, 2:345 of 10."
    )


@pytest.mark.parametrize(
    "date", ["12.03.2024", "1.3.2024", "12.03.24", "2024-03-12", "12/03/2024", "3/12/24", "20240312", "20240312101530"]
)
def test_dates_are_not_in_sentences(date):
    said = f"Seen on {date}, in PET_{date}.nii; model bundle demo, version 2024.3.12, of 3.5 mm and 0.12.3."
    (text,) = Anonymity("case 2024-03-12").texts([said], a_header("", f"X-{date}"), "")
    assert text == said.replace(date, "[date removed]")
    (text,) = Anonymity("case 2024-03-12").texts([f"ID X-{date}."], a_header("", f"X-{date}"), "")
    assert text == "ID case 2024-03-12."


def test_values_of_record_and_body_are_not_in_an_anonymised_report(a_source, exported, two_classes, results):
    _, unseen = parse_record({"Treatment": "RT 12.03.2024 'Dr Schmidt' is not among its categories", "M-stage": 7})
    doubts = ("PatientWeight is '70,5', no number: type it.", "An activity of 9 MBq is very much for 70.5 kg.")
    results["warnings"] = [one.as_dict() for one in (*unseen, *(Notice(SUV_DOUBT, f"SUV: {one}") for one in doubts))]
    anonymous = values_in(exported(a_source(), two_classes, anonymise=Anonymity("case 1"))["report"])
    for said in (
        "Treatment: the value is not among its categories (0 (radiotherapy only) or 1 (chemoradiotherapy)); it is",
        "M-stage: the value is not among its categories",
        "SUV: PatientWeight is [value removed], no number: type it.",
        "SUV: An activity of [value removed] MBq is very much for [value removed] kg.",
    ):
        assert any(said in text for text in anonymous)
    assert not any(value in text for text in anonymous for value in ("Schmidt", "12.03", "70,5", "70.5"))
    assert any("Dr Schmidt" in text for text in values_in(exported(a_source(), two_classes)["report"]))


def test_no_time_of_day_is_in_an_anonymised_report(a_source, exported, two_classes, results):
    results["warnings"][0]["text"] = "The header gives two times of injection, 09:00:00 and 10:30:00."
    as_it_is = values_in(exported(a_source(), two_classes)["report"])
    anonymous = values_in(exported(a_source(), two_classes, anonymise=Anonymity("case 1"))["report"])
    assert any("09:00:00 and 10:30:00" in text for text in as_it_is)
    assert not any("09:00" in text or "10:30" in text for text in anonymous)


@pytest.mark.parametrize("name", ["KH-4711-0815", "kh-4711-0815", "KH-4711-0815-1", "kh47110815", "Mustermann 2"])
def test_the_patient_s_own_id_or_name_as_the_new_name_is_refused(a_source, exported, two_classes, name):
    with pytest.raises(InputError, match="holds the patient's own name or ID: name the case otherwise"):
        exported(a_source(), two_classes, anonymise=Anonymity(name))


OWN = {
    "name in words": ("Smith^John", "MRN12345", "Smith John"),
    "name in one word": ("Smith^John", "MRN12345", "johnsmith_7"),
    "one part": ("Smith^John", "MRN12345", "Trial SMITH"),
    "ID with more": ("Smith^John", "MRN12345", "MRN12345-1"),
    "ID written otherwise": ("Smith^John", "MRN.123/45", "mrn-12345"),
    "without an umlaut": ("Müller^Jo", "1", "Muller 3"),
    "umlaut in two letters": ("Müller^Jo", "1", "MUELLER"),
    "part of a double name": ("Smith-Jones^Al", "1", "case Jones"),
    "short parts": ("Wu^Li", "1", "Li Wu 2"),
    "short ID": ("Doe^Jane", "12", "12"),
    "second spelling": ("王^小東=Wang^XiaoDong", "1", "wang"),
}


@pytest.mark.parametrize(("patient", "patient_id", "name"), OWN.values(), ids=OWN)
def test_a_new_name_that_tells_the_patient_is_refused(patient, patient_id, name):
    with pytest.raises(InputError, match="holds the patient's own name or ID"):
        Anonymity(name).header(a_header(patient, patient_id))


def test_an_id_or_a_name_that_is_no_valid_dicom_is_the_patient_s_all_the_same():
    invalid = {
        "PatientID": r"MRN\12345",
        "PatientName": "Smith^John" + "x" * 80,
        "AccessionNumber": "ACC-2024-12345-67890",
    }
    for name in ("Smith 2", "case 12345"):
        with pytest.raises(InputError, match="holds the patient's own name or ID"):
            Anonymity(name).header(a_header("", ""), invalid)
    texts = Anonymity("case 1").texts(["SMITH_1 of ACC-2024-12345-67890 and 12345_GTV"], a_header("", ""), "", invalid)
    assert texts == ["case 1_1 of case 1 and case 1_GTV"]


def test_an_anonymised_export_tells_no_invalid_id(odd_source, exported, two_classes, results):
    results["warnings"][0]["text"] = "The mask KH_12345_GTV.dcm was read."
    for ds in exported(odd_source, two_classes, anonymise=Anonymity("case 1")).values():
        assert not any("12345_" in text or "ACC-2024" in text for text in values_in(ds))
    with pytest.raises(InputError, match="holds the patient's own name or ID"):
        exported(odd_source, two_classes, anonymise=Anonymity("case 12345"))


HARMLESS = {
    "a phantom's name": ("Phantom^PHA-0001", "PHA-0001", "Phantom 2"),
    "a phantom's kind of ID": ("Phantom^PHA-0001", "PHA-0001", "S-0001"),
    "no identity": ("", "", "case 1"),
    "anonymous before": ("Anonymous", "12", "anonymous 12"),
    "short part": ("Wu^Li", "1", "Wuhan list 1"),
}


@pytest.mark.parametrize(("patient", "patient_id", "name"), HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_name_is_taken(patient, patient_id, name):
    assert Anonymity(name).header(a_header(patient, patient_id)).PatientID == name


@pytest.mark.parametrize("name", ["", " ", "a\\b", "a^b", "x" * 65, "Ä"])
def test_a_name_that_cannot_be_is_refused(name):
    with pytest.raises(InputError, match="must have 1 to 64 letters"):
        Anonymity(name)


def test_a_short_key_is_refused():
    with pytest.raises(InputError, match="has 3 bytes: give 16 or more"):
        Anonymity("case 1", b"abc")


def test_the_key_is_not_shown():
    assert repr(Anonymity("case 1", KEY)) == "Anonymity(name='case 1')"
