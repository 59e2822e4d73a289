"""A clinician's whole turn: a corrected mask on the CT's grid in, HPV probability and RFS curve out.

Called by bench/radiomics.py. The images are the benchmark's synthetic ROI as a scanner would store it: a CT of
512 x 512 voxels of 0.977 x 0.977 x 2.5 mm, a PET of 4 mm voxels.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace

import numpy as np
from radiomics_case import GRID, make_case
from scipy import ndimage

from mmpl.bundle.reader import default_bundle_path, open_bundle
from mmpl.case import CLASS_NAMES, Case
from mmpl.ensemble import Ensemble, load_ensemble
from mmpl.geometry import Geometry, Volume
from mmpl.pipeline import PreparedCase, measure, prepare_case, read_deep_scores
from mmpl.radiomics.feature_set import FeatureSet
from mmpl.resample import resample

CT_GRID = Geometry((512, 512, 124), (0.977, 0.977, 2.5), (-150.0, -150.0, 0.0))
PET_GRID = Geometry((128, 128, 78), (4.0, 4.0, 4.0), (-156.0, -156.0, 0.0))


@dataclass(frozen=True)
class Turn:
    """Seconds of wall time: medians, the worst of all edits of both classes, and where the median goes.

    ``outgrown_s`` is a stroke that leaves the box whose filtered voxels are kept, so that every filter runs again.
    """

    name: str
    columns: int
    members: int
    both_s: float
    worst_s: float
    one_s: float
    outgrown_s: float
    steps_s: dict[str, float]
    deep_refresh_s: float
    cold_s: float
    cache_mb: float


def whole_turns(repeats: int) -> list[Turn]:
    """The demo bundle's turn, and that of ten members with the full feature set."""
    demo = load_ensemble(open_bundle(default_bundle_path()))
    ten = replace(demo, feature_set=FeatureSet.full(), members=(demo.members * 10)[:10])
    case, label_map = _case()
    return [
        _turn("demo bundle", case, label_map, demo, repeats),
        _turn("ten members, full feature set", case, label_map, ten, repeats),
    ]


def _turn(name: str, case: Case, label_map: Volume, ensemble: Ensemble, repeats: int) -> Turn:
    prepared = prepare_case(case, ensemble)
    started = time.perf_counter()
    first = measure(prepared, label_map, ensemble)
    cold = time.perf_counter() - started
    edits = _strokes(label_map, tuple(CLASS_NAMES), repeats)
    times, steps = _timed(prepared, edits, ensemble, first.deep)
    measure(prepared, label_map, ensemble, deep=first.deep)  # back to where the strokes of one class start
    of_one, _ = _timed(prepared, _strokes(label_map, (1,), repeats), ensemble, first.deep)
    (outgrown,), _ = _timed(prepared, [_far_stroke(label_map)], ensemble, first.deep)
    started = time.perf_counter()
    read_deep_scores(prepared, edits[-1], ensemble)
    refresh = time.perf_counter() - started
    columns, megabytes = len(ensemble.feature_set.names()), prepared.radiomics.nbytes / 1e6
    return Turn(
        name,
        columns,
        len(ensemble.members),
        statistics.median(times),
        max(times),
        statistics.median(of_one),
        outgrown,
        steps,
        refresh,
        cold,
        megabytes,
    )


def _timed(prepared: PreparedCase, edits, ensemble: Ensemble, deep) -> tuple[list[float], dict[str, float]]:
    times, steps = [], []
    for edit in edits:
        started = time.perf_counter()
        outcome = measure(prepared, edit, ensemble, deep=deep)
        times.append(time.perf_counter() - started)
        steps.append(outcome.results.timings_s)
    return times, {k: statistics.median(s[k] for s in steps) for k in steps[0]}


def _case() -> tuple[Case, Volume]:
    ct, pet, masks = make_case()
    label = sum(value * masks[name].astype(np.uint8) for value, name in CLASS_NAMES.items())
    case = Case(
        "BENCH-1",
        resample(Volume(ct, GRID), CT_GRID, method="linear", fill=-1000.0),
        resample(Volume(pet, GRID), PET_GRID, method="linear", fill=0.0),
        clinical={"Age": 61, "Gender": "Male", "Primary Site": "oropharynx"},
    )
    return case, resample(Volume(label, GRID), CT_GRID, method="nearest", fill=0)


def _strokes(label_map: Volume, classes: tuple[int, ...], n: int) -> list[Volume]:
    """A ball of 6 mm radius painted on or wiped off at the border of each class, in turn."""
    rng = np.random.default_rng(1)
    radius = np.ceil(6 / np.array(label_map.geometry.spacing_mm[::-1])).astype(int)
    grids = np.ogrid[tuple(slice(-r, r + 1) for r in radius)]
    ball = sum((g * s) ** 2 for g, s in zip(grids, label_map.geometry.spacing_mm[::-1], strict=True)) <= 36
    borders = {}
    for value in classes:
        mask = label_map.array == value
        borders[value] = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    edits, array = [], label_map.array
    for k in range(n):
        array = array.copy()
        for value in classes:
            start = borders[value][rng.integers(len(borders[value]))] - radius
            around = array[
                tuple(slice(s, s + m) for s, m in zip(start, ball.shape, strict=True))
            ]  # far from any border
            around[ball & (around == (0 if k % 2 == 0 else value))] = value if k % 2 == 0 else 0
        edits.append(label_map.with_array(array))
    return edits


def _far_stroke(label_map: Volume) -> Volume:
    """A node painted 60 mm below the lesions."""
    array = label_map.array.copy()
    z, y, x = np.argwhere(array == 2).min(axis=0)
    below = round(60 / label_map.geometry.spacing_mm[2])
    array[z - below : z - below + 4, y : y + 10, x : x + 10] = 2
    return label_map.with_array(array)
