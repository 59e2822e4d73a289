"""Our features of the IBSI 1 digital phantom beside the consensus values.

    python bench/ibsi.py --data FOLDER [--out docs/ibsi.md]
    python bench/ibsi.py --data FOLDER --image IMAGE --mask MASK --bin-width W --configuration "config. C" --out TABLE

FOLDER (or MMPL_TEST_DATA) holds ``ibsi/ibsi_1_reference_values.csv`` and the phantom, from
https://github.com/theibsi (CC BY 4.0). With --image and --mask any other image is read, for example a CT
phantom of IBSI, already resampled as its configuration asks, and compared with that configuration's values.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import SimpleITK as sitk

from mmpl.errors import InputError, MMPLError
from mmpl.geometry import geometry_of_image
from mmpl.radiomics.fast_extractor import FastExtractor
from mmpl.radiomics.feature_set import FAMILIES, SHAPE, FeatureSet
from mmpl.radiomics.ibsi import NO_CODE, Comparison, compare, read_references

FOLDERS = {"image": "phantom.nii.gz", "mask": "mask.nii.gz"}
HEAD = """# Features and the IBSI consensus

Written by `make ibsi` (`bench/ibsi.py`). Reference values: image biomarker standardisation initiative, digital
phantom, distance 1, texture in 3D (co-occurrence and run lengths averaged over directions); Zwanenburg et al.,
Radiology 2020;295:328-338, data CC BY 4.0. A value agrees when it is within the tolerance of the consensus, or
equals it to the digits that are given where no tolerance is. Features are pyradiomics' and keep its names.

Where pyradiomics, and so we, differ from IBSI by definition:

- Gray levels of fixed width are counted from 0; IBSI counts from the lowest voxel or a set minimum. The phantom
  (whole numbers from 1, width 1) does not show it.
- Kurtosis is IBSI's excess kurtosis + 3.
- The axis lengths divide the covariance by the number of voxels, IBSI by one less.
- Directions without a neighbouring pair are left out of the average over directions.

"""


def main() -> int:
    arguments = _arguments()
    try:
        text, failed = _report(arguments)
    except MMPLError as error:
        print(error, file=sys.stderr)
        return 2
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text, encoding="utf-8")
    print(f"{arguments.out}: {failed} unexplained difference(s)")
    return 1 if failed else 0


def _report(arguments: argparse.Namespace) -> tuple[str, int]:
    references = read_references(arguments.data / "ibsi" / "ibsi_1_reference_values.csv", arguments.configuration)
    phantom = arguments.data / "ibsi" / "ibsi_1_digital_phantom" / "nifti"
    image = _read(arguments.image or phantom / "image" / FOLDERS["image"])
    mask = _read(arguments.mask or phantom / "mask" / FOLDERS["mask"])
    if not geometry_of_image(image).is_close(geometry_of_image(mask)):
        raise InputError("image and mask lie on different grids: bring the mask to the image's grid first")
    rows = compare(_features(image, mask, arguments.bin_width), references)
    failed = [r for r in rows if not r.agrees and not r.reason]
    agree = sum(r.agrees for r in rows)
    compared = sum(r.reference is not None for r in rows)
    lines = [f"{agree} of {compared} features with a consensus value agree; {len(failed)} differ without a reason.\n"]
    lines += ["| feature | code | ours | consensus | tolerance | |", "|---|---|---|---|---|---|"]
    lines += [_row(r) for r in rows]
    return HEAD + "\n".join(lines) + "\n", len(failed)


def _features(image: sitk.Image, mask: sitk.Image, bin_width: float) -> dict[str, float]:
    feature_set = FeatureSet(
        modalities=("PT",),
        classes=("GTVp",),
        families=FAMILIES,
        log_sigmas_mm=(),
        wavelet=None,
        pt_bin_width=bin_width,
    )
    array = sitk.GetArrayFromImage(image)
    extractor = FastExtractor(feature_set)
    case = extractor.prepare(array, array, geometry_of_image(image))
    values = extractor.features(case, sitk.GetArrayFromImage(mask) > 0, "GTVp").values
    return {name.split(f"original_{SHAPE}_" if SHAPE in name else "original_")[-1]: v for name, v in values.items()}


def _row(row: Comparison) -> str:
    if row.reference is None:
        return f"| {row.name} | {row.code or NO_CODE} | {row.value:.6g} | | | {row.reason} |"
    tolerance = f"{row.reference.tolerance:g}" if row.reference.tolerance else "digits given"
    verdict = "agrees" if row.agrees else row.reason or "**differs**"
    return f"| {row.name} | {row.code} | {row.value:.6g} | {row.reference.value:g} | {tolerance} | {verdict} |"


def _read(path: Path) -> sitk.Image:
    if not path.is_file():
        raise InputError(f"{path} is not there: give --data with IBSI's phantom, or --image and --mask")
    return sitk.ReadImage(str(path))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("MMPL_TEST_DATA")
    parser.add_argument("--data", type=Path, default=data and Path(data), required=data is None)
    parser.add_argument("--out", type=Path, default=Path("docs/ibsi.md"))
    parser.add_argument("--image", type=Path)
    parser.add_argument("--mask", type=Path)
    parser.add_argument("--bin-width", type=float, default=1.0)
    parser.add_argument("--configuration", default="dig. phantom")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
