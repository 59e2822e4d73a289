"""What a site may choose of the objects that are written."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from mmpl.dicom_out.uids import UUID_ROOT, check_root
from mmpl.errors import InputError

LARGEST_SERIES_NUMBER = 2**31 - 1


@dataclass(frozen=True)
class ExportSettings:
    """Settings of an export.

    Attributes
    ----------
    uid_root : root of new UIDs; "2.25" is for random UUIDs and belongs to everybody
    series_numbers : of segmentation, structure set and report
    created : when the objects are made; None is now
    contours_corrected : the contours are the model's, changed by a person
    drawn_by : ``name``, ``version`` and ``sha256`` of the bundle whose contours these are, corrected ones too, where
        it may be another than the one that has measured them. Without it, without a correction and without a record of
        the drawing (``results["segmentation"]`` is None) contours are said to be drawn by hand.

    Raises
    ------
    InputError
        If the root is no UID root or the numbers are not three different positive ones.
    """

    uid_root: str = UUID_ROOT
    series_numbers: tuple[int, int, int] = (9001, 9002, 9003)
    created: datetime.datetime | None = None
    contours_corrected: bool = False
    drawn_by: Mapping[str, str] | None = None

    def __post_init__(self):
        check_root(self.uid_root)
        numbers = tuple(self.series_numbers)
        in_range = all(isinstance(n, int) and 1 <= n <= LARGEST_SERIES_NUMBER for n in numbers)
        if len(numbers) != 3 or len(set(numbers)) != 3 or not in_range:
            raise InputError(f"series numbers {numbers}: give three different whole numbers from 1 upwards")

    def check_against(self, source_series_number: int | None) -> None:
        """Raise InputError when an object would carry the series number of the CT."""
        if source_series_number in self.series_numbers:
            raise InputError(
                f"series number {source_series_number} is the CT's own: choose three others for the exported objects"
            )
