"""Contours from DICOM, whichever object holds them: a segmentation or a structure set."""

from __future__ import annotations

from pathlib import Path

from mmpl.dicom_source import DicomSource, Patient
from mmpl.errors import InputError
from mmpl.geometry import Geometry, Volume
from mmpl.io.dicom.frame_of_reference import check_frames, check_patient
from mmpl.io.dicom.headers import patient_of, read_header, text
from mmpl.io.dicom.rtstruct import read_rtstruct_label_map
from mmpl.io.dicom.seg import read_seg
from mmpl.notices import Notice

RTSTRUCT = "RTSTRUCT"
SEG = "SEG"
WORDS = {RTSTRUCT: "the structure set", SEG: "the segmentation"}


def read_dicom_label_map(
    path: Path, ct: Geometry, source: DicomSource | None, *, any_frame: bool = False, any_patient: bool = False
) -> tuple[Volume, tuple[Notice, ...]]:
    """GTVp and GTVn of a DICOM segmentation or structure set.

    Parameters
    ----------
    path : the file
    ct : grid of the CT
    source : where the CT came from; None for a file that names no frame of reference
    any_frame : True where the user says that both share their coordinates, whatever the headers say
    any_patient : True where the user says that they belong together though the headers name two patients

    Raises
    ------
    InputError
        If it is neither, is of another patient, or holds no such contours.
    GeometryError
        If it lies in another frame of reference than the CT.
    """
    if path.is_dir():
        raise InputError(f"mask {path.name} is a folder: give the one file of the segmentation or structure set")
    header = read_header(path)
    modality = "" if header is None else text(header, "Modality")
    frame = source.frame_of_reference if source is not None and source.frame_of_reference else None
    if modality in (RTSTRUCT, SEG):
        ours = source.patient if source is not None else Patient()
        patient = check_patient(patient_of(header), ours, what=WORDS[modality], override=any_patient)
    if modality == RTSTRUCT:
        found = read_rtstruct_label_map(path, ct, image_frame_uid=frame, ignore_frame_of_reference=any_frame)
        return found[0], (*patient, *found[1])
    if modality == SEG:
        found = read_seg(path, ct)
        uids = (found.frame_of_reference_uid,) if found.frame_of_reference_uid else ()
        notices = check_frames(uids, frame, what=WORDS[SEG], override=any_frame)
        return found.label_map, (*patient, *found.notices, *notices)
    raise InputError(
        f"mask {path.name} is a DICOM object of kind {modality or 'unknown'}: give a segmentation (SEG) or a structure "
        "set (RTSTRUCT), or an image file"
    )
