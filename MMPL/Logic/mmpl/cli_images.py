"""The command line's part about images in DICOM: which series, which SUV, and what lies in a folder."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from mmpl.errors import InputError

DONE = 0
SUV_KINDS = ("bw", "lbm-janma", "lbm-james", "lbm-morgan", "ibw", "bsa")


def add_reading_arguments(p: argparse.ArgumentParser) -> None:
    """Which images are meant, and what SUV needs where their headers are silent."""
    g = p.add_argument_group("images in DICOM")
    g.add_argument("--ct-series", metavar="SERIES", help="number, UID or part of the description of the CT series")
    g.add_argument("--pt-series", metavar="SERIES", help="the same of the PET series")
    g.add_argument("--any-pair", action="store_true", help="use CT and PET together though their headers differ")
    g.add_argument(
        "--ignore-frame-of-reference", action="store_true", help="use a dose or contours of another frame of reference"
    )
    d = p.add_argument_group("planned dose, reported and no model's input")
    d.add_argument("--dose", type=Path, metavar="FILE", help="RTDOSE, or an image in Gy")
    d.add_argument("--dose-levels", type=_levels, metavar="GY,GY", help="doses whose volumes are reported; 50,60,66,70")
    _add_suv_arguments(p)


def _levels(text: str) -> tuple[float, ...]:
    """Doses in Gy, parted by commas."""
    try:
        levels = tuple(float(part) for part in text.split(","))
    except ValueError:
        levels = ()
    if not levels or not all(0 < level <= 200 for level in levels):
        raise argparse.ArgumentTypeError(f"{text!r}: give doses above 0 and up to 200 Gy, as 50,60,66,70")
    return levels


def _add_suv_arguments(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("SUV, where the PET's header is silent or wrong (marked as typed in the results)")
    g.add_argument("--weight-kg", type=float, help="the patient's weight")
    g.add_argument("--injected-mbq", type=float, help="injected activity")
    g.add_argument("--decay-min", type=float, help="minutes from injection to what the PET is corrected to")
    g.add_argument("--half-life-s", type=float, help="of the nuclide, seconds")
    g.add_argument("--height-cm", type=float, help="needed for SUV by lean body mass or body surface")
    g.add_argument("--sex", choices=("M", "F", "O"), help="the same")
    g.add_argument(
        "--pt-units", choices=("auto", "suv", "bqml"), default="auto", help="of a PET whose file does not say"
    )


def add_export_arguments(p: argparse.ArgumentParser) -> None:
    """Results as DICOM."""
    g = p.add_argument_group("results as DICOM, for a CT that is a DICOM series")
    g.add_argument("--dicom", action="store_true", help="write segmentation, structure set and report as DICOM too")
    g.add_argument("--anonymise", action="store_true", help="write them with the case's name in place of the patient")
    g.add_argument("--uid-root", metavar="ROOT", help="root of new UIDs; 2.25 (random) by default")


def export_of(arguments, case_id: str):
    """How results are wanted as DICOM; None for not at all."""
    from mmpl.outputs import DicomExport

    if not arguments.dicom:
        if arguments.anonymise or arguments.uid_root:
            raise InputError("--anonymise and --uid-root are about results as DICOM: give --dicom too")
        return None
    export = DicomExport(case_id if arguments.anonymise else None, arguments.uid_root)
    export.choices()
    return export


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
        ct_series=arguments.ct_series,
        pt_series=arguments.pt_series,
        any_pair=arguments.any_pair,
        typed=typed_of(arguments),
        pet_units=arguments.pt_units,
        ignore_frame_of_reference=arguments.ignore_frame_of_reference,
        dose=arguments.dose,
        dose_levels_gy=arguments.dose_levels or Reading.dose_levels_gy,
    )


def mask_in_dicom(arguments, case):
    """The contours of ``--mask`` where that is a DICOM object, and the case with what must be said of them."""
    from mmpl.io.dicom.label_map import read_dicom_label_map

    mask, notices = read_dicom_label_map(
        arguments.mask,
        case.ct.geometry,
        case.ct_source,
        any_frame=arguments.ignore_frame_of_reference,
        any_patient=arguments.any_pair,
    )
    return mask, replace(case, notices=(*case.notices, *notices))


def add_structures(commands, when_stopped: str) -> None:
    p = commands.add_parser("structures", help="the structures of an RTSTRUCT on an image: size, parts, in the body?")
    p.add_argument("--rtstruct", type=Path, required=True, metavar="FILE")
    p.add_argument("--image", type=Path, required=True, help="the CT or PET, a DICOM folder")
    p.add_argument("--kind", choices=("CT", "PET"), help="of the image, where the folder holds both")
    p.add_argument("--series", metavar="SERIES", help="number, UID or part of the description of the series")
    p.add_argument("--ignore-frame-of-reference", action="store_true", help="lay them on it though the headers differ")
    p.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    p.set_defaults(run=_structures, when_stopped=when_stopped)


def _structures(arguments) -> int:
    from mmpl.io.dicom.choose import choose
    from mmpl.io.dicom.read import read_series
    from mmpl.io.dicom.series import list_series
    from mmpl.io.output import write_json_atomic
    from mmpl.structures import structures_on_image, table_text

    listing = list_series(arguments.image)
    kind = arguments.kind or ("PET" if listing.of("PET") and not listing.of("CT") else "CT")
    series, notices = choose(listing, kind, str(arguments.image), arguments.series)
    image = read_series(series, f"{kind} {arguments.image}")
    found = structures_on_image(
        arguments.rtstruct,
        image.volume,
        kind=kind,
        image_frame_uid=series.frame_of_reference or None,
        ignore_frame_of_reference=arguments.ignore_frame_of_reference,
    )
    found = replace(found, notices=(*notices, *image.notices, *found.notices))
    if arguments.json:
        write_json_atomic(arguments.json, found.as_dict())
    print(table_text(found))
    return DONE


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
    from mmpl.pet_suv import SuvRequest, check_name, pet_as_suv, write_suv

    request = SuvRequest(arguments.pt, arguments.pt_series, arguments.kind, typed_of(arguments), arguments.pt_units)
    if arguments.out:
        check_name(arguments.out)
    found = pet_as_suv(request)
    if arguments.out:
        write_suv(arguments.out, found)
    if arguments.json:
        write_json_atomic(arguments.json, found.record())
    print(found.text())
    return DONE
