"""Private attributes by which scanners say what DICOM has no place for.

Names, elements and meaning are those of the vendors' conformance statements: Philips' scale factors of counts, GE's
date-time of the scan and Siemens' date-time of the decay correction.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from mmpl.phantom.dicom.activity import BQML_PER_COUNT, Frame, decimal_text, suv_per_count
from mmpl.phantom.dicom.headers import datetime_text
from mmpl.phantom.dicom.variant import PetVariant


def add_private_attributes(ds: Dataset, variant: PetVariant, frame: Frame) -> None:
    """Write the private attributes that the variant has; ``frame`` is that of the slice."""
    if variant.philips_factors != "none":
        _add_philips(ds, variant, frame)
    if variant.ge_scan_time:
        block = ds.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x0D, "DT", datetime_text(variant.scan_start))
    if variant.siemens_decay_time:
        block = ds.private_block(0x0071, "SIEMENS MED PT", create=True)
        block.add_new(0x22, "DT", datetime_text(variant.scan_start))


def _add_philips(ds: Dataset, variant: PetVariant, frame: Frame) -> None:
    block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
    kind = variant.philips_factors
    if kind == "zero":
        block.add_new(0x00, "DS", "0.0")
        block.add_new(0x09, "DS", "0.0")
    if kind in ("suv", "both"):
        block.add_new(0x00, "DS", decimal_text(suv_per_count(variant, frame)))
    if kind in ("activity", "both"):
        block.add_new(0x09, "DS", decimal_text(BQML_PER_COUNT))
