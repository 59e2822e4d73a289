"""Are these two volumes a PET and a CT of one patient, and in which units? Said in words, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

import slicer
from mmpl.case import PET_SUV, PET_UNKNOWN
from mmpl.errors import GeometryError, InputError
from mmpl.io.pet_units import why_not_suv
from mmpl.io.suv import SuvInputs, inputs_from_header, missing_fields, pet_units_of_header
from mmpl.preprocess.grid import common_grid
from mmpl.report.text import sentence
from mmpl_slicer.volume_guess import AIR_HU, has_voxels, modality_of, patient_of
from mmpl_slicer.volumes import geometry_of_node, pet_units_of_node

GOOD, NOTE, BAD = "good", "note", "bad"  # what a line is: as it should be, worth knowing, in the way
SAMPLE_VOXELS = 200_000
SMALL_OVERLAP_MM = 100.0
BQML_CODES = ("BQML", "Bq/ml", "Bq/mL", "{counts}/s/ml")

Header = Callable[[object], Mapping[str, object] | None]


def no_header(_node) -> None:
    """For front ends without a DICOM database."""


@dataclass(frozen=True)
class Line:
    """One sentence of the check, and what it is: GOOD, NOTE or BAD."""

    level: str
    text: str


@dataclass(frozen=True)
class InputReport:
    """What the check found.

    Attributes
    ----------
    lines : in the order in which they are read
    usable : nothing is in the way
    objection : what the user may overrule, "" for nothing
    can_swap : CT and PET look exchanged
    asks_for_suv : the PET is not in SUV; weight, dose and time would convert it
    suv : what converts it, typed or from the header; None where it is SUV already or something is missing
    suv_found : what the header gives, field name -> value
    pet_units : units to state to the engine; None lets it judge by the voxels
    """

    lines: tuple[Line, ...]
    usable: bool = False
    objection: str = ""
    can_swap: bool = False
    asks_for_suv: bool = False
    suv: SuvInputs | None = None
    suv_found: Mapping[str, float] | None = None
    pet_units: str | None = None


def check_inputs(
    ct_node, pet_node, *, typed: Mapping[str, float | None], used_anyway: str = "", header: Header = no_header
) -> InputReport:
    """Check a CT and a PET, either of which may be None.

    Parameters
    ----------
    typed : what the user typed of ``weight_kg``, ``injected_mbq`` and ``decay_min``
    used_anyway : an objection that the user has overruled
    header : gives a volume's DICOM values by keyword, None where there are none
    """
    try:
        _check_there(ct_node, pet_node)
        lines = [Line(GOOD, _describe("CT", ct_node)), Line(GOOD, _describe("PET", pet_node))]
        lines += _transform_lines(ct_node, pet_node)
        lines.append(_overlap_line(ct_node, pet_node))
    except InputError as problem:
        return InputReport((Line(BAD, sentence(problem)),))
    if _look_swapped(ct_node, pet_node):
        text = "CT and PET look exchanged: the CT holds no air, the PET does. Swap them."
        return InputReport((Line(BAD, text),), can_swap=True)
    objection = _objection(ct_node, pet_node)
    overruled = objection and objection == used_anyway
    if objection:
        lines.append(Line(NOTE if overruled else BAD, objection + (" Used anyway, as you said." if overruled else "")))
    units = _units(pet_node, typed, header(pet_node) or {})
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


def _objection(ct_node, pet_node) -> str:
    """What speaks against using the two together, in one sentence; "" for nothing."""
    patients = patient_of(ct_node), patient_of(pet_node)
    if all(patients) and patients[0] != patients[1]:
        return f"The CT is of patient {patients[0]!r}, the PET of {patients[1]!r}: choose images of one patient."
    if _lowest(ct_node) > AIR_HU:
        low = _lowest(ct_node)
        return f"The CT holds no air (its lowest value is {low:.4g}, expected about -1000 HU): choose the CT."
    return ""


def _units(pet_node, typed: Mapping[str, float | None], header: Mapping[str, object]) -> InputReport:
    """The part of the report that is about the PET's units."""
    stated = _stated_units(pet_node, header)
    sample = fair_sample(slicer.util.arrayFromVolume(pet_node))
    reason = why_not_suv(sample)
    if stated == PET_SUV and reason is None:
        return InputReport((Line(GOOD, "The PET is in body-weight SUV, as its units say"),), pet_units=PET_SUV)
    if not stated and reason is None:
        text = "The PET has no units; its values are those of body-weight SUV and are taken as such."
        return InputReport((Line(NOTE, text),))
    found, doubts = inputs_from_header(header) if header else ({}, [])
    if header.get("Units") and pet_units_of_header(header) == PET_UNKNOWN:
        notes = tuple(Line(NOTE, doubt) for doubt in doubts)
        text = "The PET cannot be converted to SUV: contours are drawn without HPV and RFS."
        return InputReport((*notes, Line(NOTE, text)), pet_units=PET_UNKNOWN)
    fields = {**found, **{name: value for name, value in typed.items() if value is not None}}
    return replace(_conversion(fields, doubts, stated, reason), suv_found=found)


def _conversion(fields: dict, doubts: list[str], stated: str, reason: str | None) -> InputReport:
    what = "The PET is in Bq/mL" if stated in BQML_CODES else f"The PET is not in SUV ({reason or f'units {stated}'})"
    notes = [Line(NOTE, doubt) for doubt in doubts]
    missing = missing_fields(fields)
    if missing:
        text = f"{what}: type {_and(missing)} to convert it, or contours are drawn without HPV and RFS."
        return InputReport((Line(NOTE, text), *notes), asks_for_suv=True, pet_units=PET_UNKNOWN)
    try:
        suv = SuvInputs(**fields)
    except InputError as problem:
        return InputReport((Line(NOTE, sentence(problem)), *notes), asks_for_suv=True, pet_units=PET_UNKNOWN)
    text = (
        f"{what}: converted to SUV with {suv.weight_kg:g} kg, {suv.injected_mbq:g} MBq, "
        f"{suv.decay_min:g} min of decay (half-life {suv.half_life_s / 60:.2f} min)."
    )
    notes += [Line(NOTE, doubt) for doubt in suv.doubts()]
    return InputReport((Line(GOOD, text), *notes), asks_for_suv=True, suv=suv)


def _stated_units(pet_node, header: Mapping[str, object]) -> str:
    """What the node or its header says: "SUVbw", a code such as "BQML", or "" for nothing."""
    if pet_units_of_node(pet_node) == PET_SUV:
        return PET_SUV
    units = pet_node.GetVoxelValueUnits()
    code = (units.GetCodeValue() or "") if units is not None else ""
    return code or str(header.get("Units") or "")


def fair_sample(array: np.ndarray) -> np.ndarray:
    """Every n-th voxel along each axis, at most about SAMPLE_VOXELS of them: enough to tell Bq/mL from SUV."""
    step = max(1, int(np.ceil((array.size / SAMPLE_VOXELS) ** (1 / 3))))
    return np.asarray(array[::step, ::step, ::step], dtype=np.float64)


def _lowest(node) -> float:
    return node.GetImageData().GetScalarRange()[0]


def _and(words) -> str:
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
