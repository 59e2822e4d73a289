"""The segments MMPL makes: one name, colour and terminology for files, reports and Slicer alike."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mmpl.case import CLASS_NAMES, GTVN, GTVP

TERMINOLOGY_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
ANATOMY_CONTEXT = "Anatomic codes - DICOM master list"


@dataclass(frozen=True)
class Code:
    """A coded concept: scheme, value and meaning, as DICOM writes them."""

    scheme: str
    value: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.scheme}^{self.value}^{self.meaning}"


@dataclass(frozen=True)
class SegmentSpec:
    """How one class appears as a segment.

    Attributes
    ----------
    label : voxel value in a label map
    id : segment ID, stable between files and scenes
    name : what people read
    color : red, green, blue in 0..1
    category, type, region : SNOMED CT codes
    """

    label: int
    id: str
    name: str
    color: tuple[float, float, float]
    category: Code
    type: Code
    region: Code

    @property
    def terminology_tag(self) -> str:
        """Slicer's serialised terminology entry, the value of the "TerminologyEntry" segment tag.

        Fields between tildes: terminology context, category, type, type modifier, anatomic context,
        anatomic region, region modifier (3D Slicer, vtkSlicerTerminologiesModuleLogic).
        """
        no_modifier = "^^"
        return "~".join(
            (
                TERMINOLOGY_CONTEXT,
                str(self.category),
                str(self.type),
                no_modifier,
                ANATOMY_CONTEXT,
                str(self.region),
                no_modifier,
            )
        )

    @property
    def color_hex(self) -> str:
        """CSS colour, "#rrggbb"."""
        return "#" + "".join(f"{round(255 * c):02x}" for c in self.color)


_ABNORMAL = Code("SCT", "49755003", "Morphologically Altered Structure")

# Vermillion and sky blue of the Okabe-Ito palette: told apart with every common colour vision deficiency.
SEGMENTS: dict[int, SegmentSpec] = {
    GTVP: SegmentSpec(
        label=GTVP,
        id="GTVp",
        name=CLASS_NAMES[GTVP],
        color=(213 / 255, 94 / 255, 0.0),
        category=_ABNORMAL,
        type=Code("SCT", "86049000", "Neoplasm, Primary"),
        region=Code("SCT", "774007", "Head and Neck"),
    ),
    GTVN: SegmentSpec(
        label=GTVN,
        id="GTVn",
        name=CLASS_NAMES[GTVN],
        color=(86 / 255, 180 / 255, 233 / 255),
        category=_ABNORMAL,
        type=Code("SCT", "14799000", "Neoplasm, Secondary"),
        region=Code("SCT", "59441001", "Lymph node"),
    ),
}


# "GTVp", "gtv-p", "GTV_N", "GTV n", and numbered ones as TG-263 has them: "GTVn1", "GTVn_2". Nothing else.
NAMES_OF_CLASS = {GTVP: re.compile(r"gtv[ _-]?p([ _-]?\d+)?", re.I), GTVN: re.compile(r"gtv[ _-]?n([ _-]?\d+)?", re.I)}


def class_called(name: str) -> int | None:
    """The label that a structure's or segment's name stands for without any doubt; None for all other names."""
    return next((label for label, pattern in NAMES_OF_CLASS.items() if pattern.fullmatch(name.strip())), None)
