"""From what lies on the desk to what the panel shows."""

from __future__ import annotations

from collections.abc import Sequence

from mmpl.report.drawing import drawn_by
from mmpl.segments import SEGMENTS
from mmpl_slicer import contour_nodes
from mmpl_slicer.panel_state import (
    BUSY,
    EDITED,
    EMPTY,
    FAILED,
    IDLE,
    MANUAL,
    NEEDS_SETUP,
    STOPPED,
    Choice,
    ContoursState,
    InputsState,
    PanelState,
    PatientState,
    ResultsState,
    SaveState,
    SegmentRow,
    SuvField,
    WorkState,
)
from mmpl_slicer.panel_state import MODEL as FROM_MODEL
from mmpl_slicer.patient_form import patient_state
from mmpl_slicer.presenter.case_session import SAVE, SEGMENT, CaseSession
from mmpl_slicer.presenter.desk import Desk
from mmpl_slicer.presenter.saving import Saving
from mmpl_slicer.presenter.segmenting import Segmenting
from mmpl_slicer.results_nodes import chart_of
from mmpl_slicer.results_text import class_row, lesion_rows, results_state
from mmpl_slicer.segment_mapping import notes_on_segments, proposed_mapping, segment_names
from mmpl_slicer.volume_guess import case_name_of

SUV_FIELDS = (
    ("weight_kg", "Weight", "kg"),
    ("injected_mbq", "Injected activity", "MBq"),
    ("decay_min", "Injection to scan", "min"),
)
CPU = Choice("cpu", "CPU")
EARLIEST_FRACTION = 0.04  # before it, what is left cannot be told
DEEP_NOTE = (
    "Deep scores are those of the last full pass, and being refreshed: the lesions have moved by more than 10 mm."
)
OUTDATED_NOTE = (
    "Deep scores are those of the last full pass; the lesions have moved by more than 10 mm since: press Update."
)
KEPT_NOTE = "Deep scores are those of the last full pass; they are refreshed once the lesions move by more than 10 mm."


class PanelView:
    """Makes the PanelState of what lies on the desk."""

    def __init__(self, desk: Desk, segmenting: Segmenting, saving: Saving):
        self.desk, self.segmenting, self.saving = desk, segmenting, saving

    @property
    def case(self) -> CaseSession:
        return self.desk.case

    def state(self) -> PanelState:
        case = self.case
        return PanelState(
            inputs=self._inputs(),
            work=self._work(),
            contours=self._contours(),
            patient=self._patient(),
            results=self._results(),
            save=SaveState(
                self.saving.is_possible,
                case.running == SAVE,
                case.saved_text,
                case.report_path,
                self.saving.no_dicom,
                case.case_id or (case_name_of(case.ct) if case.report.usable else ""),
            ),
            message=self.desk.message,
            auto_update=self.desk.auto_update,
        )

    def _inputs(self) -> InputsState:
        desk, report, card = self.desk, self.case.report, self.desk.card
        return InputsState(
            ct_id=_id(self.case.ct),
            pet_id=_id(self.case.pet),
            lines=report.lines,
            usable=report.usable,
            can_swap=report.can_swap,
            can_use_anyway=bool(report.objection),
            suv_fields=self._suv_fields() if report.asks_for_suv else (),
            bundle_path=desk.bundle_path,
            bundle_title="" if card is None else f"{card.name} {card.version}",
            bundle_card=() if card is None else _card_lines(card),
            bundle_problem=desk.card_problem,
            devices=_devices(desk.engine.devices, desk.device),
            device=desk.device,
        )

    def _suv_fields(self) -> tuple[SuvField, ...]:
        typed, found = self.case.data.suv, self.case.report.suv_found or {}
        return tuple(
            SuvField(
                name,
                label,
                unit,
                typed[name] if typed.get(name) is not None else found.get(name),
                from_header=typed.get(name) is None and name in found,
            )
            for name, label, unit in SUV_FIELDS
        )

    def _work(self) -> WorkState:
        running, engine, why_not = self.case.running, self.desk.engine, self.segmenting.why_not
        return WorkState(
            worker=self._worker(),
            can_cancel=bool(running),
            can_segment=not why_not and not running,
            why_not=why_not,
            step=self._step(),
            fraction=engine.fraction if engine.is_busy else None,
        )

    def _worker(self) -> str:
        engine = self.desk.engine
        if engine.missing:
            return NEEDS_SETUP
        if engine.has_failed:
            return FAILED
        if not engine.is_running:
            return STOPPED
        return BUSY if engine.is_busy else IDLE

    def _step(self) -> str:
        engine = self.desk.engine
        if not engine.is_busy or not engine.step:
            return ""
        step = engine.step[0].upper() + engine.step[1:]
        left = engine.seconds_left(EARLIEST_FRACTION)
        return step if left is None else f"{step}, {_duration(left)} left"

    def _contours(self) -> ContoursState:
        case = self.case
        shown = case.results if case.contours is not None else None  # figures of other contours are none of these
        figures = {} if shown is None else shown["lesions"]
        return ContoursState(
            segmentation_id=_id(case.segmentation),
            classes=tuple(
                class_row(label, figures.get(spec.name), self._origin(label), self._can_return(label))
                for label, spec in SEGMENTS.items()
            ),
            lesions=() if shown is None else lesion_rows(shown),
            question=self._question(),
            notes=self._notes(),
            drawn_by=self._drawn_by(),
            can_compare=case.model_node is not None and case.model is not None,
            comparing=contour_nodes.is_shown(case.model_node) and case.running != SEGMENT,
        )

    def _origin(self, label: int) -> str:
        case = self.case
        digest = "" if case.contours is None else case.contours.digests.get(label, "")
        models = "" if case.model is None else case.model.digests.get(label, "")
        if digest and digest == models:
            return FROM_MODEL
        is_models = bool(models) and contour_nodes.is_from_model(case.segmentation, case.case_id)
        if not digest:
            return EDITED if is_models and case.contours is not None else EMPTY
        return EDITED if is_models else MANUAL

    def _can_return(self, label: int) -> bool:
        case = self.case
        if case.model is None or case.classes is None or case.contours is None:
            return False
        return case.contours.digests.get(label, "") != case.model.digests.get(label, "")

    def _question(self) -> tuple[SegmentRow, ...] | None:
        node = self.case.segmentation
        if node is None or self.case.classes is not None:
            return None
        names, guess = segment_names(node), proposed_mapping(node)
        return tuple(SegmentRow(segment_id, names[segment_id], guess[segment_id]) for segment_id in names)

    def _notes(self) -> tuple[str, ...]:
        case, notes = self.case, []
        if self.desk.is_previewing:
            notes.append("Preview: what the first of the models draws; the full result follows.")
        if case.contours is None:
            return tuple(notes)
        if case.contours.overlap_voxels:
            notes.append(f"GTVp and GTVn overlap by {case.overlap_ml:.2f} mL, which count as GTVp.")
        if case.contours.on_other_grid:
            notes.append("The segmentation lies on another grid than the CT: it is read there by nearest neighbour.")
        for label, ml in case.contours.outside_ml.items():
            notes.append(f"{ml:.2f} mL of {SEGMENTS[label].name} lie outside the CT and are not measured.")
        for label, ml in case.contours.between_ml.items():
            notes.append(f"{ml:.2f} mL of {SEGMENTS[label].name} lie between the CT's slices and are not measured.")
        return (*notes, *notes_on_segments(case.segmentation, case.classes))

    def _drawn_by(self) -> str:
        record = (self.case.model_results or {}).get("segmentation")
        return f"Model's contours: {drawn_by(record)}" if record else ""

    def _patient(self) -> PatientState:
        data, names = self.case.data, () if self.desk.card is None else self.desk.card.clinical
        return patient_state(self.case.case_id, names, data.clinical, data.what_if, data.hpv_as_known)

    def _results(self) -> ResultsState:
        case = self.case
        if case.results is None:
            return ResultsState(stale_text="Measuring..." if case.asked else "")
        return results_state(
            case.results,
            current=self.desk.is_current,
            stale_text=self._stale_text(),
            chart_id=_id(chart_of(self.desk.scene, case.results["case_id"])),
            deep_note=self._deep_note(),
        )

    def _stale_text(self) -> str:
        if self.desk.is_current:
            return ""
        return "Stale: updating..." if self._follows() else "Stale: press Update"

    def _follows(self) -> bool:
        """Whether a measurement comes by itself."""
        case = self.case
        return self.desk.auto_update and (case.touched_at is not None or case.asked is not None)

    def _deep_note(self) -> str:
        case = self.case
        if not case.data.deep_is_current:
            comes = case.asked is not None or case.running or self._follows()
            return DEEP_NOTE if comes else OUTDATED_NOTE
        return "" if case.data.deep_is_new else KEPT_NOTE


def _card_lines(card) -> tuple[tuple[str, str], ...]:
    lines = [
        ("Model", f"{card.name} {card.version}, {card.members} members, {card.created}"),
        ("What it is", card.description),
        ("Trained on", card.training_data),
        ("Meant for", card.intended_use),
        ("Limits", " ".join(card.limitations)),
        ("Licence", card.licence),
        ("Time zero of RFS", card.time_zero),
    ]
    return tuple((label, text) for label, text in lines if text)


def _devices(devices: Sequence[dict], chosen: str) -> tuple[Choice, ...]:
    """What can be chosen, and what a scene or the preferences chose: a front end has to show it to have it changed."""
    known = (_automatic(devices), *(tuple(map(_choice, devices)) or (CPU,)))
    if chosen in {choice.id for choice in known}:
        return known
    return (*known, Choice(chosen, f"{chosen}, not on this computer" if devices else chosen))


def _automatic(devices: Sequence[dict]) -> Choice:
    """What the worker takes by itself: the first graphics card, else the CPU; named once the worker has said."""
    best = next((one for one in devices if one["id"] != CPU.id), next(iter(devices), None))
    return Choice("", "Automatic" if best is None else f"Automatic: {best['name']}")


def _choice(device: dict) -> Choice:
    free = device.get("free_gb")
    return Choice(device["id"], device["name"] + ("" if free is None else f", {free:g} GB free"))


def _duration(seconds: float) -> str:
    """Seconds in steps that do not flicker."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"{5 * round(seconds / 5)} s"
    return f"{round(seconds / 60)} min"


def _id(node) -> str:
    return "" if node is None or node.GetScene() is None else node.GetID()
