"""Values of a DICOM header as they are written, whatever they are: nothing here raises for a damaged value."""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.charset import decode_bytes
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR, TEXT_VR_DELIMS, PersonName

from mmpl.dicom_source import Patient
from mmpl.io.dicom.codestream import HEAD, FrameSize, frame_size

# what pydicom raises on files that are damaged or no DICOM
UNREADABLE = (
    InvalidDicomError, BytesLengthException, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError,
    struct.error, NotImplementedError, OverflowError, RecursionError, MemoryError, AssertionError, zlib.error,
)  # fmt: skip
PREAMBLE = 132
PIXEL_DATA = 0x7FE00010
ESCAPE = b"\x1b"
# after which the first character set holds again (DICOM PS3.5 6.1.2.5.3)
TEXT_ENDS, NAME_ENDS = TEXT_VR_DELIMS | {ord("\\")}, TEXT_VR_DELIMS | {ord(one) for one in "\\^="}
UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM, ITEMS_END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


@dataclass(frozen=True)
class PixelBytes:
    """The pixel data of a file.

    Attributes
    ----------
    length : bytes, as it is stated; None where they are compressed, in fragments
    cut : the file ends before they do, or the fragments do not follow each other
    frame : what the first compressed frame says of its size, where it does
    """

    length: int | None
    cut: bool
    frame: FrameSize | None = None


def read_header(path: Path) -> Dataset | None:
    """All of a file but its pixels; None when it is no DICOM file, or one that cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _checked(pydicom.dcmread(path, stop_before_pixels=True, force=not _has_preamble(path)))
    except UNREADABLE:
        return None


def read_image_header(path: Path) -> tuple[Dataset, PixelBytes | None] | None:
    """As :func:`read_header`, with the size of the pixel data; None of a deflated file, which does not show it."""
    try:
        with warnings.catch_warnings(), path.open("rb") as stream:
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=not _has_preamble(path))
            return None if _checked(dataset) is None else (dataset, _pixel_bytes(stream, dataset, path.stat().st_size))
    except UNREADABLE:
        return None


def _pixel_bytes(stream, dataset: Dataset, file_size: int) -> PixelBytes | None:
    """pydicom stops just before the pixel data."""
    implicit, little = dataset.original_encoding
    order = "<" if little else ">"
    head = stream.read(12)
    if len(head) < 12 or struct.unpack(f"{order}HH", head[:4]) != (PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF):
        return None
    begin = stream.tell() - (4 if implicit else 0)
    length = struct.unpack(f"{order}L", head[4:8] if implicit else head[8:])[0]
    if length == UNDEFINED_LENGTH:
        first = _first_fragment(stream, order)
        stream.seek(begin)
        return PixelBytes(None, not _fragments_are_whole(stream, order, file_size), frame_size(first))
    return PixelBytes(length, begin + length > file_size)


def _first_fragment(stream, order: str) -> bytes:
    """The beginning of what follows the offset table."""
    table = stream.read(8)
    if len(table) == 8:
        stream.seek(struct.unpack(f"{order}L", table[4:])[0] + 8, 1)
    return stream.read(HEAD)


def _fragments_are_whole(stream, order: str, file_size: int) -> bool:
    """Items, one after the other, up to a delimiter; GDCM takes a long time over those that are not."""
    while len(head := stream.read(8)) == 8:
        group, element, length = struct.unpack(f"{order}HHL", head)
        if (group, element) == ITEMS_END:
            return True
        if (group, element) != ITEM or stream.tell() + length > file_size:
            return False
        stream.seek(length, 1)
    return False


def is_damaged_image(path: Path, images: Iterable[Path]) -> bool:
    """Whether a file that cannot be read was, by its beginning or its name, a DICOM object (not a DICOMDIR)."""
    if path.name.upper() == "DICOMDIR":
        return False
    suffixes = {one.suffix.lower() for one in images} - {""}
    return path.suffix.lower() in suffixes or _has_preamble(path)


def _has_preamble(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(PREAMBLE)[-4:] == b"DICM"


def _checked(dataset: Dataset) -> Dataset | None:
    """Anything can be read by force: only what names its class and series counts."""
    return dataset if text(dataset, "SOPClassUID") and text(dataset, "SeriesInstanceUID") else None


def text(dataset: Dataset, keyword: str | int) -> str:
    """The value as stripped text, several of them parted by backslashes; "" when it is missing or unreadable.

    Characters are those of the object's character set, and latin-1 where the value is none in it.
    """
    value = _raw(dataset, keyword)
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str | PersonName):
        return str(value).strip(" \0\r\n\t")
    if hasattr(value, "__iter__"):
        return "\\".join(str(v).strip() for v in value)
    return str(value).strip()


def _raw(dataset: Dataset, keyword: str | int):
    """As written, but converted where it is binary and decoded where it has a character set."""
    try:
        element = dataset.get_item(keyword)
        if element is None or not isinstance(element.value, bytes):
            return None if element is None else element.value
        kind = _vr(element)
        if kind in ("US", "SS", "UL", "SL", "FD", "FL", "SV", "UV"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return dataset[element.tag].value
        if kind in CUSTOMIZABLE_CHARSET_VR and (ESCAPE in element.value or not element.value.isascii()):
            return _decoded(element.value, dataset, NAME_ENDS if kind == "PN" else TEXT_ENDS)
        return element.value
    except UNREADABLE:
        return None


def _decoded(value: bytes, dataset: Dataset, ends: set[int]) -> str | bytes:
    """Text of the object's character sets, of its parent's where it is an item; as it was where it is none of them."""
    sets = dataset.original_character_set or "iso8859"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pydicom warns where it puts replacement characters
            return decode_bytes(value, [sets] if isinstance(sets, str) else sets, ends)
    except (*UNREADABLE, Warning):
        return value


def _vr(element) -> str:
    if element.VR:
        return element.VR
    try:
        return pydicom.datadict.dictionary_VR(element.tag)
    except KeyError:
        return ""


def sequence(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Items of a sequence; none when it is missing or unreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = dataset.get(keyword)
            return [item for item in value if isinstance(item, Dataset)] if value else []
    except UNREADABLE:
        return []


def functional_group(frame: Dataset, shared: Sequence[Dataset], keyword: str) -> Dataset:
    """A functional group's item, the frame's own or the one that all share; an empty one where there is none.

    Parameters
    ----------
    frame : item of PerFrameFunctionalGroupsSequence
    shared : items of SharedFunctionalGroupsSequence
    """
    return next((item for holder in (frame, *shared) for item in sequence(holder, keyword)), Dataset())


def is_whole(dataset: Dataset) -> bool:
    """False where the file ends within an element: pydicom makes a shorter sequence of it without a word."""
    elements = [dataset.get_item(tag) for tag in list(dataset.keys())]  # iterating over it would convert them
    raw = [element for element in elements if isinstance(element, RawDataElement) and element.value is not None]
    return all(element.length in (UNDEFINED_LENGTH, len(element.value)) for element in raw)


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Exactly ``count`` finite numbers, or None."""
    parts = [number_of(part) for part in text(dataset, keyword).split("\\")]
    return None if len(parts) != count or None in parts else tuple(parts)


def number_of(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def number(dataset: Dataset, keyword: str) -> float | None:
    found = numbers(dataset, keyword, 1)
    return None if found is None else found[0]


def patient_of(dataset: Dataset) -> Patient:
    return Patient(text(dataset, "PatientID"), text(dataset, "PatientName"))


def whole(dataset: Dataset, keyword: str) -> int | None:
    value = number(dataset, keyword)
    return int(value) if value is not None and value == int(value) else None


def private(dataset: Dataset, group: int, creator: str, offset: int) -> str:
    """A private value as text, by its creator's block; where the block names no creator, that at block 10."""
    try:
        for block in range(0x10, 0x100):
            if text(dataset, (group << 16) | block) == creator:
                return text(dataset, (group << 16) | (block << 8) | offset)
        nobody = not text(dataset, (group << 16) | 0x10)
    except UNREADABLE:
        return ""
    return text(dataset, (group << 16) | 0x1000 | offset) if nobody else ""
