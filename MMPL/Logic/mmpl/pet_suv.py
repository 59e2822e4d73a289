"""A PET as SUV of any kind, on its own: for looking, and for checking what the results say of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from mmpl.case import PET_SUV
from mmpl.errors import OutputError, SuvError
from mmpl.file_names import check_spelling
from mmpl.geometry import Volume
from mmpl.io.case import read_pet
from mmpl.io.masks import write_image
from mmpl.io.suv import Typed
from mmpl.io.suv.body import NORMALISERS
from mmpl.notices import Notice

IN_ONE_FILE = (".nii", ".nii.gz", ".nrrd", ".mha")  # .nhdr and .mhd keep their voxels in another file
KINDS = {"lbm-janma": "LBMJANMA", "lbm-james": "LBMJAMES128", "lbm-morgan": "LBM", "ibw": "IBW", "bsa": "BSA"}


@dataclass(frozen=True)
class SuvRequest:
    """Which PET, and which SUV. Attributes as the options of ``mmpl suv``."""

    path: Path
    series: str | None = None
    kind: str = "bw"
    typed: Typed = field(default_factory=Typed)
    pet_units: str = "auto"


@dataclass(frozen=True)
class PetSuv:
    """A PET as SUV.

    Attributes
    ----------
    volume : Volume, float32, g/mL (cm2/mL by body surface)
    name : of the SUV
    provenance : values, sources and rules
    notices : what the reader must know
    """

    volume: Volume
    name: str
    provenance: dict
    notices: tuple[Notice, ...]

    def record(self) -> dict:
        return {"suv": self.name, **self.provenance, "warnings": [notice.as_dict() for notice in self.notices]}

    def text(self) -> str:
        """A line a value, for the terminal."""
        found = self.provenance.get("suv", {})
        lines = [
            f"{self.name}: {self.volume.array.min():.4g} to {self.volume.array.max():.4g}",
            self.provenance["rule"],
        ]
        sources = dict(found.get("sources", {}))
        for name, value in found.get("values", {}).items():
            lines.append(f"  {name} = {value:.6g}   ({sources.pop(name, 'derived')})")
        lines += [f"  {name}: {said}" for name, said in sources.items()]
        if found.get("factor_range"):
            low, high = found["factor_range"]
            lines.append(f"  factor = {low:.6g}" + ("" if low == high else f" to {high:.6g}, by slice"))
        lines += [f"  {name} = {factor:.4f} x SUVbw" for name, factor in found.get("other_suv_per_suvbw", {}).items()]
        return "\n".join([*lines, *(f"warning {n.code}: {n.text}" for n in self.notices)])


def pet_as_suv(request: SuvRequest) -> PetSuv:
    """Read a PET and make it the SUV that is asked for.

    Raises
    ------
    SuvError
        If it cannot be: something is missing, or the header rules it out.
    """
    read = read_pet(request.path, series=request.series, typed=request.typed, pet_units=request.pet_units)
    if read.units != PET_SUV:
        raise SuvError(f"PET {request.path}: {' '.join(notice.text for notice in read.notices)}")
    if request.kind == "bw":
        return PetSuv(read.volume, "SUVbw", read.provenance, read.notices)
    name = NORMALISERS[KINDS[request.kind]].name
    factor = read.provenance.get("suv", {}).get("other_suv_per_suvbw", {}).get(name)
    if factor is None:
        raise SuvError(f"{name} needs weight, height and sex: give --weight-kg, --height-cm and --sex")
    return PetSuv(read.volume.with_array(read.volume.array * factor), name, read.provenance, read.notices)


def check_name(path: Path) -> None:
    """Find out before the work whether an image can be written under a name.

    Raises
    ------
    InputError
        If the name is no text.
    OutputError
        If its kind of file is none that MMPL writes, or is one of two files, which do not appear at once.
    """
    check_spelling(path)
    if not path.name.endswith(IN_ONE_FILE):  # the writers know none in upper case
        raise OutputError(f"{path}: an image is written as one file, give a name that ends in .nii.gz, .nrrd or .mha")


def write_suv(path: Path, found: PetSuv) -> None:
    """Write the image, whole or not at all; its kind of file is that of the name.

    Raises
    ------
    InputError
        If the name is no text.
    OutputError
        If it cannot be written.
    """
    check_name(path)
    draft = path.with_name(f".partial-{path.name}")
    try:
        write_image(draft, found.volume)
        os.replace(draft, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
