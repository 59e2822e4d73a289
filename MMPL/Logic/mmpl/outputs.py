"""Everything a run writes, in one place and all or nothing."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mmpl.case import PET_SUV, Case
from mmpl.clinical.fields import FIELDS, HPV_STATUS, PRIMARY_SITE, by_known_name, parse_record
from mmpl.earlier_files import DICOM, FEATURES, MASK, REPORT, RESULTS, SCENE, SEGMENTATION, left_of_earlier
from mmpl.errors import InputError, OutputError
from mmpl.io.masks import write_label_map, write_segmentation_nrrd
from mmpl.io.output import OutputFolder, write_json_atomic, write_text_atomic
from mmpl.pipeline import Outcome
from mmpl.plugins import load_plugin
from mmpl.report.features_csv import write_features_csv
from mmpl.report.html import render_report
from mmpl.report.slices import PET_TOP_SUV, Scene, lesion_pictures
from mmpl.report.validate import validate_results
from mmpl.steps import label_for_measurement
from mmpl.version import __version__


@dataclass(frozen=True)
class DicomExport:
    """That results are wanted as DICOM too.

    Attributes
    ----------
    anonymise : the name that takes the patient's place, None to carry the patient over
    uid_root : root of new UIDs, None for random UUIDs
    drawn_by : ``name``, ``version`` and ``sha256`` of the bundle that drew the contours, where the outcome does not say
    """

    anonymise: str | None = None
    uid_root: str | None = None
    drawn_by: Mapping[str, str] | None = None

    def check(self, case: Case) -> None:
        """Find out now, rather than after the work, what is in the way.

        Raises
        ------
        InputError
            If the CT is no DICOM series, or the name or root cannot be.
        """
        if case.ct_source is None:
            raise InputError("results can be written as DICOM only for a CT that is a DICOM series: give its folder")
        from mmpl.dicom_out.headers import anonymised, read_headers

        anonymity, settings = self.choices()
        headers = read_headers(case.ct_source)
        settings.check_against(headers.series_number)
        if anonymity is not None:
            anonymised(headers, anonymity)

    def choices(self):
        """The same in the writer's words."""
        from mmpl.dicom_out.anonymity import Anonymity
        from mmpl.dicom_out.settings import ExportSettings

        root = {} if self.uid_root is None else {"uid_root": self.uid_root}
        settings = ExportSettings(drawn_by=self.drawn_by, **root)
        return (None if self.anonymise is None else Anonymity(self.anonymise)), settings


def write_outputs(
    out: Path,
    case: Case,
    outcome: Outcome,
    *,
    mrb: bool = False,
    before: Outcome | None = None,
    dicom: DicomExport | None = None,
) -> tuple[str, ...]:
    """Write mask, segmentation, results, features and report; with ``mrb`` a Slicer scene too.

    Parameters
    ----------
    before : the outcome with the model's own contours, where ``outcome`` is of corrected ones
    dicom : write segmentation, structure set and report as DICOM too, into a folder ``dicom``

    Returns
    -------
    Files in ``out`` that an earlier result was written to and this one was not: they tell of other contours.

    Raises
    ------
    InputError
        If DICOM is wanted and the CT is no DICOM series.
    OutputError
        If ``out`` cannot be written; it is then as it was before.
    ValueError
        If the outcome keeps the networks' scores of earlier contours, or results break their schema.
    """
    if dicom is not None:
        dicom.check(case)
    with OutputFolder(out) as folder:
        write_files(folder, case, outcome, before=before)
        if dicom is not None:
            write_dicom_files(folder / DICOM, case, outcome, dicom, corrected=before is not None)
        if mrb:
            load_plugin("scene")(case, outcome, folder / SCENE)
        left = left_of_earlier(out, folder)
    return left


def write_files(folder: Path, case: Case, outcome: Outcome, *, before: Outcome | None = None) -> None:
    """The files of :func:`write_outputs` without the scene, into a folder that exists."""
    if outcome.deep_is_kept:
        raise ValueError("the networks' scores are of earlier contours: measure again without `deep` before saving")
    if outcome.hpv_as_known:
        raise ValueError("RFS was given the recorded HPV status (a what-if): measure again without it before saving")
    results = outcome.results.as_dict()
    try:
        validate_results(results)
    except OutputError as error:  # what is wrong with a user's file is a fault of ours here
        raise ValueError(str(error)) from error
    write_label_map(folder / MASK, outcome.label_map)
    write_segmentation_nrrd(folder / SEGMENTATION, outcome.label_map)
    write_json_atomic(folder / RESULTS, results)
    write_features_csv(folder / FEATURES, outcome.features)
    write_text_atomic(folder / REPORT, report_of(case, outcome, before=before))


def write_dicom_files(folder: Path, case: Case, outcome: Outcome, export: DicomExport, *, corrected: bool) -> None:
    """The DICOM objects of a result; ``corrected`` says that a person changed the model's contours."""
    from mmpl.dicom_out.export import write_dicom

    anonymise, settings = export.choices()
    folder.mkdir()
    write_dicom(
        folder,
        case.ct_source,
        outcome.label_map,
        outcome.results.as_dict(),
        anonymise=anonymise,
        settings=replace(settings, contours_corrected=corrected),
    )


def report_of(case: Case, outcome: Outcome, *, before: Outcome | None = None) -> str:
    """The HTML report of an outcome."""
    results = outcome.results.as_dict()
    scene = Scene(
        ct_hu=outcome.roi.ct_hu,
        pet_suv=outcome.roi.pet_suv,
        labels=outcome.label_on_roi,
        geometry=outcome.roi.geometry,
        model_labels=None if before is None else label_for_measurement(before.label_map, outcome.roi),
        pet_top_suv=PET_TOP_SUV if case.pet_units == PET_SUV else None,
    )
    now = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return render_report(
        results=results,
        before=None if before is None else before.results.as_dict(),
        lesion_pictures=lesion_pictures(scene, results["lesions"]),
        clinical=clinical_rows(case),
        generated=f"{now}, MMPL {__version__}",
    )


def clinical_rows(case: Case) -> list[tuple[str, str | None]]:
    """(label, value) of the clinical record for people; None is unknown."""
    record, _ = parse_record(case.clinical)
    rows: list[tuple[str, str | None]] = []
    for name, field in FIELDS.items():
        value = record[name]
        if value is None:
            rows.append((field.label, None))
        elif hasattr(field, "levels"):
            rows.append((field.label, f"{field.levels[value]}"))
        else:
            rows.append((field.label, f"{value:g} {field.unit}"))
    given = by_known_name(case.clinical)
    for name in (PRIMARY_SITE, HPV_STATUS):
        if given.get(name) not in (None, ""):
            rows.append((name, str(given[name])))
    return rows
