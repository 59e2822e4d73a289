"""Are these two volumes a PET and a CT of one patient, and in which units? Said in words, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import slicer
from mmpl.errors import GeometryError, InputError
from mmpl.io.suv import Conversion
from mmpl.preprocess.grid import common_grid
from mmpl.report.text import sentence
from mmpl_slicer.dicom_files import PetHeader
from mmpl_slicer.input_report import BAD, GOOD, NOTE, InputReport, Line
from mmpl_slicer.pet_suv import report_on_units
from mmpl_slicer.volume_guess import AIR_HU, has_voxels, modality_of, patient_of, told_apart
from mmpl_slicer.volumes import geometry_of_node

SMALL_OVERLAP_MM = 100.0

Header = Callable[[object], PetHeader | None]
FrameOfReference = Callable[[object], str]


def no_header(_node) -> None:
    """For front ends without a DICOM database."""


def no_frame_of_reference(_node) -> str:
    """For front ends without a DICOM database."""
    return ""


def check_inputs(
    ct_node,
    pet_node,
    *,
    typed: Mapping[str, float | None],
    used_anyway: str = "",
    header: Header = no_header,
    frame_of_reference: FrameOfReference = no_frame_of_reference,
    kept: Conversion | None = None,
) -> InputReport:
    """Check a CT and a PET, either of which may be None.

    Parameters
    ----------
    typed : what the user typed of ``weight_kg``, ``injected_mbq`` and ``decay_min``
    used_anyway : an objection that the user has overruled
    header : gives a PET's DICOM header, None where there is none
    frame_of_reference : gives the UID of the space that an image was acquired in, "" where it is not known
    kept : what a header that is not there any more made of the PET
    """
    try:
        _check_there(ct_node, pet_node)
        lines = [Line(GOOD, _describe("CT", ct_node)), Line(GOOD, _describe("PET", pet_node))]
        lines += _transform_lines(ct_node, pet_node)
        lines.append(_overlap_line(ct_node, pet_node))
        found = header(pet_node)
        if found is not None and found.problem:
            raise InputError(found.problem)
    except InputError as problem:
        return InputReport((Line(BAD, sentence(problem)),))
    if _look_swapped(ct_node, pet_node):
        text = "CT and PET look exchanged: the CT holds no air, the PET does. Swap them."
        return InputReport((Line(BAD, text),), can_swap=True)
    objection = _objection(ct_node, pet_node, apart=_are_apart(ct_node, pet_node, frame_of_reference))
    overruled = objection and objection == used_anyway
    if objection:
        lines.append(Line(NOTE if overruled else BAD, objection + (" Used anyway, as you said." if overruled else "")))
    units = report_on_units(pet_node, typed, found, kept)
    return replace(
        units,
        lines=(*lines, *units.lines),
        usable=not objection or bool(overruled),
        objection="" if overruled else objection,
    )


def _check_there(ct_node, pet_node) -> None:
    for what, node in (("CT", ct_node), ("PET", pet_node)):
        if node is None:
            raise InputError(f"Choose a {what}: load one, or pick it above.")
    if ct_node is pet_node:
        raise InputError(f"{ct_node.GetName()!r} is chosen as CT and as PET: choose two volumes.")
    for what, node in (("CT", ct_node), ("PET", pet_node)):
        _check_volume(what, node)


def _check_volume(what: str, node) -> None:
    name = f"{what} {node.GetName()!r}"
    if not has_voxels(node):
        raise InputError(f"{name} holds no voxels: load the image again.")
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError(f"{name} is a label map: choose the image.")
    components = node.GetImageData().GetNumberOfScalarComponents()
    if components != 1:
        raise InputError(
            f"{name} has {components} values a voxel (colour, vectors or frames): choose a plain 3D image."
        )
    browser = _sequence_of(node)
    if browser is not None:
        raise InputError(
            f"{name} is one frame of the sequence {browser.GetName()!r}: its voxels change with the frame; "
            "clone the frame you mean (Data module, right-click) and choose the copy."
        )


def _sequence_of(node):
    """The sequence browser that a volume belongs to, None for a plain one."""
    for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode", node.GetScene()):
        if browser.IsProxyNode(node.GetID()):
            return browser
    return None


def _describe(what: str, node) -> str:
    geometry = geometry_of_node(node)
    size = " x ".join(str(n) for n in geometry.size)
    spacing = " x ".join(f"{s:.3g}" for s in geometry.spacing_mm)
    low, high = node.GetImageData().GetScalarRange()
    if low == high:
        raise InputError(f"{what} {node.GetName()!r} is the same everywhere ({low:g}): check the export.")
    tilt = "" if geometry.is_axis_aligned() else ", oblique"
    return f"{what}: {size} voxels of {spacing} mm{tilt}, values {low:.4g} to {high:.4g}"


def _transform_lines(*nodes) -> list[Line]:
    return [
        Line(NOTE, f"{node.GetName()!r} is used where transform {node.GetParentTransformNode().GetName()!r} puts it.")
        for node in nodes
        if node.GetParentTransformNode() is not None
    ]


def _overlap_line(ct_node, pet_node) -> Line:
    try:
        shared = common_grid(geometry_of_node(ct_node), geometry_of_node(pet_node))
    except GeometryError as problem:
        text = str(problem).removeprefix("case: ")
        raise InputError(text) from problem
    extent = " x ".join(f"{n} mm" for n in shared.size)
    if min(shared.size) < SMALL_OVERLAP_MM:
        return Line(
            NOTE, f"PET and CT share only {extent} (left-right, front-back, head-foot): look at both in a view."
        )
    return Line(GOOD, f"PET and CT share {extent} (left-right, front-back, head-foot)")


def _look_swapped(ct_node, pet_node) -> bool:
    modalities = modality_of(ct_node), modality_of(pet_node)
    if modalities == ("PT", "CT"):
        return True
    if "CT" in modalities[:1] or "PT" in modalities[1:]:
        return False
    return _lowest(ct_node) >= 0 and _lowest(pet_node) < AIR_HU


def _are_apart(ct_node, pet_node, frame_of_reference: FrameOfReference) -> bool:
    """Whether the images were acquired in two spaces, and no transform brings one to the other."""
    if ct_node.GetParentTransformNode() is not pet_node.GetParentTransformNode():
        return False
    of_ct, of_pet = frame_of_reference(ct_node), frame_of_reference(pet_node)
    return bool(of_ct and of_pet) and of_ct != of_pet


def _objection(ct_node, pet_node, *, apart: bool) -> str:
    """What speaks against using the two together, in one sentence; "" for nothing.

    Parameters
    ----------
    apart : they have different frames of reference
    """
    of_ct, of_pet = patient_of(ct_node), patient_of(pet_node)
    if of_ct.is_another(of_pet):
        names = told_apart(of_ct, of_pet)
        too = ", and they have different frames of reference" if apart else ""
        return f"The CT is of patient {names[0]!r}, the PET of {names[1]!r}{too}: choose images of one patient."
    if apart:
        return (
            "CT and PET have different frames of reference, so that nothing says how they lie to each other: choose "
            "images of one session, or use these all the same if they were registered."
        )
    if _lowest(ct_node) > AIR_HU:
        low = _lowest(ct_node)
        return f"The CT holds no air (its lowest value is {low:.4g}, expected about -1000 HU): choose the CT."
    return ""


def _lowest(node) -> float:
    return node.GetImageData().GetScalarRange()[0]
