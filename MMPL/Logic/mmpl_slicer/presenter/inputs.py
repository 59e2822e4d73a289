"""PET, CT, bundle and device: what is chosen, and whether it can be used."""

from __future__ import annotations

from copy import deepcopy

import numpy as np

import slicer
from mmpl.bundle.peek import peek
from mmpl.bundle.store import default_bundle_path
from mmpl.case import PET_SUV
from mmpl.errors import MMPLError, SuvError
from mmpl.io.suv import Conversion, problem_with
from mmpl.report.text import sentence
from mmpl_slicer.case_record import CT, PET, CaseData, CaseRecord, find_orphan, find_record
from mmpl_slicer.demo_scene import show_fused
from mmpl_slicer.dicom_files import PetHeader, fingerprint_of_instances
from mmpl_slicer.image_digest import image_digest
from mmpl_slicer.input_check import check_inputs
from mmpl_slicer.input_report import InputReport
from mmpl_slicer.pet_suv import fair_sample
from mmpl_slicer.presenter.case_session import CaseSession
from mmpl_slicer.presenter.desk import IMAGES, VALUE, Desk
from mmpl_slicer.presenter.measuring import Measuring
from mmpl_slicer.presenter.scene import Scene
from mmpl_slicer.presenter.segmenting import IMAGES_CHANGED, Segmenting
from mmpl_slicer.volume_guess import guess_inputs, has_voxels
from mmpl_slicer.volumes import PET_DISPLAY_SUV_MAX, geometry_of_node, show_ct, show_pet


class Inputs:
    """The first section of the panel."""

    def __init__(self, desk: Desk, segmenting: Segmenting, measuring: Measuring, scene: Scene):
        self.desk, self.segmenting, self.measuring, self.scene = desk, segmenting, measuring, scene
        self._volumes = 0

    def guess(self) -> None:
        """Choose what the scene suggests, where nothing is chosen yet, or nothing but one image that was guessed."""
        case = self.desk.case
        if not self._may_guess():
            return
        ct, pet = guess_inputs(self.desk.scene)
        if case.ct in (None, ct) and case.pet in (None, pet):
            self.choose(ct, pet)
            self.desk.case.is_guessed = True

    def _may_guess(self) -> bool:
        case = self.desk.case
        return (case.ct is None and case.pet is None) or (case.is_guessed and not case.has_both)

    def has_new_volumes(self) -> bool:
        """Whether volumes have come, all with their voxels, since this was asked last, and may be guessed."""
        scene = self.desk.scene
        count = scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
        if count == self._volumes or scene.IsBatchProcessing():
            return False
        if not all(map(has_voxels, slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene))):
            return False  # one is being read
        more, self._volumes = count > self._volumes, count
        return more and self._may_guess()

    def forget_volumes(self) -> None:
        """The scene goes: as many volumes of another one are new."""
        self._volumes = 0

    def show_fused(self) -> None:
        """PET over CT in all slice views: soft tissue, and uptake up to SUV 10 or what comes near it."""
        case = self.desk.case
        if not case.has_both or not case.report.usable:
            self.desk.say("Choose PET and CT first.")
            return
        for node in (case.ct, case.pet):
            if node.GetDisplayNode() is None:
                node.CreateDefaultDisplayNodes()
        show_ct(case.ct)
        top = float(np.percentile(fair_sample(slicer.util.arrayFromVolume(case.pet)), 99.9))
        show_pet(case.pet, PET_DISPLAY_SUV_MAX if case.report.is_suv_as_it_is else max(top, 1e-6))
        show_fused(self.desk.scene, case.ct, case.pet)

    def choose(self, ct, pet) -> None:
        """Choose CT and PET, either of which may be None; the case that the scene remembers of them comes back."""
        case = self.desk.case
        if ct is case.ct and pet is case.pet:
            return
        self._leave(CaseSession(ct, pet, loose=_carried(case, ct, pet)))
        self.check()
        if ct is not None and pet is not None:
            self._remember(ct, pet)
        self.desk.watch_nodes()

    def swap(self) -> None:
        """CT and PET change places; what was typed for the two goes along."""
        case = self.desk.case
        if case.record is None or case.segmentation is not None:
            self.choose(case.pet, case.ct)
            return
        case.record.set(CT, case.pet)
        case.record.set(PET, case.ct)
        self.choose(case.pet, case.ct)

    def use_anyway(self) -> None:
        """Overrule the input check's objection."""
        case = self.desk.case
        case.change(lambda data: setattr(data, "used_anyway", case.report.objection))
        self.check()

    def set_suv_field(self, name: str, value: float | None) -> None:
        """Type weight, dose or time of the PET; None takes it back."""
        problem = None if value is None else problem_with(name, value)
        if problem:
            self.desk.say(problem, VALUE)
            return
        self.desk.answered(VALUE)
        self.desk.case.change(lambda data: data.suv.__setitem__(name, value))
        self.check()
        self.measuring.if_out_of_date(only_if_running=True)

    def choose_bundle(self, path: str) -> None:
        """Choose a bundle's folder or zip, "" for the bundled demo model."""
        if path != self.desk.bundle_path:
            self.desk.bundle_path = path
            self.open_card()
            self.measuring.if_out_of_date(only_if_running=True)

    def choose_device(self, device: str) -> None:
        """Choose where the networks run, from the next request on."""
        self.desk.device = device

    def open_card(self) -> None:
        """Read what the chosen bundle says of itself."""
        desk = self.desk
        desk.card, desk.card_problem = None, ""
        try:
            desk.card = peek(desk.bundle_path or default_bundle_path())
        except MMPLError as problem:
            desk.card_problem = sentence(problem)

    def check(self) -> None:
        """Look at the images again."""
        case, data = self.desk.case, self.desk.case.data
        case.report, case.content = InputReport(()), ""
        self.desk.answered(IMAGES)
        if case.ct is None and case.pet is None:
            return
        if case.no_dicom is None and case.ct is not None and has_voxels(case.ct):
            case.no_dicom = self.desk.dicom.why_no_export(case.ct)
        headers: list[PetHeader | None] = []

        def header(node) -> PetHeader | None:
            headers.append(self.desk.dicom.header(node))
            return headers[-1]

        try:
            case.report = check_inputs(
                case.ct,
                case.pet,
                typed=data.suv,
                used_anyway=data.used_anyway,
                header=header,
                frame_of_reference=self.desk.dicom.frame_of_reference,
                kept=_kept(case),
            )
        except MMPLError as problem:
            self.desk.say(problem, IMAGES)
        if case.report.usable:
            case.content = f"{image_digest(case.ct)}/{image_digest(case.pet)}"
            self._keep_grids(case)
        if any(headers):
            self._keep_conversion(case)

    def _keep_conversion(self, case: CaseSession) -> None:
        """Remember what a header has made of the PET: the scene may be opened where it is not."""
        conversion = case.report.conversion
        usable = conversion is not None and conversion.units == PET_SUV
        of = fingerprint_of_instances(case.pet)
        kept = {"of": of, "typed": _given(case.data), "conversion": conversion.to_dict()} if usable else {}
        if kept != case.data.converted:
            case.data.converted = kept
            case.save_record()

    def _keep_grids(self, case: CaseSession) -> None:
        """Remember where the images lie: one that is deleted is replaced only by one that lies there too."""
        grids = {name: geometry_of_node(node).to_dict() for name, node in (("ct", case.ct), ("pet", case.pet))}
        if grids != case.data.grids:
            case.data.grids = grids
            case.save_record()

    def images_settled(self) -> None:
        """PET or CT have changed: they are checked, and all contours are read on the CT's grid again."""
        self.desk.case.images_touched_at = self.desk.case.no_dicom = None
        self.segmenting.abandon(IMAGES_CHANGED)
        lay = self.desk.case.data.grids.get("ct")
        self.check()
        if self.desk.case.data.grids.get("ct") != lay:  # else somebody's strokes would be read as the model's
            self.scene.read_model()
        self.desk.case.touched_at = self.desk.clock()

    def deleted(self, node) -> None:
        """CT or PET has left the scene."""
        case = self.desk.case
        what, left = ("CT", CaseSession(pet=case.pet)) if node is case.ct else ("PET", CaseSession(case.ct))
        kept = "" if case.segmentation is None else " Its segmentation stays in the scene."
        self._leave(left)
        self.check()
        self.desk.watch_nodes()
        self.desk.say(f"The {what} was deleted: choose another one.{kept}")

    def _leave(self, new: CaseSession) -> None:
        self.segmenting.abandon("")
        self.desk.engine.cancel()
        self.desk.case, self.desk.message = new, ""

    def _remember(self, ct, pet) -> None:
        record = find_record(self.desk.scene, ct, pet)
        if record is not None:
            self.scene.bring_back(record)
        elif (orphan := self._orphan(ct, pet)) is not None:
            orphan.set(CT, ct)
            orphan.set(PET, pet)
            orphan.data.measured = ""  # the results are of the image that was deleted
            orphan.save()
            self.scene.bring_back(orphan)
        else:
            return
        self.check()  # with what was typed for this case
        self.scene.results_come_back()
        self.measuring.if_out_of_date(only_if_running=True)

    def _orphan(self, ct, pet) -> CaseRecord | None:
        """A case that waits for one of two images that were found fit, or were said to be fit for this case."""
        report = self.desk.case.report
        if not report.usable and not report.objection:
            return None
        orphan = find_orphan(self.desk.scene, ct, pet)
        fits = orphan is not None and (report.usable or report.objection == orphan.data.used_anyway)
        return orphan if fits else None


def _carried(case: CaseSession, ct, pet) -> CaseData:
    """What was typed before images were chosen goes with the first that are; never from one patient to another."""
    same = all(old in (None, new) for old, new in ((case.ct, ct), (case.pet, pet)))
    swapped = case.record is None and (case.ct, case.pet) == (pet, ct)
    return deepcopy(case.loose) if case.record is None and (same or swapped) else CaseData()


def _given(data: CaseData) -> dict[str, float]:
    return {name: value for name, value in data.suv.items() if value is not None}


def _kept(case: CaseSession) -> Conversion | None:
    """What a header made of this very PET, as long as no other values are typed; None without, or damaged.

    Scenes of before it was kept which PET that was have nothing to tell it by.
    """
    kept, of = case.data.converted, "" if case.pet is None else fingerprint_of_instances(case.pet)
    if not of or kept.get("of") != of or kept.get("typed") != _given(case.data):
        return None
    try:
        return Conversion.from_dict(kept.get("conversion"))
    except SuvError:
        return None
