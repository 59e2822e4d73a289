"""Physics, not storage: how far results move when the same phantoms are stored otherwise. Phantom results.

    python -P bench/physics.py [--cases 8] [--bundle B]

Axes permuted and flipped, and NRRD instead of NIfTI, must change nothing; an oblique grid resamples the images, so
masks and probabilities may move a little. "drawn" compares the masks as they are drawn, at 1 mm in space; "stored" the
masks as they lie on each variant's CT grid, read back on the first one's by nearest neighbour; "storage alone" the
first mask put on the variant's CT grid and read back: what is lost without any network. HPV and RFS are read from the
masks as drawn, and from the masks as stored.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmpl.bundle.reader import default_bundle_path, open_bundle
from mmpl.case import CLASS_NAMES, Case
from mmpl.ensemble import Ensemble, load_ensemble
from mmpl.geometry import Volume, image_from_volume
from mmpl.io.case import read_case
from mmpl.phantom import generate_patient
from mmpl.phantom.variants import on_oblique_grid, stored_as
from mmpl.pipeline import Outcome, draw_on_roi, measure, prepare_case
from mmpl.preprocess.prepare import label_on_ct
from mmpl.resample import resample
from mmpl.results import Results

SEED = 7002
GAPS = {"hpv_drawn": "HPV drawn", "rfs_drawn": "RFS2y drawn", "hpv_stored": "HPV stored", "rfs_stored": "RFS2y stored"}
PERMUTED = ((2, 0, 1), (True, False, True))
FLIPPED = ((0, 1, 2), (True, True, True))
TILTS_DEG = ((0.0, 0.0, 12.0), (6.0, 0.0, 0.0), (4.0, -5.0, 8.0))


@dataclass(frozen=True)
class Change:
    """How one variant of one case differs from the case as it was drawn.

    ``drawn``, ``stored`` and ``storage`` count voxels of both classes, shared and in total: Dice = 2 shared / total.
    """

    variant: str
    drawn: tuple[int, int]
    stored: tuple[int, int]
    storage: tuple[int, int]
    hpv_drawn: float
    rfs_drawn: float
    hpv_stored: float
    rfs_stored: float
    roi_mm: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--bundle", type=Path)
    arguments = parser.parse_args()
    ensemble = load_ensemble(open_bundle(arguments.bundle or default_bundle_path()))
    changes = [c for index in range(arguments.cases) for c in changes_of(index, ensemble)]
    print(f"{arguments.cases} phantoms, seed {SEED}, bundle {ensemble.info.name} {ensemble.sha256[:12]}")
    print(f"{'':<14}{'cohort Dice':>54}")
    heads = ("drawn", "stored", "storage alone", *(f"max d{name}" for name in GAPS.values()), "max centre mm")
    print(f"{'variant':<14}" + "".join(f"{head:>18}" for head in heads))
    for variant in dict.fromkeys(c.variant for c in changes):
        some = [c for c in changes if c.variant == variant]
        drawn, stored, storage = (_dice([getattr(c, name) for c in some]) for name in ("drawn", "stored", "storage"))
        worst = [max(getattr(c, name) for c in some) for name in (*GAPS, "roi_mm")]
        print(f"{variant:<14}" + "".join(f"{value:>18.4f}" for value in (drawn, stored, storage, *worst)))


def _dice(counts: list[tuple[int, int]]) -> float:
    return 2 * sum(shared for shared, _ in counts) / sum(total for _, total in counts)


def changes_of(index: int, ensemble: Ensemble) -> list[Change]:
    """Run one phantom as drawn and in every variant."""
    patient = generate_patient(SEED, index)
    case = replace(patient.as_case(), clinical={**patient.clinical, "Primary Site": "oropharynx"})
    reference = _predict(case, ensemble)
    variants = {
        "flipped": _stored(case, FLIPPED),
        "permuted": _stored(case, PERMUTED),
        "NRRD": _through_nrrd(case),
        **{f"oblique {i + 1}": _oblique(case, tilt) for i, tilt in enumerate(TILTS_DEG)},
    }
    return [_change(name, reference, _predict(variant, ensemble)) for name, variant in variants.items()]


def _predict(case: Case, ensemble: Ensemble) -> tuple[Outcome, Outcome]:
    """What is told of the mask as drawn on the 1 mm ROI, and of the mask as stored on the CT's grid."""
    prepared = prepare_case(case, ensemble)
    drawn, _, _ = draw_on_roi(prepared, ensemble)
    stored = label_on_ct(drawn, prepared.roi.geometry, case.ct.geometry)
    return measure(prepared, Volume(drawn, prepared.roi.geometry), ensemble), measure(prepared, stored, ensemble)


def _stored(case: Case, variant) -> Case:
    return replace(case, ct=stored_as(case.ct, variant), pet=stored_as(case.pet, variant))


def _oblique(case: Case, tilt) -> Case:
    ct = on_oblique_grid(case.ct, tilt, method="bspline", fill=-1024.0)
    pet = on_oblique_grid(case.pet, tilt, method="bspline", fill=0.0)
    return replace(case, ct=ct, pet=pet.with_array(np.maximum(pet.array, 0)))


def _through_nrrd(case: Case) -> Case:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("ct.nrrd", "pt.nrrd")]
        for volume, path in zip((case.ct, case.pet), paths, strict=True):
            sitk.WriteImage(image_from_volume(volume), str(path))
        return read_case(case.case_id, *paths, case.clinical)


def _change(variant: str, one: tuple[Outcome, Outcome], other: tuple[Outcome, Outcome]) -> Change:
    (drawn, stored), (drawn_again, stored_again) = one, other
    first, again = stored.label_map, stored_again.label_map
    return Change(
        variant,
        _overlap(drawn.label_map, _on(drawn_again.label_map, drawn.label_map)),
        _overlap(first, _on(again, first)),
        _overlap(first, _on(_on(first, again), first)),
        *_gaps(drawn.results, drawn_again.results),
        *_gaps(stored.results, stored_again.results),
        float(np.linalg.norm(np.subtract(_centre(stored), _centre(stored_again)))),
    )


def _gaps(a: Results, b: Results) -> tuple[float, float]:
    return _gap(a.hpv.probability, b.hpv.probability), _gap(a.rfs.survival_at["2y"], b.rfs.survival_at["2y"])


def _centre(outcome: Outcome) -> list[float]:
    return outcome.results.inputs["roi"]["centre_lps_mm"]


def _on(label_map: Volume, grid_of: Volume) -> Volume:
    return resample(label_map, grid_of.geometry, method="nearest", fill=0)


def _overlap(a: Volume, b: Volume) -> tuple[int, int]:
    pairs = [(a.array == value, b.array == value) for value in CLASS_NAMES]
    return sum(int((p & q).sum()) for p, q in pairs), sum(int(p.sum() + q.sum()) for p, q in pairs)


def _gap(a: float | None, b: float | None) -> float:
    return 0.0 if a is None and b is None else 1.0 if a is None or b is None else abs(a - b)


if __name__ == "__main__":
    main()
