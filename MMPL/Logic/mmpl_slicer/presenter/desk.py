"""What the panel's sections share: scene, worker, the chosen case, and the sentence that is to be said."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mmpl.bundle.peek import BundleCard
from mmpl.io.suv import Conversion
from mmpl.report.text import sentence
from mmpl_slicer.case_record import MODEL
from mmpl_slicer.contour_nodes import is_shown
from mmpl_slicer.dicom_files import DicomFiles
from mmpl_slicer.engine_session import EngineSession
from mmpl_slicer.handing_over import CaseSource
from mmpl_slicer.live import Watch
from mmpl_slicer.patient_form import normal_values
from mmpl_slicer.presenter.case_session import SEGMENT, Basis, CaseSession

# what takes a sentence back: new results, a value that can be used, another segmentation; images, contours read again
MEASURING, VALUE, CHOICE, IMAGES, CONTOURS = "measuring", "value", "choice", "images", "contours"


@dataclass(eq=False)
class Desk:
    """Mutable; every section holds the same one.

    Attributes
    ----------
    clock : seconds, never backwards
    dicom : what is known of volumes' DICOM files
    save_undo : called before contours are replaced
    case : the chosen one
    bundle_path, device : as chosen, "" for the default
    card : what the bundle says of itself, None where ``card_problem`` says why
    message : one sentence that something went wrong, "" for none
    about : what ends the message, one of those above; "" for one that stays until somebody has read it
    chores : what is done at the next ticks, one at each
    """

    scene: object
    engine: EngineSession
    clock: Callable[[], float]
    dicom: DicomFiles
    save_undo: Callable[[], None]
    watch: Watch | None = None
    case: CaseSession = field(default_factory=CaseSession)
    bundle_path: str = ""
    device: str = ""
    card: BundleCard | None = None
    card_problem: str = ""
    auto_update: bool = True
    message: str = ""
    about: str = ""
    chores: deque[Callable[[], None]] = field(default_factory=deque)

    def say(self, text: str | Exception, about: str = "") -> None:
        """Show one sentence; said again by somebody else, it is still about the same."""
        said = sentence(text)
        if said != self.message or about:
            self.message, self.about = said, about

    def answered(self, about: str) -> None:
        """Take a sentence about this back; any other stays."""
        if self.about == about:
            self.message, self.about = "", ""

    def do_chores(self) -> None:
        """Do at once what was left for the next ticks."""
        while self.chores:
            self.chores.popleft()()

    def watch_nodes(self) -> None:
        case = self.case
        self.watch.follow(case.ct, case.pet, case.segmentation)

    @property
    def basis(self) -> Basis:
        """What results should be of, now."""
        case, data = self.case, self.case.data
        return Basis(
            contours="" if case.contours is None else case.contours.fingerprint,
            clinical=tuple(sorted(normal_values(data.clinical_in_force).items())),
            hpv_as_known=data.hpv_as_known,
            conversion=_as_text(case.report.conversion),
            pet_units=case.report.pet_units,
            model="" if self.card is None else f"{self.card.name} {self.card.version} {self.card.sha256}",
            bundle_path=self.bundle_path,
            images=case.images,
            content=case.content,
        )

    @property
    def basis_on_record(self) -> Basis:
        """What saved results are of: no what-if is among it."""
        clinical = tuple(sorted(normal_values(self.case.data.clinical).items()))
        return replace(self.basis, clinical=clinical, hpv_as_known=False)

    @property
    def is_current(self) -> bool:
        """Whether the results are those of the contours and values as they are."""
        case = self.case
        if case.results is None or case.touched_at is not None or case.contours is None:
            return False
        basis = self.basis
        return case.measured == basis if case.measured is not None else case.kept == basis.fingerprint

    @property
    def is_previewing(self) -> bool:
        """Whether what the first of the models draws is shown."""
        return self.case.running == SEGMENT and is_shown(self.case.drawing)

    def request(self, do: str, callbacks, **arguments) -> None:
        """Ask the worker for something about the chosen case.

        Raises
        ------
        MMPLError
            If the worker cannot be started.
        """
        case = self.case
        source = CaseSource(case.case_id, case.ct, case.pet, case.report.conversion, case.report.pet_units)
        bundle = (self.bundle_path, self.device, "" if self.card is None else self.card.sha256)
        self.engine.request(do, callbacks, bundle, source, **arguments)

    def set_model_node(self, node) -> None:
        self.case.record.set(MODEL, node)


def _as_text(conversion: Conversion | None) -> str | None:
    """A conversion as it is compared and remembered; None where there is none."""
    return None if conversion is None else json.dumps(conversion.to_dict(), sort_keys=True)
