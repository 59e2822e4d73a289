"""One case as long as it is chosen: its nodes, contours and results, and what is on its way for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mmpl_slicer.case_record import MODEL, SEGMENTATION, CaseData, CaseRecord, add_record
from mmpl_slicer.contour_nodes import MODEL_ROLE, is_from_model
from mmpl_slicer.contours import Contours
from mmpl_slicer.input_report import InputReport
from mmpl_slicer.table_nodes import find
from mmpl_slicer.volume_guess import case_name_of

SEGMENT, SAVE = "segment", "save"


@dataclass(frozen=True)
class Basis:
    """What results are of: results are current while their basis is what there is now.

    Attributes
    ----------
    contours : fingerprint
    clinical : (field, value) in force
    hpv_as_known : RFS is given the HPV status on record
    conversion, pet_units : how the PET is read; the former in JSON, None for none
    model : name, version and sha256 of the bundle
    bundle_path : where it lies
    images : how often PET or CT have changed since the case was chosen
    content : fingerprint of both images, their voxels and their place, as they were checked last
    """

    contours: str
    clinical: tuple
    hpv_as_known: bool
    conversion: str | None
    pet_units: str | None
    model: str
    bundle_path: str
    images: int
    content: str

    @property
    def fingerprint(self) -> str:
        """Of what a scene can tell again when it is opened, on whatever machine."""
        values = (self.clinical, self.hpv_as_known, self.conversion, self.pet_units)
        lasting = (self.contours, *values, self.model, self.content)
        return hashlib.blake2b(repr(lasting).encode(), digest_size=12).hexdigest()

    @property
    def but_for_contours(self) -> str:
        """The fingerprint of everything else: where it is the same, results differ by their contours alone."""
        return replace(self, contours="").fingerprint


@dataclass(frozen=True, eq=False)
class Run:
    """A segmentation or a save on its way, and what there was before it; a run is itself only.

    Attributes
    ----------
    kind : SEGMENT or SAVE
    basis : what its results will be of, but for contours that it draws
    contours, model : those of the user and those of the model when it began
    """

    kind: str
    basis: Basis
    contours: Contours | None = None
    model: Contours | None = None


@dataclass(frozen=True, eq=False)
class Asked:
    """A measurement on its way; it is itself only."""

    basis: Basis


@dataclass(eq=False)
class CaseSession:
    """The chosen case. Another choice makes a new one: what comes late for the old one finds it gone.

    Attributes
    ----------
    ct, pet, segmentation : MRML nodes, None for none
    is_guessed : the images were guessed, and nobody has chosen others since
    report : the input check
    content : fingerprint of both images when they were checked, "" for unusable ones
    no_dicom : why results cannot be written as DICOM, "" where they can; None where nobody has looked
    record : what the scene remembers; None until something is worth a record, which ``loose`` then becomes
    classes : segment ID -> label; None while the user must be asked
    contours : as they were last read, None when they cannot be
    overlap_ml : of GTVp and GTVn
    model : what the model drew last
    model_is_unknown : what the scene keeps as the model's contours is not what the model drew
    drawing : segmentation in which a run draws, None while there is no run
    results, model_results : ``results.json`` of the contours, and of the model's own
    run : what keeps the user waiting; measuring is no run
    asked : the measurement on its way
    measured : what the results are of, None where they came with the scene
    kept : fingerprint of what the scene's results are of, "" for unknown
    images : how often PET or CT have changed
    touched_at, images_touched_at : when contours or images changed last and were not read since
    """

    ct: object = None
    pet: object = None
    is_guessed: bool = False
    loose: CaseData = field(default_factory=CaseData)
    report: InputReport = field(default_factory=lambda: InputReport(()))
    content: str = ""
    no_dicom: str | None = None
    record: CaseRecord | None = None
    segmentation: object = None
    classes: dict[str, int] | None = field(default_factory=dict)
    contours: Contours | None = None
    overlap_ml: float = 0.0
    model: Contours | None = None
    model_is_unknown: bool = False
    drawing: object = None
    results: dict | None = None
    model_results: dict | None = None
    run: Run | None = None
    asked: Asked | None = None
    measured: Basis | None = None
    kept: str = ""
    images: int = 0
    touched_at: float | None = None
    images_touched_at: float | None = None
    saved_text: str = ""
    report_path: str = ""

    @property
    def data(self) -> CaseData:
        return self.loose if self.record is None else self.record.data

    @property
    def case_id(self) -> str:
        return "" if self.record is None else self.record.case_id

    @property
    def running(self) -> str:
        return "" if self.run is None else self.run.kind

    @property
    def has_both(self) -> bool:
        return self.ct is not None and self.pet is not None

    @property
    def model_node(self):
        """The segmentation that holds the model's own contours, None where there is none."""
        return None if self.record is None else self.record.get(MODEL)

    @property
    def is_as_drawn(self) -> bool:
        """Whether the contours are the model's own."""
        return self.model is not None and self.contours is not None and self.model.digest == self.contours.digest

    @property
    def is_from_model(self) -> bool:
        """Whether the contours are the model's, as it drew them or corrected: not what was drawn without it."""
        if self.model is None or self.contours is None:
            return False
        of_model = self.model.digests
        a_class = any(digest and digest == of_model.get(label) for label, digest in self.contours.digests.items())
        return a_class or is_from_model(self.segmentation, self.case_id)

    def change(self, change: Callable[[CaseData], object]) -> None:
        """Change what is remembered, in the scene once there is a case."""
        if self.has_both:
            self.ensure_record()
        change(self.data)
        self.save_record()

    def save_record(self) -> None:
        """Write what is remembered into the scene, where it has a record of the case."""
        if self.record is not None:
            self.record.save()

    def forget_measurement(self) -> None:
        """The scene's results are of other images than there are now."""
        self.kept = ""
        if self.data.measured:  # images that are dragged change many times a second
            self.data.measured = ""
            self.save_record()

    def ensure_record(self) -> CaseRecord:
        """The case's record; made anew, as it was, where it was deleted."""
        if self.record is not None and self.record.node.GetScene() is not None:
            return self.record
        case_id, data = self.case_id or case_name_of(self.ct), self.data
        self.record = add_record(self.ct.GetScene(), self.ct, self.pet, case_id, data)
        self.record.set(SEGMENTATION, self.segmentation)
        self.record.set(MODEL, find(self.ct.GetScene(), "vtkMRMLSegmentationNode", MODEL_ROLE, self.case_id))
        return self.record

    def mend_record(self) -> None:
        """Put a record that was deleted back into the scene."""
        if self.record is not None and self.has_both and self.record.node.GetScene() is None:
            self.ensure_record()
