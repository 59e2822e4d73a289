"""``mmpl evaluate``: from options to an evaluation, and from an evaluation to files."""

from __future__ import annotations

import argparse
import csv
import io
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from mmpl.errors import InputError, OutputError
from mmpl.evaluation.estimates import Bootstrap
from mmpl.evaluation.findings import Evaluation
from mmpl.evaluation.page import render_evaluation
from mmpl.evaluation.text import as_text
from mmpl.evaluation.truths import TASKS, other_table_note
from mmpl.io.output import write_json_atomic, write_text_atomic
from mmpl.phantom.cohort import MANIFEST
from mmpl.progress import Progress, silent
from mmpl.version import __version__

PHANTOM_RESULTS = "Phantom results: the truth is synthetic, and the figures say nothing about patients."
ONLY_FOR = {  # options that mean nothing to the other tasks
    "iou": "segmentation",
    "matching": "segmentation",
    "connectivity": "segmentation",
    "resample": "segmentation",
    "missing_as_empty": "segmentation",
    "centers": "segmentation",
    "threshold": "hpv",
    "bins": "hpv",
}


def run(arguments: argparse.Namespace, progress: Progress = silent) -> str:
    """Evaluate as the command line asks, write the files it names, and return the text for the terminal.

    Raises
    ------
    InputError
        If an option does not belong to the task, or an input cannot be used.
    OutputError
        If a file cannot be written.
    """
    _check_options(arguments)
    outputs = {name: path for name in ("json", "csv", "html") if (path := getattr(arguments, name)) is not None}
    _check_outputs(outputs, (arguments.pred, arguments.truth, arguments.centers))
    evaluation = _evaluate(arguments, progress)
    if arguments.centers is None and (note := other_table_note(arguments.truth, TASKS[arguments.task])):
        evaluation = replace(evaluation, notes=(*evaluation.notes, note))
    if is_of_phantoms(arguments.truth):
        evaluation = replace(evaluation, notes=(PHANTOM_RESULTS, *evaluation.notes))
    _write(evaluation, arguments, outputs)
    return as_text(evaluation)


def is_of_phantoms(truth: Path) -> bool:
    """Whether a truth lies in a cohort that ``mmpl phantom`` wrote."""
    place = Path(truth).absolute()
    return any((folder / MANIFEST).is_file() for folder in (place, *place.parents[:2]))


def _check_options(arguments: argparse.Namespace) -> None:
    for name, task in ONLY_FOR.items():
        if getattr(arguments, name) not in (None, False) and arguments.task != task:
            raise InputError(f"--{name.replace('_', '-')} is for 'mmpl evaluate {task}', not for {arguments.task}")


def _check_outputs(outputs: dict[str, Path], inputs: tuple[Path | None, ...]) -> None:
    """Find out now, rather than after the work, whether a file can be written where it is wanted.

    None may replace what is read. Of a folder that can be any file, so nothing that already lies in one is replaced.
    """
    given = [path for path in inputs if path is not None]
    taken = {os.path.realpath(path): str(path) for path in given}
    folders = {Path(os.path.realpath(path)): path for path in given if path.is_dir()}
    for name, path in outputs.items():
        place = os.path.realpath(path)
        if place in taken:
            raise OutputError(f"--{name} {path} would replace {taken[place]}: give another name")
        taken[place] = str(path)
        if path.is_dir():
            raise OutputError(f"--{name} {path} is a folder: give a file name")
        if os.path.lexists(path) and (home := _folder_of(path, folders)) is not None:
            raise OutputError(f"--{name} {path} would replace a file in {home}, which is read: give another name")
        if not os.path.isdir(os.path.dirname(place)) or not os.access(os.path.dirname(place), os.W_OK):
            raise OutputError(f"--{name} {path}: its folder does not exist or cannot be written; make it first")


def _folder_of(path: Path, folders: Mapping[Path, Path]) -> Path | None:
    """Which of the folders (resolved, to as given) a file lies in, by its own name or by what it links to."""
    places = Path(os.path.realpath(path.parent), path.name), Path(os.path.realpath(path))
    return next((given for folder, given in folders.items() if any(folder in p.parents for p in places)), None)


def _evaluate(arguments: argparse.Namespace, progress: Progress) -> Evaluation:
    common = {"only_common": arguments.only_common, "bootstrap": _bootstrap(arguments)}
    if arguments.task == "hpv":
        from mmpl.evaluation.hpv import evaluate_hpv

        bins = {} if arguments.bins is None else {"bins": arguments.bins}
        return evaluate_hpv(arguments.pred, arguments.truth, threshold=arguments.threshold, **bins, **common)
    if arguments.task == "rfs":
        from mmpl.evaluation.rfs import evaluate_rfs

        return evaluate_rfs(arguments.pred, arguments.truth, **common)
    return _evaluate_segmentation(arguments, progress)


def _evaluate_segmentation(arguments: argparse.Namespace, progress: Progress) -> Evaluation:
    from mmpl.evaluation.segmentation import Options, evaluate_segmentation
    from mmpl.metrics.segmentation import DetectionRule

    given = {
        "iou_threshold": arguments.iou,
        "matching": arguments.matching,
        "connectivity": arguments.connectivity,
    }
    rule = DetectionRule(**{name: value for name, value in given.items() if value is not None})
    return evaluate_segmentation(
        arguments.pred,
        arguments.truth,
        options=Options(rule, arguments.resample, arguments.missing_as_empty, arguments.only_common),
        centers=arguments.centers,
        bootstrap=_bootstrap(arguments),
        progress=progress,
    )


def _bootstrap(arguments: argparse.Namespace) -> Bootstrap:
    return Bootstrap(arguments.seed, arguments.resamples)


def _write(evaluation: Evaluation, arguments: argparse.Namespace, outputs: dict[str, Path]) -> None:
    inputs = {"Predictions": str(arguments.pred), "Truth": str(arguments.truth)}
    if "json" in outputs:
        record = {"mmpl_version": __version__, "inputs": {k.lower(): v for k, v in inputs.items()}}
        write_json_atomic(outputs["json"], {**evaluation.as_dict(), **record})
    if "csv" in outputs:
        write_text_atomic(outputs["csv"], patients_csv(evaluation))
    if "html" in outputs:
        generated = f"{datetime.now():%d %B %Y, %H:%M}, MMPL {__version__}"
        write_text_atomic(outputs["html"], render_evaluation(evaluation, inputs=inputs, generated=generated))


def patients_csv(evaluation: Evaluation) -> str:
    """A line a patient; what is not known is an empty cell."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(evaluation.patients[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in evaluation.patients)
    return stream.getvalue()
