"""From what the presenter knows to what the panel shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmpl.errors import MMPLError
from mmpl.segments import SEGMENTS
from mmpl_slicer import contour_nodes
from mmpl_slicer.case_record import MODEL
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
from mmpl_slicer.results_nodes import chart_of
from mmpl_slicer.results_text import class_row, lesion_rows, results_state
from mmpl_slicer.segment_mapping import proposed_mapping, segment_names
from mmpl_slicer.volumes import geometry_of_node

if TYPE_CHECKING:
    from mmpl_slicer.presenter import Presenter

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
KEPT_NOTE = "Deep scores are those of the last full pass; they are refreshed once the lesions move by more than 10 mm."


class PanelView:
    """Makes the PanelState of a presenter."""

    def __init__(self, presenter: Presenter):
        self.of = presenter

    def state(self) -> PanelState:
        return PanelState(
            inputs=self._inputs(),
            work=self._work(),
            contours=self._contours(),
            patient=self._patient(),
            results=self._results(),
            save=SaveState(self.of.can_save, self.of.running == "save", self.of.saved_text, self.of.report_path),
            message=self.of.message,
            auto_update=self.of.auto_update,
        )

    def _inputs(self) -> InputsState:
        of, report, card = self.of, self.of.report, self.of.card
        return InputsState(
            ct_id=_id(of.ct),
            pet_id=_id(of.pet),
            lines=report.lines,
            usable=report.usable,
            can_swap=report.can_swap,
            can_use_anyway=bool(report.objection),
            suv_fields=self._suv_fields() if report.asks_for_suv else (),
            bundle_path=of.bundle_path,
            bundle_title="" if card is None else f"{card.name} {card.version}",
            bundle_card=() if card is None else _card_lines(card),
            bundle_problem=of.card_problem,
            devices=tuple(_choice(one) for one in of.engine.devices) or (CPU,),
            device=of.device or CPU.id,
        )

    def _suv_fields(self) -> tuple[SuvField, ...]:
        typed, found = self.of.data.suv, self.of.report.suv_found or {}
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
        of = self.of
        why_not = of.why_not_segment
        return WorkState(
            worker=self._worker(),
            segmenting=of.running == "segment",
            can_segment=not why_not and not of.running,
            why_not=why_not,
            step=self._step(),
            fraction=of.engine.fraction if of.engine.is_busy else None,
        )

    def _worker(self) -> str:
        engine = self.of.engine
        if engine.missing:
            return NEEDS_SETUP
        if engine.has_failed:
            return FAILED
        if not engine.is_running:
            return STOPPED
        return BUSY if engine.is_busy else IDLE

    def _step(self) -> str:
        engine = self.of.engine
        if not engine.is_busy or not engine.step:
            return ""
        step = engine.step[0].upper() + engine.step[1:]
        left = engine.seconds_left(EARLIEST_FRACTION)
        return step if left is None else f"{step}, {_duration(left)} left"

    def _contours(self) -> ContoursState:
        of = self.of
        model_node = None if of.record is None else of.record.get(MODEL)
        figures = {} if of.results is None else of.results["lesions"]
        return ContoursState(
            segmentation_id=_id(of.segmentation),
            classes=tuple(
                class_row(label, figures.get(spec.name), self._origin(label), self._can_return(label))
                for label, spec in SEGMENTS.items()
            ),
            lesions=() if of.results is None else lesion_rows(of.results),
            question=self._question(),
            notes=self._notes(),
            can_compare=model_node is not None and of.model is not None,
            comparing=contour_nodes.is_shown(model_node) and of.running != "segment",
        )

    def _origin(self, label: int) -> str:
        of = self.of
        digest = "" if of.contours is None else of.contours.digests.get(label, "")
        models = "" if of.model is None else of.model.digests.get(label, "")
        if digest and digest == models:
            return FROM_MODEL
        if not digest:
            return EDITED if models and of.contours is not None else EMPTY
        return EDITED if models else MANUAL

    def _can_return(self, label: int) -> bool:
        return self.of.model is not None and self.of.classes is not None and self._origin(label) in (EDITED, MANUAL)

    def _question(self) -> tuple[SegmentRow, ...] | None:
        node = self.of.segmentation
        if node is None or self.of.classes is not None:
            return None
        names, guess = segment_names(node), proposed_mapping(node)
        return tuple(SegmentRow(segment_id, names[segment_id], guess[segment_id]) for segment_id in names)

    def _notes(self) -> tuple[str, ...]:
        of, contours, notes = self.of, self.of.contours, []
        if of.running == "segment" and of.record is not None and contour_nodes.is_shown(of.record.get(MODEL)):
            notes.append("Preview: what the first of the models draws; the full result follows.")
        if contours is None:
            return tuple(notes)
        if contours.overlap_voxels:
            share = contours.overlap_voxels * geometry_of_node(of.ct).voxel_volume_ml
            notes.append(f"GTVp and GTVn overlap by {share:.2f} mL, which count as GTVp.")
        if contours.on_other_grid:
            notes.append("The segmentation lies on another grid than the CT: it is read there by nearest neighbour.")
        unused = [name for i, name in segment_names(of.segmentation).items() if i not in of.classes]
        if unused:
            notes.append(f"Not used: {', '.join(unused)}.")
        return tuple(notes)

    def _patient(self) -> PatientState:
        of = self.of
        names = () if of.card is None else of.card.clinical
        data = of.data
        try:
            return patient_state(of.case_id, names, data.clinical, data.what_if, data.hpv_as_known)
        except MMPLError:  # a record of a later version's fields
            return patient_state(of.case_id, names, {}, {}, False)

    def _results(self) -> ResultsState:
        of = self.of
        if of.results is None:
            return ResultsState(stale_text="Measuring..." if of.asked else "")
        chart = chart_of(of.scene, of.results["case_id"])
        return results_state(
            of.results,
            current=of.is_current,
            stale_text=self._stale_text(),
            chart_id=_id(chart),
            deep_note=DEEP_NOTE if not of.data.deep_is_current else KEPT_NOTE if not of.deep_is_new else "",
        )

    def _stale_text(self) -> str:
        of = self.of
        if of.is_current:
            return ""
        if of.touched_at is not None or of.asked is not None:
            return "Stale: updating..." if of.auto_update else "Stale: press Update"
        return "Stale: press Update"


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
