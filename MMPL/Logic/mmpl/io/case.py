"""A case from its files, checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmpl.case import Case
from mmpl.geometry import Volume
from mmpl.io.images import check_finite, check_varies, read_volume
from mmpl.io.pet_units import guess_pet_units


def read_case(case_id: str, ct_path: Path, pt_path: Path, clinical: Mapping[str, object] | None = None) -> Case:
    """Read CT and PET from files; what :func:`case_from_volumes` then does. Training and inference both start here.

    Raises
    ------
    InputError
        If a file is missing, is no 3D image, or its voxels cannot be used.
    """
    ct, pet = read_volume(ct_path, what="CT"), read_volume(pt_path, what="PET")
    return case_from_volumes(case_id, ct, pet, clinical=clinical)


def case_from_volumes(
    case_id: str,
    ct: Volume,
    pet: Volume,
    *,
    clinical: Mapping[str, object] | None = None,
    pet_units: str | None = None,
    provenance: Mapping[str, object] | None = None,
) -> Case:
    """A case of images that are in memory: voxels checked, the PET's unit judged unless ``pet_units`` states it.

    Raises
    ------
    InputError
        If voxels cannot be used.
    """
    ct, ct_notice = check_finite(ct, "CT")
    pet, pet_notice = check_finite(pet, "PET")
    check_varies(ct, "CT")
    check_varies(pet, "PET")
    units, units_notice = guess_pet_units(pet) if pet_units is None else (pet_units, None)
    rule = "no unit in the file: judged from the voxel values" if pet_units is None else "stated with the image"
    return Case(
        case_id=case_id,
        ct=ct,
        pet=pet,
        pet_units=units,
        clinical=dict(clinical or {}),
        provenance={"pet_units": units, "rule": rule, **(provenance or {})},
        notices=tuple(n for n in (ct_notice, pet_notice, units_notice) if n is not None),
    )
