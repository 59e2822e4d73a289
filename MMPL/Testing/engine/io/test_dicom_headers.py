"""Values of a header in the character set that its object was written in."""

from __future__ import annotations

import io
import struct

import pydicom
import pytest
from pydicom.dataset import Dataset

from mmpl.dicom_source import Patient
from mmpl.errors import InputError
from mmpl.io.dicom.choose import choose
from mmpl.io.dicom.headers import patient_of, sequence, text
from mmpl.io.dicom.series import list_series
from mmpl.phantom.dicom import write_ct

CHARACTER_SET, DESCRIPTION, NAME, NUMBER = 0x00080005, 0x0008103E, 0x00100010, 0x00100020
KINDS = {CHARACTER_SET: b"CS", DESCRIPTION: b"LO", NAME: b"PN", NUMBER: b"LO"}
JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def written(**values) -> Dataset:
    """As it is read from a file."""
    ds, file = Dataset(), io.BytesIO()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    ds.save_as(file, implicit_vr=False, little_endian=True)
    return pydicom.dcmread(io.BytesIO(file.getvalue()), force=True)


def of_bytes(values: dict[int, bytes]) -> Dataset:
    """A file with these bytes, whether they are valid or not."""
    data = b""
    for tag, value in sorted(values.items()):
        padded = value + b" " * (len(value) % 2)
        data += struct.pack("<HH", tag >> 16, tag & 0xFFFF) + KINDS[tag] + struct.pack("<H", len(padded)) + padded
    return pydicom.dcmread(io.BytesIO(data), force=True)


@pytest.mark.parametrize(
    ("sets", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 101", "Dvořák^Jiří"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], JAPANESE),
        (["ISO 2022 IR 6", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_one_patient_in_two_character_sets_is_one(sets, name):
    theirs = written(SpecificCharacterSet=sets, PatientName=name)
    ours = written(SpecificCharacterSet="ISO_IR 192", PatientName=name)
    assert patient_of(theirs) == patient_of(ours) == Patient("", name)


def test_ids_and_items_are_decoded_too():
    inner = Dataset()
    inner.SegmentLabel = "Tumör"
    ds = written(SpecificCharacterSet="ISO_IR 192", PatientID="Ü-12", SegmentSequence=[inner])
    assert not patient_of(ds).is_another(patient_of(written(SpecificCharacterSet="ISO_IR 100", PatientID="Ü-12")))
    assert [text(item, "SegmentLabel") for item in sequence(ds, "SegmentSequence")] == ["Tumör"]


def test_a_name_that_somebody_has_read_before_is_the_same():
    ds = written(SpecificCharacterSet="ISO_IR 192", PatientName="Müller^Jörg")
    assert str(ds.PatientName) == text(ds, "PatientName") == "Müller^Jörg"


LATIN, UTF_8 = "Müller".encode("latin-1"), "Müller".encode()


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(
    ("sets", "value", "read"),
    [
        (b"", LATIN, "Müller"),
        (b"ISO_IR 192", LATIN, "Müller"),  # says one and writes the other
        (b"ISO-IR 192", UTF_8, "Müller"),
        (b"nonsense", LATIN, "Müller"),
        (b"\xfc", LATIN, "Müller"),
        (b"hex", LATIN, "Müller"),  # names of codecs in Python that are no character sets
        (b"idna", LATIN, "Müller"),
        (b"undefined", LATIN, "Müller"),
        (b"\\", LATIN, "Müller"),
        (b"ISO 2022 IR 100\\ISO_IR 192", LATIN, "Müller"),
        (b"\\ISO 2022 IR 87", b"\x1b$B\xff", "\x1b$Bÿ"),
        (b"ISO_IR 100", b"\x1b$BM\xfc", "\x1b$BMü"),
        (b"ISO_IR 192", b"Mueller \0", "Mueller"),
    ],
)
def test_a_value_that_is_none_of_its_character_set_is_latin_1(sets, value, read):
    ds = of_bytes({CHARACTER_SET: sets, DESCRIPTION: value, NAME: value, NUMBER: value})
    assert (text(ds, "SeriesDescription"), patient_of(ds)) == (read, Patient(read, read))


def test_series_are_named_and_found_by_a_description_in_utf_8(tmp_path, small_ct, every):
    paths = write_ct(tmp_path, small_ct)
    every(paths, SpecificCharacterSet="ISO_IR 192", SeriesDescription="FDG für Kopf")
    listing = list_series(tmp_path)
    assert listing.series[0].name.startswith('series 1, "FDG für Kopf"')
    for wanted in ("für", "FÜR kopf", "fu\u0308r"):
        assert choose(listing, "CT", "here", wanted)[0] == listing.series[0]
    with pytest.raises(InputError, match="holds no series 'fur': found series 1, \"FDG für Kopf\""):
        choose(listing, "CT", "here", "fur")
