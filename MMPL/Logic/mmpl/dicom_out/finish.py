"""What all objects have in common: who made them, when, and what they are for."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.valuerep import DA, TM

from mmpl.dicom_out.anonymity import DUMMY_DATE, DUMMY_TIME
from mmpl.dicom_out.headers import UTF_8, SourceHeaders
from mmpl.dicom_out.settings import ExportSettings
from mmpl.dicom_out.uids import new_uid
from mmpl.version import __version__

MANUFACTURER = MODEL = "MMPL"
RESEARCH = "RESEARCH USE ONLY"
DESCRIPTIONS = {
    "SEG": f"MMPL segmentation - {RESEARCH}",
    "RTSTRUCT": f"MMPL structure set - {RESEARCH}",
    "SR": f"MMPL report - {RESEARCH}",
}
# of the Patient and Study modules, beside what highdicom copies
CARRIED = ("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence")


@dataclass(frozen=True)
class Export:
    """What every writer of an export is given.

    Attributes
    ----------
    source : the CT's headers, anonymised already where that is asked for
    results : the dictionary of ``results.json``
    settings : ExportSettings
    created : when
    anonymous : no date is to be written
    tracking_uids : by class name; ties the report's measurements to the segments
    """

    source: SourceHeaders
    results: dict
    settings: ExportSettings
    created: datetime.datetime
    anonymous: bool
    tracking_uids: dict[str, str] = field(default_factory=dict)

    @property
    def date(self) -> str:
        return DUMMY_DATE if self.anonymous else self.created.strftime("%Y%m%d")

    @property
    def time(self) -> str:
        return DUMMY_TIME if self.anonymous else self.created.strftime("%H%M%S")

    @property
    def algorithm_name(self) -> str:
        return f"MMPL {self.results['bundle']['name']}"[:64]

    @property
    def algorithm_version(self) -> str:
        return str(self.results["bundle"]["version"])[:64]

    @property
    def serial_number(self) -> str:
        """A program has none: the bundle's checksum says which one drew and measured."""
        return self.results["bundle"]["sha256"]

    @property
    def algorithm_type(self) -> str:
        """AUTOMATIC for the model's contours, SEMIAUTOMATIC for the model's as a person changed them, else MANUAL."""
        if self.settings.contours_corrected:
            return "SEMIAUTOMATIC"
        is_models = self.results.get("segmentation") is not None or self.settings.drawn_by is not None
        return "AUTOMATIC" if is_models else "MANUAL"

    @property
    def drawing_name(self) -> str:
        """Of the algorithm that drew, as ``algorithm_name`` of the one that measured."""
        return f"MMPL {self._drawn_by['name']}"[:64]

    @property
    def drawing_version(self) -> str:
        return str(self._drawn_by["version"])[:64]

    @property
    def _drawn_by(self) -> Mapping:
        return self.settings.drawn_by or self.results["bundle"]

    def uid(self) -> str:
        return new_uid(self.settings.uid_root)

    def equipment(self) -> dict[str, str]:
        """Arguments of highdicom's objects."""
        return {
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": MODEL,
            "software_versions": __version__,
            "device_serial_number": self.serial_number,
            "content_date": DA(self.date),
            "content_time": TM(self.time),
        }


def finish(ds: Dataset, export: Export, kind: str) -> Dataset:
    """Add what highdicom does not: description, whether identity was removed, and no date that was not meant."""
    ds.SpecificCharacterSet = UTF_8  # highdicom 0.27 leaves it out
    ds.SeriesDescription = DESCRIPTIONS[kind]
    first = export.source.first
    for keyword in (*CARRIED, "LongitudinalTemporalInformationModified"):
        if keyword in first:
            ds[keyword] = first[keyword]
    if export.anonymous:
        for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
            ds.pop(keyword, None)
        for equipment in ds.get("ContributingEquipmentSequence", ()):
            equipment.pop("ContributionDateTime", None)
    else:
        ds.InstanceCreationDate, ds.InstanceCreationTime = export.date, export.time
    return ds
