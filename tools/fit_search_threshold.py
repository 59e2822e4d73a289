"""Fit the search threshold of a bundle that was trained before there was one, and write the bundle with it.

    python -P tools/fit_search_threshold.py --bundle B --data COHORT --run FOLDER [--workers N]

As ``mmpl train`` does it: every patient of the cohort that the bundle was trained on is segmented by the network of the
fold that did not train on them, and the threshold comes from the peaks of their lesions. The folds are those of the
patient split with the bundle's seed (``--seed``); everything else in the bundle stays as it is.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from mmpl.bundle.reader import Bundle, open_bundle
from mmpl.bundle.writer import MODEL_CARD, write_bundle
from mmpl.cluster import open_pool
from mmpl.console import ConsoleProgress
from mmpl.ensemble import SEGMENTATION, InferenceSettings
from mmpl.errors import MMPLError
from mmpl.network.config import NetworkConfig
from mmpl.training.cache import build_cache
from mmpl.training.cohort import read_cohort
from mmpl.training.config import TrainingConfig
from mmpl.training.folds import PATIENT, Split, patient_folds
from mmpl.training.mask_thresholds import OverlapTask, count_overlaps, read_peaks
from mmpl.training.out_of_fold import overlap_tasks
from mmpl.training.search_threshold import SearchThreshold, fit_search_threshold
from mmpl.training.split_run import SplitRun, split_runs
from mmpl.training.start import keep_start


def main() -> int:
    arguments = _arguments()
    try:
        bundle = open_bundle(arguments.bundle)
        with ConsoleProgress() as progress:
            fitted = fit(bundle, arguments, progress)
        write(bundle, fitted)
    except MMPLError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{bundle.path}: {fitted.to_dict()}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="the cohort that it was trained on")
    parser.add_argument("--run", type=Path, required=True, help="keeps what is done; resumable")
    parser.add_argument("--seed", type=int, default=TrainingConfig.demo().seed)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def fit(bundle: Bundle, arguments: argparse.Namespace, progress) -> SearchThreshold:
    """The threshold, from every lesion's out-of-fold peak."""
    network = NetworkConfig.from_dict(dict(bundle.info.network))
    config = dataclasses.replace(TrainingConfig.demo(), network=network, folds=bundle.info.folds)
    cases = read_cohort(arguments.data)
    split = Split(PATIENT, patient_folds(cases, config.folds, arguments.seed))
    (run,) = split_runs(config, arguments.run, [split])
    _place_weights(bundle, run, arguments.run / "start")
    tasks = list(overlap_tasks(run, [case for case in cases if case.label_path is not None]).values())
    with open_pool(arguments.workers) as pool:
        build_cache(cases, run.cache, network.spacing_mm, pool=pool, progress=progress)
        pool.each(count_overlaps, tasks, progress=progress, step="out-of-fold peaks", name=OverlapTask.name)
    return fit_search_threshold([peak for task in tasks for peak in read_peaks(task.path)])


def _place_weights(bundle: Bundle, run: SplitRun, folder: Path) -> None:
    """Member f's network where fold f's would lie after training."""
    kept = keep_start(bundle, folder).weights
    for stages, weights in zip(run.networks, kept, strict=True):
        target = stages[SEGMENTATION].weights_path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(weights.read_bytes())


def write(bundle: Bundle, fitted: SearchThreshold) -> None:
    """The bundle again, with the threshold; nothing else changes."""
    settings = InferenceSettings.from_dict(bundle.info.preprocessing)
    settings = dataclasses.replace(settings, search_threshold=fitted.value or None)
    info = dataclasses.replace(
        bundle.info,
        preprocessing=settings.to_dict(),
        scores={**bundle.info.scores, "search": fitted.to_dict()},
    )
    write_bundle(bundle.path, info, {rel: bundle.bytes(rel) for rel in bundle.files if rel != MODEL_CARD})


if __name__ == "__main__":
    sys.exit(main())
