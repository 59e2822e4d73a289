"""Where a volume came from, when it was a DICOM series: what an export must refer to."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from mmpl.geometry import Geometry


@dataclass(frozen=True)
class Patient:
    """Whose an object is: PatientID and PatientName, "" where not given; for comparison, never for print."""

    id: str = ""
    name: str = ""

    def is_another(self, other: Patient) -> bool:
        """Whether two objects name two patients: by their IDs, by their names where one has no ID, else unknown.

        A name is written in many ways, so that of equal IDs it says nothing; an ID and a name are never compared.
        """
        if self.id and other.id:
            return unicodedata.normalize("NFC", self.id) != unicodedata.normalize("NFC", other.id)
        return bool(self.name and other.name) and _name_as_compared(self.name) != _name_as_compared(other.name)


def _name_as_compared(name: str) -> str:
    """Without the empty components at the end, which some programs leave out."""
    return as_compared(name.rstrip("^= "))


def as_compared(text: str) -> str:
    """Without case, and the same for a letter with its accent in one character and in two."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


@dataclass(frozen=True)
class DicomSource:
    """The files of the series that a volume was read from.

    Attributes
    ----------
    files : one a slice of the volume, in the order of its z axis; a multi-frame object stands once
    geometry : Geometry of the volume
    on_slices : True when slice k of the volume is the image of file k, voxel by voxel. False where the volume was
        resampled from the images (gantry tilt), or where it is a multi-frame object.
    frame_of_reference : UID of the space that the volume lies in, "" where it is not known; never for print
    patient : whose they are
    """

    files: tuple[Path, ...]
    geometry: Geometry
    on_slices: bool = True
    frame_of_reference: str = ""
    patient: Patient = field(default_factory=Patient)
