"""HECKTOR 2025's container: ``python -m mmpl.challenge --task {1,2,3,all}`` answers the case in ``/input``.

Task 1 is the segmentation, task 2 the risk of relapse, task 3 the HPV status. Everything goes to standard output, since
the platform shows whatever reaches standard error as a warning: only what ends the run is written there.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmpl.bundle.reader import open_bundle
from mmpl.challenge_answers import Answer, answer
from mmpl.challenge_inputs import BUNDLE_VARIABLE, MODEL_FOLDER, RECORD, bundle_path, read_images, read_record
from mmpl.cli import BAD_INPUT, DONE
from mmpl.console import ConsoleProgress
from mmpl.ensemble import Inference, load_ensemble
from mmpl.errors import MMPLError
from mmpl.io.masks import write_label_map
from mmpl.io.output import OutputFolder, check_writable, write_json_atomic
from mmpl.machine import FREE_SHARE, GB, chosen_device, free_bytes
from mmpl.network.backends.choose import AUTO, BackendChoice
from mmpl.results import RESEARCH_USE

SEGMENTATION, RFS, HPV, ALL = "1", "2", "3", "all"
TASKS = {SEGMENTATION: {SEGMENTATION}, RFS: {RFS}, HPV: {HPV}, ALL: {SEGMENTATION, RFS, HPV}}
TASK_VARIABLE = "MMPL_TASK"

SEGMENTATION_FOLDER = Path("images", "tumor-lymph-node-segmentation")
RFS_FILE, HPV_FILE = "rfs.json", "hpv-status.json"

# Of the challenge's 16 GB of either memory, what a pass of a network may take: on the CPU there are images, filtered
# images and weights beside it; on a graphics card what a pass takes is predicted less well.
PASS_GB = 8.0


class _Parser(argparse.ArgumentParser):
    """One line on a usage error, like every other bad input."""

    def error(self, message: str):
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see 'python -m {self.prog} --help'\n")


def main(
    argv: Sequence[str] | None = None,
    environ: Mapping[str, str] = os.environ,
    mounted: Path = MODEL_FOLDER,
) -> int:
    """Entry point of ``python -m mmpl.challenge``; returns the exit code: 0, or 2 for input that cannot be answered."""
    arguments = _parser(environ).parse_args(argv)
    try:
        run(arguments, environ, mounted)
    except MMPLError as error:
        print(f"mmpl.challenge: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    return DONE


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    p = _Parser(prog="mmpl.challenge", description=f"One case of HECKTOR 2025, from folder to folder. {RESEARCH_USE}")
    task = environ.get(TASK_VARIABLE) or ALL
    p.add_argument("--task", type=_task, default=task, help=f"1, 2, 3 or all; by default {TASK_VARIABLE}, else all")
    p.add_argument("--input", type=Path, default=Path("/input"), metavar="DIR")
    p.add_argument("--output", type=Path, default=Path("/output"), metavar="DIR")
    p.add_argument("--bundle", type=Path, help=f"by default the one in {MODEL_FOLDER}, {BUNDLE_VARIABLE}'s, the demo's")
    p.add_argument("--device", default=AUTO, help="auto (default: a graphics card where there is one), cpu or cuda:0")
    return p


def _task(text: str) -> str:
    if text not in TASKS:
        raise argparse.ArgumentTypeError(f"{text!r} is no task: choose {', '.join(TASKS)}")
    return text


def run(arguments: argparse.Namespace, environ: Mapping[str, str], mounted: Path) -> None:
    """Read, answer, write; warnings and fallbacks are printed.

    Raises
    ------
    MMPLError
        If images or bundle cannot be read, or the output cannot be written.
    """
    images = read_images(arguments.input)
    clinical, refused = read_record(arguments.input / RECORD)
    check_writable(arguments.output)
    device = chosen_device(arguments.device)
    ensemble = load_ensemble(open_bundle(bundle_path(arguments.bundle, environ, mounted)), inference_on(device))
    print(f"{images.name}: bundle {ensemble.info.name} {ensemble.info.version} on {device}", flush=True)
    tasks = TASKS[arguments.task]
    with ConsoleProgress(sys.stdout) as progress:
        found = answer(images, clinical, ensemble, outcomes=tasks != {SEGMENTATION}, progress=progress)
    write_answer(arguments.output, f"{images.name}.mha", found, tasks)
    for line in (
        *(f"warning: {text}" for text in refused),
        *(f"warning {notice.code}: {notice.text}" for notice in found.notices),
        *(f"fallback: {text}" for text in found.fallbacks),
        RESEARCH_USE,
    ):
        print(" ".join(line.split()))


def inference_on(device: str) -> Inference:
    """How networks run: with more memory than elsewhere, since nobody works on that machine, within the challenge's."""
    free = free_bytes(device)
    memory_gb = PASS_GB if free is None else min(PASS_GB, FREE_SHARE * free / GB)
    return Inference(BackendChoice(device), memory_gb=memory_gb)


def write_answer(out: Path, image_name: str, found: Answer, tasks: set[str]) -> None:
    """The files of the tasks asked for, all or none.

    Raises
    ------
    OutputError
        If ``out`` cannot be written; it is then as it was before.
    """
    with OutputFolder(out) as folder:
        if SEGMENTATION in tasks:
            (folder / SEGMENTATION_FOLDER).mkdir(parents=True)
            write_label_map(folder / SEGMENTATION_FOLDER / image_name, found.label_map)
        if RFS in tasks:
            write_json_atomic(folder / RFS_FILE, found.risk)
        if HPV in tasks:
            write_json_atomic(folder / HPV_FILE, found.hpv_positive)


if __name__ == "__main__":
    sys.exit(main())
