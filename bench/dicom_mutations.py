"""What ``dicom_fuzz.py`` does to the files of a pair: one function a kind of damage, and how often each is tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from dicom_ways import COMPRESSED, WAYS
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import Tag

NUMBERS = (
    "0",
    "-1",
    "1e30",
    "-1e30",
    "1e-30",
    "nan",
    "inf",
    "abc",
    "",
    "1,5",
    "3\\4",
    "\xff\xfe\x00",
    None,
    "x1000",
    "/1000",
)
TIMES = ("", "abc", "256199", "101461", "9", "1:2:3", "\xff\x00", "10\\11", "-10000", "235959.999999", None)
DATES = ("", "abc", "99991231", "00010101", "18000101", "20240230", "\xff\x00", "20240305\\20240306", None)
DATETIMES = ("", "abc", "99991231235959", "00010101000000", "20240230101010", "20240305", "\xff\x00", None)
TEXTS = ("", "\xff\xfe\x00\x01", "UNHEARD OF", "A\\B", "9" * 70, None)
WORDS = {  # keyword -> what is put in its place
    **dict.fromkeys(
        ("RescaleSlope", "RescaleIntercept", "PatientWeight", "PatientSize", "ActualFrameDuration", "DecayFactor",
         "FrameReferenceTime", "RadionuclideTotalDose", "RadionuclideHalfLife", "SliceThickness", "InstanceNumber"),
        NUMBERS,
    ),
    **dict.fromkeys(("SeriesTime", "AcquisitionTime", "RadiopharmaceuticalStartTime", "StudyTime"), TIMES),
    **dict.fromkeys(("SeriesDate", "AcquisitionDate", "StudyDate", "PatientBirthDate"), DATES),
    **dict.fromkeys(
        ("RadiopharmaceuticalStartDateTime", "AcquisitionDateTime", "FrameAcquisitionDateTime",
         "DecayCorrectionDateTime"), DATETIMES,
    ),
    "FrameAcquisitionDuration": NUMBERS,
    "Units": TEXTS, "SUVType": tuple(t for t in TEXTS if t), "DecayCorrection": TEXTS, "CorrectedImage": TEXTS,
    "PatientSex": TEXTS, "Modality": TEXTS, "SeriesNumber": NUMBERS, "SeriesDescription": TEXTS, "ImageType": TEXTS,
    "SOPClassUID": (*TEXTS, "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.4"),
    "SeriesInstanceUID": (*TEXTS, "1.2.3"), "StudyInstanceUID": (*TEXTS, "1.2.3"),
    "FrameOfReferenceUID": (*TEXTS, "1.2.3"), "SOPInstanceUID": (*TEXTS, "1.2.3"),
    "PatientID": (*TEXTS, "OTHER"), "PatientName": (*TEXTS, "Other^One"), "SpecificCharacterSet": (*TEXTS, "ISO_IR 9"),
    "TimezoneOffsetFromUTC": ("", "abc", "+9999", "+01\\+02", "\xff\x00", None), "RescaleType": (*TEXTS, "US"),
    "CodeValue": TEXTS, "CodeMeaning": TEXTS, "Radiopharmaceutical": TEXTS, "AttenuationCorrected": TEXTS,
    "DecayCorrected": TEXTS, "NumberOfSlices": ("0", "9999", None), "ManufacturerModelName": TEXTS,
}  # fmt: skip
BINARY = {
    "Rows": (0, 1, 17, 35, 72, 65535, None), "Columns": (0, 1, 17, 35, 72, 65535, None),
    "BitsAllocated": (0, 1, 8, 12, 32, 64, None), "BitsStored": (0, 1, 8, 12, 17, 255, None),
    "HighBit": (0, 7, 11, 16, 255, None), "PixelRepresentation": (0, 2, 255, None),
    "SamplesPerPixel": (0, 2, 3, None), "PlanarConfiguration": (1,),
}  # fmt: skip
PLACES = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")


@dataclass(frozen=True)
class Target:
    """The files of a copied pair, and the chance by which they are spoilt."""

    folder: Path
    way: str
    rng: np.random.Generator

    def paths(self, which: str) -> list[Path]:
        return sorted((self.folder / which).iterdir())

    def pick(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def image(self) -> str:
        return "pt" if self.rng.random() < 0.65 else "ct"

    def some(self, which: str) -> list[Path]:
        """One file, or all."""
        paths = self.paths(which)
        return paths if self.rng.random() < 0.5 else [self.pick(paths)]

    def datasets(self, which: str):
        for path in self.some(which):
            ds = pydicom.dcmread(path)
            yield ds
            save(ds, path)


def save(ds: Dataset, path: Path) -> None:
    ds.save_as(path)


def owners(ds: Dataset, keyword: str) -> list[Dataset]:
    """Every data set, at any depth, that has the keyword."""
    tag, found = tag_for_keyword(keyword), []

    def look(place: Dataset) -> None:
        if tag in place:
            found.append(place)
        for element in list(place):
            if element.VR == "SQ":
                for item in element.value:
                    look(item)

    look(ds)
    return found


def put(ds: Dataset, keyword: str, value: bytes | None, vr: str | None = None) -> None:
    """Bytes as they are, whatever pydicom thinks of them; None takes the element out."""
    tag = Tag(tag_for_keyword(keyword))
    if value is None:
        if tag in ds:
            del ds[tag]
        return
    value += b" " * (len(value) % 2)
    ds[tag] = RawDataElement(tag, vr or dictionary_VR(tag), len(value), value, 0, False, True)


def spoilt(old: object, new: str | None) -> bytes | None:
    if new in ("x1000", "/1000"):
        factor = 1000.0 if new == "x1000" else 0.001
        try:
            new = f"{float(str(old)) * factor:.10g}"
        except ValueError:
            new = "7e7"
    return None if new is None else new.encode("latin-1")


def change_value(target: Target) -> str:
    which = target.image()
    keyword = target.pick(list(WORDS))
    new = target.pick(WORDS[keyword])
    for ds in target.datasets(which):
        for place in owners(ds, keyword) or [ds]:
            old = place.get(keyword, "")
            if keyword == "FrameAcquisitionDuration":
                _put_double(place, keyword, old, new)
            else:
                put(place, keyword, spoilt(old, new))
    return f"{which} {keyword}={new!r}"


def _put_double(place: Dataset, keyword: str, old, new) -> None:
    try:
        value = float(spoilt(old, new) or b"x")
        put(place, keyword, np.array([value], "<f8").tobytes())
    except ValueError:
        put(place, keyword, None if new is None else new.encode("latin-1"))


def change_two(target: Target) -> str:
    return f"{change_value(target)}; {change_value(target)}"


def change_vr(target: Target) -> str:
    which, keyword = target.image(), target.pick([*WORDS, *BINARY, *PLACES])
    vr = target.pick(("OB", "UN", "FD", "US", "LT", "PN", "AT", "UT", "SQ"))
    for ds in target.datasets(which):
        for place in owners(ds, keyword):
            old = place[keyword].value
            text = "\\".join(map(str, old)) if isinstance(old, list | pydicom.multival.MultiValue) else str(old)
            put(place, keyword, text.encode("latin-1", "replace"), vr)
    return f"{which} {keyword} as {vr}"


def change_binary(target: Target) -> str:
    which, keyword = target.image(), target.pick(list(BINARY))
    new = target.pick(BINARY[keyword])
    for ds in target.datasets(which):
        put(ds, keyword, None if new is None else np.array([new], _order(target)).tobytes())
    return f"{which} {keyword}={new}"


def _order(target: Target) -> str:
    return ">u2" if target.way == "big endian" else "<u2"


def swap_rows_and_columns(target: Target) -> str:
    which = target.image()
    for ds in target.datasets(which):
        ds.Rows, ds.Columns = ds.Columns, ds.Rows
    return which


def change_pixel_module(target: Target) -> str:
    which = target.image()
    keyword, values = target.pick(
        (
            ("PhotometricInterpretation", ("MONOCHROME1", "RGB", "PALETTE COLOR", "YBR_FULL", "", "abc", None)),
            ("NumberOfFrames", ("0", "2", "10", "-1", "99999999", "abc", "", None)),
        )
    )
    new = target.pick(values)
    for ds in target.datasets(which):
        put(ds, keyword, spoilt("", new))
    return f"{which} {keyword}={new!r}"


def change_place(target: Target) -> str:
    which, keyword = target.image(), target.pick(PLACES)
    spoil = target.pick(("x10", "x1000", "x0", "nan", "1e30", "few", "many", "text", "same", "empty", "missing", "one"))
    first = None
    axis = int(target.rng.integers(3))
    for ds in target.datasets(which):
        for place in owners(ds, keyword):
            old = [float(v) for v in place[keyword].value]
            first = first or old
            put(place, keyword, _place(old, first, spoil, axis % len(old)))
    return f"{which} {keyword} {spoil} {axis}"


def _place(old: list[float], first: list[float], spoil: str, axis: int) -> bytes | None:
    one = [f"{v:.8g}" for v in old]
    if spoil == "one":
        one[axis] = "1e7"
    texts = {
        "x10": [f"{10 * v:.8g}" for v in old], "x1000": [f"{1000 * v:.8g}" for v in old], "x0": ["0"] * len(old),
        "nan": ["nan"] * len(old), "1e30": ["1e30"] * len(old), "few": one[:-1], "many": [*one, "1"],
        "text": ["a"] * len(old), "same": [f"{v:.8g}" for v in first], "empty": [], "one": one,
    }  # fmt: skip
    return None if spoil == "missing" else "\\".join(texts[spoil]).encode()


SEQUENCES = (
    "RadiopharmaceuticalInformationSequence", "RadionuclideCodeSequence", "PerFrameFunctionalGroupsSequence",
    "SharedFunctionalGroupsSequence", "PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence",
    "PixelValueTransformationSequence", "FrameContentSequence", "RealWorldValueMappingSequence",
    "MeasurementUnitsCodeSequence",
)  # fmt: skip


def change_sequence(target: Target) -> str:
    keyword = target.pick(SEQUENCES if "multi-frame" in target.way else SEQUENCES[:2])
    spoil = target.pick(("empty", "missing", "blank item", "nested", "text", "binary", "twice", "short"))
    for ds in target.datasets("pt"):
        for place in owners(ds, keyword):
            items = list(place[keyword].value)
            if spoil == "missing":
                del place[keyword]
            elif spoil in ("text", "binary"):
                put(place, keyword, b"no sequence" if spoil == "text" else b"\xfe\xff\x00\xe0\xff\xff", "LO")
            else:
                setattr(place, keyword, _items(items, spoil, keyword))
    return f"{keyword} {spoil}"


def _items(items: list[Dataset], spoil: str, keyword: str) -> list[Dataset]:
    if spoil == "nested":
        outer = Dataset()
        setattr(outer, keyword, items)
        return [outer]
    return {"empty": [], "blank item": [Dataset()], "twice": [*items, *items], "short": items[:-1]}[spoil]


def change_private(target: Target) -> str:
    spoil = target.pick(("creators missing", "creators renamed", "values gone", "values zero", "values text"))
    for ds in target.datasets("pt"):
        for element in [e for e in ds if e.tag.is_private]:
            creator = element.tag.is_private_creator
            if spoil == ("creators missing" if creator else "values gone"):
                del ds[element.tag]
            elif creator and spoil == "creators renamed":
                ds[element.tag].value = "SOMEBODY ELSE"
            elif not creator and spoil in ("values zero", "values text"):
                ds.add_new(element.tag, "LO", "0" if spoil == "values zero" else "abc")
    return spoil


def change_meta(target: Target) -> str:
    which = target.image()
    keyword, values = target.pick(
        (
            ("TransferSyntaxUID", ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2",
             "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70",
             "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.113619.5.2", "1.2.3", "")),
            ("MediaStorageSOPClassUID", ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.4",
             "1.2.840.10008.5.1.4.1.1.481.2", "1.2.840.10008.1.3.10", "1.2.840.10008.5.1.4.1.1.2", "1.2.3", "")),
        )
    )  # fmt: skip
    new = target.pick(values)
    for path in target.some(which):
        _rewrite_meta(path, keyword, new)
    return f"{which} {keyword}={new}"


def _rewrite_meta(path: Path, keyword: str, new: str) -> None:
    """The file meta group with another value before a data set whose bytes stay."""
    content = path.read_bytes()
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    rest = 132 + 12 + int(ds.file_meta.FileMetaInformationGroupLength)
    setattr(ds.file_meta, keyword, new)
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, ds.file_meta, enforce_standard=False)
    path.write_bytes(content[:132] + buffer.getvalue() + content[rest:])


def truncate_file(target: Target) -> str:
    path = target.pick(target.paths(target.image()))
    content = path.read_bytes()
    path.write_bytes(content[: int(target.rng.integers(len(content)))])
    return path.name


def truncate_in_pixels(target: Target) -> str:
    which = target.image()
    for path in target.some(which):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) - int(target.rng.integers(1, min(1200, len(content) // 3)))])
    return which


def replace_file(target: Target) -> str:
    which = target.image()
    new = target.pick((b"", b"not an image\n", b"\x00" * 128 + b"DICM", target.rng.bytes(500), b"\x00" * 600))
    for path in target.some(which):
        path.write_bytes(new)
    return f"{which} {new[:8]!r}"


def flip_header(target: Target) -> str:
    """Some bytes of one file's header, at random."""
    which = target.image()
    path = target.pick(target.paths(which))
    content = bytearray(path.read_bytes())
    end = len(content) if target.way == "deflated" else content.rfind(b"\xe0\x7f\x10\x00")
    end = content.rfind(b"\x7f\xe0\x00\x10") if target.way == "big endian" else end
    for at in target.rng.integers(132, end + 12, int(target.rng.integers(1, 4))):
        content[min(at, len(content) - 1)] = int(target.rng.integers(256))
    path.write_bytes(content)
    return path.name


def flip_compressed(target: Target) -> str:
    """Bytes of compressed pixels: their headers and their codes."""
    path = target.pick(target.paths(target.image()))
    content = bytearray(path.read_bytes())
    begin = content.rfind(b"\xe0\x7f\x10\x00")
    reach = len(content) if target.rng.random() < 0.5 else min(len(content), begin + 160)
    for at in target.rng.integers(begin + 8, reach, int(target.rng.integers(1, 5))):
        content[at] = int(target.rng.integers(256))
    path.write_bytes(content)
    return path.name


def remove_slices(target: Target) -> str:
    which = target.image()
    paths = target.paths(which)
    count = int(target.rng.integers(1, max(2, len(paths) // 2)))
    for path in target.rng.choice(paths, count, replace=False):
        path.unlink()
    return f"{which} {count}"


def duplicate_slice(target: Target) -> str:
    which, spoil = target.image(), target.pick(("same", "other UID", "other pixels", "other series", "moved"))
    path = target.pick(target.paths(which))
    ds = pydicom.dcmread(path)
    if spoil != "same":
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "2.25.4242"
    if spoil == "other series":
        ds.SeriesInstanceUID = "2.25.4343"
    if spoil == "other pixels":
        other = pydicom.dcmread(target.paths(which)[-1 if path != target.paths(which)[-1] else 0])
        ds.PixelData = other.PixelData
    if spoil == "moved" and "ImagePositionPatient" in ds:
        ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], float(ds.ImagePositionPatient[2]) + 1.0]
    save(ds, path.with_name(f"{path.stem}-copy.dcm"))
    return f"{which} {spoil}"


def swap_between_files(target: Target) -> str:
    """Two slices exchange an attribute."""
    which = target.image()
    keyword = target.pick(("SOPInstanceUID", "InstanceNumber"))  # other places and times would be valid ones
    paths = target.paths(which)
    a, b = paths[0], paths[-1]
    one, other = pydicom.dcmread(a), pydicom.dcmread(b)
    one[keyword].value, other[keyword].value = other[keyword].value, one[keyword].value
    save(one, a)
    if a != b:
        save(other, b)
    return f"{which} {keyword}"


def mix_patients(target: Target) -> str:
    which = target.image()
    keyword = target.pick(("PatientID", "FrameOfReferenceUID", "StudyInstanceUID"))
    for ds in target.datasets(which):
        setattr(ds, keyword, "STRANGER" if keyword == "PatientID" else "2.25.1717")
    return f"{which} {keyword}"


MUTATIONS: dict[str, tuple[Callable[[Target], str], float]] = {  # with its share
    "a value": (change_value, 9.0),
    "two values": (change_two, 4.0),
    "wrong VR": (change_vr, 2.0),
    "pixel format": (change_binary, 3.0),
    "colour, frames": (change_pixel_module, 1.0),
    "rows and columns swapped": (swap_rows_and_columns, 0.5),
    "place and spacing": (change_place, 3.0),
    "sequences": (change_sequence, 2.5),
    "private values": (change_private, 1.0),
    "transfer syntax, class": (change_meta, 2.0),
    "file cut short": (truncate_file, 2.0),
    "pixels cut short": (truncate_in_pixels, 1.0),
    "file replaced": (replace_file, 1.0),
    "bytes of a header": (flip_header, 4.0),
    "bytes of compressed pixels": (flip_compressed, 2.0),
    "slices removed": (remove_slices, 1.0),
    "slice duplicated": (duplicate_slice, 1.0),
    "attributes exchanged": (swap_between_files, 0.5),
    "patients mixed": (mix_patients, 0.5),
}
WAYS_OF = {
    "bytes of compressed pixels": COMPRESSED,
    "private values": ("Philips, SUV factor", "Philips, activity factor", "START, GE scan time"),
    "sequences": tuple(w for w in WAYS if "multi-frame" in w or w.startswith(("START", "NONE", "SUV"))),
}
