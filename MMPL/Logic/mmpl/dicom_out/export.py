"""Write the results of a case as DICOM objects."""

from __future__ import annotations

import datetime
import warnings
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset

from mmpl.dicom_out.anonymity import Anonymity, without_values
from mmpl.dicom_out.files import REPORT, SEGMENTATION, STRUCTURE_SET
from mmpl.dicom_out.finish import Export
from mmpl.dicom_out.headers import SourceHeaders, anonymised, read_headers
from mmpl.dicom_out.report import make_report
from mmpl.dicom_out.rtstruct import make_structure_set
from mmpl.dicom_out.segmentation import make_segmentation, segment_numbers
from mmpl.dicom_out.sentences import report_sentences
from mmpl.dicom_out.settings import ExportSettings
from mmpl.dicom_source import DicomSource
from mmpl.errors import GeometryError
from mmpl.geometry import Volume
from mmpl.io.output import write_bytes_atomic
from mmpl.segments import SEGMENTS


def write_dicom(
    folder: str | Path,
    source: DicomSource,
    label_map: Volume,
    results: dict,
    *,
    anonymise: Anonymity | None = None,
    settings: ExportSettings | None = None,
) -> tuple[Path, ...]:
    """Write segmentation, structure set and report.

    They carry on the CT's patient, study and frame of reference, in three series of their own. A class without voxels
    is left out. Where nothing is contoured, only the report is written: the other two would be invalid.

    Parameters
    ----------
    folder : an existing folder
    source : where the CT came from
    label_map : Volume, uint8, array (z, y, x): 0 background, 1 GTVp, 2 GTVn, on exactly the CT's grid
    results : the dictionary of ``results.json`` for these contours
    anonymise : write without the patient's identity
    settings : UID root, series numbers and the like

    Returns
    -------
    the files that were written, in the order above; the report is always the last

    Raises
    ------
    GeometryError
        If the label map is not on the CT's grid.
    InputError
        If the CT's files cannot be referred to, or one of its series numbers is taken.
    OutputError
        If a file cannot be written.
    """
    if not label_map.geometry.is_close(source.geometry):
        raise GeometryError("the label map is not on the CT's grid: resample it there before writing it as DICOM")
    headers = read_headers(source)
    export = _export(headers, results, settings or ExportSettings(), anonymise)
    said = results if anonymise is None else {**results, "warnings": without_values(results["warnings"])}
    sentences = report_sentences(said, {SEGMENTS[label].name for label in segment_numbers(label_map)})
    if anonymise is not None:
        sentences = anonymise.texts(sentences, headers.first, results["case_id"], headers.invalid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom prints names of patients that it finds unlikely
        objects = _objects(export, label_map, sentences)
    return tuple(_write(Path(folder) / name, ds) for name, ds in objects.items())


def _objects(export: Export, label_map: Volume, sentences: list[str]) -> dict[str, Dataset]:
    """Objects by file name."""
    numbers = segment_numbers(label_map)
    if not numbers:
        return {REPORT: make_report(export, sentences, None, numbers)}
    segmentation = make_segmentation(export, label_map)
    return {
        SEGMENTATION: segmentation,
        STRUCTURE_SET: make_structure_set(export, label_map),
        REPORT: make_report(export, sentences, segmentation, numbers),
    }


def _export(headers: SourceHeaders, results: dict, settings: ExportSettings, anonymise: Anonymity | None) -> Export:
    settings.check_against(headers.series_number)
    export = Export(
        source=headers if anonymise is None else anonymised(headers, anonymise),
        results=results,
        settings=settings,
        created=settings.created or datetime.datetime.now(),
        anonymous=anonymise is not None,
    )
    return replace(export, tracking_uids={spec.name: export.uid() for spec in SEGMENTS.values()})


def _write(path: Path, ds: Dataset) -> Path:
    data = BytesIO()
    ds.save_as(data, enforce_file_format=True)
    write_bytes_atomic(path, data.getvalue())
    return path
