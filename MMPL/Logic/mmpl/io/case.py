"""A case from its files, checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmpl.case import Case
from mmpl.io.images import check_finite, check_varies, read_volume
from mmpl.io.pet_units import guess_pet_units


def read_case(case_id: str, ct_path: Path, pt_path: Path, clinical: Mapping[str, object] | None = None) -> Case:
    """Read CT and PET, check their voxels and find the PET's unit. Training and inference both start here.

    Raises
    ------
    InputError
        If a file is missing, is no 3D image, or its voxels cannot be used.
    """
    ct, ct_notice = check_finite(read_volume(ct_path, what="CT"), "CT")
    pet, pet_notice = check_finite(read_volume(pt_path, what="PET"), "PET")
    check_varies(ct, "CT")
    check_varies(pet, "PET")
    units, units_notice = guess_pet_units(pet)
    return Case(
        case_id=case_id,
        ct=ct,
        pet=pet,
        pet_units=units,
        clinical=dict(clinical or {}),
        provenance={"pet_units": units, "rule": "no unit in the file: judged from the voxel values"},
        notices=tuple(n for n in (ct_notice, pet_notice, units_notice) if n is not None),
    )
