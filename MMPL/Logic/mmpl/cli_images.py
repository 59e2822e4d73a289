"""The command line's part about images in DICOM: which series, which SUV, and what lies in a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

DONE = 0
SUV_KINDS = ("bw", "lbm-janma", "lbm-james", "lbm-morgan", "ibw", "bsa")


def add_reading_arguments(p: argparse.ArgumentParser) -> None:
    """Which images are meant, and what SUV needs where their headers are silent."""
    g = p.add_argument_group("images in DICOM")
    g.add_argument("--ct-series", metavar="SERIES", help="number, UID or part of the description of the CT series")
    g.add_argument("--pt-series", metavar="SERIES", help="the same of the PET series")
    g.add_argument("--any-pair", action="store_true", help="use CT and PET together though their headers differ")
    _add_suv_arguments(p)


def _add_suv_arguments(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("SUV, where the PET's header is silent or wrong (marked as typed in the results)")
    g.add_argument("--weight-kg", type=float, help="the patient's weight")
    g.add_argument("--injected-mbq", type=float, help="injected activity")
    g.add_argument("--decay-min", type=float, help="minutes from injection to what the PET is corrected to")
    g.add_argument("--half-life-s", type=float, help="of the nuclide, seconds")
    g.add_argument("--height-cm", type=float, help="needed for SUV by lean body mass or body surface")
    g.add_argument("--sex", choices=("M", "F", "O"), help="the same")
    g.add_argument("--pt-units", choices=("auto", "suv", "bqml"), default="auto", help="of a PET that is no DICOM")


def typed_of(arguments):
    """What was typed for SUV."""
    from mmpl.io.suv import Typed

    return Typed(
        arguments.weight_kg,
        arguments.injected_mbq,
        arguments.decay_min,
        arguments.half_life_s,
        arguments.height_cm,
        arguments.sex,
    )


def reading_of(arguments):
    """What the user says of the images."""
    from mmpl.io.case import Reading

    return Reading(
        arguments.ct_series, arguments.pt_series, arguments.any_pair, typed_of(arguments), arguments.pt_units
    )


def add_series(commands, when_stopped: str) -> None:
    p = commands.add_parser("series", help="which CT and PET series lie in a DICOM folder, without patients' names")
    p.add_argument("--data", type=Path, required=True, metavar="DIR")
    p.set_defaults(run=_series, when_stopped=when_stopped)


def add_suv(commands, when_stopped: str) -> None:
    p = commands.add_parser("suv", help="a PET as SUV, with every value and rule that led to it")
    p.add_argument("--pt", type=Path, required=True, help="DICOM folder; NIfTI, NRRD or MHA in Bq/mL")
    p.add_argument("--pt-series", metavar="SERIES", help="number, UID or part of the description")
    p.add_argument("--kind", choices=SUV_KINDS, default="bw", help="of SUV; by body weight by default")
    p.add_argument("--out", type=Path, metavar="FILE", help="write the image: .nii.gz, .nrrd or .mha")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the values and rules")
    _add_suv_arguments(p)
    p.set_defaults(run=_suv, when_stopped=when_stopped)


def _series(arguments) -> int:
    from mmpl.io.dicom.series import list_series

    print(list_series(arguments.data).text())
    return DONE


def _suv(arguments) -> int:
    from mmpl.io.output import write_json_atomic
    from mmpl.pet_suv import SuvRequest, pet_as_suv, write_suv

    request = SuvRequest(arguments.pt, arguments.pt_series, arguments.kind, typed_of(arguments), arguments.pt_units)
    found = pet_as_suv(request)
    if arguments.out:
        write_suv(arguments.out, found)
    if arguments.json:
        write_json_atomic(arguments.json, found.record())
    print(found.text())
    return DONE
