"""The trained demo ensemble on phantoms it never saw: the paper's plan against ours, and slabs against one pass."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from mmpl.bundle.reader import open_bundle
from mmpl.case import CLASS_NAMES
from mmpl.components import connected
from mmpl.ensemble import Ensemble, Inference, load_ensemble
from mmpl.io.case import case_from_volumes
from mmpl.io.output import write_json_atomic
from mmpl.network.backends.choose import BackendChoice
from mmpl.phantom import generate_patient
from mmpl.pipeline import PreparedCase, prepare_case
from mmpl.preprocess.network_grid import background_values, to_roi_grid
from mmpl.preprocess.prepare import label_on_roi
from mmpl.segmentation.engine import segment_by_plan
from mmpl.segmentation.plan import UNLIMITED, Account, Cost, Plan, PlanSettings, make_plan
from mmpl.segmentation.postprocess import compose
from mmpl.segmentation.regions import HALO
from mmpl.steps import clear_outside_shared, segment_on_roi

SEED = 7001
PAPER, OURS = "paper", "ours"
LOCAL_HALOS = {"ours, halo 16": 16, "ours, halo 0": 0}  # voxels: at 4 mm the default's 128 mm is nearly the region
NO_CASCADE, PLAIN_PASS, SLABS = "every member everywhere", "one pass", "slabs"
MOVED = "paper, windows moved"  # how far the reference agrees with itself
REFERENCES = (PAPER, PLAIN_PASS)  # what the others' voxels are counted with
NAMES = (PAPER, OURS, *LOCAL_HALOS, NO_CASCADE, PLAIN_PASS, SLABS, MOVED)
MOVED_BY = (5, 7, 7)  # voxels (z, y, x): no multiple of what the networks' pooling keeps


def score(task: tuple[int, str, str, Path]) -> None:
    """Measure one phantom: counts of voxels and lesions under each plan, as JSON.

    What an earlier version's file has is kept: run are the plans it lacks, and the two that all are compared with.
    """
    index, bundle, backend, path = task
    known = measured(path)
    torch.set_num_threads(1)
    ensemble = _ensemble(bundle, backend)
    patient = generate_patient(SEED, index)
    case = case_from_volumes(patient.patient_id, patient.ct, patient.pet, clinical={})
    prepared = prepare_case(case, ensemble)
    truth = label_on_roi(patient.label_map, prepared.roi.geometry)
    drawn, computed = {}, {}
    for name, plan in plans(prepared, ensemble).items():
        if name in known["voxels"] and name not in REFERENCES:
            continue
        account, thresholds = Account(), ensemble.info.thresholds
        drawn[name] = segment_on_roi(
            prepared.roi,
            prepared.network_array,
            ensemble.segmenters,
            plan,
            thresholds=(thresholds.GTVp, thresholds.GTVn),
            account=account,
        )
        computed[name] = account.voxels
    if MOVED not in known["voxels"]:
        drawn[MOVED], computed[MOVED] = paper_moved(prepared, ensemble)
    rows = {name: known["classes"].get(name, {}) | found for name, found in _classes(drawn, truth).items()}
    write_json_atomic(path, {"classes": rows, "voxels": known["voxels"] | computed})


def measured(path: Path) -> dict:
    """What a phantom's file has; without one, nothing."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"classes": {}, "voxels": {}}


def is_complete(path: Path) -> bool:
    return set(measured(path)["voxels"]) >= set(NAMES)


def plans(prepared: PreparedCase, ensemble: Ensemble) -> dict[str, Plan]:
    """The paper's plan, ours, and ours with one saving after the other left out."""
    array, settings = prepared.network_array, PlanSettings(overlap=ensemble.settings.overlap)
    no_air_skipped = replace(settings, skip_air=False)

    def plan(settings: PlanSettings, *, cascade: bool, cost: Cost = UNLIMITED) -> Plan:
        return make_plan(
            array,
            settings,
            members=len(ensemble.members),
            threshold=ensemble.settings.search_threshold if cascade else None,
            spacing_mm=ensemble.network.spacing_mm,
            cost=cost,
        )

    whole = plan(no_air_skipped, cascade=False)
    halves = Cost(seconds=lambda n: 0.0, fits=lambda n: n < whole.domain.voxels, memory=lambda n: 0)
    return {
        PAPER: plan(PlanSettings(name="paper", overlap=settings.overlap), cascade=False),
        OURS: plan(settings, cascade=True),
        **{name: plan(replace(settings, halo=halo), cascade=True) for name, halo in LOCAL_HALOS.items()},
        NO_CASCADE: plan(settings, cascade=False),
        PLAIN_PASS: whole,
        SLABS: plan(replace(no_air_skipped, halo=min(HALO, 16)), cascade=False, cost=halves),
    }


def paper_moved(prepared: PreparedCase, ensemble: Ensemble) -> tuple[np.ndarray, int]:
    """What the paper's plan draws when its windows' lattice begins a few voxels earlier; uint8, (z, y, x), 1 mm ROI.

    And how many voxels the networks see, which may be more: the lattice then covers a larger grid.
    """
    array, spacing_mm = prepared.network_array, ensemble.network.spacing_mm
    fills = background_values(array)
    before = [(n, 0) for n in MOVED_BY]
    padded = np.stack(
        [np.pad(channel, before, constant_values=fill) for channel, fill in zip(array, fills, strict=True)]
    )
    settings = PlanSettings(name="paper", overlap=ensemble.settings.overlap)
    plan = make_plan(
        padded, settings, members=len(ensemble.members), threshold=None, spacing_mm=spacing_mm, cost=UNLIMITED
    )
    account = Account()
    found = segment_by_plan(padded, ensemble.segmenters, plan, fills=fills, account=account)
    found = found[(slice(None), *(slice(n, None) for n in MOVED_BY))]
    at_1mm = [to_roi_grid(p, spacing_mm, prepared.roi.geometry.shape) for p in found]
    labels = compose(*at_1mm, (ensemble.info.thresholds.GTVp, ensemble.info.thresholds.GTVn))
    clear_outside_shared(labels, prepared.roi)
    return labels, account.voxels


@cache
def _ensemble(bundle: str, backend: str) -> Ensemble:
    return load_ensemble(open_bundle(bundle), Inference(BackendChoice(backend=backend)))


def _classes(drawn: Mapping[str, np.ndarray], truth: np.ndarray) -> dict:
    """Class -> plan -> voxels shared with the paper's plan, with the truth, with one pass; its own; lesions."""
    rows = {}
    for value, name in CLASS_NAMES.items():
        masks = {plan: labels == value for plan, labels in drawn.items()}
        true = truth == value
        rows[name] = {
            plan: {
                "voxels": int(mask.sum()),
                "with_truth": int((mask & true).sum()),
                "with_paper": int((mask & masks[PAPER]).sum()),
                "with_one_pass": int((mask & masks[PLAIN_PASS]).sum()),
                "lost": _lost(true, masks[PAPER], mask),
            }
            for plan, mask in masks.items()
        }
        rows[name]["truth"] = {"voxels": int(true.sum()), "lesions": int(connected(true)[1])}
    return rows


def _lost(truth: np.ndarray, paper: np.ndarray, mask: np.ndarray) -> int:
    """True lesions that the paper's plan touches and this one does not."""
    labels, count = connected(truth)
    return sum(bool(paper[at].any() and not mask[at].any()) for at in (labels == n + 1 for n in range(count)))


def summarise(paths: Iterable[Path]) -> dict:
    """Pooled over phantoms: class -> plan -> Dice with the paper's plan, the truth and one pass, lesions lost."""
    cases = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    table = {}
    for name in CLASS_NAMES.values():
        rows = [case["classes"][name] for case in cases]
        truth, lesions = (sum(row["truth"][key] for row in rows) for key in ("voxels", "lesions"))
        own = {plan: sum(row[plan]["voxels"] for row in rows) for plan in NAMES}
        table[name] = {"lesions": lesions, "plans": {}}
        for plan, voxels in own.items():
            total = {key: sum(row[plan][key] for row in rows) for key in rows[0][plan]}
            table[name]["plans"][plan] = {
                "dice_paper": _dice(total["with_paper"], voxels, own[PAPER]),
                "dice_truth": _dice(total["with_truth"], voxels, truth),
                "dice_one_pass": _dice(total["with_one_pass"], voxels, own[PLAIN_PASS]),
                "lost": total["lost"],
            }
    share = {p: sum(c["voxels"][p] for c in cases) / sum(c["voxels"][PAPER] for c in cases) for p in NAMES}
    return {"cases": len(cases), "classes": table, "voxels_of_paper": share}


def _dice(shared: int, one: int, other: int) -> float:
    return 2 * shared / (one + other) if one + other else float("nan")
