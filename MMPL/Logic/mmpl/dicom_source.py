"""Where a volume came from, when it was a DICOM series: what an export must refer to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmpl.geometry import Geometry


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
    patient : PatientID, "" where it is not known; for comparison, never for print
    """

    files: tuple[Path, ...]
    geometry: Geometry
    on_slices: bool = True
    frame_of_reference: str = ""
    patient: str = ""
