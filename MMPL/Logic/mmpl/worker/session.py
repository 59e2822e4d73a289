"""What a worker keeps between requests, and what it can do: a bundle, a case, and the case's last outcome."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from mmpl.bundle.reader import default_bundle_path, open_bundle
from mmpl.case import Case
from mmpl.dicom_source import DicomSource
from mmpl.earlier_files import DICOM, check_same_ct
from mmpl.ensemble import Ensemble, Inference, load_ensemble
from mmpl.errors import InputError
from mmpl.geometry import Volume
from mmpl.io.case import apply_conversion, case_from_volumes
from mmpl.io.output import check_writable
from mmpl.io.suv import Conversion
from mmpl.machine import devices
from mmpl.network.backends.base import describe
from mmpl.network.backends.choose import AUTO, BackendChoice, on_this_machine
from mmpl.notices import Notice
from mmpl.outputs import REPORT, DicomExport, write_outputs
from mmpl.pipeline import (
    Drawing,
    Outcome,
    PreparedCase,
    bundle_summary,
    check_clinical,
    draw_contours,
    measure,
    measure_drawing,
    notices_of_loss,
    prepare_case,
    with_clinical,
)
from mmpl.progress import Progress
from mmpl.radiomics.fast_extractor import warm_up
from mmpl.steps import LostLesions, label_for_measurement, outcome_centre
from mmpl.version import __version__
from mmpl.worker.arrays import read_label_map, read_volume, write_label_map

HOW_TO_TYPE = "type what is missing under the inputs"
DICOM_PACKAGES = ("pydicom", "highdicom", "contourpy")  # for exports only
DEEP_MOVE_MM = 10.0  # how far the lesions' centroid may move before the networks' scores are out of date


@dataclass
class Session:
    """One worker's memory. Every method returns what the front end is told.

    Parameters
    ----------
    folder : where arrays are exchanged
    tell : called with parts of an answer before it is whole
    """

    folder: Path
    ensemble: Ensemble | None = None
    prepared: PreparedCase | None = None
    outcome: Outcome | None = None
    drawing: Drawing | None = None
    tell: Callable[..., None] = field(default=lambda **part: None)

    def actions(self) -> Mapping[str, Callable[[Mapping, Progress], dict]]:
        """Request name -> what does it."""
        return {
            "hello": self.hello,
            "open_bundle": self.open_bundle,
            "open_case": self.open_case,
            "segment": self.segment,
            "measure": self.measure,
            "save": self.save,
        }

    def hello(self, _arguments: Mapping, progress: Progress) -> dict:
        """Versions, and where networks can run."""
        progress("starting", 0.0)
        return {"version": __version__, "torch": torch.__version__, "devices": devices()}

    def open_bundle(self, arguments: Mapping, progress: Progress) -> dict:
        """Load a bundle; a case is prepared anew for it. ``path``: folder or zip, null for the demo's;
        ``device``: one of :meth:`hello`'s, null for the first graphics card, else the CPU; ``backend``, ``plan``: as
        the command line has them."""
        progress("loading the model", 0.0)
        path = arguments.get("path")
        bundle = open_bundle(Path(path) if path else default_bundle_path())
        choice = on_this_machine(BackendChoice(arguments.get("device") or AUTO, arguments.get("backend") or AUTO))
        ensemble = load_ensemble(bundle, Inference(choice, arguments.get("plan") or AUTO))
        case = self.prepared.case if self.prepared else None
        self.ensemble, self.prepared, self.outcome, self.drawing = ensemble, None, None, None
        if case is not None:
            self.prepared = prepare_case(case, ensemble)
        info = ensemble.info
        return {
            **bundle_summary(ensemble),
            "backend": describe(ensemble.networks.backend),
            "clinical": list(info.clinical),
            "card": {
                "description": info.description,
                "intended_use": info.intended_use,
                "limitations": list(info.limitations),
                "licence": info.licence,
            },
        }

    def open_case(self, arguments: Mapping, progress: Progress) -> dict:
        """Take a case in: ``case_id``, ``ct`` and ``pet`` as volumes, ``clinical``, ``provenance``.

        ``conversion`` (:class:`mmpl.io.suv.Conversion` as JSON) says what makes the PET SUV, or why nothing does.
        Without it, ``pet_units`` states its unit; without either, it is judged from the voxels.
        """
        ensemble = self._ensemble()
        progress("preparing images", 0.0)
        self.prepared = self.outcome = self.drawing = None
        self.prepared = prepare_case(self._case(arguments), ensemble)
        progress("radiomics", 0.0)
        warm_up()
        roi = self.prepared.roi
        return {
            "roi_centre_lps_mm": list(roi.centre_lps),
            "warnings": [notice.as_dict() for notice in roi.notices],
        }

    def _case(self, arguments: Mapping) -> Case:
        pet, units = _as_float(read_volume(self.folder, arguments["pet"])), arguments.get("pet_units")
        provenance, notices = dict(arguments.get("provenance") or {}), ()
        if arguments.get("conversion"):
            conversion = Conversion.from_dict(arguments["conversion"])
            pet, units, how, notices = apply_conversion(pet, conversion, how_to_type=HOW_TO_TYPE)
            provenance |= how
        case = case_from_volumes(
            arguments["case_id"],
            _as_float(read_volume(self.folder, arguments["ct"])),
            pet,
            clinical=arguments.get("clinical"),
            pet_units=units,
            provenance=provenance,
        )
        return replace(case, notices=(*notices, *case.notices))

    def segment(self, arguments: Mapping, progress: Progress) -> dict:
        """Draw contours and measure them; the label map comes back as a file.

        With ``preview``, what one member draws is told first, as ``label_map`` of a part; ``clinical`` as in
        :meth:`measure`.
        """
        prepared, ensemble = self._prepared_under(arguments), self._ensemble()
        drawing = draw_contours(
            prepared,
            ensemble,
            done=lambda fraction: progress("segmenting", fraction),
            preview=self._tell_preview if arguments.get("preview") else None,
        )
        self.outcome = measure_drawing(prepared, drawing, ensemble, progress=progress)
        self.prepared, self.drawing = prepared, drawing
        label_map = write_label_map(self.folder, "segmented.npy", drawing.label_map.array)
        return {"label_map": label_map, **self._told(deep_is_current=True)}

    def measure(self, arguments: Mapping, progress: Progress) -> dict:
        """Measure ``label_map`` (the last one where it is absent) under ``clinical`` (as before where absent).

        The networks' scores are those of the last full pass, unless ``deep`` is "refresh" or there are none yet; the
        answer says whether they are still those of these contours (the centroid within 10 mm of where they were read).
        With ``hpv_as_known`` RFS is given the recorded HPV status. ``left_out`` is what the label map lacks of the
        contours, null for nothing: ``outside``, the share that lies outside the CT, and ``between``, per class the
        lesions that lie between its voxels, with the attributes of :class:`mmpl.steps.LostLesions`.
        """
        prepared, ensemble = self._prepared_under(arguments), self._ensemble()
        label_map = self._label_map(arguments, prepared)
        known = self.outcome.deep if self.outcome else None
        deep = None if arguments.get("deep") == "refresh" else known
        as_known = bool(arguments.get("hpv_as_known"))
        how = {"deep": deep, "progress": progress, "hpv_as_known": as_known, "notices": _left_out(arguments)}
        if self.drawing is not None and np.array_equal(label_map.array, self.drawing.label_map.array):
            outcome = measure_drawing(prepared, self.drawing, ensemble, **how)
        else:
            outcome = measure(prepared, label_map, ensemble, **how)
        if outcome.deep is None and known is not None:
            outcome = replace(outcome, deep=known)  # nothing is contoured now; the scores are kept for what comes next
        self.prepared, self.outcome = prepared, outcome
        return self._told(deep_is_current=self._deep_is_current())

    def save(self, arguments: Mapping, progress: Progress) -> dict:
        """Write the usual files of ``label_map`` into ``out``, with the networks' scores of it: as ``assess`` would.

        ``left_out`` is as in :meth:`measure`.
        ``model_label_map``, the model's own contours, is set beside it in the report where it differs. ``drawn`` has
        ``bundle`` and ``segmentation`` of the model's results: this session may not have been there when it drew.
        With ``dicom`` (``files`` of the CT's slices, and ``anonymise``, a name that takes the patient's place, or
        null) they are written as DICOM too.
        """
        out = Path(arguments["out"])
        check_writable(out)
        check_same_ct(out, self._prepared().ct_fingerprint)
        drawn = arguments.get("drawn") or {}
        source, export = self._dicom(arguments.get("dicom"), drawn.get("bundle"))
        self.measure({**arguments, "deep": "refresh", "hpv_as_known": False}, progress)
        before = self._model_outcome(arguments, progress)
        if before is None:
            self._say_who_drew(drawn)
        told = self._told(deep_is_current=self._deep_is_current())
        progress("writing results", 0.0)
        case = replace(self._prepared().case, ct_source=source)
        left = write_outputs(out, case, self.outcome, before=before, dicom=export)
        files = {"out": str(out), "report": str(out / REPORT), "dicom": DICOM if export else None, "left": list(left)}
        return {**files, **told}

    def _say_who_drew(self, drawn: Mapping) -> None:
        """Put the record of the drawing into results of the very contours that this bundle drew."""
        record, bundle = drawn.get("segmentation"), drawn.get("bundle") or {}
        results = self.outcome.results
        if record and results.segmentation is None and bundle.get("sha256") == results.bundle["sha256"]:
            self.outcome = replace(self.outcome, results=replace(results, segmentation=dict(record)))

    def _dicom(self, wanted: Mapping | None, drawn_by: Mapping | None) -> tuple[DicomSource | None, DicomExport | None]:
        """The CT's files in the order of its slices, and how results refer to them; checked before any work is done."""
        if not wanted:
            return None, None
        lacking = [name for name in DICOM_PACKAGES if importlib.util.find_spec(name) is None]
        if lacking:
            raise InputError(f"to write DICOM, the worker's Python lacks {', '.join(lacking)}: set it up")
        from mmpl.io.dicom.on_grid import source_on_grid

        case = self._prepared().case
        source = source_on_grid([Path(file) for file in wanted["files"]], case.ct.geometry, "the CT")
        export = DicomExport(anonymise=wanted.get("anonymise"), drawn_by=drawn_by)
        export.check(replace(case, ct_source=source))
        return source, export

    def _model_outcome(self, arguments: Mapping, progress: Progress) -> Outcome | None:
        """What the model's own contours give, None where they are the saved ones or there are none."""
        prepared, ct = self._prepared(), self._prepared().case.ct.geometry
        if arguments.get("model_label_map") is None:
            return None
        drawn = Volume(read_label_map(self.folder, arguments["model_label_map"], ct.shape), ct)
        if np.array_equal(drawn.array, self.outcome.label_map.array):
            return None
        return measure(prepared, drawn, self._ensemble(), progress=progress)

    def _tell_preview(self, drawn: Volume) -> None:
        self.tell(label_map=write_label_map(self.folder, "preview.npy", drawn.array))

    def _label_map(self, arguments: Mapping, prepared: PreparedCase) -> Volume:
        if arguments.get("label_map") is not None:
            ct = prepared.case.ct.geometry
            return Volume(read_label_map(self.folder, arguments["label_map"], ct.shape), ct)
        if self.outcome is None:
            raise InputError("there are no contours yet: draw some, or segment first")
        return self.outcome.label_map

    def _prepared_under(self, arguments: Mapping) -> PreparedCase:
        """The case under the clinical record that was sent, or under its own."""
        if arguments.get("clinical") is None:
            return self._prepared()
        check_clinical(arguments["clinical"])
        return with_clinical(self._prepared(), dict(arguments["clinical"]))

    def _deep_is_current(self) -> bool:
        """Whether the networks' scores were read where the lesions are now; also where none are given."""
        if not self.outcome.deep_is_kept:
            return True
        on_roi = label_for_measurement(self.outcome.label_map, self._prepared().roi)
        moved = np.linalg.norm(np.subtract(outcome_centre(on_roi), self.outcome.deep.centre_zyx))  # voxels of 1 mm
        return bool(moved <= DEEP_MOVE_MM)

    def _told(self, *, deep_is_current: bool) -> dict:
        return {
            "results": self.outcome.results.as_dict(),
            "deep_is_current": deep_is_current,
            "deep_is_kept": self.outcome.deep_is_kept,
        }

    def _ensemble(self) -> Ensemble:
        if self.ensemble is None:
            raise InputError("no model is loaded: choose a bundle first")
        return self.ensemble

    def _prepared(self) -> PreparedCase:
        if self.prepared is None:
            raise InputError("no case is open: choose PET and CT first")
        return self.prepared


def _left_out(arguments: Mapping) -> tuple[Notice, ...]:
    """What the label map lacks of the contours, in words."""
    left = arguments.get("left_out")
    return notices_of_loss([LostLesions(**one) for one in left["between"]], left["outside"]) if left else ()


def _as_float(volume: Volume) -> Volume:
    return volume.with_array(volume.array.astype(np.float32, copy=False))
