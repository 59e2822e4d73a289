"""Body-weight SUV: what it takes, what a DICOM header says of it, and other kinds of SUV.

``inputs`` has the formula and the limits of its values; ``header`` reads a header; ``conversion`` puts both together,
with a record of every value and rule; ``body`` and ``nuclides`` hold what is known of bodies and radionuclides.
"""

from __future__ import annotations

from mmpl.io.suv.conversion import PET_BQML, Conversion, Typed, convert, convert_typed
from mmpl.io.suv.header import Frame, frame_of
from mmpl.io.suv.inputs import (
    NEEDED,
    SuvInputs,
    missing_fields,
    problem_with,
    suv_body_weight,
    suv_scale,
)
from mmpl.io.suv.nuclides import F18_HALF_LIFE_S

__all__ = [
    "F18_HALF_LIFE_S",
    "NEEDED",
    "PET_BQML",
    "Conversion",
    "Frame",
    "SuvInputs",
    "Typed",
    "convert",
    "convert_typed",
    "frame_of",
    "missing_fields",
    "problem_with",
    "suv_body_weight",
    "suv_scale",
]
