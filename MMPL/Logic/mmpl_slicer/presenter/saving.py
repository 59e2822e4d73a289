"""Save: the files of ``assess``, measured anew with the networks, and the scene beside them."""

from __future__ import annotations

from pathlib import Path

from mmpl.earlier_files import SCENE, check_same_case, sentence_about
from mmpl.errors import InputError, MMPLError
from mmpl_slicer.patient_form import tried_text
from mmpl_slicer.presenter.case_session import SAVE, CaseSession, Run
from mmpl_slicer.presenter.contours import ContourWork
from mmpl_slicer.presenter.desk import Desk
from mmpl_slicer.presenter.measuring import Measuring
from mmpl_slicer.presenter.segmenting import Segmenting
from mmpl_slicer.scene_io import save_mrb
from mmpl_slicer.volume_guess import anonymous_name
from mmpl_slicer.volumes import geometry_of_node

NO_CT = "there is no CT yet"


class Saving:
    """Has the worker write the results, and writes the scene."""

    def __init__(self, desk: Desk, contours: ContourWork, measuring: Measuring, segmenting: Segmenting):
        self.desk, self.contours, self.measuring, self.segmenting = desk, contours, measuring, segmenting

    @property
    def is_possible(self) -> bool:
        case = self.desk.case
        return case.contours is not None and case.report.usable and case.run is None

    @property
    def no_dicom(self) -> str:
        """Why results cannot be written as DICOM, "" where they can."""
        case = self.desk.case
        return NO_CT if case.ct is None or case.no_dicom is None else case.no_dicom

    def start(self, folder: str, with_scene: bool, with_dicom: bool = False, anonymise: bool = False) -> None:
        """Write masks, results, features and report into a folder."""
        desk, case = self.desk, self.desk.case
        if case.run is None:
            self.contours.read()
        if not self.is_possible:
            desk.say("There is nothing to save yet: segment, or choose a segmentation.")
            return
        if not folder:
            desk.say("Choose a folder to save to.")
            return
        case.saved_text, case.report_path, desk.message = "", "", ""
        case.ensure_record()
        out = Path(folder).absolute()
        try:
            check_same_case(out, case.case_id, {"ct": geometry_of_node(case.ct), "pet": geometry_of_node(case.pet)})
        except MMPLError as problem:
            desk.say(problem)
            return
        try:
            dicom = {"dicom": self._dicom(anonymise)} if with_dicom else {}
        except MMPLError as problem:
            desk.say(f"Results cannot be written as DICOM: {problem}")
            return
        run = case.run = Run(SAVE, desk.basis_on_record)
        tried = tried_text(case.data.clinical, case.data.what_if)
        arguments = {
            "label_map": case.contours,
            "left_out": case.contours.left_out,
            "clinical": case.data.clinical,
            "out": str(out),
            **dicom,
        }
        if case.is_from_model:
            model_results = case.model_results or {}
            arguments["drawn"] = {name: model_results.get(name) for name in ("bundle", "segmentation")}
            if not case.is_as_drawn:
                arguments["model_label_map"] = case.model

        def saved(case: CaseSession, run: Run, told: dict) -> None:
            self._saved(case, run, told, with_scene)
            if tried:
                case.saved_text += f". What is only tried is left out: {tried}"

        self.segmenting.ask(run, self.segmenting.callbacks(case, run, saved), **arguments)

    def _dicom(self, anonymise: bool) -> dict:
        """What the worker needs to write DICOM.

        Raises
        ------
        InputError
            If the CT's files are not there.
        """
        case = self.desk.case
        if self.no_dicom:
            raise InputError(self.no_dicom)
        return {
            "files": list(self.desk.dicom.files(case.ct, "the CT")),
            "anonymise": anonymous_name(case.case_id, case.ct) if anonymise else None,
        }

    def _saved(self, case: CaseSession, run: Run, told: dict, with_scene: bool) -> None:
        case.run = None
        self.measuring.take(told, run.basis)
        case.saved_text, case.report_path = f"Saved to {told['out']}", told["report"]
        if told.get("dicom"):
            case.saved_text += f", as DICOM in its folder {told['dicom']}"
        left = [name for name in told.get("left", ()) if not (with_scene and name == SCENE)]
        if left:
            self.desk.say(sentence_about(left, Path(told["out"])))
        if with_scene:
            self._save_scene(case, Path(told["out"]))
        self.measuring.follow()  # a what-if that is not saved comes back, and what was edited meanwhile

    def _save_scene(self, case: CaseSession, folder: Path) -> None:
        self.desk.do_chores()
        try:
            save_mrb(self.desk.scene, folder / SCENE)
        except MMPLError as problem:
            self.desk.say(problem)
        else:
            case.saved_text += ", with the scene"
