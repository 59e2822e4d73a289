"""What a scene remembers of a case: one node with references to the others, saved and restored with the scene."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

import slicer
from mmpl.errors import GeometryError
from mmpl.geometry import Geometry
from mmpl_slicer.table_nodes import CASE_ATTRIBUTE, ROLE_ATTRIBUTE
from mmpl_slicer.volumes import geometry_of_node

RECORD_ROLE = "case"
RECORD_PARAMETER = "record"
RECORD_VERSION = 1
CT, PET, SEGMENTATION, MODEL = "MMPL.CT", "MMPL.PET", "MMPL.Segmentation", "MMPL.Model"


@dataclass
class CaseData:
    """The part of a case that is no node.

    Attributes
    ----------
    clinical : the record as it was given, field name -> value
    what_if : values that are tried instead, field name -> value; empty when none are
    hpv_as_known : RFS is shown as if HPV were what the record says
    suv : what was typed to convert the PET, see :class:`mmpl.io.suv.Typed`; absent values are None
    converted : what the PET's DICOM header, with what was typed then, made of it: ``typed`` and ``conversion``, for a
        scene that is opened where the header is not, and ``of``, a fingerprint of the PET's DICOM images; empty without
    grids : "ct" and "pet" -> where the image lay when the two were last found fit, as :meth:`Geometry.to_dict` gives it
    used_anyway : the input check's objection that the user overruled, "" for none
    measured : fingerprint of what the results are of (contours, values, model), "" for nothing
    model_digests : label -> fingerprint of the model's own contour, "" where it drew none
    model_name : bundle that drew them
    model_basis : fingerprint of what the results of the model's own contours are of, but for the contours
    deep_is_current : whether the networks' scores were read where the lesions are
    deep_is_new : whether the networks have run on the very contours that the results are of
    turn : the case of a scene with the highest one was chosen last
    """

    clinical: dict = field(default_factory=dict)
    what_if: dict = field(default_factory=dict)
    hpv_as_known: bool = False
    suv: dict = field(default_factory=dict)
    converted: dict = field(default_factory=dict)
    grids: dict = field(default_factory=dict)
    used_anyway: str = ""
    measured: str = ""
    model_digests: dict[int, str] = field(default_factory=dict)
    model_name: str = ""
    model_basis: str = ""
    deep_is_current: bool = True
    deep_is_new: bool = True
    turn: int = 0

    def to_json(self) -> str:
        return json.dumps({"version": RECORD_VERSION, **asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> CaseData:
        """Read what :meth:`to_json` wrote; what a later version added is left out, what is damaged counts as absent."""
        try:
            raw = json.loads(text)
        except ValueError:
            return cls()
        if not isinstance(raw, Mapping):
            return cls()
        usual = asdict(cls())
        known = {f.name: raw[f.name] for f in fields(cls) if type(raw.get(f.name)) is type(usual[f.name])}
        if "model_digests" in known:  # JSON's keys are text
            digests = known["model_digests"].items()
            known["model_digests"] = {int(label): digest for label, digest in digests if label.isdigit()}
        return cls(**known)

    def lay_on(self, name: str, grid: Geometry) -> bool:
        """Whether "ct" or "pet" is known to have lain on a grid."""
        try:
            return Geometry.from_dict(self.grids[name]).is_close(grid)
        except (KeyError, TypeError, ValueError, GeometryError):  # unknown, or damaged
            return False

    @property
    def clinical_in_force(self) -> dict:
        """The record with what is tried instead."""
        return {**self.clinical, **self.what_if}


class CaseRecord:
    """One case of the scene: its node, and :class:`CaseData` as an attribute that :meth:`save` writes.

    Parameters
    ----------
    node : vtkMRMLScriptedModuleNode
    """

    def __init__(self, node):
        self.node = node
        self.data = CaseData.from_json(node.GetParameter(RECORD_PARAMETER) or "{}")

    @property
    def case_id(self) -> str:
        return self.node.GetAttribute(CASE_ATTRIBUTE)

    def save(self) -> None:
        text = self.data.to_json()
        if text != self.node.GetParameter(RECORD_PARAMETER):
            self.node.SetParameter(RECORD_PARAMETER, text)

    def get(self, role: str):
        """The node in a role, None when it is absent or was deleted."""
        return self.node.GetNodeReference(role)

    def set(self, role: str, node) -> None:
        self.node.SetNodeReferenceID(role, node.GetID() if node is not None else None)

    def rename(self, case_id: str) -> None:
        self.node.SetAttribute(CASE_ATTRIBUTE, case_id)
        self.node.SetName(f"MMPL case {case_id}")

    def take_turn(self, scene) -> None:
        """Become the case that was chosen last."""
        last = max((record.data.turn for record in records(scene) if record.node is not self.node), default=0)
        if self.data.turn <= last:
            self.data.turn = last + 1
        self.save()


def records(scene) -> list[CaseRecord]:
    """All cases of a scene, in the order in which they were made."""
    return [
        CaseRecord(node)
        for node in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode", scene)
        if node.GetAttribute(ROLE_ATTRIBUTE) == RECORD_ROLE
    ]


def find_record(scene, ct_node, pet_node) -> CaseRecord | None:
    """The case of a CT and a PET."""
    for record in records(scene):
        if record.get(CT) is ct_node and record.get(PET) is pet_node:
            return record
    return None


def find_orphan(scene, ct_node, pet_node) -> CaseRecord | None:
    """A case that has one of the two images and has lost its other one, which lay where the new one does.

    Raises
    ------
    GeometryError
        If an image lies under a non-linear transform, or its axes are not orthogonal.
    """
    for record in records(scene):
        for name, new, had in (("ct", ct_node, (None, pet_node)), ("pet", pet_node, (ct_node, None))):
            if (record.get(CT), record.get(PET)) == had and record.data.lay_on(name, geometry_of_node(new)):
                return record
    return None


def add_record(scene, ct_node, pet_node, case_id: str, data: CaseData | None = None) -> CaseRecord:
    """A new case of a CT and a PET; ``case_id`` gets a number where another case has it."""
    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetModuleName("MMPL")
    node.SetAttribute(ROLE_ATTRIBUTE, RECORD_ROLE)
    unique = unique_case_id(case_id, {record.case_id for record in records(scene)})
    record = CaseRecord(scene.AddNode(node))
    record.rename(unique)
    record.data = CaseData() if data is None else data
    record.set(CT, ct_node)
    record.set(PET, pet_node)
    record.take_turn(scene)
    return record


def unique_case_id(case_id: str, taken: set[str]) -> str:
    """A name for a case, with a number where the name is taken."""
    unique, count = case_id, 1
    while unique in taken:
        count += 1
        unique = f"{case_id} ({count})"
    return unique
