"""The command line: reads arguments, calls the pipeline, maps errors to exit codes.

0 done; 2 bad input or usage, one line on standard error; 3 done with warnings, with ``--strict``; 1 a fault of ours.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mmpl.cli_images import (
    add_export_arguments,
    add_reading_arguments,
    add_series,
    add_structures,
    add_suv,
    export_of,
    mask_in_dicom,
    reading_of,
)
from mmpl.errors import MMPLError, TrainingError
from mmpl.file_names import can_be_spelt, spelt
from mmpl.results import RESEARCH_USE
from mmpl.version import __version__

DONE, FAULT, BAD_INPUT, DONE_WITH_WARNINGS = 0, 1, 2, 3
STOPPED = 130  # what a shell reports for Ctrl-C
NOTHING_WRITTEN, RESUMABLE = "nothing was written", "the same command goes on from there"


class _Parser(argparse.ArgumentParser):
    """One line on a usage error, like every other bad input."""

    def error(self, message: str):
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see '{self.prog} --help'\n")


def _processes(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of processes: give 1 or more")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``mmpl`` and ``python -m mmpl``; returns the exit code."""
    _never_fail_to_print()
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except MMPLError as error:
        print(f"mmpl {arguments.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # whoever read the output, as "head" does, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STOPPED
    except OSError as error:  # a folder that may not be entered, a name that is too long
        where = f"{spelt(error.filename)}: " if error.filename else ""
        print(f"mmpl {arguments.command}: {where}{error.strerror or error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"mmpl {arguments.command}: stopped; {arguments.when_stopped}", file=sys.stderr)
        return STOPPED


def _never_fail_to_print() -> None:
    """A terminal that has no \u00fc shows \\xfc: a name that it cannot spell must not end a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="mmpl", description=f"Head-and-neck FDG-PET/CT analysis. {RESEARCH_USE}")
    parser.add_argument("--version", action="version", version=f"mmpl {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    _add_demo(commands)
    _add_predict(commands)
    _add_assess(commands)
    _add_batch(commands)
    add_series(commands, NOTHING_WRITTEN)
    add_suv(commands, NOTHING_WRITTEN)
    add_structures(commands, NOTHING_WRITTEN)
    _add_phantom(commands)
    _add_scan(commands)
    _add_train(commands)
    _add_ablate(commands)
    _add_evaluate(commands)
    return parser


def _add_demo(commands) -> None:
    p = commands.add_parser("demo", help="the whole story on a synthetic case: contours, correction, report, scene")
    p.add_argument("--out", type=Path, default=Path("demo-output"), metavar="DIR")
    p.add_argument("--bundle", type=Path, help="model bundle; the bundled demo model by default")
    p.set_defaults(run=_demo, when_stopped=NOTHING_WRITTEN)


def _add_predict(commands) -> None:
    p = commands.add_parser("predict", help="contours, HPV probability and RFS of one case")
    _add_case_arguments(p)
    p.add_argument("--plan", choices=("auto", "fast", "paper"), default="auto", help="how networks go over the images")
    p.set_defaults(run=_predict, when_stopped=NOTHING_WRITTEN)


def _add_assess(commands) -> None:
    p = commands.add_parser("assess", help="HPV probability and RFS from given contours")
    _add_case_arguments(p)
    p.set_defaults(plan="auto")  # nothing is segmented
    p.add_argument(
        "--mask",
        type=Path,
        required=True,
        help="label map (1 GTVp, 2 GTVn), Slicer segmentation, DICOM SEG or RTSTRUCT",
    )
    p.set_defaults(run=_assess, when_stopped=NOTHING_WRITTEN)


def _add_case_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("--ct", type=Path, required=True, help="NIfTI, NRRD, MHA or a DICOM folder; HU")
    p.add_argument("--pt", type=Path, required=True, help="the same; a DICOM folder, or body-weight SUV")
    p.add_argument("--ehr", type=Path, help="clinical record, JSON")
    p.add_argument(
        "--site", type=_text, help="primary site, such as oropharynx or larynx; HPV is meant for the oropharynx"
    )
    p.add_argument("--bundle", type=Path, help="model bundle; the bundled demo model by default")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    _add_network_arguments(p)
    p.add_argument("--extractor", choices=("fast", "pyradiomics"), default="fast", help="who computes radiomics")
    p.add_argument("--case-id", type=_text, help="name in the results; by default from the CT's file name")
    p.add_argument("--mrb", action="store_true", help="write a Slicer scene too")
    p.add_argument("--strict", action="store_true", help="exit with 3 when there are warnings")
    add_reading_arguments(p)
    add_export_arguments(p)


def _text(value: str) -> str:
    """What results will hold, checked before the work."""
    if not can_be_spelt(value):
        raise argparse.ArgumentTypeError(f"{spelt(value)} is not valid UTF-8")
    return value


def _add_batch(commands) -> None:
    p = commands.add_parser("batch", help="predict for a cohort; resumable, one table out")
    p.add_argument("--data", type=Path, required=True, metavar="DIR", help="HECKTOR 2025 layout, or a folder a case")
    p.add_argument("--bundle", type=Path, required=True, help="model bundle")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument(
        "--workers", type=_processes, default=1, help="processes of this machine, a thread each; 1: all threads"
    )
    p.add_argument("--scheduler", help="Dask scheduler whose workers do the work: tcp://host:port, or scheduler file")
    p.add_argument("--site", type=_text, help="primary site of the cases whose record names none")
    p.add_argument("--plan", choices=("auto", "fast", "paper"), default="auto", help="how networks go over the images")
    _add_network_arguments(p)
    p.set_defaults(run=_batch, when_stopped=RESUMABLE)


def _add_network_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("--device", default="auto", help="auto (default: a graphics card where there is one), cpu or cuda:0")
    p.add_argument("--backend", choices=("auto", "pytorch", "openvino"), default="auto", help="library that runs them")
    p.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto", help="of their arithmetic")
    p.add_argument("--memory-gb", type=float, help="memory that a pass of a network may take; at most 3 by default")


def _add_phantom(commands) -> None:
    p = commands.add_parser("phantom", help="a synthetic cohort with known truth, in HECKTOR 2025 layout")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument("--cases", type=int, required=True)
    p.add_argument("--seed", type=int, required=True)
    p.add_argument("--workers", type=_processes, default=1)
    p.add_argument("--dicom", action="store_true", help="a folder a patient, CT and PET as DICOM series")
    p.set_defaults(run=_phantom, when_stopped=RESUMABLE)


def _add_scan(commands) -> None:
    p = commands.add_parser("scan", help="everything that stands in the way of training on a cohort, before it starts")
    p.add_argument("--data", type=Path, required=True, metavar="DIR", help="cohort in HECKTOR 2025 layout")
    p.add_argument("--quick", action="store_true", help="tables, files and headers only; voxels are not read")
    p.add_argument("--strict", action="store_true", help="exit with 3 when there are warnings")
    p.add_argument("--json", type=Path, metavar="FILE", help="write all that was found")
    p.add_argument("--workers", type=_processes, default=1, help="processes that share the reading of images")
    p.set_defaults(run=_scan, when_stopped=NOTHING_WRITTEN)


def _add_train(commands) -> None:
    p = commands.add_parser("train", help="three stages, folds, ensemble, bundle; resumable")
    p.add_argument("--data", type=Path, required=True, metavar="DIR", help="cohort in HECKTOR 2025 layout")
    p.add_argument("--out", type=Path, required=True, metavar="RUN")
    p.add_argument("--config", type=Path, help="YAML; 'base: demo' starts from the demo's settings")
    p.add_argument("--folds", type=Path, metavar="CSV", help="splits to use: folds.csv of another run")
    p.add_argument("--strict", action="store_true", help="do not train on a cohort of which the scan warns")
    _add_training_arguments(p)
    p.set_defaults(run=_train, when_stopped=RESUMABLE)


def _add_training_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("--start", type=Path, metavar="BUNDLE", help="stage 1 starts from its weights, not from random ones")
    p.add_argument("--scheduler", help="Dask scheduler whose workers do the work: tcp://host:port, or scheduler file")


def _add_ablate(commands) -> None:
    p = commands.add_parser("ablate", help="what each part of the method adds, on a training run; resumable")
    p.add_argument("--data", type=Path, required=True, metavar="DIR", help="cohort in HECKTOR 2025 layout")
    p.add_argument("--out", type=Path, required=True, metavar="RUN", help="training run; trained first where it is not")
    p.add_argument("--config", type=Path, help="YAML, as for train")
    _add_training_arguments(p)
    p.set_defaults(run=_ablate, when_stopped=RESUMABLE)


def _add_evaluate(commands) -> None:
    p = commands.add_parser("evaluate", help="predictions against truth, with the measures of HECKTOR 2025")
    p.add_argument("task", choices=("segmentation", "hpv", "rfs"))
    p.add_argument("--pred", type=Path, required=True, help="label maps or results.json in a folder, or a CSV")
    p.add_argument("--truth", type=Path, required=True, help="label maps in a folder, or a HECKTOR table")
    p.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    p.add_argument("--csv", type=Path, metavar="FILE", help="write a line a patient")
    p.add_argument("--html", type=Path, metavar="FILE", help="write a report with charts")
    p.add_argument("--only-common", action="store_true", help="score patients that have both; others are counted")
    p.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    p.add_argument("--resamples", type=int, default=2000, help="of the bootstrap")
    s = p.add_argument_group("segmentation")
    s.add_argument("--iou", type=float, help="a node is found above this intersection over union; 0.3 by default")
    s.add_argument("--matching", choices=("one-to-one", "any"), help="of nodes; one-to-one by default")
    s.add_argument("--connectivity", type=int, choices=(6, 18, 26), help="of a node's voxels; 26 by default")
    s.add_argument("--resample", action="store_true", help="bring predictions on other grids to the truth's")
    s.add_argument("--missing-as-empty", action="store_true", help="no prediction counts as nothing found")
    s.add_argument("--centers", type=Path, metavar="CSV", help="PatientID and CenterID; by default the truth's table")
    h = p.add_argument_group("hpv")
    h.add_argument("--threshold", type=float, help="positive from here on; the results' own, or 0.5, by default")
    h.add_argument("--bins", type=int, help="of the reliability table; 5 by default")
    p.set_defaults(run=_evaluate, when_stopped=NOTHING_WRITTEN)


def _demo(arguments) -> int:
    from mmpl.console import ConsoleProgress
    from mmpl.plugins import load_plugin

    run_demo = load_plugin("demo")
    with ConsoleProgress() as progress:
        summary = run_demo(arguments.out, arguments.bundle, progress)
    print(summary)
    return DONE


def _predict(arguments) -> int:
    from mmpl.pipeline import predict

    return _run_case(arguments, predict)


def _assess(arguments) -> int:
    from mmpl.io.images import is_dicom, read_label_map
    from mmpl.pipeline import assess

    known = None if is_dicom(arguments.mask) else read_label_map(arguments.mask, what="mask")

    def job(case, ensemble, **how):
        mask, case = (known, case) if known is not None else mask_in_dicom(arguments, case)
        return assess(case, mask, ensemble, **how)

    return _run_case(arguments, job)


def _run_case(arguments, job) -> int:
    from mmpl.bundle.reader import default_bundle_path, open_bundle
    from mmpl.clinical.tumour import with_primary_site
    from mmpl.console import ConsoleProgress
    from mmpl.earlier_files import sentence_about
    from mmpl.ensemble import Inference, load_ensemble
    from mmpl.io.case import read_case
    from mmpl.io.ehr import read_ehr
    from mmpl.io.output import check_writable
    from mmpl.network.backends.base import describe
    from mmpl.network.backends.choose import BackendChoice, on_this_machine
    from mmpl.outputs import write_outputs
    from mmpl.pipeline import check_clinical
    from mmpl.plugins import load_plugin
    from mmpl.radiomics.extraction import check_installed

    check_writable(arguments.out)
    check_installed(arguments.extractor)
    backend = on_this_machine(BackendChoice(arguments.device, arguments.backend, arguments.precision))
    inference = Inference(backend, arguments.plan, arguments.memory_gb)
    if arguments.mrb:
        load_plugin("scene")  # find out now, rather than after the work
    reading, case_id = reading_of(arguments), arguments.case_id or case_id_of(arguments.ct)
    export = export_of(arguments, case_id)
    clinical = dict(read_ehr(arguments.ehr)) if arguments.ehr else {}
    if arguments.site:
        clinical = with_primary_site(clinical, arguments.site)
    check_clinical(clinical)
    with ConsoleProgress() as progress:
        progress("reading", 0.0)
        ensemble = load_ensemble(open_bundle(arguments.bundle or default_bundle_path()), inference)
        case = read_case(case_id, arguments.ct, arguments.pt, clinical, reading)
        if export:
            export.check(case)
        outcome = job(case, ensemble, progress=progress, extractor=arguments.extractor)
        progress("writing results", 0.0)
        left = write_outputs(arguments.out, case, outcome, mrb=arguments.mrb, dicom=export)
    print(summary_of(outcome.results, describe(ensemble.networks.backend)))
    for warning in outcome.results.warnings:
        print(f"warning {warning.code}: {warning.text}", file=sys.stderr)
    if left:
        print(f"warning EARLIER_FILES: {sentence_about(left, arguments.out)}", file=sys.stderr)
    return DONE_WITH_WARNINGS if arguments.strict and (outcome.results.warnings or left) else DONE


def _batch(arguments) -> int:
    from mmpl.batch import run_batch
    from mmpl.console import ConsoleProgress
    from mmpl.ensemble import Inference
    from mmpl.network.backends.choose import BackendChoice

    backend = BackendChoice(arguments.device, arguments.backend, arguments.precision)
    with ConsoleProgress() as progress:
        end = run_batch(
            arguments.data,
            arguments.bundle,
            arguments.out,
            inference=Inference(backend, arguments.plan, arguments.memory_gb),
            site=arguments.site,
            workers=arguments.workers,
            scheduler=arguments.scheduler,
            progress=progress,
        )
    done = len(end.cases) - len(end.failed)
    before = f", {end.done_before} of them earlier" if end.done_before else ""
    print(f"{done} of {len(end.cases)} cases done{before}: {arguments.out / 'cases.csv'}\n{RESEARCH_USE}")
    if end.failed:
        print(f"not done: {', '.join(end.failed)}; reasons in {arguments.out / 'failed.csv'}", file=sys.stderr)
    return DONE_WITH_WARNINGS if end.failed else DONE


def _phantom(arguments) -> int:
    from mmpl.console import ConsoleProgress
    from mmpl.phantom import write_cohort

    if arguments.dicom:
        from mmpl.phantom.dicom import write_cohort_dicom as write_cohort

    with ConsoleProgress() as progress:
        write_cohort(arguments.out, arguments.cases, arguments.seed, progress=progress, workers=arguments.workers)
    print(f"{arguments.cases} synthetic patients in {arguments.out}")
    return DONE


def _scan(arguments) -> int:
    from mmpl.console import ConsoleProgress
    from mmpl.io.output import write_json_atomic
    from mmpl.training.scan import ERROR, WARNING, scan_cohort

    with ConsoleProgress() as progress:
        scan = scan_cohort(arguments.data, thorough=not arguments.quick, workers=arguments.workers, progress=progress)
    print(scan.text())
    if arguments.json:
        write_json_atomic(arguments.json, scan.to_dict())
    if errors := len(scan.of(ERROR)):
        raise TrainingError(f"training cannot start: {errors} error{'' if errors == 1 else 's'} in {arguments.data}")
    return DONE_WITH_WARNINGS if arguments.strict and scan.of(WARNING) else DONE


def _train(arguments) -> int:
    from mmpl.console import ConsoleProgress
    from mmpl.training.config import load_config
    from mmpl.training.run import RunOptions, train

    config = load_config(arguments.config)
    options = RunOptions(arguments.folds, arguments.start, arguments.strict, arguments.scheduler)
    with ConsoleProgress() as progress:
        bundle = train(arguments.data, arguments.out, config, options, progress=progress)
    print(f"bundle {bundle.info.name} {bundle.info.version} in {bundle.path}")
    return DONE


def _ablate(arguments) -> int:
    from mmpl.console import ConsoleProgress
    from mmpl.training.ablation.run import ablate
    from mmpl.training.config import load_config
    from mmpl.training.run import RunOptions

    config = load_config(arguments.config)
    options = RunOptions(start=arguments.start, scheduler=arguments.scheduler)
    with ConsoleProgress() as progress:
        found = ablate(arguments.data, arguments.out, config, options, progress=progress)
    print(found.text())
    return DONE


def _evaluate(arguments) -> int:
    from mmpl.console import ConsoleProgress
    from mmpl.evaluation.command import run

    with ConsoleProgress() as progress:
        text = run(arguments, progress)
    print(text)
    return DONE


def case_id_of(ct: Path) -> str:
    """A case's name from its CT's file name: "PHA-0001" of "PHA-0001__CT.nii.gz".

    DICOM gives "case": the name of its folder or file may be the patient's.
    """
    from mmpl.io.images import IMAGE_SUFFIXES, is_dicom

    if is_dicom(ct):
        return "case"
    name = os.path.basename(os.path.abspath(ct))
    suffix = next((s for s in IMAGE_SUFFIXES if name.lower().endswith(s)), "")
    return name[: len(name) - len(suffix)].removesuffix("__CT") or "case"


def summary_of(results, networks: str | None = None) -> str:
    """A few lines for the terminal; ``networks`` says where they ran."""
    lines = [f"{results.case_id}: " + ", ".join(_volume(n, c) for n, c in results.lesions.items())]
    from mmpl.report.text import NBSP, percent

    hpv, rfs = results.hpv, results.rfs
    if hpv.probability is None:
        lines.append(f"HPV probability: not given ({hpv.reason})")
    else:
        lines.append(f"HPV probability: {hpv.probability:.3f} ({hpv.status} at threshold {hpv.threshold:.3f})")
    if rfs.risk is None:
        lines.append(f"RFS: not given ({rfs.reason})")
    else:
        at = ", ".join(f"{k} {percent(v).replace(NBSP, ' ')}" for k, v in rfs.survival_at.items() if v is not None)
        at = at or "no estimate at any year"
        lines.append(f"RFS: {at}; {rfs.risk_group} risk; from {rfs.time_zero}")
    lines += [] if networks is None else [f"networks: {networks}"]
    return "\n".join([*lines, RESEARCH_USE])


def _volume(name: str, figures) -> str:
    count = len(figures.components)
    return f"{name} {figures.total.volume_ml:.1f} mL in {count} lesion{'' if count == 1 else 's'}"
