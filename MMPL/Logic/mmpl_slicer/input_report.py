"""What the input check found: sentences, and how the PET is to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmpl.case import PET_SUV
from mmpl.io.suv import Conversion

GOOD, NOTE, BAD = "good", "note", "bad"  # what a line is: as it should be, worth knowing, in the way


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
    asks_for_suv : weight, dose and time convert the PET, or would
    conversion : what a header or typed values make of the PET, though it be no SUV; None where neither is asked
    suv_found : what the header gives, field name -> value
    pet_units : units that the PET has without conversion; None lets the conversion say, or the engine judge
    """

    lines: tuple[Line, ...]
    usable: bool = False
    objection: str = ""
    can_swap: bool = False
    asks_for_suv: bool = False
    conversion: Conversion | None = None
    suv_found: Mapping[str, float] | None = None
    pet_units: str | None = None

    @property
    def is_suv_as_it_is(self) -> bool:
        """Whether the PET's voxels are SUV before any conversion."""
        if self.pet_units is not None:
            return self.pet_units == PET_SUV
        return self.conversion is None or self.conversion.factor == 1.0
