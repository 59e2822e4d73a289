"""What HECKTOR 2025's container is given: one case in a folder, and a bundle.

Images must be there. Anything wrong with the clinical record costs the value that is wrong, never the case.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmpl.bundle.store import BUNDLE_JSON, default_bundle_path
from mmpl.clinical.fields import canonical_name
from mmpl.errors import BundleError, ClinicalError, InputError
from mmpl.geometry import Volume
from mmpl.io.images import read_volume
from mmpl.pipeline import check_clinical

CT_FOLDER, PET_FOLDER = Path("images", "ct"), Path("images", "pet")
RECORD = "ehr.json"
IMAGE_SUFFIX = ".mha"
MODEL_FOLDER = Path("/opt/ml/model")  # where Grand Challenge unpacks an algorithm's model
BUNDLE_VARIABLE = "MMPL_BUNDLE"


@dataclass(frozen=True)
class Images:
    """A case's images as read; ``name`` is the CT's file name without its suffix."""

    name: str
    ct: Volume
    pet: Volume


def read_images(folder: Path) -> Images:
    """Read the one CT and the one PET of an input folder; the planning CT and the dose are not used.

    Raises
    ------
    InputError
        If there is not exactly one of each, or it cannot be read.
    """
    ct, pet = _only_image(folder / CT_FOLDER, "CT"), _only_image(folder / PET_FOLDER, "PET")
    return Images(ct.stem, read_volume(ct, what="CT"), read_volume(pet, what="PET"))


def _only_image(folder: Path, what: str) -> Path:
    found = sorted(p for p in folder.glob("[!.]*") if p.suffix.lower() == IMAGE_SUFFIX)
    if not found:
        raise InputError(f"{folder} holds no {what}: put one {IMAGE_SUFFIX} file there")
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise InputError(f"{folder} holds {len(found)} images ({names}): leave the one {what} of this case")
    return found[0]


def read_record(path: Path) -> tuple[dict[str, object], tuple[str, ...]]:
    """What of a clinical record can be used, and a sentence for each thing that cannot.

    :func:`mmpl.io.ehr.read_ehr` refuses a record that is not as it should be; here the rest of it still counts. NaN,
    which JSON does not have but common tables become, is unknown.

    Parameters
    ----------
    path : a flat JSON object of HECKTOR's clinical fields; may be missing
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        # a whole number of hundreds of digits becomes infinite, and so an impossible value like others
        raw = json.loads(text, object_pairs_hook=_Object, parse_constant=lambda name: None, parse_int=float)
    except FileNotFoundError:
        return {}, (_all_unknown(path, "is missing"),)
    except OSError as error:
        return {}, (_all_unknown(path, f"cannot be read ({error.strerror})"),)
    except (ValueError, RecursionError) as error:
        return {}, (_all_unknown(path, f"is not valid JSON ({error})"),)
    if not isinstance(raw, _Object):
        return {}, (_all_unknown(path, "holds no JSON object"),)
    return _usable_fields(raw.members)


class _Object(dict):
    """A JSON object; ``members`` are its names and values in order, repeated names included."""

    def __init__(self, members: Sequence[tuple[str, object]]):
        super().__init__(members)
        self.members = tuple(members)


def _usable_fields(members: Sequence[tuple[str, object]]) -> tuple[dict[str, object], tuple[str, ...]]:
    """The fields of a raw record that MMPL knows and whose values can be, and why the others are left out.

    Of a field that is given twice, in whatever spelling, no value counts: which of them is meant is not known.
    """
    fields = Counter(canonical_name(name) for name, _ in members)
    twice = [field for field, count in fields.items() if field is not None and count > 1]
    kept: dict[str, object] = {}
    refused = [f"clinical record: {field} is given twice; keep one (left out)" for field in twice]
    for name, value in members:
        if canonical_name(name) in twice:
            continue
        try:
            check_clinical({**kept, name: value})
        except ClinicalError as error:
            refused.append(f"{error} (left out)")
        else:
            kept[name] = value
    return kept, tuple(refused)


def _all_unknown(path: Path, fault: str) -> str:
    return f"clinical record {path} {fault}: every clinical value is taken as unknown"


def bundle_path(given: Path | None, environ: Mapping[str, str], mounted: Path = MODEL_FOLDER) -> Path:
    """Which bundle to run: the one given, else the mounted model, else the variable's, else MMPL's demo.

    Parameters
    ----------
    given : of the command line
    environ : environment; ``MMPL_BUNDLE`` names the bundle that was built into a container
    mounted : folder that Grand Challenge unpacks a model into; a bundle, or one that holds a bundle's folder

    Raises
    ------
    BundleError
        If something other than a bundle is mounted: another model than the one meant must not answer for it.
    """
    if given is not None:
        return given
    if mounted.is_dir() and any(mounted.iterdir()):
        return _mounted_bundle(mounted)
    named = environ.get(BUNDLE_VARIABLE)
    return Path(named) if named else default_bundle_path()


def _mounted_bundle(folder: Path) -> Path:
    found = [one for one in (folder, *sorted(folder.iterdir())) if (one / BUNDLE_JSON).is_file()]
    if len(found) != 1:
        raise BundleError(
            f"the model in {folder} holds {len(found)} bundles: pack the content of one bundle's folder, "
            f"{BUNDLE_JSON} included"
        )
    return found[0]
