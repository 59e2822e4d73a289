"""What lies in a folder of DICOM files: image series of CT and PET, and other objects, by their headers."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import RE_VALID_UID

from mmpl.dicom_source import Patient
from mmpl.errors import InputError
from mmpl.io.dicom.headers import PixelBytes, is_damaged_image, patient_of, read_image_header, text, whole
from mmpl.io.dicom.multiframe import frames_of
from mmpl.io.dicom.single import slice_of
from mmpl.io.dicom.slices import Slice

CT, PET = "CT", "PET"
IMAGE_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": CT,
    "1.2.840.10008.5.1.4.1.1.2.1": CT,
    "1.2.840.10008.5.1.4.1.1.2.2": CT,
    "1.2.840.10008.5.1.4.1.1.128": PET,
    "1.2.840.10008.5.1.4.1.1.128.1": PET,
    "1.2.840.10008.5.1.4.1.1.130": PET,
}
FEW_STRAYS = 3  # images of another size or orientation, such as a localiser, that do not make a series of their own
STRAY_SHARE = 0.1


@dataclass(frozen=True)
class Series:
    """One stack of images of one series.

    Attributes
    ----------
    kind : "CT" or "PET"
    uid, study_uid, frame_of_reference : texts, "" where missing; for comparison, never for print
    patient : whose it is
    number, description : SeriesNumber and SeriesDescription
    slices : in no order
    strays : images of the same series that are left out, in words -> count
    scout : the images call themselves localisers
    attenuation_corrected : PET: False where the header lists corrections and this is not among them
    """

    kind: str
    uid: str
    study_uid: str
    patient: Patient
    frame_of_reference: str
    number: str
    description: str
    slices: tuple[Slice, ...]
    strays: Mapping[str, int] = field(default_factory=dict)
    scout: bool = False
    attenuation_corrected: bool = True

    @property
    def name(self) -> str:
        """For people: 'series 7, "FDG 3D", 234 images of 128 x 128'."""
        first = self.slices[0]
        title = f'"{self.description}"' if self.description else "without description"
        return f"series {self.number or '?'}, {title}, {len(self.slices)} images of {first.columns} x {first.rows}"


@dataclass(frozen=True)
class Listing:
    """All that was found.

    Attributes
    ----------
    series : CT and PET series, in the order of their numbers
    others : kind of object ("RTSTRUCT", "MR", ...) -> count
    unreadable : files that are no DICOM, or damaged
    damaged : objects that may have been images of these series and cannot be told to be: unreadable, of an impossible
        class, or images that lack their place and belong to no series
    """

    series: tuple[Series, ...]
    others: Mapping[str, int]
    unreadable: int
    damaged: int = 0

    def of(self, kind: str) -> tuple[Series, ...]:
        return tuple(one for one in self.series if one.kind == kind)

    def text(self) -> str:
        """A table for the terminal; patients and studies are numbered, not named."""
        lines = [f"{one.kind:4} {_place(one, self.series)}  {one.name}{_remarks(one)}" for one in self.series]
        lines += [f"{count} object{'' if count == 1 else 's'} of kind {kind}" for kind, count in self.others.items()]
        if self.unreadable:
            lines.append(f"{self.unreadable} files that are no DICOM, or damaged")
        return "\n".join(lines) or "nothing"


def _place(one: Series, among: Sequence[Series]) -> str:
    def index(values: Iterable[str], value: str) -> int:
        return list(dict.fromkeys(values)).index(value) + 1

    patient = _number_of_patient(one, among)
    study = index((s.study_uid for s in among), one.study_uid)
    frame = index((s.frame_of_reference for s in among), one.frame_of_reference)
    return f"patient {patient}, study {study}, frame of reference {frame}"


def _number_of_patient(one: Series, among: Sequence[Series]) -> int:
    known: list[Patient] = []
    for patient in (each.patient for each in among):
        if all(patient.is_another(other) for other in known):
            known.append(patient)
    return next(k for k, patient in enumerate(known, 1) if not one.patient.is_another(patient))


def _remarks(one: Series) -> str:
    remarks = [f"{count} {what}" for what, count in one.strays.items()]
    if one.scout:
        remarks.append("localiser")
    if not one.attenuation_corrected:
        remarks.append("not corrected for attenuation")
    return f"; {', '.join(remarks)}" if remarks else ""


def list_series(source: Path | Sequence[Path]) -> Listing:
    """Look through a folder (and its folders), or a list of files.

    Raises
    ------
    InputError
        If the folder or a file does not exist.
    """
    found: dict[str, list[tuple[Dataset, Slice]]] = defaultdict(list)
    broken: dict[str, Counter] = defaultdict(Counter)
    others, unreadable, nameless = Counter(), [], 0
    for path in _files(source):
        read = read_image_header(path)
        if read is None:
            unreadable.append(path)
            continue
        dataset, pixels = read
        if text(dataset, "SOPClassUID") not in IMAGE_CLASSES:
            others[_kind(dataset)] += 1
            nameless += re.fullmatch(RE_VALID_UID, text(dataset, "SOPClassUID")) is None
            broken[text(dataset, "SeriesInstanceUID")]["objects of another kind"] += 1
        else:
            for one in _slices(dataset, path, pixels):
                if isinstance(one, str):
                    broken[text(dataset, "SeriesInstanceUID")][one] += 1
                else:
                    found[text(dataset, "SeriesInstanceUID")].append((dataset, one))
    for uid in set(broken) - set(found):
        others["damaged images"] += sum(n for what, n in broken[uid].items() if what != "objects of another kind")
    series = [one for uid, images in found.items() for one in _stacks(images, broken[uid])]
    paths = [one.path for each in series for one in each.slices]
    damaged = sum(is_damaged_image(path, paths) for path in unreadable) + nameless + others["damaged images"]
    return Listing(tuple(sorted(series, key=_order)), dict(sorted((+others).items())), len(unreadable), damaged)


def _kind(dataset: Dataset) -> str:
    """Modality, where it is the short word that it must be."""
    modality = text(dataset, "Modality")
    return modality if modality.isalnum() and len(modality) <= 16 and modality.isascii() else "unknown"


def _order(one: Series) -> tuple:
    return (one.kind, not one.number.isdigit(), one.number.zfill(9), one.uid, -len(one.slices))


def _files(source: Path | Sequence[Path]) -> list[Path]:
    if not isinstance(source, str | Path):
        files = [Path(p) for p in source]
        missing = [p for p in files if not p.is_file()]
        if missing:
            raise InputError(f"{missing[0]} is no file: check the list of DICOM files")
        return files
    source = Path(source)
    if not source.exists():
        raise InputError(f"{source} does not exist: check the path")
    return [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())


def _slices(dataset: Dataset, path: Path, pixels: PixelBytes | None) -> list[Slice | str]:
    """The images of one file; what is wrong with one in its place."""
    if "PerFrameFunctionalGroupsSequence" in dataset or whole(dataset, "NumberOfFrames") not in (None, 1):
        return frames_of(dataset, path, pixels)
    return [slice_of(dataset, path, pixels, IMAGE_CLASSES[text(dataset, "SOPClassUID")] == PET)]


def _stacks(images: list[tuple[Dataset, Slice]], broken: Counter) -> list[Series]:
    """One series, parted where its images differ in size or orientation; small parts are strays of the largest."""
    parts: list[list[tuple[Dataset, Slice]]] = []
    for dataset, one in images:
        part = next((part for part in parts if one.is_like(part[0][1])), None)
        if part is None:
            parts.append([(dataset, one)])
        else:
            part.append((dataset, one))
    largest, *rest = sorted(parts, key=len, reverse=True)
    strays = Counter(broken)
    found = []
    for part in rest:
        if len(part) <= max(FEW_STRAYS, STRAY_SHARE * len(largest)) and len(part) < len(largest):
            strays["images of another size or orientation"] += len(part)
        else:
            found.append(_series(part, Counter()))
    return [_series(largest, strays), *found]


def _series(part: list[tuple[Dataset, Slice]], strays: Counter) -> Series:
    dataset, first = part[0]
    kind = IMAGE_CLASSES[text(dataset, "SOPClassUID")]
    corrections = first.header.get("CorrectedImage", "")
    one = Series(
        kind=kind,
        uid=text(dataset, "SeriesInstanceUID"),
        study_uid=text(dataset, "StudyInstanceUID"),
        patient=patient_of(dataset),
        frame_of_reference=text(dataset, "FrameOfReferenceUID"),
        number=text(dataset, "SeriesNumber"),
        description=text(dataset, "SeriesDescription"),
        slices=tuple(image for _, image in part),
        strays=dict(strays),
        scout="LOCALIZER" in text(dataset, "ImageType").upper(),
        attenuation_corrected=not corrections or "ATTN" in corrections.upper(),
    )
    frames, patients = {text(d, "FrameOfReferenceUID") for d, _ in part}, {patient_of(d) for d, _ in part}
    if len(frames) > 1 or any(a.is_another(b) for a, b in itertools.combinations(patients, 2)):
        return replace(one, strays={**one.strays, "patients or frames of reference in one series": 2})
    return one
