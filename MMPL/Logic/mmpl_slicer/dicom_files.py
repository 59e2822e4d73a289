"""What the DICOM files of a volume say of it, where Slicer has loaded it from its DICOM database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mmpl.errors import InputError
from mmpl.geometry import Geometry
from mmpl.io.suv import Frame, frame_of
from mmpl_slicer.volumes import own_geometry_of_node

INSTANCES = "DICOM.instanceUIDs"
SCALES_OF_FRAMES = (
    "The PET is a DICOM object of many frames, each with a scale of its own, and 3D Slicer reads them all by that of "
    "the first: its values are wrong. Export it as single images."
)
FileState = tuple[str, int, int]  # path, time of change, size: a file that is written anew is read anew


@dataclass(frozen=True)
class PetHeader:
    """A PET's header.

    Attributes
    ----------
    values : of the earliest image, see :mod:`mmpl.io.suv.header`
    frames : reads what decay needs of each slice, in the volume's order; may raise MMPLError. Slow: it reads a header
        a slice, and is called only where each slice has a decay of its own.
    problem : why the voxels that 3D Slicer has read cannot be right, "" where nothing speaks against them
    """

    values: Mapping[str, object]
    frames: Callable[[], tuple[Frame, ...]] = tuple
    problem: str = ""


class DicomFiles:
    """Finds files of volumes.

    Parameters
    ----------
    file_of : SOP Instance UID -> path of its file, "" where there is none
    """

    def __init__(self, file_of: Callable[[str], str | None] = lambda _uid: ""):
        self.file_of = file_of

    def header(self, node) -> PetHeader | None:
        """A PET's header, None where the volume has no files here.

        The series' earliest acquisition is the earlier of its first and last image: beds are scanned in order.
        """
        values, problem = _read(tuple(map(_state, sorted(self._end_files(node)))))
        return None if values is None else PetHeader(values, lambda: self._frames(node), problem)

    def frame_of_reference(self, node) -> str:
        """UID of the space that a volume was acquired in, "" where no file says; for comparison, never for print."""
        return next(filter(None, map(_frame_of_reference, map(_state, self._end_files(node)))), "")

    def _end_files(self, node) -> list[str]:
        """Files of a volume's first and last image, those that are there."""
        uids = instances_of(node)
        return [file for uid in dict.fromkeys((*uids[:1], *uids[-1:])) if (file := self._file(uid))]

    def files(self, node, name: str) -> tuple[str, ...]:
        """The file of each slice of a volume, in the order in which the node names them.

        Raises
        ------
        InputError
            If the volume is not from the DICOM database, its files are gone, or their count is not that of its slices.
        """
        uids, slices = instances_of(node), node.GetImageData().GetDimensions()[2]
        if not uids:
            raise InputError(f"{name} was not loaded from the DICOM database")
        if len(uids) != slices:
            raise InputError(f"{name} has {slices} slices and its DICOM series {len(uids)} files: they must agree")
        files = tuple(map(self._file, uids))
        if missing := files.count(""):
            raise InputError(f"{missing} of the {slices} DICOM files of {name} are not in the DICOM database any more")
        return files

    def why_no_export(self, node) -> str:
        """Why results on a CT cannot be written as DICOM, "" where they can as far as can be told quickly."""
        if node.GetParentTransformNode() is not None:
            return "the CT lies under a transform: DICOM would refer to the wrong voxels"
        try:
            self.files(node, "the CT")
        except InputError as problem:
            return str(problem)
        return ""

    def _file(self, uid: str) -> str:
        path = self.file_of(uid) or ""
        return path if path and Path(path).is_file() else ""

    def _frames(self, node) -> tuple[Frame, ...]:
        return _frames_on_grid(tuple(map(_state, self.files(node, "the PET"))), own_geometry_of_node(node))


def instances_of(node) -> tuple[str, ...]:
    """SOP Instance UIDs that a volume was loaded from."""
    return tuple((node.GetAttribute(INSTANCES) or "").split())


def fingerprint_of_instances(node) -> str:
    """Tells apart what volumes were loaded from, without a UID in it; "" for one that is not from DICOM."""
    uids = instances_of(node)
    return hashlib.blake2b(" ".join(uids).encode(), digest_size=12).hexdigest() if uids else ""


def _state(file: str) -> FileState:
    stat = Path(file).stat()
    return file, stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=16)
def _read(files: tuple[FileState, ...]) -> tuple[Mapping[str, object] | None, str]:
    """The earliest image's header, None without, and what is wrong with how 3D Slicer reads these files."""
    from mmpl.io.dicom.pet_header import earliest_header
    from mmpl.io.dicom.series import PET, list_series

    images = [one for series in list_series([Path(file) for file, *_ in files]).of(PET) for one in series.slices]
    slopes = {one.slope for one in images if one.frame is not None}
    return earliest_header(one.header for one in images), SCALES_OF_FRAMES if len(slopes) > 1 else ""


@lru_cache(maxsize=16)
def _frame_of_reference(file: FileState) -> str:
    from mmpl.io.dicom.headers import read_header, text

    header = read_header(Path(file[0]))
    return "" if header is None else text(header, "FrameOfReferenceUID")


@lru_cache(maxsize=4)
def _frames_on_grid(files: tuple[FileState, ...], geometry: Geometry) -> tuple[Frame, ...]:
    from mmpl.io.dicom.on_grid import images_in_slice_order

    images = images_in_slice_order([Path(file) for file, *_ in files], geometry, "the PET")
    return tuple(frame_of(one.header) for one in images)
