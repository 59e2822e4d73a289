"""Who a phantom's images belong to, and UIDs that follow from it."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import date, datetime

from mmpl.errors import InputError


@dataclass(frozen=True)
class Person:
    """A phantom's name and the visit that its images were taken at.

    Attributes
    ----------
    patient_id : Patient ID; the name is "Phantom^" and this
    born : birth date
    studied_at : Study Date and Study Time
    seed : told apart by it: two persons of one ID and different seeds share no UID

    Raises
    ------
    InputError
        If the ID is empty, too long or holds a backslash, or the study lies before the birth.
    """

    patient_id: str = "PHA-0001"
    born: date = date(1963, 6, 14)
    studied_at: datetime = datetime(2024, 3, 5, 8, 40, 0)
    seed: int = 0

    def __post_init__(self):
        if not 1 <= len(self.patient_id) <= 50 or "\\" in self.patient_id or not self.patient_id.isascii():
            raise InputError(f"phantom ID {self.patient_id!r}: give 1 to 50 plain characters")
        if self.studied_at.date() < self.born:
            raise InputError(f"phantom born {self.born} and scanned {self.studied_at.date()}: the birth comes first")

    @property
    def name(self) -> str:
        return f"Phantom^{self.patient_id}"

    @property
    def age_years(self) -> int:
        day = self.studied_at.date()
        return day.year - self.born.year - ((day.month, day.day) < (self.born.month, self.born.day))

    @property
    def study_uid(self) -> str:
        return make_uid("study", self)

    @property
    def frame_of_reference(self) -> str:
        """UID of the space that CT and PET of this visit share."""
        return make_uid("frame of reference", self)


def make_uid(*parts: object) -> str:
    """A UID under 2.25 (a UUID as a number) that is the same for the same parts."""
    text = "MMPL phantom\0" + "\0".join(str(part) for part in parts)
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"
