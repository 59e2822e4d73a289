"""Do two DICOM objects belong together? They share coordinates when they name one frame of reference."""

from __future__ import annotations

from collections.abc import Iterable

from mmpl.dicom_source import Patient
from mmpl.errors import GeometryError, InputError
from mmpl.notices import DICOM_PAIR, FRAME_OF_REFERENCE_IGNORED, Notice


def check_frames(uids: Iterable[str], image_frame_uid: str | None, *, what: str, override: bool) -> tuple[Notice, ...]:
    """Refuse what is not in the image's frame of reference, unless the user answers for it.

    Parameters
    ----------
    uids : FrameOfReferenceUIDs that ``what`` uses; none or "" where it names none
    image_frame_uid : that of the image; None or "" where it is unknown (a NIfTI file)
    what : what is laid on the image, for messages: "the structure set" or "the dose"
    override : True where the user says that both share their coordinates

    Returns
    -------
    tuple of Notice : empty when the frames agree

    Raises
    ------
    GeometryError
        If they do not, or one is unknown, and there is no override. UIDs are not printed: they point to a patient.
    """
    theirs = {str(uid).strip() for uid in uids} or {""}
    if image_frame_uid and theirs == {str(image_frame_uid).strip()}:
        return ()
    problem = _problem(theirs, image_frame_uid, what)
    if not override:
        raise GeometryError(
            f"{problem}, so it may lie elsewhere in the patient: give the image that it was drawn or computed "
            "on, or --ignore-frame-of-reference if you know that the two are aligned"
        )
    text = (
        f"{problem[0].upper()}{problem[1:]}; its coordinates were taken as the image's, as asked: look whether it fits."
    )
    return (Notice(FRAME_OF_REFERENCE_IGNORED, text),)


def _problem(theirs: set[str], image_frame_uid: str | None, what: str) -> str:
    if not image_frame_uid:
        return f"the image does not say its frame of reference, so that of {what} cannot be compared with it"
    if theirs == {""}:
        return f"{what} does not say its frame of reference"
    return f"{what} is in another frame of reference than the image"


def check_patient(theirs: Patient, ours: Patient, *, what: str, override: bool) -> tuple[Notice, ...]:
    """Refuse what is of another patient than the CT, unless the user answers for it; unknown ones pass.

    Parameters
    ----------
    theirs, ours : whose ``what`` and the CT are; not printed
    what : "the dose" or the like, for messages

    Raises
    ------
    InputError
        If they differ and there is no override.
    """
    if not theirs.is_another(ours):
        return ()
    if not override:
        raise InputError(
            f"{what} is of another patient than the CT: give that of this patient, or use it anyway with --any-pair"
        )
    return (Notice(DICOM_PAIR, f"{what[0].upper()}{what[1:]} was used although it is of another patient than the CT."),)
