"""Which segment of a segmentation is which class: known by name, else proposed and asked for once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from mmpl.case import GTVN, GTVP
from mmpl.segments import SEGMENTS, class_called

UNUSED = 0
MAPPING_ATTRIBUTE = "MMPL.Segments"
# what clinics call them; the nodes come first, since "GTV LN" holds "GTV" too
_NODE = re.compile(r"gtv[\s_-]*(n|ln)|\bnod(e|al|us)|lymph|\bln\b|\bln\d|metasta", re.IGNORECASE)
_PRIMARY = re.compile(r"gtv[\s_-]*(p|t)\b|gtv[\s_-]*p|\bprim|tumou?r|\btu\b|\bgtv\b", re.IGNORECASE)
_CLASS_MADE_AS = {spec.id: label for label, spec in SEGMENTS.items()}


def segment_names(segmentation_node) -> dict[str, str]:
    """Segment ID -> name, in the segmentation's order."""
    segmentation = segmentation_node.GetSegmentation()
    return {i: segmentation.GetSegment(i).GetName() for i in segmentation.GetSegmentIDs()}


def mapping_by_name(segmentation_node) -> dict[str, int]:
    """Segment ID -> label of the segments that are GTVp or GTVn for certain.

    What a segment is called decides, whatever its case. One that MMPL has made (by its ID) and that is called something
    else now counts as long as no other segment bears its class's name, and its own does not speak of the other class.
    """
    names = segment_names(segmentation_node)
    found = _called_a_class(names)
    borne = set(found.values())
    for segment_id, label in _CLASS_MADE_AS.items():
        called_another = segment_id in found or label in borne
        if segment_id in names and not called_another and _guess(names[segment_id]) in (UNUSED, label):
            found[segment_id] = label
    return {i: found[i] for i in names if i in found}


def _called_a_class(names: Mapping[str, str]) -> dict[str, int]:
    called = {i: class_called(name) for i, name in names.items()}
    return {i: label for i, label in called.items() if label is not None}


def proposed_mapping(segmentation_node) -> dict[str, int]:
    """A guess for every segment: what names of clinics usually mean, UNUSED where they mean nothing here."""
    known = mapping_by_name(segmentation_node)
    return {i: known.get(i, _guess(name)) for i, name in segment_names(segmentation_node).items()}


def _guess(name: str) -> int:
    if _NODE.search(name):
        return GTVN
    return GTVP if _PRIMARY.search(name) else UNUSED


def remember_mapping(segmentation_node, answered: Mapping[str, int]) -> None:
    """Keep what the user said, UNUSED included, with the segmentation: it is saved with it and asked for once."""
    segmentation_node.SetAttribute(MAPPING_ATTRIBUTE, json.dumps(dict(answered)))


def mapping_in_force(segmentation_node) -> dict[str, int] | None:
    """Segment ID -> label as the user said, else as names say; None when it must be asked for.

    A segment that is called GTVp or GTVn (GTVn1) is that: an answer of earlier on does not outlive such a name. It is
    asked for where no segment is any class, and where a class has none but one that is not answered for seems to be it
    ("LN left" beside GTVp): left out in silence it would make a patient with nodes one without. A segmentation without
    any segment needs no answer.
    """
    names = segment_names(segmentation_node)
    given = {i: label for i, label in _answered(segmentation_node).items() if i in names}
    known = {**mapping_by_name(segmentation_node), **given, **_called_a_class(names)}
    missing = set(SEGMENTS) - set(known.values())
    if names and (not known or any(_guess(name) in missing for i, name in names.items() if i not in known)):
        return None
    return {i: label for i, label in known.items() if label != UNUSED}


def notes_on_segments(segmentation_node, classes: Mapping[str, int]) -> list[str]:
    """What is to be known of which segment counts as which class: several of one class, other names, unused ones.

    Parameters
    ----------
    classes : segment ID -> label, as they are counted
    """
    names, answered = segment_names(segmentation_node), _answered(segmentation_node)
    notes = []
    for label, spec in SEGMENTS.items():
        own = [name for i, name in names.items() if classes.get(i) == label]
        if len(own) > 1:
            notes.append(f"{len(own)} segments count as {spec.name}: {', '.join(own)}.")
    for segment_id, label in _CLASS_MADE_AS.items():
        name = names.get(segment_id, "")
        by_id = classes.get(segment_id) == label and segment_id not in answered
        if by_id and class_called(name) is None:
            notes.append(f"{name} counts as {SEGMENTS[label].name}, as which it was made.")
    unused = [name + _was(segment_id) for segment_id, name in names.items() if segment_id not in classes]
    return [*notes, f"Not used: {', '.join(unused)}."] if unused else notes


def _was(segment_id: str) -> str:
    label = _CLASS_MADE_AS.get(segment_id)
    return "" if label is None else f" (made as {SEGMENTS[label].name})"


def _answered(segmentation_node) -> dict[str, int]:
    """What the user said; what cannot be read counts as not said."""
    try:
        answered = json.loads(segmentation_node.GetAttribute(MAPPING_ATTRIBUTE) or "{}")
    except ValueError:
        return {}
    if not isinstance(answered, dict):
        return {}
    return {i: label for i, label in answered.items() if label in (UNUSED, *SEGMENTS)}
